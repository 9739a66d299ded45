"""Boosted trees that tell good pictures from bad ones."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import xgboost
from numpy.typing import NDArray

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Floats, Vectors, checked_rows
from preferences.learning.value_models.base import Prediction, ValueModel, require_both
from preferences.learning.value_models.ridge import RidgeModel

MOST_TREES = 1000  # a warm start adds to the trees that there are; beyond this many it starts afresh


def classes(feedback: Feedback) -> tuple[Vectors, NDArray[np.bool_]]:
    """The rated rows [n, d], and which of them are good [n]. Raises CannotFit unless some are and some are not."""
    require_both(feedback)
    rated = feedback.good | feedback.bad
    return feedback.X[rated], feedback.good[rated]


def train(
    X: Vectors, good: NDArray[np.bool_], config: LearningConfig, start: xgboost.Booster | None = None
) -> xgboost.Booster:
    """Trees that tell the good rows X [n, d] from the others, added to those of `start`."""
    return xgboost.train(
        {
            "objective": "binary:logistic",
            "max_depth": config.xgboost_depth,
            "eta": config.xgboost_learning_rate,
            "subsample": config.xgboost_subsample,
            "colsample_bytree": config.xgboost_colsample_bytree,
            "min_child_weight": config.xgboost_min_child_weight,
            "gamma": config.xgboost_gamma,
            "lambda": config.xgboost_reg_lambda,
            "tree_method": "hist",
            "max_bin": 32,  # there are few rows and many columns
            "base_score": 0.5,
            "seed": 0,
        },
        xgboost.DMatrix(X, label=good.astype(np.float32)),
        num_boost_round=config.xgboost_trees,
        xgb_model=start,
    )


@dataclass(frozen=True, eq=False)
class XGBoostModel(ValueModel):
    """Gradient-boosted trees, logistic loss (Chen & Guestrin 2016); comparisons count as ratings of their rows."""

    label: ClassVar[str] = "XGBoost"
    optimisers: ClassVar[tuple[str, ...]] = ("hill", "line", "spsa")
    starts_warm: ClassVar[bool] = True

    booster: NDArray[np.uint8]  # in XGBoost's own binary JSON
    slope: Floats  # [d] weights of a ridge regression on the same ratings: trees have no direction of their own
    dimension: float
    trees: float
    trained_rows: float

    @classmethod
    def fit(cls, feedback: Feedback, config: LearningConfig, previous: Self | None = None) -> Self:
        X, good = classes(feedback)
        start = None
        fits = previous is not None and previous.dimension == X.shape[1]
        if previous is not None and fits and previous.trees + config.xgboost_trees <= MOST_TREES:
            start = previous.model
        trained = train(X, good, config, start)
        return cls(
            booster=np.frombuffer(bytes(trained.save_raw("ubj")), dtype=np.uint8),
            slope=RidgeModel.fit(feedback, config).weights,
            dimension=float(X.shape[1]),
            trees=float(trained.num_boosted_rounds()),
            trained_rows=float(len(X)),
        )

    @cached_property
    def model(self) -> xgboost.Booster:
        """The trees, read from their saved form."""
        return xgboost.Booster(model_file=bytearray(self.booster.tobytes()))

    def predict(self, X: Vectors) -> Prediction:
        """The expected rating from -1 (bad) to 1 (good), and the spread of a rating with that mean."""
        X = checked_rows(X, int(self.dimension), "X")
        chance = np.asarray(self.model.inplace_predict(X.astype(np.float32)), dtype=np.float64)
        return Prediction(2 * chance - 1, 2 * np.sqrt(chance * (1 - chance)))

    @property
    def direction(self) -> Floats:
        return self.slope

    def metrics(self) -> dict[str, float]:
        return {"trees": self.trees, "trained_rows": self.trained_rows}
