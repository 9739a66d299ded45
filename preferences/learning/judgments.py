"""What a person says of pictures, judgment by judgment: plain data, so that a page that asks loads no numerics."""

from dataclasses import dataclass

MOST_STARS = 5


@dataclass(frozen=True)
class Label:
    """One picture is good, or bad. `batch_number` is that of its batch: standards rise, taste drifts."""

    row: int
    good: bool
    batch_number: int = 0

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
    batch_number: int = 0

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
    batch_number: int = 0

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
    batch_number: int = 0

    @property
    def rows(self) -> tuple[int, ...]:
        return (self.first, self.second)

    def votes(self) -> list[tuple[int, float]]:
        return []


Judgment = Label | Stars | Choice | Tie
