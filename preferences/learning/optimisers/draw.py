"""Candidates for the Gaussian model: one draw each."""

from preferences.learning.context import SearchContext
from preferences.learning.geometry import Floats
from preferences.learning.value_models import GaussianModel, ValueModel


def draw(model: ValueModel, starts: Floats, context: SearchContext) -> Floats:
    """anchor + one draw a candidate, brought into the space and within max_dist of its start [n, d].

    The predecessor clips each dimension's deviation by Max Dist, which hardly binds in many dimensions; here
    the whole deviation is limited. Draws from goods on the shell are near it already.
    """
    if not isinstance(model, GaussianModel):
        raise TypeError(f"draw needs a GaussianModel, not {type(model).__name__}")
    draws = context.geometry.project(context.anchor + model.draw(context.rng, len(starts)))
    return context.limit(draws, starts)
