"""Candidates for the Gaussian model: one draw each."""

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.geometry import Floats, Geometry, Vectors
from preferences.learning.value_models import GaussianModel, ValueModel


def draw(
    model: ValueModel,
    starts: Floats,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
) -> Floats:
    """anchor + one draw a candidate, brought into the space and within max_dist of its start [n, d].

    The predecessor clips each dimension's deviation by Max Dist, which hardly binds in many dimensions; here
    the whole deviation is limited. Draws from goods on the shell are near it already.
    """
    if not isinstance(model, GaussianModel):
        raise TypeError(f"draw needs a GaussianModel, not {type(model).__name__}")
    draws = geometry.project(anchor + model.draw(rng, len(starts)))
    return geometry.limit(draws, starts, config.max_dist)
