"""Long work that goes on where it stopped: each record is a line of a file, and what is missing there is done."""

import json
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TextIO

Record = dict[str, Any]


def load(file: Path) -> list[Record]:
    """The records that a file holds; a last line that was cut off by a kill is left out."""
    records = []
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def run(
    work: Callable[..., Record],
    wanted: Mapping[Hashable, tuple[Any, ...]],
    key: Callable[[Record], Hashable],
    file: Path,
    processes: int,
) -> Iterator[Record]:
    """Do what is wanted and not in `file`, adding to it; yields the records as they come.

    wanted: what `work` is called with, by the key that its record will have.
    """
    known = {key(record) for record in load(file)}
    missing = [arguments for name, arguments in wanted.items() if name not in known]
    fresh = get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(processes, mp_context=fresh) as pool, _appended(file) as out:
        for done in as_completed([pool.submit(work, *arguments) for arguments in missing]):
            record = done.result()
            out.write(json.dumps(record) + "\n")
            out.flush()
            yield record


def add(records: Iterable[Record], key: Callable[[Record], Hashable], file: Path) -> None:
    """Count records as done: what of them `file` lacks is added to it."""
    known = {key(record) for record in load(file)}
    with _appended(file) as out:
        out.writelines(json.dumps(record) + "\n" for record in records if key(record) not in known)


@contextmanager
def _appended(file: Path) -> Iterator[TextIO]:
    """The file, open at its end, on a line of its own: a kill may have cut the last one off."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torn = file.exists() and not file.read_bytes().endswith(b"\n")
    with file.open("a") as out:
        out.write("\n" if torn else "")
        yield out


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that begin in here share the cores: numpy and torch take one thread, as they read when imported."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before
