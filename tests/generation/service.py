"""What the tests of the generation service share."""

import base64
import io

import numpy as np
from PIL import Image

from generation.server import api as routes


def pixels(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def vectors(dimension: int, n: int = 3) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, dimension), dtype=np.float32)


def free_places() -> int:
    """Of the queue."""
    taken = 0
    while routes.service.places.acquire(blocking=False):
        taken += 1
    for _ in range(taken):
        routes.service.places.release()
    return taken
