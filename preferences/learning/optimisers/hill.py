"""Hill climb: a random step is kept if the model likes where it leads."""

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.geometry import Floats, Geometry, Vectors
from preferences.learning.optimisers.base import steps_in_time
from preferences.learning.value_models import ValueModel


def hill(
    model: ValueModel,
    starts: Floats,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
) -> Floats:
    """Each start [n, d] climbs by itself, all in one prediction a step (the predecessor's predicts row by row)."""
    best, value = starts, model.value(starts - anchor)
    for _ in steps_in_time(config):
        trial = geometry.limit(geometry.random_move(best, config.step_size, rng), starts, config.max_dist)
        reached = model.value(trial - anchor)
        better = reached > value
        best = np.where(better[:, None], trial, best)
        value = np.where(better, reached, value)
    return best
