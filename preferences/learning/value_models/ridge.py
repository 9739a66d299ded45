"""Ridge regression on ratings from -1 to 1."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Floats, Vectors, checked_rows
from preferences.learning.value_models.base import Prediction, ValueModel, linear_utility, require_both

# Tried when alpha is 0 (automatic), as multiples of the mean squared length of the centred rows.
AUTOMATIC = 10.0 ** np.arange(-4, 5)


@dataclass(frozen=True, eq=False)
class RidgeModel(ValueModel):
    """weights [d] and intercept that minimise |y - Xw - b|^2 + alpha |w|^2 (Hoerl & Kennard 1970, eq. 2.1).

    In the dual: everything is computed from inner products of the n rows, so that d hardly matters. alpha 0 means
    the best of AUTOMATIC by exact leave-one-out error (Allen's PRESS, 1974).
    """

    # scikit-learn's Ridge and RidgeCV find the same (a test compares them), but take the inner products anew for each
    # fit, which ours share: 0.36 s for 0.11 s with 500 rows of 16,384. They keep no inverse, which the spread needs.

    label: ClassVar[str] = "Ridge"
    optimisers: ClassVar[tuple[str, ...]] = ("ascent", "hill", "line", "spsa")
    version: ClassVar[int] = 2

    weights: Floats  # [d]
    intercept: float
    alpha: float
    left_out_r2: float  # R squared of each rating predicted from all others; below 0 where their mean does better
    rows: Vectors  # [n, d] centred
    inverse: Floats  # [n, n] of (rows rows' + alpha I)
    noise: float  # variance of the residuals

    @classmethod
    def fit(cls, feedback: Feedback, config: LearningConfig, previous: Self | None = None) -> Self:
        require_both(feedback)
        rated = np.flatnonzero(np.isfinite(feedback.ratings))
        X, target = feedback.X[rated], feedback.ratings[rated]
        n = len(X)
        # The intercept is not penalised: centring both sides takes it out of the problem.
        centre = X.mean(axis=0, dtype=np.float64)
        gram = feedback.gram[np.ix_(rated, rated)]
        gram = gram - gram.mean(axis=0) - gram.mean(axis=1)[:, None] + gram.mean()
        residual = target - target.mean()
        values, vectors = np.linalg.eigh(gram)
        values, along = np.maximum(values, 0), vectors.T @ residual
        size = float(values.mean()) or 1.0
        alpha, error = min(
            ((alpha, left_out(values, vectors, along, alpha)) for alpha in alphas(config.ridge_alpha, size)),
            key=lambda pair: pair[1],
        )
        centred = X - centre.astype(X.dtype)
        inverse = (vectors / (values + alpha)) @ vectors.T
        dual = inverse @ residual  # (G + alpha I)^-1 y (Saunders, Gammerman & Vovk 1998)
        weights = np.asarray(centred.T @ dual.astype(centred.dtype), dtype=np.float64)
        # Effective degrees of freedom: Hastie, Tibshirani & Friedman 2009, eq. 3.50.
        freedom = max(1.0, n - 1 - float((values / (values + alpha)).sum()))
        return cls(
            weights=weights,
            intercept=float(target.mean() - centre @ weights),
            alpha=alpha,
            left_out_r2=1 - error / float(np.mean(residual**2)),
            rows=np.asarray(centred, dtype=np.float32),
            inverse=inverse,
            noise=float(np.sum((alpha * dual) ** 2) / freedom),  # residuals are alpha * dual
        )

    def predict(self, X: Vectors) -> Prediction:
        """The predicted rating, about -1 (bad) to +1 (good), and its spread as a Gaussian process with that noise."""
        X = checked_rows(X, len(self.weights), "X")
        mean = X @ self.weights + self.intercept
        near = X @ self.rows.T.astype(np.float64)
        variance = np.sum(X**2, axis=1) - np.sum((near @ self.inverse) * near, axis=1)  # Rasmussen & Williams eq. 2.26
        return Prediction(mean, np.sqrt(np.maximum(variance, 0) * self.noise / self.alpha))

    def utility(self, X: Vectors) -> Floats:
        return linear_utility(X, self.weights) + self.intercept

    @property
    def direction(self) -> Floats:
        return self.weights

    def metrics(self) -> dict[str, float]:
        return {
            "weights_norm": float(np.linalg.norm(self.weights)),
            "alpha": float(self.alpha),
            "left_out_r2": float(self.left_out_r2),
        }


def alphas(chosen: float, size: float) -> list[float]:
    """The penalty that was chosen, or all that are to be tried."""
    return [chosen] if chosen > 0 else [float(factor * size) for factor in AUTOMATIC]


def left_out(values: Floats, vectors: Floats, along: Floats, alpha: float) -> float:
    """Mean squared leave-one-out error, from the eigenvalues [n] and -vectors [n, n] of the centred Gram matrix.

    `along` [n] are the centred targets in that basis. The intercept, which has one row in n as its own, counts too.
    """
    n = len(values)
    remaining = vectors @ (alpha / (values + alpha) * along)
    influence = np.sum(vectors**2 * (values / (values + alpha)), axis=1) + 1 / n
    # Hastie, Tibshirani & Friedman 2009, eq. 7.64
    return float(np.mean((remaining / np.maximum(1 - influence, 1e-9)) ** 2))
