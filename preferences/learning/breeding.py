"""Candidates near the pictures that look best: one of them changed a little, or two of them crossed.

The model of vectors aims where it believes that the best place is, and can be far off; what is known to look good is
near what was seen. Where the best of several draws is shown, some of each are drawn, and the looks decide.
"""

import numpy as np

from preferences.learning.geometry import Floats, Geometry, Vectors

PARENTS = 4  # the best-looking pictures that are bred from
CHANGE, CROSSED_CHANGE = 0.8, 0.5  # of the scatter around the best place (see optimisers/posterior.py)
SHARE = (0.3, 0.7)  # of the first parent in a cross


def mutants(parents: Vectors, geometry: Geometry, scatter: float, rng: np.random.Generator, n: int) -> Floats:
    """n of the parents [k, d], each moved by CHANGE * scatter in a direction of its own, [n, d]."""
    return geometry.random_move(parents[rng.integers(len(parents), size=n)], CHANGE * scatter, rng)


def crosses(parents: Vectors, geometry: Geometry, scatter: float, rng: np.random.Generator, n: int) -> Floats:
    """n points between two different parents of [k, d], brought into the space and moved a little, [n, d].

    A single parent is moved only.
    """
    pairs = np.array([rng.permutation(len(parents))[[0, -1]] for _ in range(n)])
    share = rng.uniform(*SHARE, (n, 1))
    between = geometry.project(share * parents[pairs[:, 0]] + (1 - share) * parents[pairs[:, 1]])
    return geometry.random_move(between, CROSSED_CHANGE * scatter, rng)


def breed_in(
    candidates: Floats,
    draws: int,
    parents: Vectors,
    geometry: Geometry,
    scatter: float,
    rng: np.random.Generator,
) -> Floats:
    """Candidates [n, d], `draws` in a row for each place: of each three one is left, one a mutant and one a cross."""
    bred = candidates.copy()
    turn = np.arange(len(candidates)) % draws % 3
    for number, make in enumerate((mutants, crosses), start=1):
        rows = np.flatnonzero(turn == number)
        if len(rows):
            bred[rows] = make(parents, geometry, scatter, rng, len(rows))
    return bred
