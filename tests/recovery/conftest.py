"""Real worker processes on the test database, started from the Procfile that `make run` uses."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis
from django.db import connection

from tests.recovery import forked

ROOT = Path(__file__).resolve().parents[2]


class Workers:
    """The Procfile's workers (all but the web server) as child processes."""

    def __init__(self, folder: Path) -> None:
        address = urlsplit(os.environ["DATABASE_URL"])
        name = connection.settings_dict["NAME"]
        self.environment = os.environ | {
            "DATABASE_URL": urlunsplit(address._replace(path=f"/{name}")),
            "IPO_LEASE_SECONDS": "4",
            "IPO_SWEEP_SECONDS": "1",
            "PYTHON": sys.executable,
        }
        lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines() if ": " in line)
        self.commands = {name: line for name, line in lines.items() if name in {"gpu", "cpu", "beat"}}
        self.running: dict[str, BaseProcess] = {}
        self.log = folder / "workers.log"

    def start(self, *names: str) -> None:
        for name in names or self.commands:
            self.running[name] = forked.start(self.commands[name], ROOT, self.environment, self.log)

    def kill(self, *names: str) -> None:
        """SIGKILL, the whole group, as the out-of-memory killer or a power cut would."""
        for name in names or list(self.running):
            process = self.running.pop(name)
            with suppress(ProcessLookupError):  # it has no group yet
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()


@pytest.fixture
def workers(transactional_db, tiny_model, tmp_path, settings) -> Iterator[Workers]:
    settings.MEDIA_ROOT = settings.DATA_DIR / "pictures"  # where the workers save
    redis.Redis.from_url(settings.REDIS_URL).flushall()
    workers = Workers(tmp_path)
    yield workers
    workers.kill()
    wait_until_quiet()
    if workers.log.exists():
        print(workers.log.read_text()[-4000:])


def wait_until_quiet() -> None:
    """Until nobody else has asked the test database for anything for half a second: its tables are emptied next, which
    would be a deadlock.

    A server goes on with what a killed client has asked it for, a page may have asked for one more thing, and between
    two queries of one answer a connection is idle.
    """
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    at_work = "(state <> 'idle' OR state_change > clock_timestamp() - interval '500 ms')"

    def is_quiet() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(f"{others} AND {at_work}")
            return cursor.fetchone() == (0,)

    wait_for(is_quiet, 30, "no other connection at work")


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
