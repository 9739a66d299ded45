"""The search for the settings of XGBoost, one trial at a time."""

import dataclasses

import numpy as np
import pytest

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Feedback
from preferences.learning.reasons import CannotFit
from preferences.learning.search import SPACE, later_loss, next_trial
from preferences.sessions.learned_text import no_search

CONFIG = LearningConfig(step_size=1, max_dist=45, start_radius=90)


def ratings(rows: int = 48, noise: float = 0.0) -> Feedback:
    """Good where the first number is above 0, in batches of 8."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((rows, 6)).astype(np.float32)
    y = np.where(X[:, 0] + noise * rng.standard_normal(rows) > 0, 1.0, -1.0)
    return Feedback.of_labels(X, y, [row // 8 for row in range(rows)])


def search(feedback: Feedback, count: int, seed: int = 1):
    tried = []
    for _ in range(count):
        tried.append(next_trial(feedback, CONFIG, tried, seed))
    return tried


def test_starts_with_the_present_settings_and_finds_better_ones():
    feedback = ratings(noise=0.7)
    tried = search(feedback, 15)
    assert tried[0].settings == {name: getattr(CONFIG, name) for name in SPACE}
    assert tried[0].loss == later_loss(feedback, CONFIG)
    best = min(tried, key=lambda trial: trial.loss)
    assert best.loss < tried[0].loss
    assert later_loss(feedback, dataclasses.replace(CONFIG, **best.settings)) == best.loss


def test_the_same_search_again():
    assert search(ratings(), 4) == search(ratings(), 4)
    assert search(ratings(), 4) != search(ratings(), 4, seed=2)


def test_all_settings_are_varied():
    tried = search(ratings(), 4)
    assert len(SPACE) == 8
    for name in SPACE:
        assert len({trial.settings[name] for trial in tried}) > 1, name


def test_a_search_begun_with_fewer_settings_goes_on():
    first = next_trial(ratings(), CONFIG, [], 1)
    older = dataclasses.replace(first, settings={"xgboost_trees": 50, "xgboost_depth": 8, "xgboost_learning_rate": 0.1})
    assert next_trial(ratings(), CONFIG, [older], 1).settings.keys() == SPACE.keys()


def test_settings_from_outside_of_what_is_searched_are_tried_too():
    config = dataclasses.replace(CONFIG, xgboost_depth=20)
    first = next_trial(ratings(), config, [], 1)
    assert first.settings["xgboost_depth"] == 20
    assert next_trial(ratings(), config, [first], 1).settings["xgboost_depth"] <= 10


def test_fitted_to_earlier_batches_only():
    """With the ratings of the last batches turned round, the loss must rise: they are what is foretold."""
    feedback = ratings()
    turned = np.where(feedback.batch_numbers >= 4, -feedback.ratings, feedback.ratings)
    other = Feedback.of_labels(feedback.X, turned, feedback.batch_numbers)
    assert later_loss(other, CONFIG) > later_loss(feedback, CONFIG) + 0.3


@pytest.mark.parametrize(
    ("rows", "y", "message"),
    [
        (5, [1, -1, 1, -1, 1], "needs 6"),
        (8, [1] * 8, "no bad"),
        (10, [1] * 9 + [-1], "in more than the last"),
    ],
)
def test_too_little_to_go_by(rows, y, message):
    X = np.random.default_rng(0).standard_normal((rows, 3)).astype(np.float32)
    with pytest.raises(CannotFit) as found:
        next_trial(Feedback.of_labels(X, np.array(y)), CONFIG, [], 1)
    assert message in no_search(found.value.shortage)
