"""Taste learned on what is seen in the pictures, to choose among several that were drawn.

The steering vector of a picture tells what it will be like only roughly; the picture itself tells all. A model of what
was said on what is seen is right sooner, and cannot steer: it chooses.

A picture is seen in several views: by an image encoder, by its colours, and so on. Which of them a person goes by is
not known beforehand. So one Bayesian model is fitted to each likely set of views, and what the models expect is
averaged by their evidence (Bayesian model averaging, Hoeting et al. 1999): after some forty ratings it favours the
right ones.
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
from preferences.learning.value_models import BayesianModel, CannotFit

SECONDS_TO_EVALUATE = 0.05
PER_VIEW = 1.0  # what a further view must add to the log evidence: a model that reads one more is e times less likely
WINDOW = 2.0  # sets e^2 times less likely than the best are not added to (Occam's window, Madigan & Raftery 1994)

Looks = Mapping[str, Vectors]  # for each view, what is seen in n pictures [n, k]


@dataclass(frozen=True)
class View:
    """How numbers of a view are brought to mean 0 and mean squared length 1 over the judged pictures."""

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


class PictureModel:
    """What is liked in the looks of pictures."""

    def __init__(self, views: dict[str, View], models: dict[tuple[str, ...], BayesianModel], accuracy: float) -> None:
        self.views, self.models, self.held_out_accuracy = views, models, accuracy

    @classmethod
    def learn(cls, looks: Looks, judgments: tuple[Judgment, ...], config: LearningConfig) -> Self:
        """From the looks of pictures and what was said of them. Raises CannotFit where nothing was said or seen."""
        if not looks:
            raise CannotFit("the model of looks needs pictures that were looked at, there is none so far.")
        views = {name: View.of(rows) for name, rows in looks.items()}
        model = cls(views, {}, float("nan"))
        sets: list[tuple[str, ...]] = [(name,) for name in sorted(looks)]
        while sets:
            for names in sets:
                model.models[names] = BayesianModel().fit(Feedback(model._seen(looks, names), judgments), config)
            best = max(model.models, key=model._log_weight)
            likely = [names for names in sets if model._log_weight(names) > model._log_weight(best) - WINDOW]
            sets = sorted({tuple(sorted((*names, name))) for names in likely for name in looks if name not in names})
        seen = Feedback(model._seen(looks, best), judgments)
        model.held_out_accuracy = held_out_accuracy(BayesianModel, seen, config, SECONDS_TO_EVALUATE)
        return model

    def worth(self, looks: Looks) -> Floats:
        """Expected worth [n] of pictures, by the models that read none but these views."""
        able = [names for names in self.models if looks.keys() >= set(names)]
        logs = np.array([self._log_weight(names) for names in able])
        weights = np.exp(logs - logs.max())
        told = [self.models[names].value(self._seen(looks, names)) for names in able]
        return np.asarray(weights @ np.stack(told) / weights.sum())

    def best(self, looks: Looks, most: int) -> NDArray[np.intp]:
        """The rows of the better half of the pictures by expected worth, but of `most` at most, the best first."""
        order = np.argsort(-self.worth(looks), kind="stable")
        return order[: min(most, (len(order) + 1) // 2)]

    def _seen(self, looks: Looks, names: tuple[str, ...]) -> Floats:
        """All of these views side by side [n, k], of mean squared length 1 together."""
        together = np.concatenate([self.views[name](looks[name]) for name in names], axis=1)
        return np.asarray(together / np.sqrt(len(names)))

    def _log_weight(self, names: tuple[str, ...]) -> float:
        return self.models[names].evidence - PER_VIEW * len(names)
