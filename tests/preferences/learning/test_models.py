"""What is particular to Gaussian and Ridge."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from preferences.learning.feedback import Feedback
from preferences.learning.value_models import GaussianModel, RidgeModel
from preferences.learning.value_models.ridge import AUTOMATIC
from tests.preferences.learning.simulated import config, shell_rows


@pytest.mark.parametrize(("rows", "dimension"), [(10, 40), (40, 10)])
def test_ridge_solves_its_normal_equations_in_both_forms(rows, dimension):
    X, y, _ = shell_rows(rows, dimension)
    X, alpha = X.astype(np.float64), 3.0
    model = RidgeModel.fit(Feedback.of_labels(X, y), config(ridge_alpha=alpha))
    residual = y - X @ model.weights - model.intercept
    np.testing.assert_allclose(X.T @ residual, alpha * model.weights, atol=1e-8)
    assert residual.sum() == pytest.approx(0, abs=1e-8)  # the intercept is not penalised


@pytest.mark.parametrize(("rows", "dimension"), [(10, 40), (40, 10)])
def test_ridge_is_that_of_scikit_learn(rows, dimension):
    """Weights, intercept, the penalty that leave-one-out chooses, and its error."""
    X, y, _ = shell_rows(rows, dimension)
    X = X.astype(np.float64)
    model = RidgeModel.fit(Feedback.of_labels(X, y), config(ridge_alpha=0.0))
    size = float(np.sum((X - X.mean(axis=0)) ** 2)) / rows
    known = RidgeCV(AUTOMATIC * size).fit(X, y)
    assert model.alpha == pytest.approx(known.alpha_)
    assert model.left_out_r2 == pytest.approx(1 + known.best_score_ / np.var(y))
    np.testing.assert_allclose(model.weights, known.coef_, atol=1e-9)
    assert model.intercept == pytest.approx(known.intercept_, abs=1e-9)


def test_gaussian_has_the_mean_and_spread_of_the_good_rows():
    X, y, _ = shell_rows(20, 30)
    model = GaussianModel.fit(Feedback.of_labels(X, y), config())
    np.testing.assert_allclose(model.mean, X[y > 0].mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(model.std, X[y > 0].std(axis=0), atol=1e-5)


def test_gaussian_score_is_the_log_density_per_dimension():
    X, y, _ = shell_rows(20, 3)
    model = GaussianModel.fit(Feedback.of_labels(X, y), config())
    density = np.exp(-0.5 * ((X - model.mean) / model.std) ** 2) / (model.std * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(model.utility(X), np.log(density).mean(axis=1), rtol=1e-6)


def test_temperature_scales_the_spread_of_the_draws():
    X, y, _ = shell_rows(20, 50)
    cold, hot = (GaussianModel.fit(Feedback.of_labels(X, y), config(temperature=t)) for t in (0.5, 2.0))
    narrow, wide = (model.draw(np.random.default_rng(1), 200).std(axis=0) for model in (cold, hot))
    np.testing.assert_allclose(wide, 4 * narrow)


def test_gaussian_survives_identical_good_rows_and_still_varies():
    model = GaussianModel.fit(Feedback.of_labels(np.ones((3, 8), np.float32), np.ones(3)), config())
    draws = model.draw(np.random.default_rng(0), 5)
    assert len(np.unique(draws, axis=0)) == 5
    assert np.isfinite(model.utility(draws)).all()
