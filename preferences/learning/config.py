"""The learner's controls, as plain data."""

from dataclasses import dataclass

# No other number may be less than 0.
ABOVE_ZERO = frozenset(
    {
        "draws_per_picture",
        "xgboost_trees",
        "xgboost_depth",
        "xgboost_learning_rate",
        "xgboost_subsample",
        "xgboost_colsample_bytree",
    }
)


@dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """Controls of one proposal. Lengths are in the geometry's unit: degrees (Shell), Euclidean (Ball).

    Raises ValueError, naming the control, for a value out of its range.
    """

    value_model: str = "bayesian"  # a key of VALUE_MODELS
    optimiser: str = ""  # a key of OPTIMISERS that the value model can use; empty = its first
    start: str = "random"  # a key of STARTS
    temperature: float = 1.0  # factor on the spread: of the good pictures (Gaussian), of a batch (Bayesian)
    ridge_alpha: float = 1000.0  # Ridge: L2 penalty, more = shyer predictions; 0 = chosen by leave-one-out
    xgboost_trees: int = 50
    xgboost_depth: int = 8
    xgboost_learning_rate: float = 0.1
    xgboost_subsample: float = 1.0
    xgboost_colsample_bytree: float = 1.0
    xgboost_min_child_weight: float = 1.0
    xgboost_gamma: float = 0.0
    xgboost_reg_lambda: float = 1.0
    optim_steps: int = 100
    optim_seconds: float = 5.0  # a climb that takes longer stops where it is
    step_size: float  # length of one optimiser step
    momentum: float = 0.9  # SPSA: the share of its last direction that a step keeps
    draws_per_picture: int = 1  # pictures drawn for each that is shown: choosing among them lets candidates be bolder
    max_dist: float  # trust radius around the start, 0 = none
    start_radius: float  # how far Random lies from the anchor; other starts scatter by a third of it

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, str):
                continue
            if name in ABOVE_ZERO and not value > 0:
                raise ValueError(f"{name} must be more than 0, not {value}")
            if not value >= 0:
                raise ValueError(f"{name} must be 0 or more, not {value}")
