"""Value models by key: a new one is a file, a line here, and a row in the contract suite by itself."""

from preferences.learning.value_models.base import Prediction, ValueModel
from preferences.learning.value_models.bayesian import BayesianModel
from preferences.learning.value_models.gaussian import GaussianModel
from preferences.learning.value_models.ridge import RidgeModel
from preferences.learning.value_models.xgboost import XGBoostModel

VALUE_MODELS: dict[str, type[ValueModel]] = {
    "bayesian": BayesianModel,
    "gaussian": GaussianModel,
    "ridge": RidgeModel,
    "xgboost": XGBoostModel,
}

__all__ = [
    "VALUE_MODELS",
    "BayesianModel",
    "GaussianModel",
    "Prediction",
    "RidgeModel",
    "ValueModel",
    "XGBoostModel",
]
