"""The model of features finds out by which of several encoders a person goes."""

import numpy as np
import pytest

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Label
from preferences.learning.pictures import PictureModel
from preferences.learning.reasons import CannotFit

CONFIG = LearningConfig(step_size=1.0, max_dist=0.0, start_radius=1.0)
RATED, ALL = 48, 400


def features_of(seed: int) -> dict[str, np.ndarray]:
    """By three encoders of ALL pictures; the first has the largest numbers by far, and off zero."""
    rng = np.random.default_rng(seed)
    return {
        "encoder": 100 * rng.standard_normal((ALL, 96)) + 700,
        "colours": rng.standard_normal((ALL, 30)) * np.linspace(1, 0.1, 30),
        "detail": 0.01 * rng.standard_normal((ALL, 8)),
    }


def labels(utility: np.ndarray) -> tuple[Label, ...]:
    """Every batch of 8 in turn: good is what is better than the batch's middle."""
    batches = utility[:RATED].reshape(-1, 8)
    good = (batches > np.median(batches, axis=1, keepdims=True)).ravel()
    return tuple(Label(row, bool(one), row // 8) for row, one in enumerate(good))


def fit(features: dict[str, np.ndarray], utility: np.ndarray) -> PictureModel:
    return PictureModel.fit({encoder: rows[:RATED] for encoder, rows in features.items()}, labels(utility), CONFIG)


def match(model: PictureModel, features: dict[str, np.ndarray], utility: np.ndarray) -> float:
    """Correlation of what it expects with the truth, of pictures that nobody rated."""
    predicted = model.utility({encoder: rows[RATED:] for encoder, rows in features.items()})
    return float(np.corrcoef(predicted, utility[RATED:])[0, 1])


@pytest.mark.parametrize("encoder", ["encoder", "colours", "detail"])
def test_it_finds_the_encoder_that_counts(encoder):
    """By all encoders it predicts nearly as well as by the right one alone; no scale of numbers drowns another."""
    found, alone = [], []
    for seed in range(4):
        features = features_of(seed)
        utility = (features[encoder] - features[encoder].mean(0))[:, 0]
        found.append(match(fit(features, utility), features, utility))
        alone.append(match(fit({encoder: features[encoder]}, utility), {encoder: features[encoder]}, utility))
    assert np.mean(found) > 0.85 * np.mean(alone) > 0


def test_two_encoders_can_count_at_once():
    features = features_of(1)
    utility = features["colours"][:, 0] + 100 * features["detail"][:, 0]
    both = match(fit(features, utility), features, utility)
    for encoder in ("colours", "detail"):
        assert both > match(fit({encoder: features[encoder]}, utility), {encoder: features[encoder]}, utility)


def test_an_encoder_that_is_missing_leaves_it_to_the_others():
    features = features_of(2)
    utility = features["colours"][:, 0]
    model = fit(features, utility)
    del features["encoder"]
    assert match(model, features, utility) > 0.6


def test_the_best_come_first_and_never_more_than_half():
    features = features_of(3)
    model = fit(features, features["colours"][:, 0])
    predicted = model.utility(features)
    best = model.best(features, 5)
    assert list(predicted[best]) == sorted(predicted, reverse=True)[:5]
    assert list(model.best({encoder: rows[:7] for encoder, rows in features.items()}, 5)) == list(
        np.argsort(-predicted[:7])[:4]
    )


def test_an_encoder_in_which_all_are_alike_does_no_harm():
    features = features_of(4)
    utility = features["colours"][:, 0]
    features["detail"][:] = 0.25
    assert match(fit(features, utility), features, utility) > 0.6


@pytest.mark.parametrize(
    ("features", "judgments"), [({}, ()), ({}, (Label(0, True),)), ({"detail": np.zeros((1, 2))}, ())]
)
def test_without_features_or_ratings_it_cannot_fit(features, judgments):
    with pytest.raises(CannotFit):
        PictureModel.fit(features, judgments, CONFIG)
