"""Value models by key: a new one is a file, a line here, and a row in the contract suite by itself."""

from preferences.learning.value_models.base import CannotFit, ValueModel
from preferences.learning.value_models.gaussian import GaussianModel
from preferences.learning.value_models.ridge import RidgeModel

VALUE_MODELS: dict[str, type[ValueModel]] = {"gaussian": GaussianModel, "ridge": RidgeModel}

__all__ = ["VALUE_MODELS", "CannotFit", "GaussianModel", "RidgeModel", "ValueModel"]
