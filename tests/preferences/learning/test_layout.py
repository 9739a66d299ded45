import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn

from preferences.learning.feedback import Feedback, Label
from preferences.learning.layout import BandedShell, frequencies, geometry_of, weigh
from preferences.learning.value_models import BayesianModel
from tests.preferences.learning.simulated import config

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(st.integers(1, 4), st.integers(2, 9), st.integers(2, 9))


def normal(seed, n, shape):
    return np.random.default_rng(seed).standard_normal((n, int(np.prod(shape))))


def octaves(shell, z):
    """Norm of each octave [n, bands]."""
    found = dctn(z.reshape(-1, *shell.shape), axes=(2, 3), norm="ortho").reshape(len(z), -1)
    return np.stack([np.linalg.norm(found[:, band], axis=1) for band in shell.bands], axis=1)


@settings(deadline=None)
@given(SEEDS, SHAPES, st.floats(0, 180))
def test_no_move_makes_an_octave_louder(seed, shape, degrees):
    shell = BandedShell(int(np.prod(shape)), shape)
    z = shell.project(normal(seed, 3, shape))
    white = np.sqrt([len(band) for band in shell.bands])
    low = np.ones(z.shape)  # a direction of the lowest frequency alone
    for moved in (
        z,
        shell.move(z, normal(seed + 1, 3, shape), degrees),
        shell.climb(z, low, degrees),
        shell.limit(z, normal(seed + 2, 3, shape), degrees),
        shell.random_move(z, degrees, np.random.default_rng(seed)),
    ):
        np.testing.assert_allclose(octaves(shell, moved), np.tile(white, (3, 1)), rtol=1e-9)
        assert np.linalg.norm(moved, axis=1) == pytest.approx(np.sqrt(shell.dimension))


@settings(deadline=None)
@given(SEEDS, SHAPES, st.floats(1, 170))
def test_it_keeps_to_the_angle_that_it_was_given(seed, shape, degrees):
    shell = BandedShell(int(np.prod(shape)), shape)
    z, centre = (shell.project(normal(seed + i, 3, shape)) for i in range(2))
    assert (shell.distance(shell.move(z, centre, degrees), z) <= degrees + 1e-5).all()
    assert (shell.distance(shell.climb(z, centre, degrees), z) <= degrees + 1e-5).all()
    assert (shell.distance(shell.limit(z, centre, degrees), centre) <= degrees + 1e-5).all()


def test_a_climb_stops_on_top():
    shell = BandedShell(64, (1, 8, 8))
    z, way = (shell.project(normal(seed, 1, (1, 8, 8))) for seed in range(2))
    np.testing.assert_allclose(shell.climb(z, way, 180), way, atol=1e-6)


def test_octaves_are_all_the_numbers_each_once():
    shell = BandedShell(4 * 16 * 24, (4, 16, 24))
    assert sorted(np.concatenate(shell.bands)) == list(range(shell.dimension))
    assert [len(band) for band in shell.bands][:2] == [4 * 3, 4 * 3]  # mean and single half waves; up to 2 of them
    with pytest.raises(ValueError, match="must have 10 numbers"):
        BandedShell(10, (1, 3, 3))


def test_frequencies_count_half_waves_whatever_the_size():
    for size in (8, 64):
        wave = np.cos(np.pi * 3 * (np.arange(size) + 0.5) / size)  # three half waves from left to right
        found = np.abs(dctn(np.tile(wave, (size, 1)), norm="ortho"))
        assert frequencies((1, size, size)).ravel()[found.argmax()] == 3


def test_weights_of_a_smooth_taste_need_few_ratings():
    """The brightest side of 1,024 numbers is liked: 40 labels tell little to who expects no such thing."""
    shape, rng = (4, 16, 16), np.random.default_rng(0)
    ramp = np.broadcast_to(np.linspace(-1, 1, 16), shape).ravel()
    X = rng.standard_normal((2000, 1024)).astype(np.float32)
    labels = tuple(Label(i, bool(X[i] @ ramp > 0)) for i in range(40))

    def known(shape):
        model = BayesianModel.fit(Feedback(X[:40], labels, shape), config())
        return np.corrcoef(model.utility(X[40:]), X[40:] @ ramp)[0, 1]

    assert known(shape) > 0.7
    assert known(None) < 0.3


def test_a_smooth_model_knows_its_spread_and_is_saved_whole():
    shape = (2, 4, 6)
    X = normal(0, 12, shape).astype(np.float32)
    model = BayesianModel.fit(Feedback(X, tuple(Label(i, i % 2 == 0) for i in range(12)), shape), config())
    weighed = weigh(X, shape)
    prior = np.sqrt(model.scale * np.sum(X * weighed, axis=1))
    spread = model.predict(X).spread
    assert (spread > 0).all()
    assert (spread < prior).all()
    np.testing.assert_array_equal(BayesianModel.load(model.save()).predict(X).spread, spread)


def test_weighing_is_a_covariance():
    shape = (2, 4, 6)
    matrix = weigh(np.eye(48), shape)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_each_kind_of_space_has_its_geometry():
    assert type(geometry_of(True, 64, 90.0, (1, 8, 8))).__name__ == "BandedShell"
    assert type(geometry_of(True, 64, 90.0)).__name__ == "Shell"
    assert type(geometry_of(False, 64, 0.8)).__name__ == "Ball"
