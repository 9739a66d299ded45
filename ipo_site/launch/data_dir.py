"""The data folder: ours or not, one user at a time, and what its errors mean."""

import errno
import fcntl
import os
from pathlib import Path
from typing import IO

from ipo_site.launch.errors import CannotStart

MARKER = ".ipo-data"
MARKER_TEXT = "This folder holds the data of Image Preference Optimization.\n"


def claim_data_dir(data_dir: Path) -> None:
    """Make the data folder and mark it as ours.

    Raises CannotStart if it belongs to another user or holds something else, OSError if it is not writable.
    """
    if data_dir.exists() and not data_dir.is_dir():
        raise CannotStart(f"{data_dir} is a file, not a folder: move it away or set IPO_DATA_DIR.")
    data_dir.mkdir(parents=True, exist_ok=True)
    if data_dir.stat().st_uid != os.geteuid():
        raise CannotStart(
            f"The data folder {data_dir} belongs to another user: start IPO as that user, or set "
            "IPO_DATA_DIR to a folder of your own."
        )
    marker = data_dir / MARKER
    if marker.exists():
        return
    if any(entry.name != MARKER for entry in data_dir.iterdir()):
        raise CannotStart(
            f"The folder {data_dir} holds something that is not IPO's: move it away, or set IPO_DATA_DIR "
            "to an empty folder."
        )
    marker.write_text(MARKER_TEXT)


def try_lock(path: Path) -> IO[str] | None:
    """The lock file, locked, or None if another process holds it."""
    handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def reason(error: OSError) -> str:
    """What an error of the operating system means for the user, without a full stop."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full: free some space and start again"
    return f"{error.strerror or error}: check the folder's permissions"
