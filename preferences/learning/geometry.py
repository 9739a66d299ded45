"""Where steering vectors live: the shell of Gaussian noise, and the ball of embedding offsets.

Every move stays in its space. Work is done in float64; callers round to float32 at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Vectors = NDArray[np.floating[Any]]


class Geometry(Protocol):
    """What a learner may do with vectors; lengths are in the space's own unit."""

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""

    def project(self, z: Vectors) -> Floats:
        """The nearest points [n, d] of the space. Raises ValueError for a wrong shape or infinite numbers."""

    def distance(self, a: Vectors, b: Vectors) -> Floats:
        """Distances [...] between a [..., d] and b [..., d]: degrees on the shell, Euclidean in the ball."""

    def move(self, z: Vectors, direction: Vectors, amount: ArrayLike) -> Floats:
        """Move z [n, d] by `amount` (one number or n) along direction [n, d] or [d], staying in the space.

        The direction's length is ignored; where it points nowhere, z stays.
        """

    def climb(self, z: Vectors, direction: Vectors, amount: ArrayLike) -> Floats:
        """Move z [n, d] to where direction [n, d] or [d] times z is greatest, by `amount` (one number or n) at most."""

    def random_move(self, z: Vectors, amount: ArrayLike, rng: np.random.Generator) -> Floats:
        """Move each row of z [n, d] by `amount` in a direction of its own, all directions equally likely."""

    def limit(self, z: Vectors, centre: Vectors, radius: float) -> Floats:
        """Pull z [n, d] straight back to within `radius` of centre [n, d] or [d]; 0 = no limit."""


@dataclass(frozen=True)
class Shell:
    """Noise: vectors of norm sqrt(d), where Gaussian noise lives; lengths are angles in degrees."""

    dimension: int

    def project(self, z: Vectors) -> Floats:
        return np.asarray(self._directions(z) * np.sqrt(self.dimension), dtype=np.float64)

    def distance(self, a: Vectors, b: Vectors) -> Floats:
        a, b = _unit(a), _unit(b)
        # Kahan's form: unlike arccos it is exact near 0 and 180 degrees.
        half = np.arctan2(_norm(a - b), _norm(a + b))
        return np.asarray(np.degrees(2.0 * half), dtype=np.float64)

    def move(self, z: Vectors, direction: Vectors, amount: ArrayLike) -> Floats:
        """Geodesic: cos t * z + sin t * u, with u the unit tangent of `direction` scaled to the shell."""
        unit = self._directions(z)
        along = _unit(checked_direction(direction, self.dimension))
        tangent = along - np.einsum("ij,ij->i", along, unit)[:, None] * unit
        # Where the direction is (nearly) parallel to z the tangent is rounding noise: stay.
        length = _norm(tangent)[:, None]
        angle = np.where(length > 1e-9, np.radians(_column(amount)), 0.0)
        radius = np.sqrt(self.dimension)
        return np.asarray(radius * np.cos(angle) * unit + radius * np.sin(angle) / np.maximum(length, 1e-9) * tangent)

    def _directions(self, z: Vectors) -> Floats:
        """Rows z [n, d] scaled to length 1."""
        unit = _unit(checked_rows(z, self.dimension))
        # The zero vector has no nearest point: the vector of ones stands in, so that results stay on the shell.
        unit[_norm(unit) == 0] = 1 / np.sqrt(self.dimension)
        return unit

    def climb(self, z: Vectors, direction: Vectors, amount: ArrayLike) -> Floats:
        return self.move(z, direction, np.minimum(amount, self.distance(z, np.atleast_2d(direction))))

    def random_move(self, z: Vectors, amount: ArrayLike, rng: np.random.Generator) -> Floats:
        return self.move(z, rng.standard_normal(np.shape(z)), amount)

    def limit(self, z: Vectors, centre: Vectors, radius: float) -> Floats:
        return _limit(self.project(z), self.project(np.atleast_2d(centre)), radius, self.distance, self.move)


@dataclass(frozen=True)
class Ball:
    """Embedding offsets: vectors of norm at most `cap` (0 = no cap); lengths are Euclidean."""

    dimension: int
    cap: float

    def project(self, z: Vectors) -> Floats:
        rows = checked_rows(z, self.dimension)
        if self.cap == 0:
            return rows
        norm = np.linalg.norm(rows, axis=1, keepdims=True)
        shrink = np.minimum(1.0, self.cap / np.maximum(norm, np.finfo(np.float64).tiny))
        return np.asarray(rows * shrink, dtype=np.float64)

    def distance(self, a: Vectors, b: Vectors) -> Floats:
        difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
        return np.asarray(np.linalg.norm(difference, axis=-1), dtype=np.float64)

    def move(self, z: Vectors, direction: Vectors, amount: ArrayLike) -> Floats:
        """A straight step of length `amount`, then back inside the cap."""
        step = _column(amount) * _unit(checked_direction(direction, self.dimension))
        return self.project(checked_rows(z, self.dimension) + step)

    def climb(self, z: Vectors, direction: Vectors, amount: ArrayLike) -> Floats:
        return self.move(z, direction, amount)

    def random_move(self, z: Vectors, amount: ArrayLike, rng: np.random.Generator) -> Floats:
        return self.move(z, rng.standard_normal(np.shape(z)), amount)

    def limit(self, z: Vectors, centre: Vectors, radius: float) -> Floats:
        return _limit(self.project(z), self.project(np.atleast_2d(centre)), radius, self.distance, self.move)


def checked_rows(z: Vectors, dimension: int, name: str = "z") -> Floats:
    """z as float64 [n, dimension]. Raises ValueError naming the array and its shape."""
    rows = np.asarray(z, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise ValueError(f"{name} must have shape [n, {dimension}], not {list(rows.shape)}")
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} {list(rows.shape)} holds numbers that are not finite")
    return rows


def checked_direction(direction: Vectors, dimension: int) -> Floats:
    """direction as float64 [n, dimension], one row where one vector was given. Raises as checked_rows."""
    return checked_rows(np.atleast_2d(direction), dimension, "direction")


def _column(amount: ArrayLike) -> Floats:
    return np.asarray(amount, dtype=np.float64).reshape(-1, 1)


def _norm(rows: NDArray[np.floating[Any]]) -> Floats:
    """Lengths [...] of rows [..., d]: numpy.linalg.norm, without its copies of the rows."""
    return np.asarray(np.sqrt(np.einsum("...i,...i->...", rows, rows)))


def _unit(rows: Vectors) -> Floats:
    """Rows scaled to length 1; zero rows stay zero."""
    rows = np.asarray(rows, dtype=np.float64)
    norm = _norm(rows)[..., None]
    if np.all((norm > 1e-100) & (norm < 1e100)):
        return np.asarray(rows / norm)
    # Dividing by the largest entry first keeps tiny and huge rows from under- and overflowing in the square.
    peak = np.max(np.abs(rows), axis=-1, keepdims=True)
    rows = np.divide(rows, peak, out=np.zeros_like(rows), where=peak > 0)
    norm = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0), dtype=np.float64)


def _limit(
    z: Floats,
    centre: Floats,
    radius: float,
    distance: Callable[[Vectors, Vectors], Floats],
    move: Callable[[Vectors, Vectors, ArrayLike], Floats],
) -> Floats:
    if radius < 0:
        raise ValueError(f"radius must be 0 (no limit) or more, not {radius}")
    if radius == 0:
        return z
    centre = np.broadcast_to(centre, z.shape)
    outside = distance(z, centre) > radius
    if outside.any():
        z = z.copy()
        z[outside] = move(centre[outside], (z - centre)[outside], radius)
    return z
