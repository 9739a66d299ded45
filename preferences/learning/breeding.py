"""Candidates near the best pictures: one of them changed a little, or two of them crossed.

The model of vectors aims where it believes that the best place is, and can be far off; what is known to be good is
near what was seen. Where the best of several draws is shown, some of each are drawn, and their features decide.
"""

import numpy as np

from preferences.learning.geometry import Floats, Geometry, Shell, Vectors

# The best pictures, which are bred from. With half as many, a person's favourites are soon all of one family, and
# better ones of another are never seen.
PARENTS = 8
CHANGE, CROSSED_CHANGE = 0.8, 0.5  # of the scatter around the best place (see optimisers/posterior.py)
SHARE = (0.3, 0.7)  # of the first parent in a cross
# What is drawn in turn. Of noise that was aimed by the model of vectors little is chosen once there are good parents,
# but it leads out of their family. Among embeddings, where pictures follow the vector smoothly, it aims as well as
# breeding does (docs/adr/0003).
AIMED, MUTANT, CROSS = range(3)
NOISE_TURNS = np.array([CROSS, MUTANT, CROSS, AIMED, MUTANT, CROSS])
EMBEDDING_TURNS = np.array([CROSS, AIMED, MUTANT, AIMED, CROSS, AIMED])


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
    parents: Vectors,
    geometry: Geometry,
    scatter: float,
    rng: np.random.Generator,
) -> Floats:
    """The candidates [n, d], in turn left as they are or replaced by a mutant or a cross."""
    bred = candidates.copy()
    turn = np.resize(NOISE_TURNS if isinstance(geometry, Shell) else EMBEDDING_TURNS, len(candidates))
    for kind, make in ((MUTANT, mutants), (CROSS, crosses)):
        rows = np.flatnonzero(turn == kind)
        if len(rows):
            bred[rows] = make(parents, geometry, scatter, rng, len(rows))
    return bred
