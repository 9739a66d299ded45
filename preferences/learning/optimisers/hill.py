"""Hill climb: a random step is kept if the model predicts more utility where it leads."""

import numpy as np

from preferences.learning.context import SearchContext
from preferences.learning.geometry import Floats
from preferences.learning.value_models import ValueModel


def hill(model: ValueModel, starts: Floats, context: SearchContext) -> Floats:
    """Each start [n, d] climbs by itself, all in one prediction a step (the predecessor's predicts row by row)."""
    anchor = context.anchor
    best, utility = starts, model.utility(starts - anchor)
    for _ in context.steps_in_time():
        trial = context.limit(context.random_move(best, context.config.step_size), starts)
        reached = model.utility(trial - anchor)
        better = reached > utility
        best = np.where(better[:, None], trial, best)
        utility = np.where(better, reached, utility)
    return best
