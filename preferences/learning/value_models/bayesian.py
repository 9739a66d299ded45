"""A Bayesian linear model of worth that listens to every kind of judgment."""

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Floats, Vectors, checked_rows
from preferences.learning.layout import weigh
from preferences.learning.likelihood import Likelihood
from preferences.learning.value_models.base import CannotFit, Prediction, ValueModel, linear_value

# Prior spreads, in units of the logistic noise with which a person judges. Chosen on simulated users (seeds 0 to 15).
WORTH = 2.8  # of a picture as far from the prompt as the judged ones are
STANDARD = 2.0  # of the standard at the first moment
STANDARD_STEP = 1.0  # of its change from one batch to the next
KEPT = 0.98  # correlation of a taste with that of the batch before
STEPS = 50
SMALL = 1e-6


class BayesianModel(ValueModel):
    """Worth f(x) = w'x with w ~ N(0, WORTH^2 / m C), m the mean of x'Cx over the judged rows.

    C is the identity; for noise that is laid out as a picture it prefers the low frequencies (see layout.weigh).

    Taste drifts: the weights of moments t and s have correlation KEPT^|t - s| (Ornstein-Uhlenbeck), and predictions
    are for the latest moment. It costs little while taste stands still.

    Good and bad are said by a standard that wanders as a random walk from batch to batch: people compare with what
    they have seen lately, and a model that takes their labels as absolute unlearns what it knows once all pictures
    are good. The posterior is Laplace's approximation, in the dual: its cost depends on the rows, hardly on d
    (Rasmussen & Williams 2006, chapter 3).
    """

    label: ClassVar[str] = "Bayesian"
    optimisers: ClassVar[tuple[str, ...]] = ("posterior", "hill", "line", "spsa")
    arrays: ClassVar[tuple[str, ...]] = ("weights", "rows", "shrinkage", "shape", "scale", "evidence", "batches")
    version: ClassVar[int] = 4

    weights: Floats  # [d] posterior mean of w
    rows: Vectors  # [n, d] the judged rows
    shape: NDArray[np.int64]  # channels, height, width of noise that is laid out as a picture; otherwise empty
    shrinkage: Floats  # [n, n] how much of the prior variance the judgments take away
    scale: float  # prior variance of w in each direction
    evidence: float  # log p(judgments), Laplace
    batches: float  # in which something was liked: others are no reason to come closer

    def fit(self, feedback: Feedback, config: LearningConfig, previous: Self | None = None) -> Self:
        if not feedback.judgments:
            raise CannotFit(f"the {self.label} model needs a rating, there is none so far.")
        likelihood = Likelihood(feedback)
        n = likelihood.rows
        length = float(np.mean(np.diag(feedback.weighed_gram)))
        self.scale = WORTH**2 / length if length > 0 else 1.0
        self.batches = float(len(feedback.pointing_moments))
        moments = feedback.moments
        prior = np.zeros((likelihood.size, likelihood.size))
        prior[:n, :n] = self.scale * feedback.weighed_gram * KEPT ** np.abs(moments[:, None] - moments[None])
        passed = likelihood.moments - likelihood.moments.min() if len(likelihood.moments) else likelihood.moments
        prior[n:, n:] = STANDARD**2 + STANDARD_STEP**2 * np.minimum(passed[:, None], passed[None, :])
        dual, shrinkage, self.evidence = laplace(prior, likelihood)
        now = KEPT ** (moments.max() - moments)
        # In the rows' own precision: another would copy them all.
        kept = (now * dual[:n]).astype(feedback.X.dtype)
        self.shape = np.asarray(feedback.shape or (), dtype=np.int64)
        self.weights = self.scale * self._weighed((feedback.X.T @ kept)[None])[0]
        self.rows = np.asarray(feedback.X, dtype=np.float32)
        self.shrinkage = shrinkage[:n, :n] * now[:, None] * now[None]
        return self

    def predict(self, X: Vectors) -> Prediction:
        """Posterior mean and spread of the worth, in units of the noise with which a person judges."""
        self.require_fitted()
        X = checked_rows(X, len(self.weights), "X")
        weighed = self._weighed(X)
        near = self.scale * (weighed @ self.rows.T.astype(np.float64))
        variance = self.scale * np.sum(X * weighed, axis=1) - np.sum((near @ self.shrinkage) * near, axis=1)
        return Prediction(X @ self.weights, np.sqrt(np.maximum(variance, 0)))

    def _weighed(self, X: Vectors) -> Floats:
        """The rows X [n, d] times the prior covariance, up to `scale`."""
        return weigh(X, tuple(self.shape)) if self.shape.size else np.asarray(X, dtype=np.float64)

    def value(self, X: Vectors) -> Floats:
        self.require_fitted()
        return linear_value(X, self.weights)

    @property
    def direction(self) -> Floats:
        self.require_fitted()
        return self.weights

    def metrics(self) -> dict[str, float]:
        self.require_fitted()
        return {"weights_norm": float(np.linalg.norm(self.weights)), "log_evidence": float(self.evidence)}


def laplace(prior: Floats, likelihood: Likelihood) -> tuple[Floats, Floats, float]:
    """Mode and curvature of the posterior over unknowns with N(0, prior) before them.

    Returns the dual coefficients [size] (mode = prior @ dual), the matrix (prior + W^-1)^-1 [size, size] for the
    negative Hessian W, and the log evidence. Newton's method with halved steps where a full one overshoots.
    """
    dual = np.zeros(likelihood.size)
    mode = prior @ dual
    best = likelihood.value(mode)
    for _ in range(STEPS):
        gradient, curvature = likelihood.derivatives(mode)
        system = np.eye(likelihood.size) + curvature @ prior
        step = np.linalg.solve(system, curvature @ mode + gradient) - dual
        size = 1.0
        while size > SMALL:
            trial = dual + size * step
            at = prior @ trial
            value = likelihood.value(at) - 0.5 * float(trial @ at)
            if value >= best - SMALL:
                break
            size /= 2
        gain, dual, mode, best = value - best, trial, at, max(best, value)
        if abs(gain) < SMALL and np.abs(size * step).max() < 1e-4:
            break
    gradient, curvature = likelihood.derivatives(mode)
    system = np.eye(likelihood.size) + curvature @ prior
    shrinkage = np.linalg.solve(system, curvature)
    evidence = best - 0.5 * float(np.linalg.slogdet(system)[1])
    return dual, (shrinkage + shrinkage.T) / 2, evidence
