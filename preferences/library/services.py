"""Pictures come and go: their rows, with what is seen in them, and the files that they name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import transaction

from preferences.library.files import Written, delete_files
from preferences.library.indexes import index_encoder
from preferences.library.models import Descriptor, Embedding, Picture


@dataclass(frozen=True)
class Features:
    """What is seen in pictures, by the name of the encoder or descriptor: [n, k] of n, or [k] of one."""

    vectors: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    revisions: Mapping[str, str] = field(default_factory=dict)  # of the encoders

    def of(self, row: int) -> "Features":
        """Those of one picture."""
        return Features({name: vectors[row] for name, vectors in self.vectors.items()}, self.revisions)


@dataclass(frozen=True)
class New:
    """A picture to keep: its files, the columns that say what drew it, and its features.

    picture: the one whose place it takes, if it was drawn again.
    """

    files: Written
    about: Mapping[str, Any]
    features: Features = field(default_factory=Features)
    picture: Picture | None = None


def add(new: Iterable[New]) -> list[Picture]:
    """Keep pictures; one that takes the place of another keeps its row, so that what was said of it stands.

    Call it in a transaction. The files of what was replaced go when it commits.
    """
    pictures, embeddings, descriptors = [], [], []
    for one in new:
        values = {**one.about, "image": one.files.image, "thumbnail": one.files.thumbnail, "sha256": one.files.sha256}
        picture = one.picture or Picture()
        old = {picture.image.name, picture.thumbnail.name} - {one.files.image, one.files.thumbnail, "", None}
        if old:
            transaction.on_commit(partial(delete_files, sorted(str(name) for name in old)), robust=True)
        for name, value in values.items():
            setattr(picture, name, value)
        picture.save()
        pictures.append(picture)
        for name, vector in one.features.vectors.items():
            if name in one.features.revisions:
                revision = one.features.revisions[name]
                embeddings.append(Embedding(picture=picture, encoder=name, revision=revision, vector=vector))
            else:
                descriptors.append(Descriptor(picture=picture, name=name, vector=vector))
    for encoder, dimension in {(one.encoder, len(one.vector)) for one in embeddings}:
        index_encoder(encoder, dimension)
    Embedding.objects.bulk_create(
        embeddings, update_conflicts=True, unique_fields=["picture", "encoder"], update_fields=["revision", "vector"]
    )
    Descriptor.objects.bulk_create(
        descriptors, update_conflicts=True, unique_fields=["picture", "name"], update_fields=["vector"]
    )
    return pictures
