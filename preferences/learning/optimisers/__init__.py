"""Optimisers by key: a new one is a file and a line here."""

from preferences.learning.optimisers.base import Optimiser
from preferences.learning.optimisers.gaussian_draw import gaussian_draw
from preferences.learning.optimisers.ridge_ascent import ridge_ascent

OPTIMISERS: dict[str, Optimiser] = {"gaussian_draw": gaussian_draw, "ridge_ascent": ridge_ascent}

__all__ = ["OPTIMISERS", "Optimiser"]
