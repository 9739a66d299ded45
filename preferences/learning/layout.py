"""Noise that is laid out as a picture: what its coarse structure decides, and how to move it and keep it white.

Diffusion models take the layout and the colours of a picture from the lowest spatial frequencies of the initial noise
(Wu et al. 2023, FreeInit); the finest ones, nearly all of its numbers, hardly show. Two things follow. A taste is to be
looked for among the low frequencies first (`weigh`), or it takes as many ratings as there are numbers. And no frequency
may be made louder than noise has it, or the model draws what it never learned: each octave turns on a shell of its own
(`BandedShell`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.fft import dctn, idctn

from preferences.learning.geometry import Ball, Floats, Geometry, Shell, Vectors, checked_direction, checked_rows

Shape = tuple[int, int, int]  # channels, height, width

# Prior spread of the weight at frequency k: (1 + k^2)^(-STEEP / 2), k in half waves over the picture, whatever its
# size. Chosen by how well utility is predicted from 40 to 160 labels (seven tastes, bundled model; docs/benchmarks.md).
STEEP = 3.0
NEGLIGIBLE = 1e-4  # prior spread whose square is lost in a float32 beside that of the lowest frequency


def frequencies(shape: Shape) -> Floats:
    """Half waves over the picture [height, width] of each coefficient of the cosine transform."""
    _, height, width = shape
    return np.asarray(np.hypot(np.arange(height)[:, None], np.arange(width)[None]))


def weigh(X: Vectors, shape: Shape) -> Floats:
    """The rows X [n, d] times the prior covariance of a smooth taste, [n, d]."""
    spectra = _spectra(np.asarray(X, dtype=np.float64), shape)
    return _rows(spectra.reshape(-1, *shape) * _spread(shape) ** 2).reshape(X.shape)


def weighed_gram(X: Vectors, shape: Shape) -> Floats:
    """Inner products of the rows X [n, d] under that covariance [n, n]; computed in X's own precision."""
    spread = _spread(shape)
    kept = spread > NEGLIGIBLE
    weighed = (_spectra(X, shape).reshape(-1, *shape)[:, :, kept] * spread[kept].astype(X.dtype)).reshape(len(X), -1)
    return np.asarray(weighed @ weighed.T, dtype=np.float64)


def _spread(shape: Shape) -> Floats:
    """Prior spread of a taste's weight at each frequency [height, width]."""
    return np.asarray((1 + frequencies(shape) ** 2) ** (-STEEP / 2))


def _spectra(X: Vectors, shape: Shape) -> Vectors:
    """Cosine transform of each channel of the rows [n, d], again as rows."""
    pictures = np.reshape(X, (-1, *shape))
    return np.asarray(dctn(pictures, axes=(2, 3), norm="ortho").reshape(np.shape(X)))


def _rows(spectra: Vectors) -> Floats:
    """Back from the transform: of [n, channels, height, width] the same, as rows [n, d]."""
    return np.asarray(idctn(spectra, axes=(2, 3), norm="ortho").reshape(len(spectra), -1), dtype=np.float64)


@dataclass(frozen=True)
class BandedShell(Shell):
    """Noise whose every octave of frequencies keeps its norm: a product of shells, one for each octave.

    Lengths are angles in degrees; a move turns each octave by the same angle, so that the whole turns by it at most.
    """

    shape: Shape

    def __post_init__(self) -> None:
        if int(np.prod(self.shape)) != self.dimension:
            raise ValueError(f"shape {self.shape} must have {self.dimension} numbers")

    @cached_property
    def bands(self) -> list[NDArray[np.int64]]:
        """The places of each octave's coefficients among the d of the cosine transform, the lowest first.

        The mean goes with the single half waves: alone it would be a few numbers, in which there is no room to turn.
        """
        octave = np.ceil(np.log2(np.maximum(frequencies(self.shape), 1))).astype(int)
        everywhere = np.broadcast_to(octave, self.shape).ravel()
        return [np.flatnonzero(everywhere == band) for band in np.unique(everywhere)]

    def project(self, z: Vectors) -> Floats:
        return self._each(lambda shell, rows: shell.project(rows), z)

    def move(self, z: Vectors, direction: Vectors, amount: ArrayLike) -> Floats:
        along = checked_direction(direction, self.dimension)
        return self._each(lambda shell, rows, way: shell.move(rows, way, amount), z, along)

    def random_move(self, z: Vectors, amount: ArrayLike, rng: np.random.Generator) -> Floats:
        # Of random directions each octave's part is random by itself, so they need no transform.
        return self._each(lambda shell, rows: shell.random_move(rows, amount, rng), z)

    def climb(self, z: Vectors, direction: Vectors, amount: ArrayLike) -> Floats:
        along = checked_direction(direction, self.dimension)
        return self._each(lambda shell, rows, way: shell.climb(rows, way, amount), z, along)

    def limit(self, z: Vectors, centre: Vectors, radius: float) -> Floats:
        return self._each(lambda shell, rows, middle: shell.limit(rows, middle, radius), z, np.atleast_2d(centre))

    def _each(self, act: Callable[..., Floats], z: Vectors, *others: Vectors) -> Floats:
        """What `act` makes of the coefficients of each octave, given its shell, as rows [n, d] again.

        others: rows [n, d], or one row [1, d] that stands for all.
        """
        apart = [_spectra(checked_rows(part, self.dimension), self.shape) for part in (z, *others)]
        changed = np.empty_like(apart[0])
        for band in self.bands:
            changed[:, band] = act(Shell(len(band)), *(part[:, band] for part in apart))
        return _rows(changed.reshape(-1, *self.shape))


# In an embedding space the learner may go this many Start Radii away from the prompt; beyond, pictures fall apart.
CAP_IN_RADII = 2.5


def geometry_of(is_noise: bool, dimension: int, start_radius: float, shape: Shape | None = None) -> Geometry:
    """Where a space's vectors live: the shell of noise, or a ball around the prompt among embeddings.

    `shape`: how noise is laid out as a picture, if it is.
    """
    if not is_noise:
        return Ball(dimension, CAP_IN_RADII * start_radius)
    return Shell(dimension) if shape is None else BandedShell(dimension, shape)
