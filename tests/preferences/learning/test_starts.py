"""The start modes against the predecessor's formulas."""

import numpy as np
import pytest

from preferences.learning.context import SearchContext
from preferences.learning.geometry import Ball, Shell
from preferences.learning.starts import NEEDS_GOOD, STARTS
from tests.preferences.learning.simulated import config, shell_rows

D = 64


@pytest.fixture
def goods():
    return np.random.default_rng(5).standard_normal((6, D)) / 8


@pytest.fixture
def anchor():
    return np.random.default_rng(6).standard_normal(D)


def start(key, goods, anchor, geometry=None, n=200, **settings):
    geometry = geometry or Ball(D, cap=0)
    return STARTS[key](goods, SearchContext(anchor, geometry, config(**settings), np.random.default_rng(7)), n)


def test_random_lies_at_the_start_radius(goods, anchor):
    found = start("random", goods, anchor, start_radius=0.8)
    np.testing.assert_allclose(np.linalg.norm(found - anchor, axis=1), 0.8)


@pytest.mark.parametrize(("key", "share"), [("prompt", 0), ("prompt_avg_good", 0.5), ("avg_good", 1)])
def test_points_lie_at_their_share_of_the_mean_with_a_third_of_the_scatter(key, share, goods, anchor):
    point = anchor + share * goods.mean(axis=0)
    found = start(key, goods, anchor, start_radius=0.9)
    np.testing.assert_allclose(np.linalg.norm(found - point, axis=1), 0.3)
    np.testing.assert_allclose(start(key, goods, anchor, start_radius=0), np.tile(point, (200, 1)))


def test_good_dist_draws_from_the_diagonal_gaussian_of_the_goods(goods, anchor):
    found = start("good_dist", goods, anchor, n=20_000)
    np.testing.assert_allclose(found.mean(axis=0), anchor + goods.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(found.std(axis=0), goods.std(axis=0), rtol=0.05)


def test_good_dist_of_one_good_stays_around_it(goods, anchor):
    found = start("good_dist", goods[:1], anchor, start_radius=0.9)
    np.testing.assert_allclose(np.linalg.norm(found - anchor - goods[0], axis=1), 0.3)


@pytest.mark.parametrize("key", STARTS)
@pytest.mark.parametrize("geometry", [Shell(D), Ball(D, cap=0.5)])
def test_every_start_stays_in_its_space_and_repeats_nothing(key, geometry):
    X, y, anchor = shell_rows(8, D)
    if isinstance(geometry, Ball):
        X, anchor = X / 50, 0 * anchor
    found = start(key, X[y > 0], anchor, geometry, n=20, start_radius=90 if key == "random" else 0.4)
    np.testing.assert_allclose(geometry.project(found), found, atol=1e-9)
    apart = geometry.distance(found[:, None], found[None])
    assert (apart[~np.eye(20, dtype=bool)] > 0.01).all()


@pytest.mark.parametrize("key", sorted(set(STARTS) - NEEDS_GOOD))
def test_without_goods_the_others_still_start(key, anchor):
    assert np.isfinite(start(key, np.zeros((0, D)), anchor, n=3)).all()
