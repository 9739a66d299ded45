"""A simulated person: a hidden utility, and the habit of calling the best 40 % of each batch good."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Geometry, Shell
from preferences.learning.propose import Proposal, anchor_for, propose

Utility = Callable[[NDArray], NDArray]


def config(**changes) -> LearningConfig:
    return LearningConfig(**({"step_size": 1.0, "max_dist": 45.0, "start_radius": 90.0} | changes))


def linear(dimension: int, rng: np.random.Generator) -> Utility:
    """Standard normal over random noise vectors."""
    weights = rng.standard_normal(dimension)
    weights /= np.linalg.norm(weights)
    return lambda z: z @ weights


def target(dimension: int, rng: np.random.Generator) -> Utility:
    """Minus the distance to a point 6 standard deviations out in 16 hidden directions: not linear."""
    basis = np.linalg.qr(rng.standard_normal((dimension, 16)))[0]
    point = rng.standard_normal(16)
    point *= 6 / np.linalg.norm(point)
    return lambda z: -np.linalg.norm(z @ basis - point, axis=1)


UTILITIES = {"linear": linear, "target": target}


def last_batch(
    geometry: Geometry, settings: LearningConfig, utility: Utility, seed: int, n: int = 8
) -> tuple[float, float, Proposal]:
    """Mean utility of the batch after 5 rated ones, that of the first batch, and the last proposal."""
    rng = np.random.default_rng(seed)
    anchor = anchor_for(f"prompt {seed}", geometry)
    rows, ratings = np.zeros((0, geometry.dimension), np.float32), np.zeros(0)
    means = []
    for _ in range(6):
        feedback = Feedback.of_labels(rows, ratings, np.arange(len(rows)) // n)
        proposal = propose(feedback, anchor, geometry, settings, rng, n)
        values = utility(proposal.vectors)
        means.append(float(values.mean()))
        good = np.full(n, -1.0)
        good[np.argsort(-values)[: round(0.4 * n)]] = 1.0
        rows = np.concatenate([rows, proposal.vectors - anchor])
        ratings = np.concatenate([ratings, good])
    return means[-1], means[0], proposal


def shell_rows(rows: int, dimension: int, seed: int = 0) -> tuple[NDArray, NDArray, NDArray]:
    """X [rows, d], y [rows] (every other one good) and the anchor [d] on the shell."""
    anchor = anchor_for("a lake", Shell(dimension))
    z = Shell(dimension).project(np.random.default_rng(seed).standard_normal((rows, dimension)))
    return (z - anchor).astype(np.float32), np.where(np.arange(rows) % 2 == 0, 1.0, -1.0), anchor
