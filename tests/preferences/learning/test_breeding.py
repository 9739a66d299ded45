"""Candidates that are bred from the best-looking pictures."""

import numpy as np
import pytest

from preferences.learning.breeding import CHANGE, CROSSED_CHANGE, breed_in, crosses, mutants
from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Ball, Geometry, Shell
from preferences.learning.propose import propose

D = 300
GEOMETRIES: list[tuple[Geometry, float]] = [(Shell(D), 30.0), (Ball(D, 2.0), 0.3)]


def parents(geometry: Geometry, count: int) -> np.ndarray:
    return geometry.project(np.random.default_rng(1).standard_normal((count, D)) / 20)


@pytest.mark.parametrize(("geometry", "scatter"), GEOMETRIES)
def test_mutants_are_near_one_parent_each(geometry, scatter):
    found = mutants(parents(geometry, 3), geometry, scatter, np.random.default_rng(0), 40)
    away = geometry.distance(found[:, None], parents(geometry, 3)[None]).min(axis=1)
    np.testing.assert_allclose(away, CHANGE * scatter, rtol=1e-6)
    assert len(np.unique(found.round(6), axis=0)) == 40


@pytest.mark.parametrize(("geometry", "scatter"), GEOMETRIES)
def test_crosses_lie_between_two_different_parents(geometry, scatter):
    both = parents(geometry, 2)
    found = crosses(both, geometry, scatter, np.random.default_rng(0), 40)
    between = geometry.project(both.mean(axis=0, keepdims=True))
    apart = geometry.distance(both[:1], both[1:])[0]
    assert (geometry.distance(found, between) <= CROSSED_CHANGE * scatter + 0.21 * apart).all()
    alone = crosses(both[:1], geometry, scatter, np.random.default_rng(0), 5)
    np.testing.assert_allclose(geometry.distance(alone, both[:1]), CROSSED_CHANGE * scatter, rtol=1e-6)


@pytest.mark.parametrize(
    ("geometry", "scatter", "first_left", "every", "mutants_of_24"),
    [(Shell(D), 20.0, 3, 6, 8), (Ball(D, 2.0), 0.3, 1, 2, 4)],
)
def test_of_noise_one_in_six_is_left_and_of_embeddings_half(geometry, scatter, first_left, every, mutants_of_24):
    candidates = geometry.project(np.random.default_rng(2).standard_normal((24, D)))
    both = parents(geometry, 2)
    bred = breed_in(candidates, both, geometry, scatter, np.random.default_rng(0))
    left = (bred == candidates).all(axis=1)
    assert (np.flatnonzero(left) == np.arange(first_left, 24, every)).all()
    mutant = np.isclose(geometry.distance(bred[:, None], both[None]).min(axis=1), CHANGE * scatter)
    assert mutant.sum() == mutants_of_24
    assert not (mutant & left).any()


@pytest.mark.parametrize(("geometry", "scatter"), GEOMETRIES)
def test_a_proposal_breeds_only_where_the_best_of_several_is_shown(geometry, scatter):
    rng = np.random.default_rng(3)
    z = geometry.project(rng.standard_normal((8, D)) / 20)
    feedback = Feedback.of_labels(z, np.where(z[:, 0] > 0, 1, -1))

    def proposed(draws: int) -> np.ndarray:
        config = LearningConfig(step_size=0.1, max_dist=2 * scatter, start_radius=3 * scatter, draws_per_picture=draws)
        first = np.random.default_rng(5)
        return propose(feedback, np.zeros(D), geometry, config, first, 6, parents=parents(geometry, 4)).vectors

    near = [geometry.distance(proposed(draws)[:, None], parents(geometry, 4)[None]).min(axis=1) for draws in (1, 3)]
    aimed = [3] if isinstance(geometry, Shell) else [1, 3, 5]
    assert (near[0] > np.delete(near[1], aimed).max()).all()
    np.testing.assert_array_equal(proposed(3), proposed(3))
