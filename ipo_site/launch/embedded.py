"""Postgres (with pgvector) and Redis for one machine, from wheels: nothing to set up.

The data lie in `<data>/postgres` and `<data>/redis`. Both listen on Unix sockets only, in a short folder of
their own under /tmp: a socket's path may have about 100 characters, the repository's path more.
The servers are children of the process that starts them and end with it, even when it is killed.
"""

import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psycopg
import redis

from ipo_site.launch import processes
from ipo_site.launch.addresses import DATABASE, ROLE, socket_dir
from ipo_site.launch.data_dir import claim_data_dir, reason, try_lock
from ipo_site.launch.errors import CannotStart
from ipo_site.launch.programs import Owner, postgres_owner, postgres_programs, redis_program

START_SECONDS = 30.0
STOP_SECONDS = 20.0
RETRY_SECONDS = 8.0


class EmbeddedServers:
    """Starts and stops the servers of one data folder; a context manager.

    The one who holds the folder's lock owns the servers. Anyone else who starts them finds them running and
    leaves them running.
    """

    def __init__(self, data_dir: Path, *, postgres: bool = True, redis: bool = True) -> None:
        self.data_dir = data_dir.expanduser().resolve()
        self.sockets = socket_dir(self.data_dir)
        self._wanted = (postgres, redis)
        self._lock: IO[str] | None = None
        self._started: dict[str, tuple[subprocess.Popen[bytes], signal.Signals]] = {}

    @property
    def processes(self) -> "list[subprocess.Popen[bytes]]":
        """Those that were started here."""
        return [process for process, _ in self._started.values()]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start what does not run yet and wait until it answers. Raises CannotStart."""
        if self._lock is not None:
            return
        try:
            claim_data_dir(self.data_dir)
            self._make_socket_dir()
            self._lock = try_lock(self.data_dir / "servers.lock")
            try:
                if self._wanted[0]:
                    self._start_postgres()
                if self._wanted[1]:
                    self._start_redis()
            except BaseException:
                # Also on Ctrl-C: nothing half-started stays behind.
                self.stop()
                raise
        except OSError as error:
            raise CannotStart(f"{reason(error)} ({error.filename or self.data_dir}).") from error
        except psycopg.errors.DiskFull as error:
            raise CannotStart(f"The disk of {self.data_dir} is full: free some space and start again.") from error
        except psycopg.Error as error:
            raise CannotStart(
                f"The embedded Postgres failed ({str(error).strip().splitlines()[0]}); see "
                f"{self.data_dir / 'postgres.log'}."
            ) from error

    def stop(self) -> None:
        """End what this object started, the last started first."""
        while self._started:
            _, (process, how) = self._started.popitem()
            process.send_signal(how)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._lock is not None:
            self._lock.close()
            self._lock = None
            shutil.rmtree(self.sockets, ignore_errors=True)

    def revive(self) -> list[str]:
        """Start what this object started and has died since; the names of those. Raises CannotStart."""
        dead = [name for name, (process, _) in self._started.items() if process.poll() is not None]
        for name in dead:
            del self._started[name]
            (self._start_postgres if name == "Postgres" else self._start_redis)()
        return dead

    def _make_socket_dir(self) -> None:
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        status = self.sockets.lstat()
        # Anyone may make a folder in /tmp: one that is not ours alone could hold somebody else's server.
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise CannotStart(
                f"{self.sockets} was made by somebody else or is open to others: remove it and try again."
            )

    def _start_postgres(self) -> None:
        folder = self.data_dir / "postgres"
        if self._lock is None:
            self._wait("Postgres", None, self._postgres_answers)
            return
        programs = postgres_programs()
        owner = postgres_owner()
        if not (folder / "PG_VERSION").exists():
            self._init_cluster(programs, folder, owner)
        if folder.stat().st_uid != owner.uid:
            raise CannotStart(f"{folder} belongs to another user: start IPO as that user.")
        self._end_leftover(folder)
        command = [
            *owner.prefix, str(programs / "postgres"), "-D", str(folder), "-k", str(self.sockets),
            "-c", "listen_addresses=", "-c", "max_connections=50",
        ]  # fmt: skip
        self._spawn("Postgres", command, self.data_dir, signal.SIGINT, self._postgres_answers)
        self._create_database()

    def _init_cluster(self, programs: Path, folder: Path, owner: Owner) -> None:
        # Made beside its place, then moved: an interrupted initdb leaves nothing that looks like a cluster.
        draft = self.data_dir / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        os.chown(draft, owner.uid, owner.gid)
        result = subprocess.run(
            [
                *owner.prefix, str(programs / "initdb"), "-D", str(draft), "-U", ROLE, "--auth=trust",
                # The user's locale may not exist on this machine; this one is built in.
                "--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            ],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip
        if result.returncode != 0:
            (self.data_dir / "postgres.log").write_text(result.stdout + result.stderr)
            raise CannotStart(self._failed("Postgres"))
        draft.rename(folder)

    def _end_leftover(self, folder: Path) -> None:
        """See that no server of an earlier start still holds the cluster."""
        pid_file = folder / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = int((pid_file.read_text().split() or ["0"])[0])
        if processes.program(pid) == "postgres":
            # Orphaned by a killed start; it is asked once more and given time to write its data.
            os.kill(pid, signal.SIGINT)
            if not processes.wait_gone(pid, STOP_SECONDS):
                raise CannotStart(f"An older Postgres does not end: end process {pid} and start again.")
        elif processes.program(pid):
            # After a power cut the number may be another program's, which Postgres would take for a server.
            pid_file.unlink()

    def _start_redis(self) -> None:
        if self._lock is None:
            self._wait("Redis", None, self._redis_answers)
            return
        folder = self.data_dir / "redis"
        folder.mkdir(mode=0o700, exist_ok=True)
        command = [
            redis_program(), "--port", "0", "--unixsocket", str(self.sockets / "redis.sock"),
            "--unixsocketperm", "700", "--dir", ".", "--daemonize", "no", "--loglevel", "warning",
            # The queue outlives a restart; a second of it may be lost, which the sweep makes good.
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
        ]  # fmt: skip
        try:
            self._spawn("Redis", command, folder, signal.SIGTERM, self._redis_answers)
        except CannotStart:
            # Redis holds only what waits for its turn, which Postgres knows too: a damaged one is replaced.
            folder.rename(self.data_dir / f"redis.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
            folder.mkdir(mode=0o700)
            self._spawn("Redis", command, folder, signal.SIGTERM, self._redis_answers)

    def _spawn(
        self, name: str, command: list[str], cwd: Path, how: signal.Signals, answers: Callable[[], bool]
    ) -> None:
        """Start a server and wait until it answers; `how` is the signal that ends it in order."""
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            for name_left in ("redis.sock",) if name == "Redis" else (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
                (self.sockets / name_left).unlink(missing_ok=True)
            with (self.data_dir / f"{name.lower()}.log").open("wb") as log:
                process = subprocess.Popen(
                    processes.tied(command, how),
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # A Ctrl-C in the terminal is not for the servers: they end after those who use them.
                    start_new_session=True,
                )
            self._started[name] = (process, how)
            if self._wait(name, process, answers):
                return
            del self._started[name]
            # Children of a killed Postgres hold its memory for a moment; a new one cannot start meanwhile.
            if name == "Redis" or time.monotonic() > deadline:
                raise CannotStart(self._failed(name))
            time.sleep(0.3)

    def _wait(self, name: str, process: subprocess.Popen[bytes] | None, answers: Callable[[], bool]) -> bool:
        """True once the server answers, False if it ended instead. CannotStart if it does neither."""
        deadline = time.monotonic() + START_SECONDS
        while not answers():
            if process is not None and process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise CannotStart(self._failed(name))
            time.sleep(0.03)
        return True

    def _failed(self, name: str) -> str:
        log = self.data_dir / f"{name.lower()}.log"
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        if any("No space left" in line for line in lines):
            return f"The disk of {self.data_dir} is full: free some space and start again."
        last = next((line for line in reversed(lines) if "FATAL" in line or "rror" in line), "")
        return f"The embedded {name} does not start; its reasons are in {log}{': ' + last if last else ''}."

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(host=str(self.sockets), user=ROLE, dbname=database, autocommit=True)

    def _postgres_answers(self) -> bool:
        try:
            # An owner's database comes last, so one who waits for another's server asks for that.
            self._connect("postgres" if self._lock else DATABASE).close()
        except psycopg.OperationalError:
            return False
        return True

    def _redis_answers(self) -> bool:
        client = redis.Redis(unix_socket_path=str(self.sockets / "redis.sock"))
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def _create_database(self) -> None:
        with self._connect("postgres") as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if known is None:
                connection.execute(f'CREATE DATABASE "{DATABASE}"')
