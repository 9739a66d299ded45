"""The files of a batch go with its row, also where a session or a user took it along."""

import logging
from contextlib import suppress
from functools import partial
from typing import Any

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models.signals import pre_delete
from django.dispatch import receiver

from preferences.models import Batch

log = logging.getLogger(__name__)


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
