"""What an optimiser is: a function from a fitted model and starting points to candidates."""

from collections.abc import Callable

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.geometry import Floats, Geometry, Vectors
from preferences.learning.value_models import ValueModel

# (model, starts [n, d], anchor [d], geometry, config, rng) -> candidates [n, d], in the space and each within
# config.max_dist of its start. Raises TypeError for a model that it cannot climb.
Optimiser = Callable[[ValueModel, Floats, Vectors, Geometry, LearningConfig, np.random.Generator], Floats]
