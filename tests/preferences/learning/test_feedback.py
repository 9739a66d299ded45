"""Judgments of every kind, their likelihood, and the model that learns from all of them."""

import numpy as np
import pytest

from preferences.learning.feedback import Choice, Counts, Feedback, Judgment, Label, Stars, Tie, ranking
from preferences.learning.likelihood import Likelihood
from preferences.learning.value_models import BayesianModel, RidgeModel
from preferences.learning.value_models.bayesian import laplace
from tests.preferences.learning.simulated import config

EVERY_KIND: list[Judgment] = [
    Label(0, True, 0),
    Label(1, False, 1),
    Stars(2, 1, 1),
    Stars(3, 3, 2),
    Stars(0, 5, 2),
    Choice(1, (2,)),
    Choice(3, (0, 1, 2)),
    Tie(0, 3),
]


def rows(n: int, d: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def test_every_kind_counts_for_models_that_know_numbers_only():
    feedback = Feedback(rows(5), tuple(EVERY_KIND))
    np.testing.assert_allclose(feedback.ratings, [1 / 3, -1 / 3, -1, 0.5, np.nan])
    assert feedback.good.tolist() == [True, False, False, True, False]
    assert feedback.bad.tolist() == [False, True, True, False, False]


def test_it_counts_what_it_holds():
    assert Feedback(rows(5), tuple(EVERY_KIND)).counts == Counts(good=1, bad=1, stars=3, choices=3)
    assert Feedback(rows(2), (Choice(0, (1,)),)).counts == Counts(choices=1)


def test_a_ranking_is_its_choices():
    assert ranking([2, 0, 1]) == [Choice(2, (0, 1)), Choice(0, (1,))]


@pytest.mark.parametrize(
    ("judgment", "message"),
    [
        (Label(5, True), "not among the 5"),
        (Choice(1, (1,)), "different rows"),
        (Choice(1, ()), "two or more"),
        (Tie(2, 2), "different rows"),
        (Stars(0, 6), "1 to 5 stars"),
        (Label(-1, True), "not among the 5"),
    ],
)
def test_a_judgment_that_makes_no_sense_is_named(judgment, message):
    with pytest.raises(ValueError, match=message):
        Feedback(rows(5), (judgment,))


def test_parts_of_a_feedback_share_what_is_known_of_the_rows():
    feedback = Feedback(rows(5), tuple(EVERY_KIND))
    gram = feedback.gram
    part = feedback.only(EVERY_KIND[:2])
    assert part.gram is gram
    assert part.judgments == tuple(EVERY_KIND[:2])


def test_the_derivatives_are_those_of_the_likelihood():
    likelihood = Likelihood(Feedback(rows(5), tuple(EVERY_KIND)))
    assert likelihood.size == 5 + 3
    g = np.random.default_rng(1).standard_normal(8)
    gradient, curvature = likelihood.derivatives(g)
    step = 1e-5
    unit = np.eye(8) * step
    slopes = [(likelihood.log_likelihood(g + e) - likelihood.log_likelihood(g - e)) / (2 * step) for e in unit]
    np.testing.assert_allclose(gradient, slopes, atol=1e-8)
    bends = [(likelihood.derivatives(g + e)[0] - likelihood.derivatives(g - e)[0]) / (2 * step) for e in unit]
    np.testing.assert_allclose(curvature, -np.array(bends), atol=1e-8)
    assert np.linalg.eigvalsh(curvature).min() > -1e-12


def test_each_kind_s_chances_add_up_to_one():
    g = np.random.default_rng(2).standard_normal(4)  # three rows and, where there is one, a standard

    def chance(*judgments: Judgment) -> float:
        likelihood = Likelihood(Feedback(rows(3), judgments))
        return float(np.exp(likelihood.log_likelihood(g[: likelihood.size])))

    assert chance(Label(0, True)) + chance(Label(0, False)) == pytest.approx(1)
    assert sum(chance(Stars(0, stars)) for stars in range(1, 6)) == pytest.approx(1)
    assert chance(Choice(0, (1,))) + chance(Choice(1, (0,))) == pytest.approx(1)
    best = chance(Choice(0, (1, 2))) + chance(Choice(1, (0, 2))) + chance(Choice(2, (0, 1)))
    assert best == pytest.approx(1)


def test_the_mode_is_where_the_posterior_is_flat():
    feedback = Feedback(rows(5), tuple(EVERY_KIND))
    likelihood = Likelihood(feedback)
    prior = np.eye(8) * 2
    prior[:5, :5] += feedback.gram
    dual, shrinkage, evidence = laplace(prior, likelihood)
    gradient, curvature = likelihood.derivatives(prior @ dual)
    np.testing.assert_allclose(gradient, dual, atol=1e-4)
    expected = np.linalg.inv(np.linalg.inv(prior) + curvature)
    np.testing.assert_allclose(prior - prior @ shrinkage @ prior, expected, atol=1e-5)
    assert evidence < 0


def person(kind: str, utility: np.ndarray, batch: int, rng: np.random.Generator) -> list[Judgment]:
    """How somebody with this taste judges rows that are shown 8 at a time, by whatever way of asking."""
    noisy = utility + 0.3 * rng.standard_normal(len(utility))
    first = np.arange(0, len(utility), batch)
    shown = [list(range(i, min(i + batch, len(utility)))) for i in first]
    if kind == "labels":
        return [Label(i, bool(noisy[i] > np.median(noisy[s])), k) for k, s in enumerate(shown) for i in s]
    if kind == "stars":
        return [Stars(i, int(np.clip(np.round(3 + noisy[i]), 1, 5)), k) for k, s in enumerate(shown) for i in s]
    orders = [sorted(rows, key=lambda i: -noisy[i]) for rows in shown]
    if kind == "pairs":
        halves = [sorted(rows[i : i + 2], key=lambda i: -noisy[i]) for rows in shown for i in range(0, len(rows), 2)]
        return [Choice(better, (worse,)) for better, worse in halves]
    if kind == "best":
        return [Choice(best, tuple(others)) for best, *others in orders]
    return [judgment for order in orders for judgment in ranking(order)]


@pytest.mark.parametrize("kind", ["labels", "stars", "pairs", "best", "ranking"])
def test_the_bayesian_model_learns_from_every_kind(kind):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((160, 12))
    w = rng.standard_normal(12)
    utility = X @ w / np.linalg.norm(w)
    model = BayesianModel.fit(Feedback(X, tuple(person(kind, utility, 8, rng))), config())
    fresh = rng.standard_normal((500, 12))
    assert np.corrcoef(model.utility(fresh), fresh @ w)[0, 1] > 0.85


def test_a_rising_standard_does_not_unlearn():
    """Later batches are all better and half of each is called bad: the direction stays, and Ridge loses it."""
    rng = np.random.default_rng(4)
    w = np.zeros(30)
    w[0] = 1.0
    X = rng.standard_normal((64, 30))
    X[:, 0] += np.repeat(np.arange(8), 8)  # each batch a step higher
    labels = [Label(i, bool(X[i, 0] > np.median(X[i // 8 * 8 : i // 8 * 8 + 8, 0])), i // 8) for i in range(64)]
    feedback = Feedback(X, tuple(labels))

    def share(weights: np.ndarray) -> float:
        return float(weights[0] / np.linalg.norm(weights))

    bayesian, ridge = BayesianModel.fit(feedback, config()), RidgeModel.fit(feedback, config(ridge_alpha=1.0))
    assert share(bayesian.weights) > share(ridge.weights) + 0.2


def test_the_latest_taste_counts_most():
    """First one direction is liked, then for as long another one; judged all at once, both count alike."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((160, 6))
    liked = np.where(np.arange(160) < 80, X[:, 0], X[:, 1]) > 0
    drifted = BayesianModel.fit(Feedback(X, tuple(Label(i, bool(liked[i]), i // 8) for i in range(160))), config())
    assert drifted.weights[1] > 1.5 * drifted.weights[0]
    at_once = BayesianModel.fit(Feedback(X, tuple(Label(i, bool(liked[i])) for i in range(160))), config())
    assert at_once.weights[1] < 1.2 * at_once.weights[0]


def test_a_row_is_as_old_as_the_last_judgment_of_it():
    judgments = (Label(0, True, 2), Choice(1, (0, 2), 5), Tie(2, 3, 7), Stars(1, 4, 3))
    assert Feedback(rows(5), judgments).batch_numbers.tolist() == [5, 5, 7, 7, 2]
    assert Feedback(rows(2), ()).batch_numbers.tolist() == [0, 0]


def test_spread_is_large_where_nothing_was_judged():
    X = np.zeros((20, 2))
    X[:, 0] = np.linspace(-1, 1, 20)
    feedback = Feedback(X, tuple(Label(i, bool(X[i, 0] > 0)) for i in range(20)))
    for model in (BayesianModel.fit(feedback, config()), RidgeModel.fit(feedback, config(ridge_alpha=0.1))):
        known, unknown = model.predict(np.array([[1.0, 0.0], [0.0, 1.0]])).spread
        assert unknown > 1.5 * known > 0


def test_automatic_alpha_is_the_best_by_leaving_one_out():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((30, 50))
    y = np.where(X[:, 0] + 0.5 * rng.standard_normal(30) > 0, 1.0, -1.0)
    chosen = RidgeModel.fit(Feedback.of_labels(X, y), config(ridge_alpha=0))
    errors = []
    for out in range(30):  # by hand, with the penalty that was chosen
        kept = np.arange(30) != out
        model = RidgeModel.fit(Feedback.of_labels(X[kept], y[kept]), config(ridge_alpha=chosen.alpha))
        errors.append(float((model.utility(X[out : out + 1])[0] - y[out]) ** 2))
    assert chosen.left_out_r2 == pytest.approx(1 - np.mean(errors) / np.var(y), rel=1e-4)
