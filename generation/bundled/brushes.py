"""What the painter paints with: a canvas of floats [P, P, 3], masks with soft edges, colours that vary a little."""

import numpy as np
from numpy.typing import NDArray

PIXELS = 128
Floats = NDArray[np.float32]
Area = tuple[slice, slice]  # rows, columns

ROWS, COLUMNS = np.mgrid[0:PIXELS, 0:PIXELS].astype(np.float32)
COLUMN = np.arange(PIXELS, dtype=np.float32)


def area(left: float, right: float, top: float, bottom: float) -> Area:
    """The part of the canvas around a shape, with a pixel to spare: a small one need not touch every pixel."""
    rows = slice(min(PIXELS, max(0, int(top) - 1)), max(0, min(PIXELS, int(bottom) + 3)))
    return rows, slice(min(PIXELS, max(0, int(left) - 1)), max(0, min(PIXELS, int(right) + 3)))


def blend(canvas: Floats, mask: Floats, colour: Floats) -> None:
    """Lay `colour` (3, or H x W x 3) over `canvas` (H x W x 3) in place, by `mask` (H x W) in [0, 1]."""
    for channel in range(3):  # thrice over whole planes is faster than once with an inner loop of three
        plane = canvas[..., channel]
        plane += mask * (colour[..., channel] - plane)


def rgb(colour: tuple[float, float, float], rng: np.random.Generator, jitter: float = 0.05) -> Floats:
    """The colour as an array, moved a little."""
    return np.clip(np.asarray(colour) + rng.uniform(-jitter, jitter, 3), 0, 1).astype(np.float32)


def edge(distance: Floats) -> Floats:
    """Coverage of a pixel by a shape whose signed distance (pixels, positive inside) is given."""
    return np.asarray(np.clip(distance + np.float32(0.5), 0, 1), np.float32)
