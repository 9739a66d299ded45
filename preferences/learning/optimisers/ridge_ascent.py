"""Candidates for the Ridge model: up along the weights."""

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.geometry import Floats, Geometry, Shell, Vectors
from preferences.learning.value_models import RidgeModel, ValueModel


def ridge_ascent(
    model: ValueModel,
    starts: Floats,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
) -> Floats:
    """Each start [n, d] moved up along the weights by its share of the allowed length: the last by all of it.

    Small steps along a linear function's gradient never leave one great circle (in the ball: one line), so
    a single move of their total length reaches the same point. The allowed length is optim_steps * step_size,
    at most max_dist. Ascent alone would draw all to the same picture; the shares keep a batch diverse.
    """
    if not isinstance(model, RidgeModel):
        raise TypeError(f"ridge_ascent needs a RidgeModel, not {type(model).__name__}")
    length = config.optim_steps * config.step_size
    if config.max_dist:
        length = min(length, config.max_dist)
    shares = length * np.arange(1, len(starts) + 1) / len(starts)
    if isinstance(geometry, Shell):
        # Beyond the direction of the weights a great circle leads down again.
        shares = np.minimum(shares, geometry.distance(starts, model.weights))
    return geometry.move(starts, model.weights, shares)
