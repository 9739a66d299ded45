"""What an optimiser is: a function from a fitted model and starting points to candidates."""

import time
from collections.abc import Callable, Iterator

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.geometry import Floats, Geometry, Vectors
from preferences.learning.value_models import ValueModel

# (model, starts [n, d], anchor [d], geometry, config, rng) -> candidates [n, d], in the space and each within
# config.max_dist of its start. Raises TypeError for a model that it cannot use.
Optimiser = Callable[[ValueModel, Floats, Vectors, Geometry, LearningConfig, np.random.Generator], Floats]


def reach(config: LearningConfig) -> float:
    """How far a candidate may come from its start: all its steps, at most max_dist."""
    length = config.optim_steps * config.step_size
    return min(length, config.max_dist) if config.max_dist else length


def steps_in_time(config: LearningConfig) -> Iterator[int]:
    """0, 1, ... up to optim_steps, or until optim_seconds are over, so that no proposal keeps a person waiting."""
    deadline = time.monotonic() + config.optim_seconds
    for step in range(config.optim_steps):
        if step and time.monotonic() > deadline:
            return
        yield step
