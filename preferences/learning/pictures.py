"""Taste learned on what an image encoder sees in the pictures, to choose among several that were drawn.

The steering vector of a picture tells what it will be like only roughly; the picture itself tells all. A model of what
was said on the encoder's vectors is right sooner, and cannot steer: it chooses.
"""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from preferences.learning.config import LearningConfig
from preferences.learning.evaluation import held_out_accuracy
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Floats, Vectors
from preferences.learning.value_models import BayesianModel

SECONDS_TO_EVALUATE = 0.05


class PictureModel:
    """The Bayesian model on centred picture vectors."""

    def __init__(self, centre: Floats, model: BayesianModel, held_out_accuracy: float) -> None:
        self.centre, self.model, self.held_out_accuracy = centre, model, held_out_accuracy

    @classmethod
    def learn(cls, seen: Feedback, config: LearningConfig) -> Self:
        """From vectors of pictures [rows, k] and what was said of them. Raises CannotFit where nothing was."""
        centre = np.asarray(seen.X, dtype=np.float64).sum(axis=0) / max(1, len(seen.X))
        centred = Feedback(seen.X - centre, seen.judgments)
        model = BayesianModel().fit(centred, config)
        return cls(centre, model, held_out_accuracy(BayesianModel, centred, config, SECONDS_TO_EVALUATE))

    def best(self, vectors: Vectors, count: int) -> NDArray[np.intp]:
        """The rows of the `count` pictures of greatest expected worth among [n, k], the best first."""
        return np.argsort(-self.worth(vectors), kind="stable")[:count]

    def worth(self, vectors: Vectors) -> Floats:
        """Expected worth [n] of pictures by their vectors [n, k]."""
        return self.model.value(np.asarray(vectors, dtype=np.float64) - self.centre)
