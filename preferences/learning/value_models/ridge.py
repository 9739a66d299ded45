"""Ridge regression on +1 / -1 ratings."""

from typing import ClassVar, Self

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.geometry import Floats, Vectors, checked_rows
from preferences.learning.value_models.base import CannotFit, ValueModel, checked_ratings


class RidgeModel(ValueModel):
    """weights [d] and intercept that minimise |y - Xw - b|^2 + alpha |w|^2 (Hoerl and Kennard, 1970)."""

    label: ClassVar[str] = "Ridge"
    optimiser: ClassVar[str] = "ridge_ascent"
    arrays: ClassVar[tuple[str, ...]] = ("weights", "intercept", "alpha")

    weights: Floats
    intercept: float
    alpha: float

    def fit(self, X: Vectors, y: Vectors, config: LearningConfig) -> Self:
        X, good = checked_ratings(X, y)
        if good.all() or not good.any():
            missing = "bad" if good.any() else "good"
            raise CannotFit(f"the {self.label} model needs good and bad pictures, there is no {missing} one so far.")
        target = np.where(good, 1.0, -1.0)
        centre = X.mean(axis=0, dtype=np.float64)
        # The intercept is not penalised: centring both sides takes it out of the problem.
        rows, residual = X - centre.astype(X.dtype), target - target.mean()
        n, d = rows.shape
        if n <= d:  # dual: w = X' (X X' + alpha I)^-1 y, a system of n x n
            gram = (rows @ rows.T).astype(np.float64) + config.ridge_alpha * np.eye(n)
            self.weights = np.asarray(rows.T @ np.linalg.solve(gram, residual), dtype=np.float64)
        else:
            gram = (rows.T @ rows).astype(np.float64) + config.ridge_alpha * np.eye(d)
            self.weights = np.asarray(np.linalg.solve(gram, rows.T @ residual), dtype=np.float64)
        self.intercept = float(target.mean() - centre @ self.weights)
        self.alpha = config.ridge_alpha
        return self

    def predict(self, X: Vectors) -> Floats:
        """The predicted rating [n], about -1 (bad) to +1 (good)."""
        self.require_fitted()
        return checked_rows(X, len(self.weights), "X") @ self.weights + self.intercept

    def metrics(self) -> dict[str, float]:
        self.require_fitted()
        return {"weights_norm": float(np.linalg.norm(self.weights)), "alpha": float(self.alpha)}
