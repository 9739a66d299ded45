"""Downloads that say how far they are, stop when they are asked to, and go on from there the next time.

huggingface_hub knows which files are missing and where they belong. Its own downloads begin a file of gigabytes anew
whenever they are cut off, and its client for Xet storage cannot be stopped. So large files are fetched here, into the
place in its cache where it looks for them; all that is small it fetches itself.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import httpx2
from diffusers.pipelines import pipeline_utils
from huggingface_hub import get_hf_file_metadata, get_session, hf_hub_url, snapshot_download
from huggingface_hub.errors import DryRunError
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._http import hf_raise_for_status
from huggingface_hub.utils.tqdm import disable_progress_bars

from generation.pipelines.locking import lock
from generation.progress import Report, Stage

log = logging.getLogger(__name__)
LARGE = 10_000_000  # bytes
TRIES = 5  # of a connection that breaks off without having brought anything
PAUSE = 1.0  # seconds between two of them


disable_progress_bars()  # of its own: Report tells of all


@dataclass(frozen=True)
class _File:
    """One file that is to come: of a repository, at a commit."""

    repository: str
    name: str
    commit: str
    size: int
    storage: Path  # of the repository in the cache


def snapshot(
    repository: str, report: Report, check_room: Callable[[float], None] = lambda gigabytes: None, **options: Any
) -> Path:
    """As huggingface_hub's snapshot_download with these options: the folder of the files, fetched if need be.

    `check_room` is given the GB that are still to come before the first of them does. Raises what it raises,
    Cancelled, and what the hub's client raises.
    """
    try:
        listed = snapshot_download(repository, **options, dry_run=True)
    except DryRunError:  # the hub is out of reach: this finds what is here, or says why there is nothing
        return Path(snapshot_download(repository, **options))
    files = [
        _File(repository, one.filename, one.commit_hash, one.file_size or 0, _storage(one.local_path))
        for one in listed
        if one.will_download
    ]
    large = {file: _blob(file) for file in files if file.size >= LARGE}
    small = sum(file.size for file in files) - sum(file.size for file in large)
    total = sum(file.size for file in files)
    check_room((total - sum(_so_far(blob) for blob in large.values())) / 1e9)
    before = 0
    for file, blob in large.items():
        report.tell(Stage.FETCHING, before + _so_far(blob), total)
        _fetch(file, blob, partial(_tell_of_all, report, before, total))
        before += file.size
    if small:
        report.tell(Stage.FETCHING, before, total)
    return Path(snapshot_download(repository, **options))


def _tell_of_all(report: Report, before: int, total: int, done: int) -> None:
    report.tell(Stage.FETCHING, before + done, total)


@contextmanager
def for_diffusers(report: Report, check_room: Callable[[float], None]) -> Iterator[None]:
    """Within it DiffusionPipeline.download fetches by `snapshot`.

    Only diffusers itself knows which of a repository's files it wants, and it has no option for who fetches them.
    """
    theirs = pipeline_utils.snapshot_download

    def ours(repository: str, **options: Any) -> str:
        return str(snapshot(repository, report, check_room, **options))

    pipeline_utils.snapshot_download = ours
    try:
        yield
    finally:
        pipeline_utils.snapshot_download = theirs


def _storage(pointer: str) -> Path:
    """Of storage/snapshots/commit/name."""
    return next(parent.parent for parent in Path(pointer).parents if parent.name == "snapshots")


def _blob(file: _File) -> Path:
    """Where the hub's client looks for the content, which it names by its hash."""
    about = get_hf_file_metadata(hf_hub_url(file.repository, file.name, revision=file.commit))
    if not about.etag:
        raise OSError(f"The hub does not say what {file.name} of {file.repository} is.")
    return file.storage / "blobs" / about.etag


def _part(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.part")


def _so_far(blob: Path) -> int:
    """Bytes of what is to become a blob."""
    return next((path.stat().st_size for path in (blob, _part(blob)) if path.exists()), 0)


def _fetch(file: _File, blob: Path, tell: Callable[[int], None]) -> None:
    """Complete the part of a blob, which then becomes it. A second process waits for the first."""
    part = _part(blob)
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as content:
        lock(content, lambda: tell(_so_far(blob)))
        if blob.exists():  # the other one has fetched it, or what was opened is new and not needed
            if part.exists() and not part.stat().st_size:
                part.unlink()
            return
        if content.tell() > file.size:
            _empty(content)
        went_on = content.tell() > 0
        _receive(file, content, tell)
        content.flush()
        # What a machine that lost its power had written last may not be what it was sent.
        if went_on and not _is_sound(part, blob.name):
            part.unlink()
            raise OSError(f"{file.name} of {file.repository} arrived damaged.")
        part.rename(blob)


def _empty(content: BinaryIO) -> None:
    content.seek(0)
    content.truncate()


def _receive(file: _File, content: BinaryIO, tell: Callable[[int], None]) -> None:
    """All that is missing, over as many connections as it takes."""
    url, tries = hf_hub_url(file.repository, file.name, revision=file.commit), TRIES
    while (had := content.tell()) < file.size:
        try:
            _receive_some(url, content, tell)
        except httpx2.TransportError as error:
            tries = TRIES if content.tell() > had else tries - 1
            if not tries:
                raise
            log.warning("Fetching %s broke off (%s); going on.", file.name, error)
            tell(content.tell())
            time.sleep(PAUSE)
        else:
            break
    if content.tell() != file.size:
        raise OSError(f"{file.name} of {file.repository} has {content.tell()} bytes instead of {file.size}.")


def _receive_some(url: str, content: BinaryIO, tell: Callable[[int], None]) -> None:
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    if content.tell():
        headers["Range"] = f"bytes={content.tell()}-"
    with get_session().stream("GET", url, headers=headers, follow_redirects=True) as answer:
        hf_raise_for_status(answer)
        if answer.status_code != httpx2.codes.PARTIAL_CONTENT:  # all of it, asked for or not
            _empty(content)
        for chunk in answer.iter_bytes():
            content.write(chunk)
            tell(content.tell())


def _is_sound(part: Path, name: str) -> bool:
    """Whether its content is what its name says, where that is a SHA-256."""
    if len(name) != hashlib.sha256().digest_size * 2:
        return True
    with part.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == name
