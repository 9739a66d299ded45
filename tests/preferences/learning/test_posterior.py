"""How far the Bayesian model's candidates scatter around its best place."""

from dataclasses import replace

import numpy as np
import pytest

from preferences.learning.config import LearningConfig
from preferences.learning.context import SearchContext
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Shell
from preferences.learning.optimisers.posterior import posterior
from preferences.learning.value_models import BayesianModel

D = 400
CONFIG = LearningConfig(step_size=1.0, max_dist=0.0, start_radius=90.0)


def scatter(batches: int, config: LearningConfig) -> float:
    """Mean angle in degrees between candidates and the best place, after so many rated batches."""
    rng = np.random.default_rng(0)
    z = Shell(D).project(rng.standard_normal((8 * batches, D)))
    feedback = Feedback.of_labels(z, np.where(z[:, 0] > 0, 1, -1), np.repeat(np.arange(batches), 8))
    model = BayesianModel.fit(feedback, config)
    starts = Shell(D).project(rng.standard_normal((6, D)))
    found = posterior(model, starts, SearchContext(np.zeros(D), Shell(D), config, rng))
    return float(Shell(D).distance(found, Shell(D).project(model.direction[None])).mean())


@pytest.mark.parametrize(("batches", "one", "of_several"), [(1, 27.0, 54.0), (4, 27.0, 27.0), (10, 10.8, 13.5)])
def test_candidates_come_closer_and_are_bolder_where_the_best_of_several_is_shown(batches, one, of_several):
    assert scatter(batches, CONFIG) == pytest.approx(one, abs=0.1)
    assert scatter(batches, replace(CONFIG, draws_per_picture=3)) == pytest.approx(of_several, abs=0.1)
