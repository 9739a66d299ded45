"""What of a picture can be measured without an image encoder: four visual descriptors, on a grid of CELLS x CELLS.

In the manner of MPEG-7's colour layout and edge histogram (Manjunath et al. 2001). Encoders are trained on what a
caption says; where the light stands and how busy a picture is they hardly see.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from generation.types import Pixels, Vectors

NAMES = ("colours", "balance", "detail", "highlights")
CELLS = 8
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601
BRIGHTEST = 0.03  # share of the pixels that are highlights


def describe(pictures: Sequence[Pixels]) -> dict[str, Vectors]:
    """Pictures (H x W x 3 each, uint8, CELLS pixels a side or more) to the descriptors of each, by name, n x k.

    colours: mean red, green and blue of each cell, 0 to 1. balance: luminance of each cell less that of its row, so
    that what is left is left and right. detail: mean difference of neighbouring pixels. highlights: where the brightest
    pixels of the upper and of the lower half stand: the shares of them that lie above each of CELLS - 1 heights, and to
    the left of as many places, between which distances are the earth mover's.
    """
    rows = [_describe_one(picture) for picture in pictures]
    return {name: np.stack([row[name] for row in rows]) for name in (rows[0] if rows else ())}


def _describe_one(pixels: Pixels) -> dict[str, Vectors]:
    picture = np.asarray(pixels / 255, dtype=np.float32)
    light = picture @ np.array(LUMINANCE, np.float32)
    edges = np.abs(np.diff(light, axis=0, append=light[-1:])) + np.abs(np.diff(light, axis=1, append=light[:, -1:]))
    cells = _means(light)
    halves = np.split(light, [len(light) // 2])
    return {
        "colours": np.stack([_means(picture[..., channel]) for channel in range(3)], axis=-1).ravel(),
        "balance": (cells - cells.mean(axis=1, keepdims=True)).ravel(),
        "detail": _means(edges).ravel(),
        "highlights": np.concatenate([_highlights(half) for half in halves]),
    }


def _highlights(half: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How the brightest pixels of half a picture [H / 2, W] are distributed, down and across."""
    count = max(1, round(BRIGHTEST * half.size))
    brightest = np.zeros(half.size)
    brightest[np.argpartition(-half.ravel(), count - 1)[:count]] = 1 / count
    down, across = (brightest.reshape(half.shape).sum(axis=axis) for axis in (1, 0))
    return np.concatenate([_cumulated(down), _cumulated(across)]).astype(np.float32)


def _cumulated(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How much of shares [n], in a row, lies before each of CELLS - 1 places that divide it evenly."""
    places = np.arange(1, CELLS) / CELLS * len(shares)
    return np.asarray(np.interp(places, np.arange(len(shares) + 1), np.concatenate([[0.0], np.cumsum(shares)])))


def _means(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means [CELLS, CELLS] of the cells of an array [H, W], which differ by a pixel where a side cannot be divided."""
    down, across = (np.arange(CELLS) * side // CELLS for side in values.shape)
    sums = np.add.reduceat(np.add.reduceat(values, down, axis=0), across, axis=1)
    rows, columns = (np.diff(edges, append=side) for edges, side in zip((down, across), values.shape, strict=True))
    return np.asarray(sums / np.outer(rows, columns), dtype=np.float32)
