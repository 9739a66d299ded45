"""Small questions to the operating system about processes."""

import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

SETPRIV = "setpriv"


@cache
def _setpriv() -> str | None:
    return shutil.which(SETPRIV) if sys.platform == "linux" else None


def tied(command: list[str], how: signal.Signals) -> list[str]:
    """The command with a promise of the kernel: it gets the signal `how` when the one who started it is gone.

    So nothing stays behind when that one is killed. Only Linux has this; elsewhere the command is unchanged.
    """
    program = _setpriv()
    if program is None:
        return command
    promise = ["--pdeathsig", how.name.removeprefix("SIG")]
    if command[0] == SETPRIV:  # the promise ends with a change of user: it is made after that
        return [program, *promise, *command[1:]]
    return [program, *promise, "--", *command]


def program(pid: int) -> str:
    """The name of the program that runs under this number, empty if there is none."""
    if pid <= 0:
        return ""
    if sys.platform == "linux":
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        name, _, rest = text.partition("(")[2].rpartition(")")
        # Ended, but not yet waited for by the one who started it.
        return "" if rest.split()[0] == "Z" else name
    result = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return Path(result.stdout.strip()).name


def wait_gone(pid: int, seconds: float) -> bool:
    """True once the process has ended, False if it has not after so many seconds."""
    deadline = time.monotonic() + seconds
    while program(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
