"""The files of pictures: whether one can be seen; and they go with their batch, also where a user took it along."""

import logging
from contextlib import suppress
from functools import partial
from typing import Any

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models.signals import pre_delete
from django.dispatch import receiver

from preferences.models import Batch, Candidate

log = logging.getLogger(__name__)

MISSING = "The file of this picture is missing: it can be drawn again."
DAMAGED = "The file of this picture is damaged: it can be drawn again."
PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"


def are_there(candidate: Candidate) -> bool:
    """Whether the files of a drawn picture exist and hold something: no more is asked, a page does so for each tile."""
    return all(_size(name) for name in _names(candidate))


def problem_of(candidate: Candidate) -> str:
    """Why a drawn picture cannot be seen, as a sentence, or "": what cannot be seen cannot be rated."""
    return next(filter(None, map(problem, _names(candidate))), "")


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


def seen(batch: Batch) -> set[int]:
    """Ids of the pictures that a person can see on the page of a batch."""
    return {one.pk for one in batch.shown().only("image", "thumbnail") if not problem_of(one)}


def _names(candidate: Candidate) -> tuple[str, str]:
    return candidate.image.name or "", candidate.thumbnail.name or ""


def _size(name: str) -> int:
    """In bytes; 0 where there is no such file."""
    try:
        return default_storage.size(name) if name else 0
    except OSError:
        return 0


# Not the candidates' own deletion: whoever listens to that makes Django load each of them, with its vectors.
@receiver(pre_delete, sender=Batch)
def _batch_goes(sender: type[Batch], instance: Batch, **_: Any) -> None:
    rows = instance.candidates.values_list("image", "thumbnail", "preview")
    names = {name for row in rows for name in row if name}
    transaction.on_commit(partial(delete_files, f"batches/{instance.pk}", names), robust=True)


def delete_files(folder: str, names: set[str]) -> None:
    """Delete the files, and all that is in the folder, which goes as well. What is missing is gone already."""
    with suppress(FileNotFoundError):
        names = names | {f"{folder}/{name}" for name in default_storage.listdir(folder)[1]}
    for name in [*sorted(names), folder]:
        try:
            default_storage.delete(name)
        except OSError as error:
            log.warning("%s could not be deleted: %s", name, error)
