"""How a person judged pictures: judgments of every kind, over one set of rows.

Every way of asking ends up here, so that a change from one to another in mid-session loses nothing. Whoever can use
only a number for each picture takes `ratings`; whoever can use comparisons as such takes the judgments.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from preferences.learning.geometry import Floats, Vectors
from preferences.learning.judgments import MOST_STARS, Choice, Judgment, Label, Stars, Tie
from preferences.learning.layout import Shape, weighed_gram

__all__ = [
    "MOST_STARS",
    "Choice",
    "Counts",
    "Feedback",
    "Judgment",
    "Label",
    "Stars",
    "Tie",
    "ranking",
]


def ranking(rows: Sequence[int], batch_number: int = 0) -> list[Judgment]:
    """A full ranking, best first, as the choices that make it up (Plackett 1975)."""
    return [Choice(row, tuple(rows[i + 1 :]), batch_number) for i, row in enumerate(rows[:-1])]


@dataclass(frozen=True)
class Counts:
    """How many judgments of each kind there are; a tie counts as a choice."""

    good: int = 0
    bad: int = 0
    stars: int = 0
    choices: int = 0


@dataclass(frozen=True, eq=False)
class Feedback:
    """Judged vectors X [rows, d], as deviations from the prompt's own vector, and all judgments of them.

    `shape`: channels, height and width of a row, where it is noise laid out as a picture. Raises ValueError for a
    wrong shape, numbers that are not finite, or a judgment of a row that is not there.
    """

    X: Vectors
    judgments: tuple[Judgment, ...]
    shape: Shape | None = None

    def __post_init__(self) -> None:
        if self.X.ndim != 2:
            raise ValueError(f"X must be [rows, d], not {list(self.X.shape)}")
        if not np.isfinite(self.X).all():
            raise ValueError(f"X {list(self.X.shape)} holds numbers that are not finite")
        for judgment in self.judgments:
            rows = judgment.rows
            if len(set(rows)) < len(rows) or len(rows) < (2 if isinstance(judgment, Choice) else 1):
                raise ValueError(f"{judgment} must name different rows, a choice two or more")
            if not all(0 <= row < len(self.X) for row in rows):
                raise ValueError(f"{judgment} names a row that is not among the {len(self.X)}")
            if isinstance(judgment, Stars) and not 1 <= judgment.stars <= MOST_STARS:
                raise ValueError(f"{judgment} must have 1 to {MOST_STARS} stars")

    @classmethod
    def of_labels(cls, X: Vectors, y: Vectors, batch_numbers: Iterable[int] | None = None) -> "Feedback":
        """From one rating of each row: X [rows, d], y [rows] in {+1, -1}, and the batch of each [rows]."""
        X, y = np.asarray(X), np.asarray(y)
        if X.ndim != 2 or y.shape != X.shape[:1]:
            raise ValueError(f"X must be [rows, d] and y [rows], not X {list(X.shape)} and y {list(y.shape)}")
        if not np.isin(y, (1, -1)).all():
            raise ValueError(f"y {list(y.shape)} must hold +1 and -1 only")
        numbers = [0] * len(y) if batch_numbers is None else list(batch_numbers)
        return cls(X, tuple(Label(i, bool(y[i] > 0), numbers[i]) for i in range(len(y))))

    @cached_property
    def ratings(self) -> Floats:
        """The mean vote on each row, -1 (bad) to 1 (good) [rows]; NaN where there is none."""
        total, count = np.zeros(len(self.X)), np.zeros(len(self.X))
        for judgment in self.judgments:
            for row, vote in judgment.votes():
                total[row] += vote
                count[row] += 1
        return np.asarray(np.divide(total, count, out=np.full(len(self.X), np.nan), where=count > 0))

    @cached_property
    def batch_numbers(self) -> NDArray[np.int64]:
        """The batch in which each row was last judged [rows]; of one that never was, the first of all."""
        found = np.full(len(self.X), min((judgment.batch_number for judgment in self.judgments), default=0))
        for judgment in self.judgments:
            for row in judgment.rows:
                found[row] = max(found[row], judgment.batch_number)
        return found

    @cached_property
    def pointing_batches(self) -> frozenset[int]:
        """The batches that say where to go: something was liked in them, or was middling beside what was bad."""
        votes: dict[int, set[float]] = {}
        for judgment in self.judgments:
            votes.setdefault(judgment.batch_number, set()).update(vote for _, vote in judgment.votes())
        return frozenset(
            number for number, cast in votes.items() if cast and (max(cast) > 0 or max(cast) == 0 > min(cast))
        )

    @property
    def good(self) -> np.ndarray:
        """Which rows are rather good than bad [rows], bool."""
        return self.ratings > 0

    @property
    def bad(self) -> np.ndarray:
        """Which rows are rather bad than good [rows], bool."""
        return self.ratings < 0

    @property
    def counts(self) -> Counts:
        """How many judgments of each kind there are."""
        labels = [judgment.good for judgment in self.judgments if isinstance(judgment, Label)]
        return Counts(
            good=sum(labels),
            bad=len(labels) - sum(labels),
            stars=sum(isinstance(judgment, Stars) for judgment in self.judgments),
            choices=sum(isinstance(judgment, Choice | Tie) for judgment in self.judgments),
        )

    @cached_property
    def gram(self) -> Floats:
        """Inner products of the rows [rows, rows]."""
        return np.asarray(self.X @ self.X.T, dtype=np.float64)

    @cached_property
    def weighed_gram(self) -> Floats:
        """Inner products of the rows under the prior covariance of a taste in their space [rows, rows]."""
        return self.gram if self.shape is None else weighed_gram(self.X, self.shape)

    def only(self, judgments: Iterable[Judgment]) -> "Feedback":
        """The same rows with some of the judgments; what was computed of the rows is kept."""
        part = Feedback(self.X, tuple(judgments), self.shape)
        for name in ("gram", "weighed_gram"):
            if name in self.__dict__:
                part.__dict__[name] = self.__dict__[name]
        return part
