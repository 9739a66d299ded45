"""The predecessor's methods, reimplemented with its defaults: straight steps in a space that is a shell."""

import time

import numpy as np
import xgboost
from sklearn.linear_model import Ridge

from ipo_site.benchmarks.learning.arms import Arm, Vectors

STEPS, STEP_SIZE, MAX_DIST = 100, 10.0, 200.0
RANDOM_LENGTH = 0.8
RIDGE_ALPHA = 1000.0
TREES = {"max_depth": 8, "eta": 0.1, "objective": "binary:logistic", "nthread": 1, "seed": 0}
ROUNDS = 50
MOMENTUM = 0.9
SPSA_DISTANCE = 0.5  # to either side, times a Gaussian direction
SPSA_SECONDS = 30.0  # for each picture


class Predecessor(Arm):
    """What its methods share: rows z - z_p with +1 or -1, start at z_p + 0.8 of a random unit vector."""

    def starts(self, n: int) -> Vectors:
        """[n, d]"""
        direction = self.rng.standard_normal((n, self.d))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        return np.asarray(self.anchor + RANDOM_LENGTH * direction, np.float32)

    def rows(self) -> tuple[Vectors, Vectors]:
        """Deviations [rows, d] and their ratings [rows]; what is neither good nor bad is left out."""
        ratings = self.feedback.ratings
        rated = np.isfinite(ratings) & (ratings != 0)
        return (self.z - self.anchor)[rated], np.sign(ratings[rated]).astype(np.float32)

    def limited(self, z: Vectors, starts: Vectors) -> Vectors:
        """Back to within MAX_DIST of the start."""
        away = z - starts
        length = np.linalg.norm(away, axis=1, keepdims=True)
        return np.asarray(starts + away * np.minimum(1, MAX_DIST / np.maximum(length, 1e-9)), np.float32)

    def ridge_direction(self, X: Vectors, y: Vectors) -> Vectors:
        """Unit weights [d] of its ridge regression, which has no intercept."""
        weights = Ridge(alpha=RIDGE_ALPHA, fit_intercept=False).fit(X, y).coef_
        return np.asarray(weights / max(float(np.linalg.norm(weights)), 1e-12), np.float32)


class PredecessorGaussian(Predecessor):
    """Its default: one draw from the good rows' diagonal Gaussian, each number's deviation clipped by Max Dist.

    The rows are deviations from the anchor, and so is what it draws: the anchor itself is left out.
    """

    def propose(self, n: int) -> Vectors:
        X, y = self.rows()
        good = X[y > 0]
        if len(good) < 2:
            return self.starts(n)
        away = good.std(0) * self.rng.standard_normal((n, self.d))
        return np.asarray(good.mean(0) + np.clip(away, -MAX_DIST, MAX_DIST), np.float32)


class PredecessorRidge(Predecessor):
    """Ascent along the weights, step by step, until Max Dist."""

    def propose(self, n: int) -> Vectors:
        X, y = self.rows()
        starts = self.starts(n)
        if len(X) == 0:
            return starts
        return self.limited(starts + STEPS * STEP_SIZE * self.ridge_direction(X, y), starts)


class PredecessorTrees(Predecessor):
    """XGBoost; needs both classes."""

    def propose(self, n: int) -> Vectors:
        X, y = self.rows()
        starts = self.starts(n)
        if not (y > 0).any() or not (y < 0).any():
            return starts
        data = xgboost.DMatrix(X, label=(y > 0).astype(np.float32))
        self.booster = xgboost.train(TREES, data, num_boost_round=ROUNDS)
        return self.climb(starts, self.ridge_direction(X, y))

    def value(self, z: Vectors) -> Vectors:
        """Predicted chance of being good [n]."""
        return np.asarray(self.booster.inplace_predict((z - self.anchor).astype(np.float32)))

    def climb(self, starts: Vectors, direction: Vectors) -> Vectors:
        """From the starts [n, d] to where the trees predict more."""
        raise NotImplementedError


class PredecessorHill(PredecessorTrees):
    """Its default with XGBoost: each number moves by STEP_SIZE times a normal one, and a tie is taken too."""

    def climb(self, starts: Vectors, direction: Vectors) -> Vectors:
        best, value = starts, self.value(starts)
        for _ in range(STEPS):
            step = STEP_SIZE * self.rng.standard_normal(best.shape, dtype=np.float32)
            trial = self.limited(best + step, starts)
            reached = self.value(trial)
            taken = reached >= value
            best, value = np.where(taken[:, None], trial, best), np.where(taken, reached, value)
        return best


class PredecessorLine(PredecessorTrees):
    """Along the ridge direction."""

    def climb(self, starts: Vectors, direction: Vectors) -> Vectors:
        best, value = starts, self.value(starts)
        for step in range(1, STEPS + 1):
            trial = self.limited(starts + step * STEP_SIZE * direction, starts)
            reached = self.value(trial)
            better = reached > value
            best, value = np.where(better[:, None], trial, best), np.where(better, reached, value)
        return best


class PredecessorGrad(PredecessorTrees):
    """SPSA (Spall 1992) along Gaussian directions, with a velocity that is as long as it comes out."""

    def climb(self, starts: Vectors, direction: Vectors) -> Vectors:
        here, velocity = starts, np.zeros_like(starts)
        ends = time.monotonic() + SPSA_SECONDS * len(starts)
        for _ in range(STEPS):
            if time.monotonic() > ends:
                break
            way = self.rng.standard_normal(here.shape, dtype=np.float32)
            apart = self.value(here + SPSA_DISTANCE * way) - self.value(here - SPSA_DISTANCE * way)
            velocity = MOMENTUM * velocity + (apart / (2 * SPSA_DISTANCE))[:, None] * way
            here = self.limited(here + STEP_SIZE * velocity, starts)
        return here
