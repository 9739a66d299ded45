"""How alike are the pictures that two models draw from the same noise?"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

SIGMA, RADIUS = 1.5, 5  # of the window, in pixels
C1, C2 = 0.01**2, 0.03**2


def ssim(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Structural similarity of the lightness of two pictures of one size (Wang et al. 2004, equation 13; mean)."""
    x, y = (np.asarray(Image.fromarray(picture).convert("L"), np.float64) / 255 for picture in (one, other))

    def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
        smoothed: NDArray[np.float64] = gaussian_filter(values, SIGMA, radius=RADIUS)
        return smoothed

    mean_x, mean_y = smooth(x), smooth(y)
    var_x, var_y = smooth(x * x) - mean_x**2, smooth(y * y) - mean_y**2
    both = smooth(x * y) - mean_x * mean_y
    alike = (2 * mean_x * mean_y + C1) * (2 * both + C2)
    return float((alike / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2))).mean())


def likeness(sheet: Path, other: Path, side: int) -> float:
    """Median SSIM of the tiles of two contact sheets, `side` pixels square. Raises ValueError if sizes differ."""
    pages = [np.asarray(Image.open(file).convert("RGB")) for file in (sheet, other)]
    if pages[0].shape != pages[1].shape:
        raise ValueError(f"{sheet} and {other} are not of one size.")
    height, width = pages[0].shape[:2]
    tiles = [
        [page[top : top + side, left : left + side] for top in range(0, height, side) for left in range(0, width, side)]
        for page in pages
    ]
    return float(np.median([ssim(one, two) for one, two in zip(*tiles, strict=True)]))
