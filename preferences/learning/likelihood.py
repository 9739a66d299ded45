"""How likely each judgment is, given the utility of the pictures; for the Bayesian model.

The unknowns are one vector g: the utility f of each row, then the person's standard tau in each batch that has labels
or stars. All but one kind of judgment put a difference of two unknowns between two bounds, with logistic noise:

    log p = log(sigma(upper - eta) - sigma(lower - eta)),    eta = g[plus] - g[minus]

good: f above tau; bad: below; stars: between two of four steps around tau (ordinal logistic, McCullagh 1980);
best of two: one f above the other (Bradley & Terry 1952); tie: not far from it. The best of more is a softmax
(Luce 1959).
All are log-concave, so the posterior has one mode.
"""

import numpy as np
from numpy.typing import NDArray

from preferences.learning.feedback import MOST_STARS, Choice, Feedback, Label, Stars, Tie
from preferences.learning.geometry import Floats

STAR_STEP = 1.5  # utility between two stars, where logistic noise has spread 1.8
TIE = 0.5
TINY = 1e-12

BOUNDS = np.concatenate([[-np.inf], STAR_STEP * (np.arange(1, MOST_STARS) - MOST_STARS / 2), [np.inf]])


def sigmoid(x: Floats) -> Floats:
    """Logistic function without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


class Likelihood:
    """The judgments of a Feedback as a function of the unknowns."""

    def __init__(self, feedback: Feedback) -> None:
        self.rows = len(feedback.X)
        numbers = sorted({j.batch_number for j in feedback.judgments if isinstance(j, Label | Stars)})
        self.batch_numbers: NDArray[np.int64] = np.array(numbers, dtype=np.int64)
        standard = {number: self.rows + i for i, number in enumerate(numbers)}
        between: list[tuple[int, int, float, float]] = []
        self.choices: list[NDArray[np.int64]] = []  # the best one first
        for judgment in feedback.judgments:
            match judgment:
                case Label(row, good, number):
                    between.append((row, standard[number], *((0.0, np.inf) if good else (-np.inf, 0.0))))
                case Stars(row, stars, number):
                    between.append((row, standard[number], BOUNDS[stars - 1], BOUNDS[stars]))
                case Tie(first, second):
                    between.append((first, second, -TIE, TIE))
                case Choice(best, (other,)):
                    between.append((best, other, 0.0, np.inf))
                case Choice(best, others):
                    self.choices.append(np.array([best, *others]))
        table = np.array(between, dtype=np.float64).reshape(-1, 4)
        self.plus, self.minus = table[:, 0].astype(int), table[:, 1].astype(int)
        self.lower, self.upper = table[:, 2], table[:, 3]

    @property
    def size(self) -> int:
        """How many unknowns there are: rows and standards."""
        return self.rows + len(self.batch_numbers)

    def log_likelihood(self, g: Floats) -> float:
        """log p of all judgments at g [size]."""
        eta = g[self.plus] - g[self.minus]
        chance = sigmoid(self.upper - eta) - sigmoid(self.lower - eta)
        total = float(np.log(np.maximum(chance, TINY)).sum())
        for items in self.choices:
            utility = g[items]
            top = utility.max()
            total += float(utility[0] - top - np.log(np.exp(utility - top).sum()))
        return total

    def derivatives(self, g: Floats) -> tuple[Floats, Floats]:
        """Gradient [size] and negative Hessian [size, size] of `log_likelihood` at g."""
        gradient, curvature = np.zeros(self.size), np.zeros((self.size, self.size))
        eta = g[self.plus] - g[self.minus]
        above, below = sigmoid(self.upper - eta), sigmoid(self.lower - eta)
        slope = above + below - 1
        bend = above * (1 - above) + below * (1 - below)
        np.add.at(gradient, self.plus, slope)
        np.add.at(gradient, self.minus, -slope)
        np.add.at(curvature, (self.plus, self.plus), bend)
        np.add.at(curvature, (self.minus, self.minus), bend)
        np.add.at(curvature, (self.plus, self.minus), -bend)
        np.add.at(curvature, (self.minus, self.plus), -bend)
        for items in self.choices:
            share = np.exp(g[items] - g[items].max())
            share /= share.sum()
            gradient[items] -= share
            gradient[items[0]] += 1
            curvature[np.ix_(items, items)] += np.diag(share) - np.outer(share, share)
        return gradient, curvature
