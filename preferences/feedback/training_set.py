"""What the learner reads of what was said: judged vectors, features of the pictures, judgments."""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db.models import Q

from preferences.feedback.kinds import KIND_OF, OfOne, Said
from preferences.feedback.models import RatedPicture
from preferences.learning.judgments import Judgment
from preferences.library.models import Descriptor, Embedding, Picture

HEARD = [event for event, kind in KIND_OF.items() if event not in kind.unheard]

# Of a picture. Pictures are saved as they are ready, so the order of their rows is a matter of chance, and sums round
# otherwise in another order: the same ratings must give the same proposal.
PLACE = ("candidate__batch__number", "candidate__slot", "candidate__attempt")


@dataclass(frozen=True)
class TrainingSet:
    """X: float32 [rows, d], judged vectors, not yet relative to the anchor; and what was said of them.

    pictures: the id of each row's.
    """

    X: npt.NDArray[np.float32]
    said: tuple[Said, ...]
    pictures: tuple[int, ...]

    @property
    def judgments(self) -> tuple[Judgment, ...]:
        """All of it as the learner hears it."""
        return tuple(judgment for said in self.said for judgment in KIND_OF[said.kind].judgments(said))

    @property
    def ratings(self) -> frozenset[int]:
        """The ids of the ratings that stand: not taken back, and not followed by another word on the same picture."""
        return frozenset(said.rating for said in self.said)


def training_set(
    session_id: uuid.UUID, dimension: int, since: datetime | None = None, at: datetime | None = None
) -> TrainingSet:
    """All that was said in a session and not taken back.

    Of what was said of one picture by itself it is the last word.

    dimension: of X where nothing was said. since: only what was said later. at: as it was at that moment.
    """
    stands = Q(rating__undone_at__isnull=True)
    if at is not None:
        stands = Q(rating__answered_at__lte=at) & (stands | Q(rating__undone_at__gt=at))
    said = RatedPicture.objects.filter(stands, rating__session=session_id, rating__kind__in=HEARD)
    if since is not None:
        said = said.filter(rating__answered_at__gt=since)
    items = said.order_by("rating_id", "-value", *(f"picture__{name}" for name in PLACE), "pk").values_list(
        "rating_id", "rating__kind", "picture_id", "value", "picture__candidate__batch__number"
    )
    steered = Picture.objects.filter(pk__in=said.values("picture"), vector__isnull=False).order_by(*PLACE, "pk")
    vectors: dict[int, Any] = dict(steered.values_list("pk", "vector"))
    row = {pk: number for number, pk in enumerate(vectors)}
    last: dict[int, Said] = {}
    choices: dict[int, Said] = {}
    for rating, kind, picture, value, number in items:
        if picture not in row:
            continue
        if isinstance(KIND_OF[kind], OfOne):
            last[picture] = Said(rating, kind, (row[picture],), (value,), number)
        else:
            before = choices.get(rating, Said(rating, kind, (), (), number))
            choices[rating] = Said(rating, kind, (*before.rows, row[picture]), (*before.values, value), number)
    X = np.stack(list(vectors.values())) if vectors else np.empty((0, dimension), np.float32)
    return TrainingSet(X.astype(np.float32), (*last.values(), *choices.values()), tuple(vectors))


@dataclass(frozen=True)
class FeatureSet:
    """Judged pictures with features: vectors [rows, d], features [rows, k] by encoder, and their judgments."""

    X: npt.NDArray[np.float32]
    features: dict[str, npt.NDArray[np.float32]]
    judgments: tuple[Judgment, ...]


def feature_set(known: TrainingSet) -> FeatureSet:
    """The rows of `known` that have the features of every encoder of which any of them has some.

    Those of one can be missing of some: of what was drawn while the image encoder could not be loaded, or was of
    another revision than now.
    """
    features: dict[str, dict[int, npt.NDArray[np.float32]]] = {}
    embeddings = Embedding.objects.filter(picture__in=known.pictures)
    now = dict(embeddings.order_by("pk").values_list("encoder", "revision"))  # the last one stays
    of_now = Q(*(Q(encoder=encoder, revision=revision) for encoder, revision in now.items()), _connector=Q.OR)
    embeddings = embeddings.filter(of_now).order_by("encoder")
    descriptors = Descriptor.objects.filter(picture__in=known.pictures).order_by("name")
    for encoder, pk, vector in chain(
        embeddings.values_list("encoder", "picture", "vector"), descriptors.values_list("name", "picture", "vector")
    ):
        features.setdefault(encoder, {})[pk] = vector
    everywhere = set.intersection(*(set(found) for found in features.values())) if features else set()
    rows = [row for row, pk in enumerate(known.pictures) if pk in everywhere]
    row = {number: new for new, number in enumerate(rows)}
    said = [replace(one, rows=tuple(row[n] for n in one.rows)) for one in known.said if row.keys() >= set(one.rows)]
    return FeatureSet(
        known.X[rows],
        {
            encoder: np.stack([found[known.pictures[row]] for row in rows])
            for encoder, found in sorted(features.items())
            if rows
        },
        tuple(judgment for one in said for judgment in KIND_OF[one.kind].judgments(one)),
    )
