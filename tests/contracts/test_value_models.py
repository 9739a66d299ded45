"""What every value model promises; a new line in VALUE_MODELS is a new row here."""

import dataclasses
import re

import numpy as np
import pytest

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Choice, Counts, Feedback, Label, Stars, Tie
from preferences.learning.optimisers import OPTIMISERS
from preferences.learning.propose import Learned
from preferences.learning.reasons import CannotFit
from preferences.learning.value_models import VALUE_MODELS, BayesianModel
from preferences.sessions.learned_text import note

CONFIG = LearningConfig(step_size=1, max_dist=45, start_radius=90)
D = 12

pytestmark = pytest.mark.parametrize("model_class", VALUE_MODELS.values(), ids=VALUE_MODELS)


def ratings(rows=60, seed=3):
    """Rows that differ in the first number only: the good ones have it near +2, the bad ones near -2."""
    X = np.random.default_rng(seed).standard_normal((rows, D)).astype(np.float32)
    y = np.where(np.arange(rows) % 2 == 0, 1.0, -1.0)
    X[:, 0] += 2 * y
    return X, y


def feedback_of(X, y) -> Feedback:
    return Feedback.of_labels(X, y)


def test_ranks_the_good_above_the_bad_on_new_rows(model_class):
    model = model_class.fit(feedback_of(*ratings()), CONFIG)
    X, y = ratings(200, seed=4)
    scores = model.predict(X).mean
    assert scores.shape == (200,)
    better = scores[y > 0][:, None] > scores[y < 0]
    assert better.mean() > 0.8


def test_more_numbers_than_rows(model_class):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6, 500)).astype(np.float32)
    y = np.array([1, -1, 1, -1, 1, -1])
    assert np.isfinite(model_class.fit(feedback_of(X, y), CONFIG).predict(X).mean).all()


def test_saved_and_loaded_it_predicts_the_same(model_class):
    X, y = ratings()
    model = model_class.fit(feedback_of(X, y), CONFIG)
    again = model_class.load(model.save())
    for loaded, fitted in zip(again.predict(X), model.predict(X), strict=True):
        np.testing.assert_array_equal(loaded, fitted)
    np.testing.assert_array_equal(again.utility(X), model.utility(X))
    np.testing.assert_allclose(model.utility(X), model.predict(X).mean, rtol=1e-4, atol=1e-5)  # X is float32
    assert again.metrics() == model.metrics()
    assert again.save() == model.save()


def test_refuses_the_bytes_of_another_model(model_class):
    for other in VALUE_MODELS.values():
        if other is not model_class:
            with pytest.raises(ValueError, match=f"expected a saved {model_class.label}"):
                model_class.load(other.fit(feedback_of(*ratings()), CONFIG).save())


def assert_is_one_sentence(error, model_class):
    (key,) = [key for key, one in VALUE_MODELS.items() if one is model_class]
    sentence = note(Learned(key, Counts(), error.shortage))
    assert re.match(rf"Exploring: the {model_class.label} model needs .*\.$", sentence)


def test_no_rating_is_one_sentence(model_class):
    with pytest.raises(CannotFit) as found:
        model_class.fit(feedback_of(np.zeros((0, D), np.float32), np.ones(0)), CONFIG)
    assert_is_one_sentence(found.value, model_class)


@pytest.mark.parametrize(("rows", "rating"), [(1, 1), (60, -1)], ids=["one good", "all bad"])
def test_ratings_of_one_class_are_one_sentence_or_a_model(model_class, rows, rating):
    """Who needs both says so; the Bayesian model at least knows what to go for, or to avoid."""
    feedback = feedback_of(ratings()[0][:rows], np.full(rows, rating))
    if model_class is BayesianModel:
        assert np.isfinite(model_class.fit(feedback, CONFIG).utility(feedback.X)).all()
    else:
        with pytest.raises(CannotFit) as found:
            model_class.fit(feedback, CONFIG)
        assert_is_one_sentence(found.value, model_class)


def test_it_learns_from_every_kind_of_judgment(model_class):
    """Whatever the way of asking, the fitted model puts what was preferred above what was not."""
    X, y = ratings(40)
    goods, bads = np.flatnonzero(y > 0), np.flatnonzero(y < 0)
    ways = {
        "stars": [Stars(int(i), 5 if y[i] > 0 else 1) for i in range(40)],
        "pairs": [Choice(int(a), (int(b),)) for a, b in zip(goods, bads, strict=True)],
        "best": [Choice(int(a), tuple(int(b) for b in bads[:5])) for a in goods],
        "mixed": [Label(int(goods[0]), True), Tie(int(goods[1]), int(goods[2])), Stars(int(bads[0]), 1)]
        + [Choice(int(a), (int(b),)) for a, b in zip(goods, bads, strict=True)],
    }
    for way, judgments in ways.items():
        utility = model_class.fit(Feedback(X, tuple(judgments)), CONFIG).utility(X)
        assert (utility[goods][:, None] > utility[bads]).mean() > 0.7, way


def test_wrong_shapes_are_named(model_class):
    model = model_class.fit(feedback_of(*ratings()), CONFIG)
    with pytest.raises(ValueError, match=r"X must have shape \[n, 12\], not \[60, 11\]"):
        model.predict(ratings()[0][:, 1:])


def test_there_is_none_before_fit_and_none_changes_after(model_class):
    with pytest.raises(TypeError, match="required positional arguments"):
        model_class()
    model = model_class.fit(feedback_of(*ratings()), CONFIG)
    for field in dataclasses.fields(model):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(model, field.name, None)


def test_identical_rows_give_finite_numbers(model_class):
    X, y = np.ones((6, D), np.float32), ratings(6)[1]
    model = model_class.fit(feedback_of(X, y), CONFIG)
    assert np.isfinite(model.predict(X).mean).all()
    assert all(np.isfinite(value) for value in model.metrics().values())


def test_large_and_constant_numbers_do_not_break_it(model_class):
    X, y = ratings()
    X[:, 5] = 7.0
    for scale in (1e6, 1e-6):
        utility = model_class.fit(feedback_of(X * np.float32(scale), y), CONFIG).utility(X * np.float32(scale))
        assert np.isfinite(utility).all()


def test_the_order_of_labels_does_not_matter(model_class):
    X, y = ratings()
    order = np.random.default_rng(1).permutation(len(y))
    one, other = model_class.fit(feedback_of(X, y), CONFIG), model_class.fit(feedback_of(X[order], y[order]), CONFIG)
    np.testing.assert_allclose(one.utility(X), other.utility(X), atol=1e-3)


def test_its_optimisers_exist(model_class):
    assert model_class.optimisers
    assert set(model_class.optimisers) <= set(OPTIMISERS)
