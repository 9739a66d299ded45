"""Candidates for a linear model: up along its weights."""

import numpy as np

from preferences.learning.context import SearchContext
from preferences.learning.geometry import Floats
from preferences.learning.value_models import ValueModel


def ascent(model: ValueModel, starts: Floats, context: SearchContext) -> Floats:
    """Each start [n, d] moved up along the weights by its share of the allowed length: the last by all of it.

    Beyond the direction of the weights a great circle leads down again: none goes there. Small steps along a linear
    function's gradient never leave one great circle (in the ball: one line), so a single move of their total length
    reaches the same point. Ascent alone would draw all to the same picture; the shares keep a batch diverse.
    """
    shares = context.reach * np.arange(1, len(starts) + 1) / len(starts)
    return context.geometry.climb(starts, model.direction, shares)
