"""Where nothing was liked, candidates stay as different as those of a first batch."""

import numpy as np
import pytest

from preferences.learning.evidence import MANY, reason_to_widen
from preferences.learning.feedback import Choice, Feedback, Label, Stars, Tie
from preferences.learning.geometry import Floats, Geometry
from preferences.learning.layout import geometry_of
from preferences.learning.propose import anchor_for, propose
from preferences.learning.reasons import WhyWide
from preferences.learning.value_models import VALUE_MODELS
from tests.preferences.learning.simulated import config

SHAPE = (4, 8, 8)
D = 256
N = 8
AS_WIDE = 0.95  # of a first batch: random ones differ by as much
SPACES = {
    "noise": (geometry_of(True, D, 90.0, SHAPE), SHAPE, {}),
    "embeddings": (geometry_of(False, D, 0.8), None, {"start_radius": 0.8, "max_dist": 0.8, "step_size": 0.02}),
}
# “Both bad” of a pair is two labels.
ALL_BAD = {
    "labels": lambda row, number: [Label(row + i, False, number) for i in range(N)],
    "stars": lambda row, number: [Stars(row + i, 1 + i % 2, number) for i in range(N)],
    "one of them": lambda row, number: [Label(row, False, number)],
}
LIKED = {
    "labels": lambda row, number: [Label(row + i, i < 3, number) for i in range(N)],
    "stars": lambda row, number: [Stars(row + i, 5 - i % 3, number) for i in range(N)],
    "a choice": lambda row, number: [Choice(row, (row + 1, row + 2), number)],
    "middling ones": lambda row, number: [Stars(row + i, 3 if i < 3 else 1, number) for i in range(N)],
}


def spread(z: Floats, geometry: Geometry) -> float:
    """Mean distance between two of them."""
    return float(np.mean([geometry.distance(z[i], z[j]) for i in range(len(z)) for j in range(i)]))


def session(space: str, answers, **changes):
    """The proposals of a session in which each batch is judged like this."""
    geometry, shape, lengths = SPACES[space]
    settings = config(start="avg_good", **(lengths | changes))
    anchor, rng = anchor_for("a lake", geometry), np.random.default_rng(3)
    X, judgments, proposals = np.zeros((0, D), np.float32), [], []
    for number, answer in enumerate([*answers, None]):
        proposals.append(propose(Feedback(X, tuple(judgments), shape), anchor, geometry, settings, rng, N))
        if answer is not None:
            judgments += answer(len(X), number)
            X = np.concatenate([X, proposals[-1].vectors - anchor])
    return proposals


@pytest.mark.parametrize("kind", ALL_BAD)
@pytest.mark.parametrize("value_model", VALUE_MODELS)
@pytest.mark.parametrize("space", SPACES)
def test_all_bad_does_not_narrow(space, value_model, kind):
    geometry = SPACES[space][0]
    first, *later = session(space, [ALL_BAD[kind]] * 5, value_model=value_model)
    for proposal in later:
        assert proposal.reason == WhyWide.NOTHING_LIKED
        assert spread(proposal.vectors, geometry) >= AS_WIDE * spread(first.vectors, geometry)
        assert (proposal.distances >= first.distances - 1e-3).all()


@pytest.mark.parametrize("value_model", VALUE_MODELS)
@pytest.mark.parametrize("space", SPACES)
def test_all_bad_lately_widens_again(space, value_model):
    geometry = SPACES[space][0]
    first, *later = session(space, [LIKED["labels"], *[ALL_BAD["labels"]] * 3], value_model=value_model)
    assert [proposal.reason for proposal in later] == [
        None,
        None,
        WhyWide.NOTHING_LIKED_LATELY,
        WhyWide.NOTHING_LIKED_LATELY,
    ]
    assert spread(later[-1].vectors, geometry) >= AS_WIDE * spread(first.vectors, geometry)
    assert later[-1].scores is not None  # what was learned of the good ones is still there


@pytest.mark.parametrize("kind", LIKED)
def test_who_likes_something_is_followed(kind):
    first, *later = session("noise", [LIKED[kind]] * 3)
    geometry = SPACES["noise"][0]
    assert {proposal.reason for proposal in later} == {None}
    assert spread(later[-1].vectors, geometry) < 0.8 * spread(first.vectors, geometry)


def test_bad_batches_are_no_reason_to_come_closer():
    """After one liked batch candidates scatter as far whether or not bad ones went before it."""
    geometry = SPACES["noise"][0]
    sooner = session("noise", [LIKED["labels"]])[-1]
    later = session("noise", [*[ALL_BAD["labels"]] * 6, LIKED["labels"]])[-1]
    assert later.model.batches == sooner.model.batches == 1
    assert spread(later.vectors, geometry) > 0.9 * spread(sooner.vectors, geometry)


def test_new_ones_keep_away_from_what_was_bad():
    """In embeddings of few numbers that shows: all that was bad lies on one side."""
    geometry, anchor = geometry_of(False, 2, 0.8), np.zeros(2)
    settings = config(start_radius=0.8, max_dist=0.8, step_size=0.02)
    bad = np.array([[0.8, y] for y in np.linspace(-0.5, 0.5, 8)], np.float32)
    feedback = Feedback(bad, tuple(Label(i, False) for i in range(8)))
    found = [propose(feedback, anchor, geometry, settings, np.random.default_rng(seed), 1) for seed in range(50)]
    sides = np.array([proposal.vectors[0, 0] for proposal in found])
    assert np.mean(sides < 0) > 0.9


def test_why_it_widens():
    X = np.zeros((40, 3), np.float32)
    bad = [Label(i, False, 1 + i // 8) for i in range(1, 1 + MANY)]
    assert reason_to_widen(Feedback(X, ())) is None
    assert reason_to_widen(Feedback(X, (Tie(0, 1), Stars(2, 3)))) == WhyWide.NO_PREFERENCE
    assert reason_to_widen(Feedback(X, (Tie(0, 1), Label(2, False)))) == WhyWide.NOTHING_LIKED
    assert reason_to_widen(Feedback(X, (Label(0, True), *bad))) == WhyWide.NOTHING_LIKED_LATELY
    assert reason_to_widen(Feedback(X, (Label(0, True), *bad[1:]))) is None
    assert reason_to_widen(Feedback(X, (Label(0, True, 9), *bad))) is None
