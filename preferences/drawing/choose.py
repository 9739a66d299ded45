"""What a drawing worker does with drawn pictures: take their features, and choose one for each slot.

Several may be drawn for a slot (Draws per Picture). The one is kept whose features suit best what was liked so far.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from generation.descriptors import describe
from generation.errors import Cancelled, GenerationError
from generation.manager import ModelManager
from generation.types import ModelSpec, Picture, Pixels, Vectors
from preferences.feedback.training_set import TrainingSet, feature_set
from preferences.learning.breeding import PARENTS
from preferences.learning.evidence import reason_to_widen
from preferences.learning.feedback import Feedback
from preferences.learning.pictures import PictureModel
from preferences.learning.reasons import CannotFit
from preferences.library.services import Features
from preferences.sessions.controls import ValueModel
from preferences.sessions.models import Batch
from preferences.sessions.training import config

log = logging.getLogger(__name__)
FAILED = "The image encoder failed unexpectedly: see the worker's log, put it right, and go on."


@dataclass(frozen=True)
class Liked:
    """What is liked in the features of pictures, and the vectors of the best ones [k, d], to breed from."""

    model: PictureModel
    parents: Vectors


def liked(batch: Batch, spec: ModelSpec, known: TrainingSet) -> Liked | None:
    """None where the batch has no use for it, or nothing that has features was judged.

    Nor where nothing was liked: the best of several would be those that look least like what was bad, and much alike.
    """
    if batch.value_model != ValueModel.BAYESIAN or batch.draws_per_picture == 1:
        return None
    if reason_to_widen(Feedback(known.X, known.judgments)):
        return None
    rated = feature_set(known)
    try:
        model = PictureModel.fit(rated.features, rated.judgments, config(batch))
    except CannotFit:
        return None
    return Liked(model, rated.X[model.best(rated.features, PARENTS)])


@dataclass
class Extractor:
    """Takes the features of one batch's pictures, until the encoder fails: `problem` then says why, and what to do.

    The encoder is where the pictures are drawn: here, or at `server`.
    """

    spec: ModelSpec
    manager: ModelManager
    server: str = ""
    should_stop: Callable[[], bool] | None = None
    problem: str = ""

    def features(self, pictures: Sequence[Pixels]) -> Features:
        """Of the pictures [n, k]: their descriptors, and what the encoder makes of them if it works.

        Raises Cancelled.
        """
        vectors, revisions = describe(pictures), {}
        if pictures and self.spec.encoder and not self.problem:
            try:
                seen = self.manager.embed_images(self.spec.encoder, pictures, self.server, self.should_stop)
                vectors[seen.encoder], revisions[seen.encoder] = seen.vectors, seen.revision
            except Cancelled:
                raise
            except Exception as error:
                # Whatever it is: pictures are drawn all the same, only how well the next ones are chosen suffers.
                log.exception("The image encoder %s failed.", self.spec.encoder)
                reason = str(error) if isinstance(error, GenerationError) else FAILED
                self.problem = f"The pictures were not looked at, only measured. {reason}"
        return Features(vectors, revisions)


@dataclass(frozen=True)
class Chosen:
    """A slot's picture: its place among all, its features, its expected utility if known."""

    place: int
    features: Features
    score: float | None


def choose(
    pictures: Sequence[Picture], draws: Sequence[int], extractor: Extractor, liked: Liked | None
) -> list[Chosen]:
    """The best picture of each slot; the first that was drawn at all where nothing tells them apart.

    draws: how many of the pictures, in their order, belong to each slot.
    """
    drawn = [place for place, picture in enumerate(pictures) if picture.pixels is not None]
    features = extractor.features([pixels for picture in pictures if (pixels := picture.pixels) is not None])
    utility = liked.model.utility(features.vectors) if liked is not None and drawn else None
    row = {place: number for number, place in enumerate(drawn)}
    found, first = [], 0
    for count in draws:
        places = [place for place in range(first, first + count) if place in row]
        found.append(_best(places, row, features, utility if count > 1 else None) or Chosen(first, Features(), None))
        first += count
    return found


def _best(
    places: list[int], row: dict[int, int], features: Features, utility: npt.NDArray[np.float64] | None
) -> Chosen | None:
    if not places:
        return None
    best = places[0] if utility is None else max(places, key=lambda place: float(utility[row[place]]))
    score = None if utility is None else float(utility[row[best]])
    return Chosen(best, features.of(row[best]), score)
