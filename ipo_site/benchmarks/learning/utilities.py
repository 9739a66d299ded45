"""Hidden tastes: the utility of a steering vector to a simulated person.

Each depends on a few directions of the space only, so that the best of 100,000 random vectors can be had exactly from
the distribution of their shadows on these, in any number of dimensions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TARGET_DIRECTIONS, TARGET_DISTANCE = 16, 6.0
PEAKS, PEAK_SHARPNESS = 5, 1.5
OFF_SHELL_COST = 40.0  # lost where the norm is twice the shell's or more; a standard deviation of utility is 1


@dataclass(frozen=True)
class Utility:
    """Utility of vectors z [n, d]: of their shadows z/|z| sqrt(d) @ directions' [n, k], their norm and the progress."""

    directions: Floats  # [k, d], orthonormal unless stated otherwise
    of_shadows: Callable[[Floats, Floats, float], Floats]  # (shadows [n, k], norm / sqrt(d) [n], progress 0..1) -> [n]

    def __call__(self, z: NDArray[np.floating], progress: float = 0.0) -> Floats:
        """Utility [n] of z [n, d] when `progress` of the session's actions are done."""
        d = self.directions.shape[1]
        norm = np.linalg.norm(z, axis=1)
        shadows = (z @ self.directions.T) * (np.sqrt(d) / norm)[:, None]
        return self.of_shadows(shadows, norm / np.sqrt(d), progress)

    def of_random(self, count: int, rng: np.random.Generator, progress: float = 0.0) -> Floats:
        """Utility of `count` vectors drawn uniformly from the shell, without drawing all their numbers."""
        d = self.directions.shape[1]
        basis, mixing = np.linalg.qr(self.directions.T)
        k = basis.shape[1]
        inside = rng.standard_normal((count, k))
        outside = rng.chisquare(d - k, count) if d > k else np.zeros(count)
        inside *= np.sqrt(d / (np.sum(inside**2, axis=1) + outside))[:, None]
        return self.of_shadows(inside @ mixing, np.ones(count), progress)


def orthonormal(k: int, d: int, rng: np.random.Generator) -> Floats:
    """k random orthonormal directions [k, d]."""
    return np.asarray(np.linalg.qr(rng.standard_normal((d, k)))[0].T)


def linear(d: int, rng: np.random.Generator) -> Utility:
    """More of one direction is better; the norm does not matter."""
    return Utility(orthonormal(1, d, rng), lambda s, norm, t: s[:, 0])


def sparse(d: int, rng: np.random.Generator) -> Utility:
    """As linear, but only a few of the numbers matter."""
    direction = np.zeros((1, d))
    some = rng.choice(d, max(2, d // 50), replace=False)
    direction[0, some] = rng.standard_normal(len(some))
    return Utility(direction / np.linalg.norm(direction), lambda s, norm, t: s[:, 0])


def target(d: int, rng: np.random.Generator) -> Utility:
    """The nearer to a hidden point the better, in up to 16 directions."""
    k = min(TARGET_DIRECTIONS, d)
    point = rng.standard_normal(k)
    point *= min(TARGET_DISTANCE, 0.8 * np.sqrt(d)) / np.linalg.norm(point)
    return Utility(orthonormal(k, d, rng), lambda s, norm, t: -np.linalg.norm(s - point, axis=1))


def multimodal(d: int, rng: np.random.Generator) -> Utility:
    """Five things are liked, some more than others."""
    height = rng.uniform(-0.5, 0.5, PEAKS)
    return Utility(
        orthonormal(PEAKS, d, rng),
        lambda s, norm, t: np.log(np.exp(PEAK_SHARPNESS * s + height).sum(axis=1)) / PEAK_SHARPNESS,
    )


def drift(d: int, rng: np.random.Generator) -> Utility:
    """As linear, but after half of the session another direction counts."""
    return Utility(orthonormal(2, d, rng), lambda s, norm, t: s[:, 0] if t < 0.5 else s[:, 1])


def on_shell(d: int, rng: np.random.Generator) -> Utility:
    """As linear, but a vector off the shell of Gaussian noise makes a broken picture."""
    return Utility(orthonormal(1, d, rng), lambda s, norm, t: s[:, 0] - OFF_SHELL_COST * np.minimum(1, (norm - 1) ** 2))


UTILITIES: dict[str, Callable[[int, np.random.Generator], Utility]] = {
    "linear": linear,
    "sparse": sparse,
    "target": target,
    "multimodal": multimodal,
    "drift": drift,
    "on_shell": on_shell,
}
