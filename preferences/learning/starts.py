"""Start modes: where a batch begins before the optimiser moves it. The formulas are the predecessor's.

`goods` are deviations (good vector - anchor) [g, d]; results are vectors [n, d] in the space. On the shell
the sums are projected back to the shell, and the Random step is a rotation. So that no two candidates are
alike, starts that name one point scatter around it by a third of the start radius.
"""

from collections.abc import Callable

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.geometry import Floats, Geometry, Vectors

Start = Callable[[Vectors, Vectors, Geometry, LearningConfig, np.random.Generator, int], Floats]


def random(
    goods: Vectors,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
    n: int,
) -> Floats:
    """The anchor, moved by the start radius in n random directions."""
    return geometry.random_move(_repeat(anchor, n), config.start_radius, rng)


def prompt(
    goods: Vectors,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
    n: int,
) -> Floats:
    """Around the anchor itself."""
    return _around(anchor, geometry, config, rng, n)


def avg_good(
    goods: Vectors,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
    n: int,
) -> Floats:
    """Around anchor + mean(goods)."""
    return _around(anchor + np.mean(goods, axis=0, dtype=np.float64), geometry, config, rng, n)


def prompt_avg_good(
    goods: Vectors,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
    n: int,
) -> Floats:
    """Around anchor + mean(goods) / 2: half-way between the prompt and the good pictures."""
    return _around(anchor + np.mean(goods, axis=0, dtype=np.float64) / 2, geometry, config, rng, n)


def good_dist(
    goods: Vectors,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
    n: int,
) -> Floats:
    """Draws anchor + mean + std * normal over the goods; a single good has no spread: around it."""
    if len(goods) < 2:
        return avg_good(goods, anchor, geometry, config, rng, n)
    rows = np.asarray(goods, dtype=np.float64)
    noise = rng.standard_normal((n, rows.shape[1]))
    return geometry.project(anchor + rows.mean(axis=0) + rows.std(axis=0) * noise)


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


def _around(point: Vectors, geometry: Geometry, config: LearningConfig, rng: np.random.Generator, n: int) -> Floats:
    return geometry.random_move(_repeat(geometry.project(point[None])[0], n), config.start_radius / 3, rng)
