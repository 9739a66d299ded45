"""The files of pictures: whether one can be seen."""

from collections.abc import Iterable

from django.core.files.storage import default_storage

from preferences.library.models import Picture

MISSING = "The file of this picture is missing: it can be drawn again."
DAMAGED = "The file of this picture is damaged: it can be drawn again."
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"


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
