"""One process at a time: files that several may want to write at once."""

import fcntl
import time
from collections.abc import Callable
from typing import IO, Any

PAUSE = 1.0  # seconds between two looks whether another process is done


def lock(file: IO[Any], while_waiting: Callable[[], None]) -> None:
    """Have the open file for this process alone, until it is closed.

    Who has to wait calls `while_waiting` now and then; what that raises ends the wait.
    """
    while not _is_taken(file):
        while_waiting()
        time.sleep(PAUSE)


def _is_taken(file: IO[Any]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
