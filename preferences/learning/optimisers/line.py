"""Line search: the best of some points on the way along a linear model's weights."""

import numpy as np

from preferences.learning.context import SearchContext
from preferences.learning.geometry import Floats
from preferences.learning.value_models import ValueModel

POINTS = 24


def line(model: ValueModel, starts: Floats, context: SearchContext) -> Floats:
    """Each start [n, d] goes along the model's direction to the greatest predicted utility, staying put included."""
    anchor, geometry = context.anchor, context.geometry
    best, utility = starts, model.utility(starts - anchor)
    for share in np.arange(1, POINTS + 1) / POINTS:
        trial = geometry.move(starts, model.direction, context.reach * share)
        reached = model.utility(trial - anchor)
        better = reached > utility
        best = np.where(better[:, None], trial, best)
        utility = np.where(better, reached, utility)
    return best
