"""Optimisers by key: a new one is a file and a line here."""

from preferences.learning.optimisers.ascent import ascent
from preferences.learning.optimisers.base import Optimiser
from preferences.learning.optimisers.draw import draw
from preferences.learning.optimisers.hill import hill
from preferences.learning.optimisers.line import line
from preferences.learning.optimisers.posterior import posterior
from preferences.learning.optimisers.spsa import spsa

OPTIMISERS: dict[str, Optimiser] = {
    "ascent": ascent,
    "draw": draw,
    "hill": hill,
    "line": line,
    "posterior": posterior,
    "spsa": spsa,
}

__all__ = ["OPTIMISERS", "Optimiser"]
