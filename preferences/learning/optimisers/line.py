"""Line search: the best of some points on the way along a linear model's weights."""

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.geometry import Floats, Geometry, Vectors
from preferences.learning.optimisers.base import reach
from preferences.learning.value_models import ValueModel

POINTS = 24


def line(
    model: ValueModel,
    starts: Floats,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
) -> Floats:
    """Each start [n, d] goes along the model's direction to where the model likes it best, staying put included."""
    best, value = starts, model.value(starts - anchor)
    for share in np.arange(1, POINTS + 1) / POINTS:
        trial = geometry.move(starts, model.direction, reach(config) * share)
        reached = model.value(trial - anchor)
        better = reached > value
        best = np.where(better[:, None], trial, best)
        value = np.where(better, reached, value)
    return best
