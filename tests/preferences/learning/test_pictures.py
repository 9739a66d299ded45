"""The model of looks finds out by which of several views a person goes."""

import numpy as np
import pytest

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Label
from preferences.learning.pictures import PictureModel
from preferences.learning.value_models import CannotFit

CONFIG = LearningConfig(step_size=1.0, max_dist=0.0, start_radius=1.0)
RATED, ALL = 48, 400


def looks(seed: int) -> dict[str, np.ndarray]:
    """Three views of ALL pictures; the first has the largest numbers by far, and off zero."""
    rng = np.random.default_rng(seed)
    return {
        "encoder": 100 * rng.standard_normal((ALL, 96)) + 700,
        "colours": rng.standard_normal((ALL, 30)) * np.linspace(1, 0.1, 30),
        "detail": 0.01 * rng.standard_normal((ALL, 8)),
    }


def labels(worth: np.ndarray) -> tuple[Label, ...]:
    """Every batch of 8 in turn: good is what is better than the batch's middle."""
    batches = worth[:RATED].reshape(-1, 8)
    good = (batches > np.median(batches, axis=1, keepdims=True)).ravel()
    return tuple(Label(row, bool(one), row // 8) for row, one in enumerate(good))


def learn(seen: dict[str, np.ndarray], worth: np.ndarray) -> PictureModel:
    return PictureModel.learn({view: rows[:RATED] for view, rows in seen.items()}, labels(worth), CONFIG)


def match(model: PictureModel, seen: dict[str, np.ndarray], worth: np.ndarray) -> float:
    """Correlation of what it expects with the truth, of pictures that nobody rated."""
    told = model.worth({view: rows[RATED:] for view, rows in seen.items()})
    return float(np.corrcoef(told, worth[RATED:])[0, 1])


@pytest.mark.parametrize("view", ["encoder", "colours", "detail"])
def test_it_finds_the_view_that_counts(view):
    """Told all views it knows nearly as much as told the right one; no scale of numbers drowns another."""
    found, alone = [], []
    for seed in range(4):
        seen = looks(seed)
        worth = (seen[view] - seen[view].mean(0))[:, 0]
        found.append(match(learn(seen, worth), seen, worth))
        alone.append(match(learn({view: seen[view]}, worth), {view: seen[view]}, worth))
    assert np.mean(found) > 0.85 * np.mean(alone) > 0


def test_two_views_can_count_at_once():
    seen = looks(1)
    worth = seen["colours"][:, 0] + 100 * seen["detail"][:, 0]
    both = match(learn(seen, worth), seen, worth)
    for view in ("colours", "detail"):
        assert both > match(learn({view: seen[view]}, worth), {view: seen[view]}, worth)


def test_a_view_that_is_missing_leaves_it_to_the_others():
    seen = looks(2)
    worth = seen["colours"][:, 0]
    model = learn(seen, worth)
    del seen["encoder"]
    assert match(model, seen, worth) > 0.6


def test_the_best_come_first_and_never_more_than_half():
    seen = looks(3)
    model = learn(seen, seen["colours"][:, 0])
    told = model.worth(seen)
    best = model.best(seen, 5)
    assert list(told[best]) == sorted(told, reverse=True)[:5]
    assert list(model.best({view: rows[:7] for view, rows in seen.items()}, 5)) == list(np.argsort(-told[:7])[:4])


def test_a_view_in_which_all_are_alike_does_no_harm():
    seen = looks(4)
    worth = seen["colours"][:, 0]
    seen["detail"][:] = 0.25
    assert match(learn(seen, worth), seen, worth) > 0.6


@pytest.mark.parametrize(("seen", "said"), [({}, ()), ({}, (Label(0, True),)), ({"detail": np.zeros((1, 2))}, ())])
def test_without_looks_or_ratings_it_cannot_fit(seen, said):
    with pytest.raises(CannotFit):
        PictureModel.learn(seen, said, CONFIG)
