"""The files of pictures: written, looked at, deleted."""

import hashlib
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from generation.errors import NotSaved
from preferences.library.models import Picture

MISSING = "The file of this picture is missing: it can be drawn again."
DAMAGED = "The file of this picture is damaged: it can be drawn again."
log = logging.getLogger(__name__)
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"


@dataclass(frozen=True)
class Files:
    """What a picture consists of, as bytes: PNG and WebP."""

    image: bytes
    thumbnail: bytes


@dataclass(frozen=True)
class Written:
    """The same on disk, by name."""

    image: str
    thumbnail: str
    sha256: str


def write(stem: str, files: Files) -> Written:
    """Write the files under a name that nobody else uses, before any row is locked: a slow disk delays no person.

    Raises NotSaved: a disk that is full, a folder that may not be written, or something else in the file's place.
    """
    image, thumbnail = f"{stem}.png", f"{stem}.webp"
    write_file(image, files.image)
    write_file(thumbnail, files.thumbnail)
    return Written(image, thumbnail, hashlib.sha256(files.image).hexdigest())


def write_file(name: str, data: bytes) -> None:
    """Raises NotSaved."""
    try:
        default_storage.save(name, ContentFile(data))
    except OSError as error:
        raise NotSaved(
            f"The pictures could not be saved ({default_storage.path(name)}: {error.strerror or error}): mend that, "
            "and try again."
        ) from error


def are_there(picture: Picture) -> bool:
    """Whether its files exist and hold something: no more is asked, a page does so for each tile."""
    return all(_size(name) for name in _names(picture))


def problem_of(picture: Picture) -> str:
    """Why a picture cannot be seen, as a sentence, or "": what cannot be seen cannot be rated."""
    return next(filter(None, map(problem, _names(picture))), "")


def problem(name: str) -> str:
    """The same of one file. Of its bytes only the ends are read: what was cut off is noticed, a wrong bit is not."""
    size = _size(name)
    if not size:
        return MISSING
    try:
        with default_storage.open(name) as file:
            start = file.read(8)
            file.seek(max(0, size - len(PNG_END)))
            end = file.read()
    except OSError:
        return MISSING
    # A WebP file says in its head how long it is, without these 8 bytes.
    is_webp = start[:4] == b"RIFF" and int.from_bytes(start[4:], "little") + 8 == size
    return "" if is_webp or (start == PNG_START and end == PNG_END) else DAMAGED


def seen(pictures: Iterable[Picture]) -> set[int]:
    """Ids of those that a person can see."""
    return {one.pk for one in pictures if not problem_of(one)}


def _names(picture: Picture) -> tuple[str, str]:
    return picture.image.name or "", picture.thumbnail.name or ""


def _size(name: str) -> int:
    """In bytes; 0 where there is no such file."""
    try:
        return default_storage.size(name) if name else 0
    except OSError:
        return 0


def delete_files(names: Iterable[str]) -> None:
    """What is missing is gone already."""
    for name in names:
        try:
            default_storage.delete(name)
        except OSError as error:
            log.warning("%s could not be deleted: %s", name, error)


def delete_folder(folder: str) -> None:
    """A folder of pictures, with all that is in it."""
    names: set[str] = set()
    with suppress(FileNotFoundError):
        names = {f"{folder}/{name}" for name in default_storage.listdir(folder)[1]}
    delete_files([*sorted(names), folder])
