import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preferences.learning.geometry import Ball, Shell

SEEDS = st.integers(0, 2**32 - 1)
DIMENSIONS = st.integers(2, 200)


def normal(seed, n, dimension):
    return np.random.default_rng(seed).standard_normal((n, dimension))


@settings(deadline=None)
@given(SEEDS, DIMENSIONS, st.floats(0, 180))
def test_shell_move_keeps_the_norm_and_goes_as_far_as_asked(seed, dimension, degrees):
    shell = Shell(dimension)
    z = shell.project(normal(seed, 3, dimension))
    moved = shell.move(z, normal(seed + 1, 3, dimension), degrees)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), np.sqrt(dimension), rtol=1e-9)
    np.testing.assert_allclose(shell.distance(moved, z), degrees, atol=1e-5)


@settings(deadline=None)
@given(SEEDS, DIMENSIONS, st.floats(0.01, 10))
def test_ball_move_goes_as_far_as_asked(seed, dimension, length):
    ball = Ball(dimension, cap=0)
    z = normal(seed, 3, dimension)
    moved = ball.move(z, normal(seed + 1, 3, dimension), length)
    np.testing.assert_allclose(ball.distance(moved, z), length, rtol=1e-9)


@settings(deadline=None)
@given(SEEDS, DIMENSIONS, st.floats(0.1, 170), st.booleans())
def test_limit_holds_and_leaves_what_is_inside_alone(seed, dimension, radius, on_shell):
    geometry = Shell(dimension) if on_shell else Ball(dimension, cap=0)
    z, centre = (geometry.project(normal(seed + i, 4, dimension)) for i in range(2))
    limited = geometry.limit(z, centre, radius)
    assert (geometry.distance(limited, centre) <= radius + 1e-5).all()
    inside = geometry.distance(z, centre) <= radius
    np.testing.assert_allclose(limited[inside], z[inside], rtol=1e-12)
    np.testing.assert_allclose(geometry.limit(z, centre, 0), z, rtol=1e-12)


@settings(deadline=None)
@given(SEEDS, DIMENSIONS, st.floats(0.1, 5))
def test_cap_holds_after_every_move(seed, dimension, cap):
    ball = Ball(dimension, cap=cap)
    z = ball.project(10 * normal(seed, 3, dimension))
    assert (np.linalg.norm(z, axis=1) <= cap + 1e-9).all()
    assert (np.linalg.norm(ball.move(z, z, 7.0), axis=1) <= cap + 1e-9).all()


def test_limit_pulls_back_along_the_geodesic():
    shell = Shell(4)
    centre, z = 2 * np.eye(4)[:1], 2 * np.eye(4)[1:2]
    expected = [[2 * np.cos(np.pi / 6), 2 * np.sin(np.pi / 6), 0, 0]]
    np.testing.assert_allclose(shell.limit(z, centre, 30), expected, atol=1e-12)


def test_distances_have_the_space_s_unit():
    a, b = np.eye(2, 3)
    assert Shell(3).distance(a, b) == pytest.approx(90)
    assert Ball(3, 0).distance(a, b) == pytest.approx(np.sqrt(2))


def test_degenerate_vectors_stay_finite_and_in_the_space():
    shell = Shell(3)
    assert np.linalg.norm(shell.project(np.zeros((1, 3)))) == pytest.approx(np.sqrt(3))
    assert np.linalg.norm(shell.project(np.full((1, 3), 1e-300))) == pytest.approx(np.sqrt(3))
    z = shell.project(np.ones((1, 3)))
    np.testing.assert_allclose(shell.move(z, z, 50), z)  # no tangent: it stays
    np.testing.assert_allclose(shell.limit(-z, z, 10), z)  # opposite: every way back is as short
    np.testing.assert_array_equal(Ball(3, 1).move(np.zeros((1, 3)), np.zeros(3), 1), np.zeros((1, 3)))


@pytest.mark.parametrize("geometry", [Shell(3), Ball(3, 0)])
def test_bad_input_is_named_with_its_shape(geometry):
    with pytest.raises(ValueError, match=r"z must have shape \[n, 3\], not \[2, 4\]"):
        geometry.project(np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"z \[1, 3\] holds numbers that are not finite"):
        geometry.project(np.array([[1, np.nan, 0]]))
    with pytest.raises(ValueError, match=r"direction must have shape \[n, 3\], not \[1, 2\]"):
        geometry.move(np.ones((1, 3)), np.ones(2), 1)
    with pytest.raises(ValueError, match="radius"):
        geometry.limit(np.ones((1, 3)), np.ones(3), -1)
