"""What a person has said about pictures: judgments of every kind, over one set of rows.

Every way of asking ends up here, so that a change from one to another in mid-session loses nothing. Whoever can use
only a number for each picture takes `values`; whoever can use comparisons as such takes the judgments.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from preferences.learning.geometry import Floats, Vectors
from preferences.learning.layout import Shape, weighed_gram

MOST_STARS = 5


@dataclass(frozen=True)
class Label:
    """One picture is good, or bad. `moment` numbers the batch in which it was said: standards rise, taste drifts."""

    row: int
    good: bool
    moment: int = 0

    @property
    def rows(self) -> tuple[int, ...]:
        return (self.row,)

    def votes(self) -> list[tuple[int, float]]:
        """What it says of single rows, from -1 (bad) to 1 (good)."""
        return [(self.row, 1.0 if self.good else -1.0)]


@dataclass(frozen=True)
class Stars:
    """One picture has 1 to 5 stars."""

    row: int
    stars: int
    moment: int = 0

    @property
    def rows(self) -> tuple[int, ...]:
        return (self.row,)

    def votes(self) -> list[tuple[int, float]]:
        return [(self.row, (2 * self.stars - 1 - MOST_STARS) / (MOST_STARS - 1))]


@dataclass(frozen=True)
class Choice:
    """One picture is the best of several; a pair is the best of two."""

    best: int
    others: tuple[int, ...]
    moment: int = 0

    @property
    def rows(self) -> tuple[int, ...]:
        return (self.best, *self.others)

    def votes(self) -> list[tuple[int, float]]:
        return [(self.best, 1.0), *((row, -1.0) for row in self.others)]


@dataclass(frozen=True)
class Tie:
    """Two pictures are as good as each other."""

    first: int
    second: int
    moment: int = 0

    @property
    def rows(self) -> tuple[int, ...]:
        return (self.first, self.second)

    def votes(self) -> list[tuple[int, float]]:
        return []


Judgment = Label | Stars | Choice | Tie


def ranking(rows: Sequence[int], moment: int = 0) -> list[Judgment]:
    """A full ranking, best first, as the choices that make it up (Plackett 1975)."""
    return [Choice(row, tuple(rows[i + 1 :]), moment) for i, row in enumerate(rows[:-1])]


@dataclass(frozen=True, eq=False)
class Feedback:
    """Judged vectors X [rows, d], as deviations from the prompt's own vector, and all that was said of them.

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
    def of_labels(cls, X: Vectors, y: Vectors, moments: Iterable[int] | None = None) -> "Feedback":
        """From one rating of each row: X [rows, d], y [rows] in {+1, -1}, and the batch in which each was said."""
        X, y = np.asarray(X), np.asarray(y)
        if X.ndim != 2 or y.shape != X.shape[:1]:
            raise ValueError(f"X must be [rows, d] and y [rows], not X {list(X.shape)} and y {list(y.shape)}")
        if not np.isin(y, (1, -1)).all():
            raise ValueError(f"y {list(y.shape)} must hold +1 and -1 only")
        when = [0] * len(y) if moments is None else list(moments)
        return cls(X, tuple(Label(i, bool(y[i] > 0), when[i]) for i in range(len(y))))

    @cached_property
    def values(self) -> Floats:
        """The mean of what is said of each row, -1 (bad) to 1 (good) [rows]; NaN where nothing is."""
        total, count = np.zeros(len(self.X)), np.zeros(len(self.X))
        for judgment in self.judgments:
            for row, vote in judgment.votes():
                total[row] += vote
                count[row] += 1
        return np.asarray(np.divide(total, count, out=np.full(len(self.X), np.nan), where=count > 0))

    @cached_property
    def moments(self) -> NDArray[np.int64]:
        """When each row was last judged [rows]; of one that never was, the first moment of all."""
        found = np.full(len(self.X), min((judgment.moment for judgment in self.judgments), default=0))
        for judgment in self.judgments:
            for row in judgment.rows:
                found[row] = max(found[row], judgment.moment)
        return found

    @cached_property
    def pointing_moments(self) -> frozenset[int]:
        """The moments that say where to go: something was liked in them, or was middling beside what was bad."""
        votes: dict[int, set[float]] = {}
        for judgment in self.judgments:
            votes.setdefault(judgment.moment, set()).update(vote for _, vote in judgment.votes())
        return frozenset(
            moment for moment, said in votes.items() if said and (max(said) > 0 or max(said) == 0 > min(said))
        )

    @property
    def good(self) -> np.ndarray:
        """Which rows are rather good than bad [rows], bool."""
        return self.values > 0

    @property
    def bad(self) -> np.ndarray:
        """Which rows are rather bad than good [rows], bool."""
        return self.values < 0

    def __str__(self) -> str:
        """For the user: "2 good and 1 bad pictures, 3 pictures with stars, 1 choice"."""
        labels = [judgment for judgment in self.judgments if isinstance(judgment, Label)]
        good = sum(label.good for label in labels)
        counts = {
            f"{good} good and {len(labels) - good} bad pictures": len(labels),
            "{} picture{} with stars": sum(isinstance(judgment, Stars) for judgment in self.judgments),
            "{} choice{}": sum(isinstance(judgment, Choice | Tie) for judgment in self.judgments),
        }
        return ", ".join(text.format(count, "s" * (count != 1)) for text, count in counts.items() if count)

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
