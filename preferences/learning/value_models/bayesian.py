"""A Bayesian linear model of utility that learns from every kind of judgment."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Floats, Vectors, checked_rows
from preferences.learning.layout import weigh
from preferences.learning.likelihood import Likelihood
from preferences.learning.reasons import CannotFit, Lack
from preferences.learning.value_models.base import Prediction, ValueModel, linear_utility

# Prior spreads, in units of the logistic noise with which a person judges. Chosen on simulated users (seeds 0 to 15).
UTILITY = 2.8  # of a picture as far from the prompt as the judged ones are
STANDARD = 2.0  # of the standard in the first batch
STANDARD_STEP = 1.0  # of its change from one batch to the next
KEPT = 0.98  # correlation of a taste with that of the batch before
STEPS = 50
SMALL = 1e-6


@dataclass(frozen=True, eq=False)
class BayesianModel(ValueModel):
    """Utility f(x) = w'x with w ~ N(0, UTILITY^2 / m C), m the mean of x'Cx over the judged rows.

    C is the identity; for noise that is laid out as a picture it prefers the low frequencies (see layout.weigh).

    Taste drifts: the weights of batches t and s have correlation KEPT^|t - s| (Ornstein-Uhlenbeck), and predictions
    are for the latest batch. It costs little while taste stands still.

    Good and bad are said by a standard that wanders as a random walk from batch to batch: people compare with what
    they have seen lately, and a model that takes their labels as absolute unlearns what it knows once all pictures
    are good. The posterior is Laplace's approximation, in the dual: its cost depends on the rows, hardly on d
    (Rasmussen & Williams 2006, chapter 3).
    """

    label: ClassVar[str] = "Bayesian"
    optimisers: ClassVar[tuple[str, ...]] = ("posterior", "hill", "line", "spsa")
    version: ClassVar[int] = 4

    weights: Floats  # [d] posterior mean of w
    rows: Vectors  # [n, d] the judged rows
    shrinkage: Floats  # [n, n] how much of the prior variance the judgments take away
    shape: NDArray[np.int64]  # channels, height, width of noise that is laid out as a picture; otherwise empty
    scale: float  # prior variance of w in each direction
    evidence: float  # log p(judgments), Laplace
    batches: float  # in which something was liked: others are no reason to come closer

    @classmethod
    def fit(cls, feedback: Feedback, config: LearningConfig, previous: Self | None = None) -> Self:
        if not feedback.judgments:
            raise CannotFit(Lack.RATINGS)
        likelihood = Likelihood(feedback)
        n = likelihood.rows
        length = float(np.mean(np.diag(feedback.weighed_gram)))
        scale = UTILITY**2 / length if length > 0 else 1.0
        numbers = feedback.batch_numbers
        prior = np.zeros((likelihood.size, likelihood.size))
        prior[:n, :n] = scale * feedback.weighed_gram * KEPT ** np.abs(numbers[:, None] - numbers[None])
        passed = likelihood.batch_numbers
        passed = passed - passed.min() if len(passed) else passed
        # Covariance of a random walk: the steps that two batches have in common.
        prior[n:, n:] = STANDARD**2 + STANDARD_STEP**2 * np.minimum(passed[:, None], passed[None, :])
        dual, shrinkage, evidence = laplace(prior, likelihood)
        now = KEPT ** (numbers.max() - numbers)
        # In the rows' own precision: another would copy them all.
        kept = (now * dual[:n]).astype(feedback.X.dtype)
        shape = np.asarray(feedback.shape or (), dtype=np.int64)
        return cls(
            weights=scale * weighed((feedback.X.T @ kept)[None], shape)[0],
            rows=np.asarray(feedback.X, dtype=np.float32),
            shrinkage=shrinkage[:n, :n] * now[:, None] * now[None],
            shape=shape,
            scale=scale,
            evidence=evidence,
            batches=float(len(feedback.pointing_batches)),
        )

    def predict(self, X: Vectors) -> Prediction:
        """Posterior mean and spread of the utility, in units of the noise with which a person judges."""
        X = checked_rows(X, len(self.weights), "X")
        prior = weighed(X, self.shape)
        near = self.scale * (prior @ self.rows.T.astype(np.float64))
        # Rasmussen & Williams, eq. 3.24
        variance = self.scale * np.sum(X * prior, axis=1) - np.sum((near @ self.shrinkage) * near, axis=1)
        return Prediction(X @ self.weights, np.sqrt(np.maximum(variance, 0)))

    def utility(self, X: Vectors) -> Floats:
        return linear_utility(X, self.weights)

    @property
    def direction(self) -> Floats:
        return self.weights

    def metrics(self) -> dict[str, float]:
        return {"weights_norm": float(np.linalg.norm(self.weights)), "log_evidence": float(self.evidence)}


def weighed(X: Vectors, shape: NDArray[np.int64]) -> Floats:
    """The rows X [n, d] times the prior covariance C of a space laid out in this shape, empty where in none."""
    return weigh(X, tuple(shape)) if shape.size else np.asarray(X, dtype=np.float64)


def laplace(prior: Floats, likelihood: Likelihood) -> tuple[Floats, Floats, float]:
    """Mode and curvature of the posterior over unknowns with N(0, prior) before them.

    Returns the dual coefficients [size] (mode = prior @ dual), the matrix (prior + W^-1)^-1 [size, size] for the
    negative Hessian W, and the log evidence. Newton's method with halved steps where a full one overshoots. Equations
    are those of Rasmussen & Williams 2006; as W is not diagonal here, systems are solved with I + W prior.
    """
    dual = np.zeros(likelihood.size)
    mode = prior @ dual
    best = likelihood.log_likelihood(mode)
    for _ in range(STEPS):
        gradient, curvature = likelihood.derivatives(mode)
        system = np.eye(likelihood.size) + curvature @ prior
        step = np.linalg.solve(system, curvature @ mode + gradient) - dual  # eq. 3.18
        size = 1.0
        while size > SMALL:
            trial = dual + size * step
            at = prior @ trial
            objective = likelihood.log_likelihood(at) - 0.5 * float(trial @ at)  # eq. 3.12
            if objective >= best - SMALL:
                break
            size /= 2
        gain, dual, mode, best = objective - best, trial, at, max(best, objective)
        if abs(gain) < SMALL and np.abs(size * step).max() < 1e-4:
            break
    gradient, curvature = likelihood.derivatives(mode)
    system = np.eye(likelihood.size) + curvature @ prior
    shrinkage = np.linalg.solve(system, curvature)
    evidence = best - 0.5 * float(np.linalg.slogdet(system)[1])  # eq. 3.32
    return dual, (shrinkage + shrinkage.T) / 2, evidence
