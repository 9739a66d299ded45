"""Types for the arguments of commands: what is odd is said at once, not after an hour of work."""

import math
from argparse import ArgumentTypeError
from pathlib import Path


def minutes(text: str) -> float:
    """A time above 0."""
    number = float(text)
    if not 0 < number < math.inf:
        raise ArgumentTypeError(f"{text} is no time: give a number of minutes above 0.")
    return number


def natural(text: str) -> int:
    """A whole number from 0."""
    return _from(0, text)


def counting(text: str) -> int:
    """A whole number from 1."""
    return _from(1, text)


def new_file(text: str) -> Path:
    """Where a file can be written."""
    file = Path(text)
    if not file.absolute().parent.is_dir():
        raise ArgumentTypeError(f"there is no folder {file.parent}: make it first.")
    return file


def _from(least: int, text: str) -> int:
    number = int(text)
    if number < least:
        raise ArgumentTypeError(f"{text} is below {least}.")
    return number
