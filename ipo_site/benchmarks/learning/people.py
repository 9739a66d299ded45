"""Simulated people: they look at a batch and judge it, at times wrongly."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preferences.learning.feedback import Choice, Judgment, Label, Stars, ranking

Floats = NDArray[np.float64]

MEMORY = 24  # pictures seen lately, which set the standard
GOOD_SHARE = 0.4
STAR_SHARES = (0.15, 0.4, 0.7, 0.9)  # of what was seen lately, below 2, 3, 4 and 5 stars


@dataclass
class Person:
    """Judges by utility plus Gumbel noise, whose scale is set on each batch for a share `errors` of wrong pairs."""

    errors: float
    rng: np.random.Generator

    def judge(self, kind: str, utility: Floats, before: Floats, first: int, batch_number: int) -> list[list[Judgment]]:
        """How a batch is judged whose rows are numbered from `first`: one list of judgments an action.

        utility: of the batch's pictures [n]; before: of those seen earlier, by today's taste, the latest last.
        """
        felt = utility + noise_scale(utility, self.errors) * self.rng.gumbel(size=len(utility))
        seen = np.concatenate([before[-MEMORY:], utility])
        return KINDS[kind](felt, seen, np.arange(first, first + len(utility)), batch_number)


def noise_scale(utility: Floats, errors: float) -> float:
    """Scale of Gumbel noise at which a share `errors` of all pairs of the batch comes out the wrong way round.

    The difference of two Gumbel variables is logistic, so a pair goes wrong with chance 1 / (1 + exp(gap / scale)).
    """
    gaps = np.abs(utility[:, None] - utility[None])[np.triu_indices(len(utility), 1)]
    if errors <= 0 or len(gaps) == 0 or gaps.max() == 0:
        return 0.0
    low, high = 1e-6 * gaps.max(), 1e3 * gaps.max()
    for _ in range(60):
        middle = np.sqrt(low * high)
        wrong = float(np.mean(1 / (1 + np.exp(np.minimum(gaps / middle, 500)))))
        low, high = (middle, high) if wrong < errors else (low, middle)
    return float(np.sqrt(low * high))


def labels(felt: Floats, seen: Floats, rows: NDArray[np.int64], batch_number: int) -> list[list[Judgment]]:
    """Good is what is among the best 40 % of what was seen lately."""
    standard = np.quantile(seen, 1 - GOOD_SHARE)
    return [[Label(int(row), bool(one > standard), batch_number)] for row, one in zip(rows, felt, strict=True)]


def stars(felt: Floats, seen: Floats, rows: NDArray[np.int64], batch_number: int) -> list[list[Judgment]]:
    """Stars by the place among what was seen lately."""
    steps = np.quantile(seen, STAR_SHARES)
    given = 1 + np.sum(felt[:, None] > steps, axis=1)
    return [[Stars(int(row), int(count), batch_number)] for row, count in zip(rows, given, strict=True)]


def pairs(felt: Floats, seen: Floats, rows: NDArray[np.int64], batch_number: int) -> list[list[Judgment]]:
    """Neighbours are compared."""
    actions: list[list[Judgment]] = []
    for i in range(0, len(rows) - 1, 2):
        better, worse = (i, i + 1) if felt[i] >= felt[i + 1] else (i + 1, i)
        actions.append([Choice(int(rows[better]), (int(rows[worse]),), batch_number)])
    return actions


def best(felt: Floats, seen: Floats, rows: NDArray[np.int64], batch_number: int) -> list[list[Judgment]]:
    """One click says which of all is best."""
    top = int(np.argmax(felt))
    return [[Choice(int(rows[top]), tuple(int(row) for row in np.delete(rows, top)), batch_number)]]


def order(felt: Floats, seen: Floats, rows: NDArray[np.int64], batch_number: int) -> list[list[Judgment]]:
    """All are put in order, one action for each picture."""
    choices = ranking([int(row) for row in rows[np.argsort(-felt)]], batch_number)
    return [[choice] for choice in choices]


KINDS: dict[str, Callable[[Floats, Floats, NDArray[np.int64], int], list[list[Judgment]]]] = {
    "labels": labels,
    "stars": stars,
    "pairs": pairs,
    "best": best,
    "ranking": order,
}
