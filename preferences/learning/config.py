"""The learner's controls, as plain data."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """Controls of one proposal. Lengths are in the geometry's unit: degrees (Shell), Euclidean (Ball).

    Raises ValueError, naming the control, for a value out of its range.
    """

    value_model: str = "gaussian"  # a key of VALUE_MODELS
    start: str = "random"  # a key of STARTS
    temperature: float = 1.0  # Gaussian: factor on the spread of the good pictures
    ridge_alpha: float = 1000.0  # Ridge: L2 penalty, more = shyer predictions
    optim_steps: int = 100
    step_size: float  # length of one optimiser step
    max_dist: float  # trust radius around the start, 0 = none
    start_radius: float  # how far Random lies from the anchor; other starts scatter by a third of it

    def __post_init__(self) -> None:
        if not self.ridge_alpha > 0:
            raise ValueError(f"ridge_alpha must be more than 0, not {self.ridge_alpha}")
        for name in ("temperature", "optim_steps", "step_size", "max_dist", "start_radius"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
