"""SPSA: a gradient guessed from two values, with momentum."""

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.geometry import Floats, Geometry, Vectors
from preferences.learning.optimisers.base import steps_in_time
from preferences.learning.value_models import ValueModel


def spsa(
    model: ValueModel,
    starts: Floats,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
) -> Floats:
    """Simultaneous perturbation (Spall 1992): each start [n, d] follows its own guesses; the best place seen counts.

    A step tries a random direction forwards and backwards; the difference of the two values says how much of that
    direction goes into the momentum, along which a step of step_size is made.
    """
    here = best = starts
    value = model.value(starts - anchor)
    momentum = np.zeros_like(starts)
    for _ in steps_in_time(config):
        direction = rng.standard_normal(starts.shape)
        ahead, behind = (geometry.move(here, sign * direction, config.step_size) for sign in (1, -1))
        slope = model.value(ahead - anchor) - model.value(behind - anchor)
        size = np.abs(slope).max()
        momentum = config.momentum * momentum + (slope / size if size > 0 else slope)[:, None] * direction
        here = geometry.limit(geometry.move(here, momentum, config.step_size), starts, config.max_dist)
        reached = model.value(here - anchor)
        better = reached > value
        best = np.where(better[:, None], here, best)
        value = np.where(better, reached, value)
    return best
