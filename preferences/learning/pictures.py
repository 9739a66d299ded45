"""Taste learned on features of the pictures, to choose among several that were drawn.

The steering vector of a picture tells what it will be like only roughly; the picture itself tells all. A model of the
judgments on its features is right sooner, and cannot steer: it chooses.

Features of a picture come from several encoders (descriptors are encoders here): one of images and texts, one of its
colours, and so on. By which of
them a person goes is not known beforehand. So one Bayesian model is fitted to each likely set of encoders, and the
utilities that the models predict are averaged by their evidence (Bayesian model averaging, Hoeting et al. 1999): after
some forty ratings it favours the right ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from preferences.learning.config import LearningConfig
from preferences.learning.evaluation import held_out_accuracy
from preferences.learning.feedback import Feedback, Judgment
from preferences.learning.geometry import Floats, Vectors
from preferences.learning.reasons import CannotFit, Lack
from preferences.learning.value_models import BayesianModel

SECONDS_TO_EVALUATE = 0.05
PER_ENCODER = 1.0  # what a further one must add to the log evidence: a model that reads one more is e times less likely
WINDOW = 2.0  # sets e^2 times less likely than the best are not added to (Occam's window, Madigan & Raftery 1994)

Features = Mapping[str, Vectors]  # by encoder, of n pictures [n, k]
Encoders = tuple[str, ...]  # the names of some, sorted


@dataclass(frozen=True)
class Scaling:
    """How features of one encoder are brought to mean 0 and mean squared length 1 over the judged pictures.

    One length for all numbers: scikit-learn's StandardScaler would make numbers that hardly vary as loud as the others.
    """

    centre: Floats
    length: float

    @classmethod
    def of(cls, rows: Vectors) -> Self:
        """Of the judged pictures [n, k]."""
        rows = np.asarray(rows, dtype=np.float64)
        centre = rows.sum(axis=0) / max(1, len(rows))
        length = float(np.sqrt(((rows - centre) ** 2).sum() / max(1, len(rows))))
        return cls(centre, length or 1.0)

    def __call__(self, rows: Vectors) -> Floats:
        return np.asarray((np.asarray(rows, dtype=np.float64) - self.centre) / self.length)


@dataclass(frozen=True, eq=False)
class PictureModel:
    """What is liked in the features of pictures."""

    scalings: Mapping[str, Scaling]  # by encoder
    models: Mapping[Encoders, BayesianModel]
    held_out_accuracy: float  # NaN where unknown

    @classmethod
    def fit(cls, features: Features, judgments: tuple[Judgment, ...], config: LearningConfig) -> Self:
        """From the features of pictures and the judgments of them. Raises CannotFit where there are none of either."""
        if not features:
            raise CannotFit(Lack.FEATURES)
        scalings = {name: Scaling.of(rows) for name, rows in features.items()}
        models: dict[Encoders, BayesianModel] = {}
        sets: list[Encoders] = [(name,) for name in sorted(features)]
        while sets:
            for encoders in sets:
                rows = side_by_side(features, encoders, scalings)
                models[encoders] = BayesianModel.fit(Feedback(rows, judgments), config)
            weights = {encoders: log_weight(encoders, model) for encoders, model in models.items()}
            best = max(weights, key=lambda encoders: weights[encoders])
            likely = [encoders for encoders in sets if weights[encoders] > weights[best] - WINDOW]
            sets = sorted({tuple(sorted({*one, name})) for one in likely for name in features if name not in one})
        feedback = Feedback(side_by_side(features, best, scalings), judgments)
        return cls(scalings, models, held_out_accuracy(BayesianModel, feedback, config, SECONDS_TO_EVALUATE))

    def utility(self, features: Features) -> Floats:
        """Expected utility [n] of pictures, by the models that read none but these encoders."""
        able = [encoders for encoders in self.models if features.keys() >= set(encoders)]
        logs = np.array([log_weight(encoders, self.models[encoders]) for encoders in able])
        weights = np.exp(logs - logs.max())  # Hoeting et al., eq. 2
        predicted = [self.models[one].utility(side_by_side(features, one, self.scalings)) for one in able]
        return np.asarray(weights @ np.stack(predicted) / weights.sum())  # eq. 1

    def best(self, features: Features, most: int) -> NDArray[np.intp]:
        """The rows of the better half of the pictures by expected utility, but of `most` at most, the best first."""
        order = np.argsort(-self.utility(features), kind="stable")
        return order[: min(most, (len(order) + 1) // 2)]


def side_by_side(features: Features, encoders: Encoders, scalings: Mapping[str, Scaling]) -> Floats:
    """The features of all these encoders in a row [n, k], of mean squared length 1 together."""
    together = np.concatenate([scalings[name](features[name]) for name in encoders], axis=1)
    return np.asarray(together / np.sqrt(len(encoders)))


def log_weight(encoders: Encoders, model: BayesianModel) -> float:
    """Log posterior of the model that reads these, up to a constant."""
    return model.evidence - PER_ENCODER * len(encoders)
