"""Start modes: where a batch begins before the optimiser moves it. The formulas are the predecessor's.

`goods` are deviations (good vector - anchor) [g, d]; results are vectors [n, d] in the space. On the shell
the sums are projected back to the shell, and the Random step is a rotation. So that no two candidates are
alike, starts that name one point scatter around it by a third of the start radius.
"""

from collections.abc import Callable

import numpy as np

from preferences.learning.context import SearchContext
from preferences.learning.geometry import Floats, Vectors

Start = Callable[[Vectors, SearchContext, int], Floats]


def random(goods: Vectors, context: SearchContext, n: int) -> Floats:
    """The anchor, moved by the start radius in n random directions."""
    return context.random_move(_repeat(context.anchor, n), context.config.start_radius)


def prompt(goods: Vectors, context: SearchContext, n: int) -> Floats:
    """Around the anchor itself."""
    return _around(context.anchor, context, n)


def avg_good(goods: Vectors, context: SearchContext, n: int) -> Floats:
    """Around anchor + mean(goods)."""
    return _around(context.anchor + np.mean(goods, axis=0, dtype=np.float64), context, n)


def prompt_avg_good(goods: Vectors, context: SearchContext, n: int) -> Floats:
    """Around anchor + mean(goods) / 2: half-way between the prompt and the good pictures."""
    return _around(context.anchor + np.mean(goods, axis=0, dtype=np.float64) / 2, context, n)


def good_dist(goods: Vectors, context: SearchContext, n: int) -> Floats:
    """Draws anchor + mean + std * normal over the goods; a single good has no spread: around it."""
    if len(goods) < 2:
        return avg_good(goods, context, n)
    rows = np.asarray(goods, dtype=np.float64)
    noise = context.rng.standard_normal((n, rows.shape[1]))
    return context.geometry.project(context.anchor + rows.mean(axis=0) + rows.std(axis=0) * noise)


STARTS: dict[str, Start] = {
    "random": random,
    "prompt": prompt,
    "avg_good": avg_good,
    "prompt_avg_good": prompt_avg_good,
    "good_dist": good_dist,
}
NEEDS_GOOD = frozenset({"avg_good", "prompt_avg_good", "good_dist"})


def _repeat(point: Vectors, n: int) -> Vectors:
    return np.broadcast_to(point, (n, len(point)))


def _around(point: Vectors, context: SearchContext, n: int) -> Floats:
    inside = context.geometry.project(point[None])[0]
    return context.random_move(_repeat(inside, n), context.config.start_radius / 3)
