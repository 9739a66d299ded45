"""What an optimiser is: a function from a fitted model and starting points to candidates."""

from collections.abc import Callable

from preferences.learning.context import SearchContext
from preferences.learning.geometry import Floats
from preferences.learning.value_models import ValueModel

# (model, starts [n, d], context) -> candidates [n, d], in the space and each within max_dist of its start.
# Raises TypeError for a model that it cannot use.
Optimiser = Callable[[ValueModel, Floats, SearchContext], Floats]
