"""What every value model does: learn from judgments, predict the value of new rows, be saved and loaded."""

import io
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, Self

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Floats, Vectors


class CannotFit(Exception):
    """The ratings so far do not determine the model; the message is a sentence (no capital) for the user."""


class Prediction(NamedTuple):
    """Of n rows: the expected value [n], more is better, and its standard deviation [n] as the model believes it.

    A spread is NaN where the model has no notion of one.
    """

    mean: Floats
    spread: Floats


class ValueModel(ABC):
    """A predictor of how much a picture will be liked, from its deviation z - anchor."""

    label: ClassVar[str]  # as a user reads it
    optimisers: ClassVar[tuple[str, ...]]  # keys of OPTIMISERS that turn this model into candidates, the best first
    arrays: ClassVar[tuple[str, ...]]  # attributes that make up the fitted state
    version: ClassVar[int] = 1  # of the saved form
    starts_warm: ClassVar[bool] = False  # whether fit makes use of `previous`

    @abstractmethod
    def fit(self, feedback: Feedback, config: LearningConfig, previous: Self | None = None) -> Self:
        """Learn from judged rows; returns itself. `previous` is the last fit of the session, for a warm start.

        Raises CannotFit when the judgments are too few or of one kind only.
        """

    @abstractmethod
    def predict(self, X: Vectors) -> Prediction:
        """The value of X [n, d]. Raises ValueError if unfitted or misshapen."""

    def value(self, X: Vectors) -> Floats:
        """The expected value alone [n], where the spread would cost more."""
        return self.predict(X).mean

    @property
    def direction(self) -> Floats:
        """The way up [d], of a model that has one everywhere. Raises TypeError otherwise."""
        raise TypeError(f"the {self.label} model has no direction")

    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """Numbers to show about the fitted model."""

    def save(self) -> bytes:
        """The fitted state as npz. Raises ValueError before fit."""
        self.require_fitted()
        buffer = io.BytesIO()
        state = {name: np.asarray(getattr(self, name)) for name in self.arrays}
        np.savez(buffer, version=np.asarray(self.version), label=np.asarray(self.label), **state)  # type: ignore[arg-type]
        return buffer.getvalue()

    @classmethod
    def load(cls, data: bytes) -> Self:
        """The model that `save` wrote. Raises ValueError for another model's or version's bytes."""
        with np.load(io.BytesIO(data), allow_pickle=False) as state:
            missing = {"version", "label", *cls.arrays} - set(state.files)
            found = "unknown" if missing else f"{state['label']} version {state['version']}"
            if found != f"{cls.label} version {cls.version}":
                raise ValueError(f"expected a saved {cls.label} version {cls.version}, found {found}")
            model = cls()
            for name in cls.arrays:
                setattr(model, name, state[name] if state[name].ndim else float(state[name]))
        return model

    def require_fitted(self) -> None:
        """Raises ValueError unless the model was fitted or loaded."""
        if not all(hasattr(self, name) for name in self.arrays):
            raise ValueError(f"the {self.label} model is not fitted yet")


def counted(number: int) -> str:
    """'there are none so far', 'there is 1 so far', 'there are 3 so far'."""
    return f"there {'is' if number == 1 else 'are'} {number or 'none'} so far"


def require_both(feedback: Feedback, label: str) -> None:
    """Raises CannotFit unless some rows are rather good and some rather bad."""
    if not feedback.good.any() or not feedback.bad.any():
        missing = "bad" if feedback.good.any() else "good"
        raise CannotFit(f"the {label} model needs good and bad pictures, there is no {missing} one so far.")


def linear_value(X: Vectors, weights: Floats) -> Floats:
    """X [n, d] times weights [d], in X's own precision: to widen many rows costs more than the product."""
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[1] != len(weights):
        raise ValueError(f"X must have shape [n, {len(weights)}], not {list(X.shape)}")
    return np.asarray(X @ weights.astype(X.dtype), dtype=np.float64)
