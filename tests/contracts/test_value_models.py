"""What every value model promises; a new line in VALUE_MODELS is a new row here."""

import numpy as np
import pytest

from preferences.learning.config import LearningConfig
from preferences.learning.optimisers import OPTIMISERS
from preferences.learning.value_models import VALUE_MODELS, CannotFit

CONFIG = LearningConfig(step_size=1, max_dist=45, start_radius=90)
D = 12

pytestmark = pytest.mark.parametrize("model_class", VALUE_MODELS.values(), ids=VALUE_MODELS)


def ratings(rows=60, seed=3):
    """Rows that differ in the first number only: the good ones have it near +2, the bad ones near -2."""
    X = np.random.default_rng(seed).standard_normal((rows, D)).astype(np.float32)
    y = np.where(np.arange(rows) % 2 == 0, 1.0, -1.0)
    X[:, 0] += 2 * y
    return X, y


def test_ranks_the_good_above_the_bad_on_new_rows(model_class):
    model = model_class().fit(*ratings(), CONFIG)
    X, y = ratings(200, seed=4)
    scores = model.predict(X)
    assert scores.shape == (200,)
    better = scores[y > 0][:, None] > scores[y < 0]
    assert better.mean() > 0.8


def test_more_numbers_than_rows(model_class):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6, 500)).astype(np.float32)
    y = np.array([1, -1, 1, -1, 1, -1])
    assert np.isfinite(model_class().fit(X, y, CONFIG).predict(X)).all()


def test_saved_and_loaded_it_predicts_the_same(model_class):
    X, y = ratings()
    model = model_class().fit(X, y, CONFIG)
    again = model_class.load(model.save())
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.metrics() == model.metrics()
    assert again.save() == model.save()


def test_refuses_the_bytes_of_another_model(model_class):
    for other in VALUE_MODELS.values():
        if other is not model_class:
            with pytest.raises(ValueError, match=f"expected a saved {model_class.label}"):
                model_class.load(other().fit(*ratings(), CONFIG).save())


@pytest.mark.parametrize("good", [0, 1])
def test_too_few_ratings_is_one_sentence(model_class, good):
    X, y = np.zeros((good, D), np.float32), np.ones(good)
    with pytest.raises(CannotFit, match=rf"the {model_class.label} model needs .*\.$"):
        model_class().fit(X, y, CONFIG)


def test_only_bad_ones_is_one_sentence(model_class):
    with pytest.raises(CannotFit, match=r"needs .* good .* none so far|no good one"):
        model_class().fit(ratings()[0], -np.ones(60), CONFIG)


def test_wrong_shapes_and_values_are_named(model_class):
    X, y = ratings()
    with pytest.raises(ValueError, match=r"X \[60, 12\] and y \[59\]"):
        model_class().fit(X, y[:-1], CONFIG)
    with pytest.raises(ValueError, match=r"y \[60\] must hold \+1 and -1 only"):
        model_class().fit(X, y * 0, CONFIG)
    with pytest.raises(ValueError, match=r"X \[60, 12\] holds numbers that are not finite"):
        model_class().fit(X * np.inf, y, CONFIG)
    model = model_class().fit(X, y, CONFIG)
    with pytest.raises(ValueError, match=r"X must have shape \[n, 12\], not \[60, 11\]"):
        model.predict(X[:, 1:])


def test_before_fit_it_says_so(model_class):
    for call in (model_class().save, model_class().metrics, lambda: model_class().predict(np.zeros((1, D)))):
        with pytest.raises(ValueError, match="not fitted yet"):
            call()


def test_identical_rows_give_finite_numbers(model_class):
    X, y = np.ones((6, D), np.float32), ratings(6)[1]
    model = model_class().fit(X, y, CONFIG)
    assert np.isfinite(model.predict(X)).all()
    assert all(np.isfinite(value) for value in model.metrics().values())


def test_its_optimiser_exists(model_class):
    assert model_class.optimiser in OPTIMISERS
