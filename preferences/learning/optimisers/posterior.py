"""Candidates for the Bayesian model: around the best place that it believes in."""

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.geometry import Floats, Geometry, Shell, Vectors
from preferences.learning.optimisers.base import reach
from preferences.learning.value_models import ValueModel

# Distance from the best place, as a share of Start Radius: 27 degrees in Latent. Less shows the same picture n times,
# more gives away what was learned (simulated users; docs/benchmarks.md).
SCATTER = 0.3


def posterior(
    model: ValueModel,
    starts: Floats,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
) -> Floats:
    """The point of greatest posterior mean, scattered: n candidates [n, d], each within max_dist of its start.

    The mean is linear, so on the shell that point is the weights' own direction, and in the ball the furthest
    one along them. Random directions are all but orthogonal in many dimensions: the candidates differ from
    each other by as much as two random steps do, and each one's label tells of a direction not seen before. Draws from
    the whole posterior (Thompson sampling) differ too much to be good where d is large.
    """
    if isinstance(geometry, Shell):
        far = np.minimum(config.max_dist or np.inf, geometry.distance(starts, model.direction))
    else:
        far = np.full(len(starts), config.max_dist or reach(config))
    best = geometry.move(starts, model.direction, far)
    scattered = geometry.random_move(best, SCATTER * config.temperature * config.start_radius, rng)
    return geometry.limit(scattered, starts, config.max_dist)
