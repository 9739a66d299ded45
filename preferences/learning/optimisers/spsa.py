"""SPSA: a gradient guessed from two predictions, with momentum."""

import numpy as np

from preferences.learning.context import SearchContext
from preferences.learning.geometry import Floats
from preferences.learning.value_models import ValueModel


def spsa(model: ValueModel, starts: Floats, context: SearchContext) -> Floats:
    """Simultaneous perturbation (Spall 1992): each start [n, d] follows its own guesses; the best place seen counts.

    A step tries a random direction forwards and backwards; the difference of the two utilities says how much of that
    direction goes into the momentum (Polyak 1964), along which a step of step_size is made.
    """
    anchor, geometry, config = context.anchor, context.geometry, context.config
    here = best = starts
    utility = model.utility(starts - anchor)
    momentum = np.zeros_like(starts)
    for _ in context.steps_in_time():
        direction = context.rng.standard_normal(starts.shape)
        ahead, behind = (geometry.move(here, sign * direction, config.step_size) for sign in (1, -1))
        # Spall's two-sided estimate. Only its direction counts, so what it is divided by makes the largest slope 1.
        slope = model.utility(ahead - anchor) - model.utility(behind - anchor)
        size = np.abs(slope).max()
        momentum = config.momentum * momentum + (slope / size if size > 0 else slope)[:, None] * direction
        here = context.limit(geometry.move(here, momentum, config.step_size), starts)
        reached = model.utility(here - anchor)
        better = reached > utility
        best = np.where(better[:, None], here, best)
        utility = np.where(better, reached, utility)
    return best
