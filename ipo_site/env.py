"""What differs between installations: the environment and `.env`, read once into plain attributes.

Importing this never writes into a folder that is not ours (`ipo_site.launch.data_dir.claim_data_dir`).
A value that cannot be read ends the process with one sentence. Tokens are passed on, never logged.
"""

import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import Any

import environ  # type: ignore[import-untyped]
from django.core.exceptions import ImproperlyConfigured

from generation import extra_models, registry, wire
from generation.types import ModelSpec
from ipo_site import predecessor
from ipo_site.launch import addresses
from ipo_site.launch.data_dir import claim_data_dir
from ipo_site.launch.errors import CannotStart

BASE_DIR = Path(__file__).resolve().parent.parent

YES, NO = ("yes", "true", "on", "1", "y", "ok"), ("no", "false", "off", "0", "n")

if (BASE_DIR / ".env").is_file():
    # What the environment already says wins over the file.
    environ.Env.read_env(BASE_DIR / ".env")


def _number(name: str, default: int, low: int, high: int) -> int:
    text = os.environ.get(name, "").strip()
    try:
        number = int(text) if text else default
    except ValueError:
        sys.exit(f"{name} is {text!r}, which is not a whole number: correct it in .env or the environment.")
    if not low <= number <= high:
        sys.exit(f"{name} is {number}: give a number from {low} to {high} in .env or the environment.")
    return number


def _flag(name: str, *, default: bool) -> bool:
    text = os.environ.get(name, "").strip().lower()
    if text and text not in (*YES, *NO):
        sys.exit(f"{name} is {text!r}: say {YES[0]} or {NO[0]} in .env or the environment.")
    return text in YES if text else default


def _data_dir(text: str) -> Path:
    """A path that is not absolute begins at this repository, from wherever a command is called."""
    try:
        return (BASE_DIR / Path(text or "data").expanduser()).resolve()
    except RuntimeError:
        sys.exit(
            f"IPO_DATA_DIR is {text!r}, and there is no such user: give another folder in .env or the environment."
        )


def _secret_key(data_dir: Path) -> str:
    """Django's secret key: from the environment, else made once and kept in the data folder, mode 0600.

    A folder that is not ours or not writable gives a key for this process alone; `manage.py run` says why.
    """
    given = os.environ.get("SECRET_KEY", "")
    if given:
        return given
    path = data_dir / "secret_key"
    try:
        claim_data_dir(data_dir)
        if not path.exists():
            draft = data_dir / f"secret_key.{os.getpid()}"
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(50))
            try:
                # link refuses to replace: of two processes that start at once, both read the first one's key.
                path.hardlink_to(draft)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_text()
    except (CannotStart, OSError):
        return secrets.token_urlsafe(50)


def database(url: str) -> dict[str, Any]:
    """Django's settings of one database; a socket folder (`?host=`) becomes HOST, which `dbshell` reads."""
    try:
        config: dict[str, Any] = dict(environ.Env.db_url_config(url))
    except (ImproperlyConfigured, ValueError):
        sys.exit("DATABASE_URL cannot be read: it looks like postgresql://user:password@host:5432/name.")
    if config.get("ENGINE") != "django.db.backends.postgresql":
        sys.exit("DATABASE_URL must be a Postgres address: postgresql://user:password@host:5432/name.")
    options = config.get("OPTIONS", {})
    if "host" in options:
        config["HOST"] = options.pop("host")
    return config


def _models(extra: str) -> dict[str, ModelSpec]:
    """The built-in models by key, and those of the user, as JSON; see docs/models.md."""
    try:
        models = registry.BUILTIN | extra_models.parse(extra)
        local_flux = os.environ.get("FLUX_LOCAL_MODEL")
        return predecessor.with_local_flux(models, local_flux) if local_flux else models
    except ValueError as error:
        sys.exit(str(error))


def _default_model(permitted: tuple[str, ...]) -> str:
    """What a new session begins with: without a GPU the bundled model, which draws everywhere, if it is permitted."""
    usual = "sd-turbo" if shutil.which("nvidia-smi") else "pocket-landscapes"
    return usual if usual in permitted or not permitted else permitted[0]


def _speedups(names: str) -> tuple[str, ...]:
    try:
        return registry.speedups(names)
    except ValueError as error:
        sys.exit(f"IPO_SPEEDUPS: {error}")


DATA_DIR = _data_dir(os.environ.get("IPO_DATA_DIR", ""))
_local = addresses.urls(DATA_DIR)

# Whether the user brought servers of their own.
OWN_DATABASE = bool(os.environ.get("DATABASE_URL"))
OWN_REDIS = bool(os.environ.get("REDIS_URL"))
DATABASE_URL = os.environ.get("DATABASE_URL") or _local.database
REDIS_URL = os.environ.get("REDIS_URL") or _local.redis
DATABASE = database(DATABASE_URL)

HOST = "127.0.0.1"
PORT = _number("IPO_PORT", 8577, 1, 65535)
DEBUG = _flag("IPO_DEBUG", default=False)
SECRET_KEY = _secret_key(DATA_DIR)

MODELS = _models(os.environ.get("IPO_EXTRA_MODELS") or "{}")
# The models that the workers of this machine may load; all, if empty.
WORKER_MODELS = tuple(filter(None, os.environ.get("IPO_WORKER_MODELS", "").replace(" ", "").split(",")))
if unknown := set(WORKER_MODELS) - set(MODELS):
    sys.exit(f"IPO_WORKER_MODELS: there is no model “{min(unknown)}”: choose among {', '.join(MODELS)}.")
DEFAULT_MODEL = os.environ.get("IPO_DEFAULT_MODEL") or _default_model(WORKER_MODELS)
if DEFAULT_MODEL not in MODELS:
    sys.exit(f"IPO_DEFAULT_MODEL is {DEFAULT_MODEL!r}: correct it in .env to one of {', '.join(MODELS)}.")
# Ways to draw faster, see .env.example.
SPEEDUPS = _speedups(os.environ.get("IPO_SPEEDUPS", ""))
# Show what is being drawn, where the model has a tiny autoencoder for it.
PREVIEWS = _flag("IPO_PREVIEWS", default=True)
# The generation service that draws for new sessions; empty: the workers themselves.
GENERATION_SERVER = os.environ.get("IPO_GENERATION_SERVER", "").rstrip("/")
if GENERATION_SERVER and not wire.is_address(GENERATION_SERVER):
    sys.exit(f"IPO_GENERATION_SERVER is {GENERATION_SERVER!r}: it looks like http://gpu-box:8580; correct it in .env.")
# Who asks the generation service must know it; needed where that listens beyond this machine.
GENERATION_TOKEN = os.environ.get("IPO_GENERATION_TOKEN", "")
# The model that a generation service loads when it starts; without it with the first request.
SERVER_MODEL = os.environ.get("GEN_SERVER_MODEL", "")
# Write the settings of a picture into its PNG.
EMBED_SETTINGS = _flag("IPO_EMBED_SETTINGS", default=True)
LEASE_SECONDS = _number("IPO_LEASE_SECONDS", 60, 1, 86_400)
SWEEP_SECONDS = _number("IPO_SWEEP_SECONDS", 10, 1, 86_400)

# The libraries that fetch models read HF_TOKEN themselves; the predecessor's users have it under another name.
if os.environ.get("HUGGINGFACE_HUB_TOKEN") and not os.environ.get("HF_TOKEN"):
    os.environ["HF_TOKEN"] = os.environ["HUGGINGFACE_HUB_TOKEN"]
# Its remarks on what is not installed are of no use to a user; errors still show.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
