"""What every value model does: learn from judgments, predict the utility of new rows, be saved and loaded."""

import io
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple, Self

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Floats, Vectors
from preferences.learning.reasons import CannotFit, Lack


class Prediction(NamedTuple):
    """Of n rows: the expected utility [n], more is better, and its standard deviation [n] as the model believes it.

    A spread is NaN where the model has no notion of one.
    """

    mean: Floats
    spread: Floats


@dataclass(frozen=True, eq=False)
class ValueModel(ABC):
    """A fitted predictor of how much a picture will be liked, from its deviation z - anchor.

    `fit` and `load` are the only ways to one. Its fields, arrays and numbers, are the fitted state and the saved form.
    """

    label: ClassVar[str]  # its name, for people and in the saved form
    optimisers: ClassVar[tuple[str, ...]]  # keys of OPTIMISERS that turn this model into candidates, the best first
    version: ClassVar[int] = 1  # of the saved form
    starts_warm: ClassVar[bool] = False  # whether fit makes use of `previous`

    @classmethod
    @abstractmethod
    def fit(cls, feedback: Feedback, config: LearningConfig, previous: Self | None = None) -> Self:
        """Learn from judged rows. `previous` is the last fit of the session, for a warm start.

        Raises CannotFit when the judgments are too few or of one kind only.
        """

    @abstractmethod
    def predict(self, X: Vectors) -> Prediction:
        """The utility of X [n, d]. Raises ValueError for a wrong shape."""

    def utility(self, X: Vectors) -> Floats:
        """The expected utility alone [n], where the spread would cost more."""
        return self.predict(X).mean

    @property
    def direction(self) -> Floats:
        """The way up [d], of a model that has one everywhere. Raises TypeError otherwise."""
        raise TypeError(f"the {self.label} model has no direction")

    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """Numbers to show about the fitted model."""

    def save(self) -> bytes:
        """The fitted state as npz."""
        buffer = io.BytesIO()
        state = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        np.savez(buffer, version=np.asarray(self.version), label=np.asarray(self.label), **state)  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def load(cls, data: bytes) -> Self:
        """The model that `save` wrote. Raises ValueError for another model's or version's bytes."""
        names = [field.name for field in fields(cls)]
        with np.load(io.BytesIO(data), allow_pickle=False) as state:
            missing = {"version", "label", *names} - set(state.files)
            found = "unknown" if missing else f"{state['label']} version {state['version']}"
            if found != f"{cls.label} version {cls.version}":
                raise ValueError(f"expected a saved {cls.label} version {cls.version}, found {found}")
            return cls(**{name: state[name] if state[name].ndim else float(state[name]) for name in names})


def require_both(feedback: Feedback) -> None:
    """Raises CannotFit unless some rows are rather good and some rather bad."""
    if not feedback.good.any():
        raise CannotFit(Lack.GOOD_BESIDE_BAD)
    if not feedback.bad.any():
        raise CannotFit(Lack.BAD_BESIDE_GOOD)


def linear_utility(X: Vectors, weights: Floats) -> Floats:
    """X [n, d] times weights [d], in X's own precision: to widen many rows costs more than the product."""
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[1] != len(weights):
        raise ValueError(f"X must have shape [n, {len(weights)}], not {list(X.shape)}")
    return np.asarray(X @ weights.astype(X.dtype), dtype=np.float64)
