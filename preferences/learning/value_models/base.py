"""What every value model does: learn from rated rows, predict the value of new ones, be saved and loaded."""

import io
from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from preferences.learning.config import LearningConfig
from preferences.learning.geometry import Floats, Vectors


class CannotFit(Exception):
    """The ratings so far do not determine the model; the message is a sentence (no capital) for the user."""


class ValueModel(ABC):
    """A predictor of how much a picture will be liked, from its deviation z - anchor."""

    label: ClassVar[str]  # as a user reads it
    optimiser: ClassVar[str]  # key of OPTIMISERS that turns this model into candidates
    arrays: ClassVar[tuple[str, ...]]  # attributes that make up the fitted state
    version: ClassVar[int] = 1  # of the saved form

    @abstractmethod
    def fit(self, X: Vectors, y: Vectors, config: LearningConfig) -> Self:
        """Learn from X [rows, d] and y [rows] in {+1, -1}; returns itself.

        Raises CannotFit when the rows are too few or lack a class, ValueError for wrong shapes or values.
        """

    @abstractmethod
    def predict(self, X: Vectors) -> Floats:
        """Expected value [n] of X [n, d], more is better. Raises ValueError if unfitted or misshapen."""

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


def checked_ratings(X: Vectors, y: Vectors) -> tuple[Vectors, NDArray[np.bool_]]:
    """X [rows, d] and whether each row is good [rows]. Raises ValueError naming arrays and shapes."""
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim != 2 or y.shape != X.shape[:1]:
        raise ValueError(f"X must be [rows, d] and y [rows], not X {list(X.shape)} and y {list(y.shape)}")
    if not np.isfinite(X).all():
        raise ValueError(f"X {list(X.shape)} holds numbers that are not finite")
    if not np.isin(y, (1, -1)).all():
        raise ValueError(f"y {list(y.shape)} must hold +1 and -1 only")
    return X, y > 0


def counted(number: int) -> str:
    """'there are none so far', 'there is 1 so far', 'there are 3 so far'."""
    return f"there {'is' if number == 1 else 'are'} {number or 'none'} so far"
