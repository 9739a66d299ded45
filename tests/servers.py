"""A pytest plugin: Postgres and Redis in a temporary folder, up before Django reads its settings.

With DATABASE_URL or REDIS_URL in the environment that server is used instead (the tests empty its queue). Where
pytest-xdist runs the tests in several processes, each has a folder and servers of its own.
"""

import atexit
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from ipo_site.launch import addresses, embedded

TINY = {
    "label": "Tiny",
    "family": "stable_diffusion",
    "dtype": "float32",
    "width": 64,
    "height": 64,
    "steps": 2,
    "guidance": 1.0,
    "hidden_size": 16,
    "prompt_tokens": 32,
    "example_prompt": "a landscape",
    "inference_batch": 2,
    "encoder": "pocket-siglip",
    "curation_size": 4,
}

_servers: list[embedded.EmbeddedServers] = []
# Also the one that `.env` may name: tests must never empty the queue of a server that somebody uses.
_NAMES = ("DATABASE_URL", "REDIS_URL")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    options = early_config.known_args_namespace
    if getattr(options, "help", False) or getattr(options, "version", 0):
        return
    folder = Path(tempfile.mkdtemp(prefix="ipo-tests-"))
    os.environ["IPO_DATA_DIR"] = str(folder)
    # Several processes of many threads each wait for each other most of the time (xgboost ten times as long).
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # The tests' own model; tests/conftest.py draws its random weights when a test first asks for them.
    places = {"source": str(folder / "tiny"), "preview_vae": str(folder / "tiny-vae")}
    os.environ["IPO_EXTRA_MODELS"] = json.dumps({"tiny": TINY | places})
    os.environ["IPO_DEFAULT_MODEL"] = "tiny"
    # Said once, before Django reads `.env`: the processes of pytest-xdist inherit what the first one has by then.
    given = os.environ.setdefault("IPO_TESTS_GIVEN", " ".join(name for name in _NAMES if os.environ.get(name))).split()
    servers = embedded.EmbeddedServers(folder, postgres=_NAMES[0] not in given, redis=_NAMES[1] not in given)
    _servers.append(servers)
    atexit.register(_stop)  # pytest does not say goodbye when it refuses its options
    only_hands_out = getattr(options, "numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ
    servers_at = addresses.urls(folder)
    if not only_hands_out:
        servers.start()
    for name, address in zip(_NAMES, (servers_at.database, servers_at.redis), strict=True):
        if name not in given:
            os.environ[name] = address


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    _stop()


def _stop() -> None:
    while _servers:
        servers = _servers.pop()
        servers.stop()
        shutil.rmtree(servers.data_dir, ignore_errors=True)
