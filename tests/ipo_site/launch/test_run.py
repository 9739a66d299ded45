"""`manage.py run` for real: a page that answers, killed workers, orderly ends, and one sentence for each refusal."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ipo_site.launch import addresses, embedded

ROOT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class App:
    """A running `manage.py run` with a data folder and a port of its own."""

    def __init__(self, data_dir: Path, port: int, **extra: str) -> None:
        self.data_dir, self.port = data_dir, port
        unset = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        environment |= {"IPO_DATA_DIR": str(data_dir), "IPO_PORT": str(port), **extra}
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def wait_for(self, text: str) -> None:
        """Read on until a line holds the text; fail if the process ends before."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return
        pytest.fail(f"{text!r} never came: {''.join(self.lines)}")

    def pids(self, pattern: str = "") -> list[int]:
        """The processes of this app: all carry its data folder in their environment or command."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                known = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.data_dir).encode() in known and re.search(pattern, command):
                found.append(int(entry.name))
        return sorted(found)

    def page(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as answer:
            return str(answer.read().decode())

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        self.process.communicate(timeout=60)
        return self.process.returncode


def gone(app: App, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while app.pids() and time.monotonic() < deadline:
        time.sleep(0.1)
    return not app.pids()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "the data"


@pytest.fixture
def app(data_dir: Path) -> Iterator[App]:
    app = App(data_dir, free_port())
    yield app
    if app.process.poll() is None:
        app.end(signal.SIGTERM)


def refusal(data_dir: Path, port: int | None = None, **extra: str) -> str:
    """The last line of a start that must fail; no traceback, code 1."""
    app = App(data_dir, port or free_port(), **extra)
    text, _ = app.process.communicate(timeout=60)
    assert app.process.returncode == 1, text
    assert "Traceback" not in text
    return str(text.strip().splitlines()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_a_killed_worker_comes_back_and_an_end_leaves_nothing(app: App, data_dir: Path) -> None:
    app.wait_for("IPO is ready")
    assert "<html" in app.page()
    for pattern, name in (("-Q cpu", "cpu"), ("ipo_site.serving", "web")):
        before = app.pids(pattern)
        assert before
        os.kill(before[0], signal.SIGKILL)
        app.wait_for(f"{name} was killed by SIGKILL; it is started again in 1 s.")
    deadline = time.monotonic() + 30
    while not (app.pids("-Q cpu") and app.pids("ipo_site.serving")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert app.pids("-Q cpu")
    with psycopg.connect(addresses.urls(data_dir).database, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1")
    assert app.end(signal.SIGTERM) == 0
    assert app.pids() == []

    again = App(data_dir, app.port)
    began = time.monotonic()
    again.wait_for("IPO is ready")
    assert time.monotonic() - began < 20
    with psycopg.connect(addresses.urls(data_dir).database) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)
    # Killed itself: the kernel ends its processes, and the next start works.
    again.process.kill()
    again.process.communicate()
    third = App(data_dir, app.port)
    third.wait_for("IPO is ready")
    assert third.end(signal.SIGINT) == 0
    assert gone(third)


def test_a_port_in_use(data_dir: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = int(other.getsockname()[1])
        assert f"Port {port} is in use" in refusal(data_dir, port)


def test_a_foreign_data_folder(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "thesis.txt").write_text("mine")
    assert "not IPO's" in refusal(data_dir)
    assert [entry.name for entry in data_dir.iterdir()] == ["thesis.txt"]


def test_servers_that_do_not_answer(data_dir: Path) -> None:
    assert "DATABASE_URL does not answer" in refusal(
        data_dir, DATABASE_URL=f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    )
    assert "REDIS_URL does not answer" in refusal(data_dir, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert "DATABASE_URL must be a Postgres address" in refusal(data_dir, DATABASE_URL="sqlite:///x.sqlite3")


def test_numbers_that_are_none(data_dir: Path) -> None:
    assert "IPO_SWEEP_SECONDS is 'soon'" in refusal(data_dir, IPO_SWEEP_SECONDS="soon")


def test_a_database_of_another_version(data_dir: Path, tmp_path: Path) -> None:
    with embedded.EmbeddedServers(tmp_path / "own", redis=False):
        url = addresses.urls(tmp_path / "own").database
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE django_migrations (id int, app text, name text, applied timestamptz)")
            connection.execute("INSERT INTO django_migrations VALUES (1, 'preferences', '0001_unheard_of', now())")
            assert "made by another version" in refusal(data_dir, DATABASE_URL=url)
            tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            assert tables.fetchone() == (1,)


def test_a_role_that_may_not_create_pgvector(data_dir: Path, tmp_path: Path) -> None:
    with embedded.EmbeddedServers(tmp_path / "own", redis=False) as servers:
        url = addresses.urls(tmp_path / "own").database
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE ROLE modest LOGIN")
            # pgvector is a trusted extension: the database's owner may create it, this role owns nothing.
            connection.execute("CREATE DATABASE foreign_one")
        text = refusal(data_dir, DATABASE_URL=f"postgresql://modest@/foreign_one?host={servers.sockets}")
        assert "CREATE EXTENSION vector" in text
