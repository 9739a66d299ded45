"""The sentences about what the learner goes by."""

import pytest

from preferences.learning.feedback import Counts
from preferences.learning.propose import Learned
from preferences.learning.reasons import Lack, Shortage
from preferences.sessions.learned_text import NEEDS, judged, no_search, note

SOME = Counts(good=1, bad=1, stars=3, choices=3)


def test_it_tells_a_person_what_was_judged():
    assert judged(SOME) == "1 good and 1 bad pictures, 3 pictures with stars, 3 choices"
    assert judged(Counts(choices=1)) == "1 choice"
    assert judged(Counts(stars=1)) == "1 picture with stars"


@pytest.mark.parametrize("value_model", ["bayesian", "gaussian", "ridge", "xgboost"])
def test_a_model_and_how_its_batch_was_chosen(value_model):
    learned = Learned(value_model, SOME)
    assert note(learned).endswith(f" model learned from {judged(SOME)}.")
    assert note(learned, draws=3).endswith(
        "3 choices. Of 3 pictures drawn for each place you see the one whose looks it likes best."
    )


@pytest.mark.parametrize(
    ("value_model", "shortage", "sentence"),
    [
        ("bayesian", Shortage(Lack.RATINGS), "the Bayesian model needs a rating, there is none so far."),
        ("gaussian", Shortage(Lack.GOOD, 2), "the Gaussian model needs 2 good pictures, there are none so far."),
        ("gaussian", Shortage(Lack.GOOD, 2, 1), "the Gaussian model needs 2 good pictures, there is 1 so far."),
        (
            "ridge",
            Shortage(Lack.BAD_BESIDE_GOOD),
            "the Ridge model needs good and bad pictures, there is no bad one so far.",
        ),
        (
            "xgboost",
            Shortage(Lack.GOOD_BESIDE_BAD),
            "the XGBoost model needs good and bad pictures, there is no good one so far.",
        ),
    ],
)
def test_why_there_is_no_model(value_model, shortage, sentence):
    assert note(Learned(value_model, Counts(), shortage)) == f"Exploring: {sentence}"


def test_a_start_that_has_to_wait_is_told_in_the_same_sentence():
    without = Learned("bayesian", Counts(), Shortage(Lack.RATINGS), lacks_start=True)
    assert note(without) == (
        "Exploring: the Bayesian model needs a rating, there is none so far, and until there is a good one the start "
        "is Random."
    )


@pytest.mark.parametrize(
    ("shortage", "sentence"),
    [
        (Shortage(Lack.GOOD_OR_BAD, 6, 5), "a search needs 6 good or bad pictures, there are 5."),
        (Shortage(Lack.EARLIER_BATCHES), "a search needs good and bad pictures in more than the last batch."),
        (
            Shortage(Lack.BAD_BESIDE_GOOD),
            "the XGBoost model needs good and bad pictures, there is no bad one so far.",
        ),
    ],
)
def test_why_nothing_was_searched(shortage, sentence):
    assert no_search(shortage) == f"Nothing was searched: {sentence}"


def test_every_code_has_its_words():
    assert set(NEEDS) == set(Lack)
