"""What differs between installations, read from the environment and from `.env` (see .env.example)."""

import os
import secrets
from pathlib import Path
from typing import Any

import environ

from ipo_site import embedded

BASE_DIR = Path(__file__).resolve().parent.parent

_env = environ.Env()
_env.read_env(BASE_DIR / ".env")


def _secret_key(folder: Path) -> str:
    """Made once and kept beside the data, readable by its owner only."""
    path = folder / "secret_key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"secret_key.{os.getpid()}"
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(48))
        try:
            os.link(fresh, path)  # the first of several processes wins
        except FileExistsError:
            pass
        fresh.unlink()
    return path.read_text()


DATA_DIR = Path(_env.str("IPO_DATA_DIR", default="") or BASE_DIR / "data").resolve()
PORT = _env.int("IPO_PORT", default=8577)
HOST = "127.0.0.1"
DEBUG = _env.bool("IPO_DEBUG", default=False)
SECRET_KEY = _env.str("IPO_SECRET_KEY", default="") or _secret_key(DATA_DIR)

# Empty: the embedded servers of the data folder.
DATABASE_URL = _env.str("DATABASE_URL", default="")
REDIS_URL = _env.str("REDIS_URL", default="") or embedded.redis_url(DATA_DIR)
EMBEDDED_POSTGRES = not DATABASE_URL
EMBEDDED_REDIS = not _env.str("REDIS_URL", default="")
DATABASE: dict[str, Any] = (
    embedded.database(DATA_DIR) if EMBEDDED_POSTGRES else environ.Env.db_url_config(DATABASE_URL)
)

LEASE_SECONDS = _env.float("IPO_LEASE_SECONDS", default=60.0)
SWEEP_SECONDS = _env.float("IPO_SWEEP_SECONDS", default=10.0)
EMBED_SETTINGS = _env.bool("IPO_EMBED_SETTINGS", default=True)
DEFAULT_MODEL = _env.str("IPO_DEFAULT_MODEL", default="")
EXTRA_MODELS = _env.str("IPO_EXTRA_MODELS", default="{}")
