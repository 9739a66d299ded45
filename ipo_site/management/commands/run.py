"""Everything on one machine: checks, servers, migrations, workers, pages."""

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from types import FrameType
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections
from django.db.utils import DatabaseError

from ipo_site import env, predecessor
from ipo_site.launch import checks, data_dir, embedded
from ipo_site.launch.errors import CannotStart
from ipo_site.launch.schema import FROM_ANOTHER_VERSION, Schema
from ipo_site.launch.supervisor import STOP_SIGNALS, Supervisor, say

SLOW_SECONDS = 60.0


class Command(BaseCommand):
    """`manage.py run`: until Ctrl-C, SIGTERM or SIGHUP. Leaves with code 1 and one sentence if it cannot start."""

    help = "Run IPO: the servers it needs, the workers and the pages. Ctrl-C ends everything."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, _leave)
        try:
            self._run()
        except CannotStart as error:
            sys.exit(str(error))
        except OSError as error:
            sys.exit(f"{data_dir.reason(error)} ({error.filename or env.DATA_DIR}).")

    def _run(self) -> None:
        with ExitStack() as stack:
            data_dir.claim_data_dir(env.DATA_DIR)
            for note in predecessor.notes(os.environ):
                say(note)
            lock = data_dir.try_lock(env.DATA_DIR / "run.lock")
            if lock is None:
                raise CannotStart(f"IPO already runs with the data in {env.DATA_DIR}: use that one, or end it first.")
            stack.enter_context(lock)
            checks.check_disk(env.DATA_DIR)
            checks.check_port(env.HOST, env.PORT)
            servers = self._servers(stack)
            say("Preparing the database")
            _migrate()
            say("Starting the workers and the web server")
            supervisor = Supervisor(env.BASE_DIR / "Procfile", _environment(), _Watch(servers).tick)
            # Left last-in, first-out: the processes end before the servers they use.
            supervisor.run()

    def _servers(self, stack: ExitStack) -> embedded.EmbeddedServers:
        if env.OWN_DATABASE:
            checks.check_database(env.DATABASE)
        if env.OWN_REDIS:
            checks.check_redis(env.REDIS_URL)
        names = [name for name, own in (("Postgres", env.OWN_DATABASE), ("Redis", env.OWN_REDIS)) if not own]
        if names:
            say(f"Starting {' and '.join(names)}")
        servers = embedded.EmbeddedServers(env.DATA_DIR, postgres=not env.OWN_DATABASE, redis=not env.OWN_REDIS)
        return stack.enter_context(servers)


class _Watch:
    """Says once when the first page answers, and brings back a server that died."""

    def __init__(self, servers: embedded.EmbeddedServers) -> None:
        self._servers = servers
        self._url = f"http://{env.HOST}:{env.PORT}/"
        self._ready = False
        self._slow_at = time.monotonic() + SLOW_SECONDS

    def tick(self) -> None:
        for name in self._servers.revive():
            say(f"{name} had ended and was started again.")
        if self._ready:
            return
        problem = _ask(self._url)
        if problem is None:
            self._ready = True
            say(f"IPO is ready: {self._url}")
        elif time.monotonic() > self._slow_at:
            self._slow_at = time.monotonic() + SLOW_SECONDS
            say(f"The first page does not answer yet ({problem}): look at the lines above.")


def _ask(url: str) -> str | None:
    """None if the page answers well, else why not."""
    try:
        # Past any proxy of the environment: this machine is asked.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2):
            return None
    except (urllib.error.URLError, OSError) as error:
        return str(error)


def _migrate() -> None:
    try:
        if Schema().is_from_another_version:
            raise CannotStart(FROM_ANOTHER_VERSION)
        call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as error:
        raise CannotStart(
            f"The database could not be brought up to date ({str(error).strip().splitlines()[0]}): see that its "
            "role may create tables and that its data come from this version or an older one."
        ) from error
    finally:
        connections.close_all()


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHON": sys.executable,
        "IPO_PORT": str(env.PORT),
        "IPO_DATA_DIR": str(env.DATA_DIR),
        "PYTHONUNBUFFERED": "1",
        # Postgres is the truth and tasks carry numbers only, so the warning to root about pickle has no object.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser",
    }


def _leave(number: int, frame: FrameType | None) -> None:
    # While starting: unwinds through the servers' stop.
    sys.exit(128 + number)
