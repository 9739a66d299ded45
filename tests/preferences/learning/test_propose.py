import hashlib

import numpy as np
import pytest

from preferences.learning.config import LearningConfig
from preferences.learning.context import SearchContext
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Ball, Shell
from preferences.learning.propose import anchor_for, propose
from preferences.learning.starts import NEEDS_GOOD, STARTS
from preferences.learning.value_models import VALUE_MODELS
from preferences.sessions.learned_text import note
from tests.preferences.learning.simulated import UTILITIES, config, last_batch, shell_rows

D = 256
NOTHING = Feedback(np.zeros((0, D), np.float32), ())
every_model = pytest.mark.parametrize("value_model", VALUE_MODELS)
every_start = pytest.mark.parametrize("start", STARTS)


def rng():
    return np.random.default_rng(11)


@every_model
@every_start
def test_candidates_are_in_the_space_and_within_max_dist_of_their_start(value_model, start):
    X, y, anchor = shell_rows(20, D)
    settings = config(value_model=value_model, start=start, max_dist=30)
    found = propose(Feedback.of_labels(X, y), anchor, Shell(D), settings, rng(), 16)
    starts = STARTS[start](X[y > 0], SearchContext(anchor, Shell(D), settings, rng()), 16)
    assert found.vectors.shape == (16, D)
    assert found.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), np.sqrt(D), rtol=1e-5)
    assert (Shell(D).distance(found.vectors, starts) <= 30 + 1e-3).all()
    np.testing.assert_allclose(found.distances, Shell(D).distance(found.vectors, anchor), atol=1e-3)
    assert np.isfinite(found.scores).all()
    assert len(np.unique(found.vectors, axis=0)) == 16


@every_model
@every_start
def test_the_cap_of_a_ball_holds(value_model, start):
    X = rng().standard_normal((20, D)).astype(np.float32)
    y = np.where(np.arange(20) % 2, 1.0, -1.0)
    settings = config(value_model=value_model, start=start, max_dist=0.7, start_radius=0.8)
    found = propose(Feedback.of_labels(X, y), np.zeros(D), Ball(D, cap=1.2), settings, rng(), 9)
    assert (np.linalg.norm(found.vectors, axis=1) <= 1.2 + 1e-5).all()
    assert (found.distances <= 1.2 + 1e-5).all()


@every_model
@every_start
def test_the_same_generator_state_gives_the_same_batch(value_model, start):
    X, y, anchor = shell_rows(12, D)
    settings = config(value_model=value_model, start=start)
    first, again = (propose(Feedback.of_labels(X, y), anchor, Shell(D), settings, rng(), 5).vectors for _ in range(2))
    np.testing.assert_array_equal(first, again)


@every_model
@pytest.mark.parametrize("utility", UTILITIES)
def test_five_rounds_of_eight_follow_the_ratings(value_model, utility):
    """Averaged over seeds, the sixth batch beats a random one by a standard deviation of the utility."""
    gains, deviations = [], []
    for seed in range(8):
        hidden = UTILITIES[utility](D, np.random.default_rng(100 + seed))
        last, first, proposal = last_batch(Shell(D), config(value_model=value_model, start="avg_good"), hidden, seed)
        random = hidden(Shell(D).project(np.random.default_rng(seed).standard_normal((200, D))))
        gains.append(last - random.mean())
        deviations.append(random.std())
        assert proposal.model is not None
        assert abs(first - random.mean()) < 2 * random.std()
    assert np.mean(gains) > np.mean(deviations)


def test_ratings_without_meaning_do_not_pass_for_learning():
    """The check above can fail: shown to a model that is rated by coin tosses, it does."""
    gains = []
    for seed in range(8):
        hidden = UTILITIES["linear"](D, np.random.default_rng(100 + seed))
        tosses = np.random.default_rng(seed)
        _, _, proposal = last_batch(
            Shell(D), config(start="avg_good"), lambda z, tosses=tosses: tosses.standard_normal(len(z)), seed
        )
        gains.append(hidden(proposal.vectors).mean())
    assert np.mean(gains) < 0.6


@every_model
@every_start
def test_without_ratings_it_explores_and_says_why(value_model, start):
    anchor = anchor_for("a lake", Shell(D))
    settings = config(value_model=value_model, start=start)
    found = propose(NOTHING, anchor, Shell(D), settings, rng(), 4)
    assert found.scores is None
    assert found.model is None
    assert note(found.learned).startswith(f"Exploring: the {VALUE_MODELS[value_model].label} model needs")
    assert note(found.learned).endswith(".")
    assert ("the start is Random" in note(found.learned)) == (start in NEEDS_GOOD)
    if start != "prompt":
        np.testing.assert_allclose(found.distances, 90, atol=1e-4)


def test_one_good_picture_is_too_few_for_the_gaussian():
    X, y, anchor = shell_rows(2, D)
    found = propose(Feedback.of_labels(X, y), anchor, Shell(D), config(value_model="gaussian"), rng(), 4)
    assert note(found.learned) == "Exploring: the Gaussian model needs 2 good pictures, there is 1 so far."


@every_model
def test_a_fitted_model_is_told_with_its_numbers(value_model):
    X, y, anchor = shell_rows(7, D)
    found = propose(Feedback.of_labels(X, y), anchor, Shell(D), config(value_model=value_model), rng(), 4)
    assert note(found.learned) == f"The {found.model.label} model learned from 4 good and 3 bad pictures."
    assert (found.metrics["rows"], found.metrics["good"], found.metrics["bad"]) == (7, 4, 3)
    assert found.metrics["seconds_fit"] >= 0
    np.testing.assert_allclose(found.scores, found.model.utility(found.vectors - anchor), atol=1e-4)


def test_ridge_candidates_climb_evenly_spread_shares_of_max_dist():
    X, y, anchor = shell_rows(20, D)
    settings = config(value_model="ridge", max_dist=40, start="avg_good")
    found = propose(Feedback.of_labels(X, y), anchor, Shell(D), settings, rng(), 4)
    starts = STARTS["avg_good"](X[y > 0], SearchContext(anchor, Shell(D), settings, rng()), 4)
    np.testing.assert_allclose(Shell(D).distance(found.vectors, starts), [10, 20, 30, 40], atol=1e-3)
    assert (found.scores > found.model.utility(starts - anchor)).all()


def test_momentum_is_what_spsa_keeps_of_its_direction():
    """On a straight slope the guesses of a gradient add up: with momentum the same steps lead further."""
    X, y, anchor = shell_rows(20, D)
    reached = []
    for momentum in (0.0, 0.9):
        settings = config(value_model="ridge", optimiser="spsa", momentum=momentum, optim_steps=40)
        reached.append(propose(Feedback.of_labels(X, y), anchor, Shell(D), settings, rng(), 8).scores.mean())
    assert reached[1] > reached[0] + 0.01


def test_ridge_stops_at_the_top():
    X, y, anchor = shell_rows(20, D)
    settings = config(value_model="ridge", max_dist=0, optim_steps=180)
    found = propose(Feedback.of_labels(X, y), anchor, Shell(D), settings, rng(), 6)
    assert Shell(D).distance(found.vectors[-1], found.model.weights) == pytest.approx(0, abs=0.1)


def test_wrong_input_is_named():
    X, y, anchor = shell_rows(6, D)
    with pytest.raises(ValueError, match=r"X must be \[rows, 9\] and anchor \[9\], not X \[6, 256\]"):
        propose(Feedback.of_labels(X, y), anchor, Shell(9), config(), rng(), 4)
    with pytest.raises(ValueError, match=r"anchor \[1, 256\] holds numbers that are not finite"):
        propose(Feedback.of_labels(X, y), anchor * np.nan, Shell(D), config(), rng(), 4)
    with pytest.raises(ValueError, match="n must be 1 or more"):
        propose(Feedback.of_labels(X, y), anchor, Shell(D), config(), rng(), 0)
    for name in ("value_model", "start", "optimiser"):
        with pytest.raises(ValueError, match=f"{name}.* must be one of .*, not 'none'"):
            propose(Feedback.of_labels(X, y), anchor, Shell(D), config(**{name: "none"}), rng(), 4)
    for name in ("step_size", "ridge_alpha", "max_dist", "start_radius", "temperature", "optim_steps"):
        with pytest.raises(ValueError, match=f"{name} must be"):
            LearningConfig(**({"step_size": 1, "max_dist": 0, "start_radius": 1} | {name: -1}))


def test_anchor_is_the_predecessors():
    """Seeded by the first 8 bytes of the digest, which are 16 of its hex digits: sha1sum tells this one."""
    assert hashlib.sha1(b"a lake").hexdigest().startswith("344e15edbb8d2bda")
    noise = np.random.default_rng(0x344E15EDBB8D2BDA).standard_normal(D)
    anchor = anchor_for("a lake", Shell(D))
    np.testing.assert_allclose(anchor, noise * np.sqrt(D) / np.linalg.norm(noise), rtol=1e-6)
    assert anchor.dtype == np.float32
    assert not anchor_for("a lake", Ball(D, 1.0)).any()
