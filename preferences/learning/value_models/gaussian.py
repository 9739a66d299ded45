"""A diagonal Gaussian over the good pictures (the predecessor's default model)."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Floats, Vectors, checked_rows
from preferences.learning.reasons import CannotFit, Lack
from preferences.learning.value_models.base import Prediction, ValueModel

MIN_GOOD = 2


@dataclass(frozen=True, eq=False)
class GaussianModel(ValueModel):
    """Per-dimension mean [d] and standard deviation [d] of the good rows; bad rows are not used."""

    label: ClassVar[str] = "Gaussian"
    optimisers: ClassVar[tuple[str, ...]] = ("draw",)

    mean: Floats
    std: Floats
    temperature: float

    @classmethod
    def fit(cls, feedback: Feedback, config: LearningConfig, previous: Self | None = None) -> Self:
        rows = np.asarray(feedback.X[feedback.good], dtype=np.float64)
        if len(rows) < MIN_GOOD:
            raise CannotFit(Lack.GOOD, needed=MIN_GOOD, found=len(rows))
        mean, std = rows.mean(axis=0), rows.std(axis=0)
        # A dimension in which all the good ones agree would make the density infinite, and identical ones
        # would make every draw the same: keep a thousandth of the typical spread, or a tenth of the size.
        spread = float(np.sqrt(np.mean(std**2)))
        size = float(np.sqrt(np.mean(rows**2)))
        floor = 1e-3 * spread if spread > 1e-6 * size else 0.1 * size
        return cls(mean, np.maximum(std, floor or 1e-3), config.temperature)

    def predict(self, X: Vectors) -> Prediction:
        """Log density per dimension: the mean over d keeps the number readable whatever d is."""
        offset = (checked_rows(X, len(self.mean), "X") - self.mean) / self.std
        constant = float(np.mean(np.log(self.std))) + 0.5 * np.log(2 * np.pi)
        mean = np.asarray(-0.5 * np.mean(offset**2, axis=1) - constant, dtype=np.float64)
        return Prediction(mean, np.full(len(mean), np.nan))

    def draw(self, rng: np.random.Generator, n: int) -> Floats:
        """n deviations [n, d]: mean + temperature * std * normal."""
        return self.mean + self.temperature * self.std * rng.standard_normal((n, len(self.mean)))

    def metrics(self) -> dict[str, float]:
        return {
            "temperature": float(self.temperature),
            "mean_norm": float(np.linalg.norm(self.mean)),
            "std_mean": float(np.mean(self.std)),
        }
