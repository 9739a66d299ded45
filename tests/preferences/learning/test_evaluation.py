"""Whether a model knows anything: by batches that were rated after what it learned from."""

import numpy as np
import pytest

from preferences.learning.evaluation import better_pairs, held_out_accuracy, latest_first
from preferences.learning.feedback import Choice, Feedback, Judgment, Label, Stars, Tie
from preferences.learning.geometry import Shell
from preferences.learning.propose import propose
from preferences.learning.value_models import VALUE_MODELS, RidgeModel
from tests.preferences.learning.simulated import config


def test_held_out_accuracy_tells_knowledge_from_chance():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((120, 10))
    numbers = np.arange(120) // 8
    taste, tosses = np.where(X[:, 0] > 0, 1.0, -1.0), rng.choice([-1.0, 1.0], 120)
    for name, model in VALUE_MODELS.items():
        knows = held_out_accuracy(model, Feedback.of_labels(X, taste, numbers), config(), np.inf)
        guesses = held_out_accuracy(model, Feedback.of_labels(X, tosses, numbers), config(), np.inf)
        assert knows > (0.6 if name == "gaussian" else 0.75), name
        assert 0.3 < guesses < 0.7, name
    assert np.isnan(held_out_accuracy(RidgeModel, Feedback.of_labels(X[:6], taste[:6]), config(), np.inf))


def test_better_pairs_compare_within_a_batch_only():
    judgments = [Label(0, True, 0), Label(1, False, 0), Label(2, True, 1), Stars(3, 2, 1), Choice(4, (0, 1)), Tie(0, 1)]
    assert set(better_pairs(judgments)) == {(0, 1), (2, 3), (4, 0), (4, 1)}


def test_held_out_accuracy_is_not_misled_by_what_came_later():
    """A person compares pairs by a linear taste, Ridge proposes: cross-validation said 13 %."""
    d, geometry, settings = 1024, Shell(1024), config(value_model="ridge", start="avg_good")
    accuracies = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        taste, anchor = rng.standard_normal(d), geometry.project(rng.standard_normal((1, d)))[0]
        shown, z = geometry.project(rng.standard_normal((8, d))), np.zeros((0, d))
        judgments: list[Judgment] = []
        for number in range(8):
            first, utility = len(z), shown @ taste
            z = np.concatenate([z, shown])
            for i in range(0, 8, 2):
                better, worse = (i, i + 1) if utility[i] > utility[i + 1] else (i + 1, i)
                judgments.append(Choice(first + better, (first + worse,), number))
            feedback = Feedback(z - anchor, tuple(judgments))
            shown = propose(feedback, anchor, geometry, settings, rng, 8).vectors
        accuracies.append(held_out_accuracy(RidgeModel, feedback, settings, np.inf))
    assert np.mean(accuracies) > 0.5


def test_a_model_that_tells_nothing_apart_has_no_held_out_accuracy():
    rng = np.random.default_rng(8)
    rows = rng.standard_normal((6, 10))
    X = np.repeat(rows, 8, axis=0)  # eight times the same picture in each batch
    y = rng.choice([-1.0, 1.0], len(X))
    assert np.isnan(held_out_accuracy(RidgeModel, Feedback.of_labels(X, y, np.arange(48) // 8), config(), np.inf))


def test_two_batches_at_least_are_held_out_and_never_the_first():
    assert latest_first(set()) == latest_first({4}) == latest_first({4, 7}) == []
    assert latest_first({4, 7, 9}) == [{7, 9}]
    assert latest_first({1, 2, 3, 5, 8}) == [{5, 8}, {3}, {2}]


def test_no_further_fit_is_begun_when_time_is_up(monkeypatch: pytest.MonkeyPatch):
    """Also where the model tells nothing apart, so that pairs enough never come."""
    X, y = np.ones((80, 5)), np.tile([1.0, -1.0], 40)
    fits = []
    fit = RidgeModel.fit
    monkeypatch.setattr(RidgeModel, "fit", lambda *given: fits.append(1) or fit(*given))
    held_out_accuracy(RidgeModel, Feedback.of_labels(X, y, np.arange(80) // 8), config(), 0.0)
    assert len(fits) == 1
