"""Candidates for the Bayesian model: around the best place that it believes in."""

from preferences.learning.config import LearningConfig
from preferences.learning.context import SearchContext
from preferences.learning.geometry import Floats
from preferences.learning.value_models import BayesianModel, ValueModel

# Distance from the best place, as a share of Start Radius: 27 degrees in Latent for the first EARLY batches. More gives
# away what was learned; less shows the same picture n times and teaches nothing new. After that it falls with the
# number of batches, as what is left to learn does; it stays at LEAST of it until LATE batches are rated, so that a
# taste that changes is followed (simulated users; docs/benchmarks.md).
SCATTER = 0.3
EARLY, LATE = 4, 15
LEAST = 0.4
# Where the best of several is shown, bold ones cost little: 0.6 of Start Radius after the first batch, 0.3 after four.
BOLD, BOLD_BATCHES = 1.8, 2


def posterior(model: ValueModel, starts: Floats, context: SearchContext) -> Floats:
    """The point of greatest posterior mean, scattered: n candidates [n, d], each within max_dist of its start.

    The mean is linear, so on the shell that point is the weights' own direction, and in the ball the furthest
    one along them. Random directions are all but orthogonal in many dimensions: the candidates differ from
    each other by as much as two random steps do, and each one's label tells of a direction not seen before. Draws from
    the whole posterior (Thompson sampling) differ too much to be good where d is large.
    """
    if not isinstance(model, BayesianModel):
        raise TypeError(f"posterior needs a BayesianModel, not {type(model).__name__}")
    best = context.geometry.climb(starts, model.direction, context.config.max_dist or context.reach)
    return context.limit(context.random_move(best, scatter(model.batches, context.config)), starts)


def scatter(batches: float, config: LearningConfig) -> float:
    """How far from the best place candidates are drawn after so many rated batches, in the geometry's unit."""
    batches = max(1.0, batches)
    if config.draws_per_picture > 1:
        share = BOLD / (batches + BOLD_BATCHES)
    else:
        share = SCATTER * max(min(1.0, EARLY / batches), LEAST * min(1.0, LATE / batches))
    return share * config.temperature * config.start_radius
