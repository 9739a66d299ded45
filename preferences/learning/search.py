"""Which settings of XGBoost suit the ratings so far: one trial at a time, so that a search can stop and go on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import FloatDistribution, IntDistribution

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Feedback
from preferences.learning.reasons import CannotFit, Lack
from preferences.learning.value_models.xgboost import classes, train

optuna.logging.set_verbosity(optuna.logging.WARNING)  # of each trial it would say that it begins a study
FEWEST_ROWS = 6
PARTS = 5  # of the rated pictures, in the order of their batches
SPACE: dict[str, IntDistribution | FloatDistribution] = {
    "xgboost_trees": IntDistribution(10, 300, log=True),
    "xgboost_depth": IntDistribution(1, 10),
    "xgboost_learning_rate": FloatDistribution(0.01, 0.5, log=True),
    "xgboost_subsample": FloatDistribution(0.5, 1),
    "xgboost_colsample_bytree": FloatDistribution(0.05, 1, log=True),
    "xgboost_min_child_weight": FloatDistribution(0.1, 10, log=True),
    "xgboost_gamma": FloatDistribution(0, 5),
    "xgboost_reg_lambda": FloatDistribution(0.01, 100, log=True),
}
TINY = 1e-6


@dataclass(frozen=True)
class Trial:
    """Settings of XGBoost, and their mean log loss on ratings that came later than what they were fitted to."""

    settings: dict[str, Any]
    loss: float


def next_trial(feedback: Feedback, config: LearningConfig, tried: Sequence[Trial], seed: int) -> Trial:
    """Try one more; the first is what `config` has. The same arguments give the same trial.

    Settings are proposed by a tree-structured Parzen estimator (Bergstra et al. 2011). Raises CannotFit where there
    are fewer than FEWEST_ROWS good and bad pictures, or only one class to learn from.
    """
    present = {name: getattr(config, name) for name in SPACE}
    sampler = optuna.samplers.TPESampler(seed=seed + len(tried))
    study = optuna.create_study(sampler=sampler)
    for trial in tried:
        params = present | trial.settings
        if all(where.low <= params[name] <= where.high for name, where in SPACE.items()):
            known = optuna.create_trial(params=params, distributions=dict(SPACE), value=trial.loss)
            study.add_trial(known)
    settings = study.ask(dict(SPACE)).params if tried else present
    return Trial(settings, later_loss(feedback, replace(config, **settings)))


def later_loss(feedback: Feedback, config: LearningConfig) -> float:
    """Mean log loss of XGBoost on each part of the ratings, fitted to all parts before it (rolling origin)."""
    X, good = classes(feedback)
    order = np.argsort(feedback.batch_numbers[feedback.good | feedback.bad], kind="stable")
    if len(order) < FEWEST_ROWS:
        raise CannotFit(Lack.GOOD_OR_BAD, needed=FEWEST_ROWS, found=len(order))
    parts = np.array_split(order, PARTS)
    losses = []
    for i in range(1, PARTS):
        before, now = np.concatenate(parts[:i]), parts[i]
        if good[before].all() or not good[before].any():
            continue
        chance = train(X[before], good[before], config).inplace_predict(X[now])
        chance = np.clip(chance.astype(np.float64), TINY, 1 - TINY)
        losses += list(-np.log(np.where(good[now], chance, 1 - chance)))
    if not losses:
        raise CannotFit(Lack.EARLIER_BATCHES)
    return float(np.mean(losses))
