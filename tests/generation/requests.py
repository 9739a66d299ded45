"""Requests that the tests of drawing make, for the small pipeline of any family."""

from dataclasses import replace

import numpy as np

from generation import spaces
from generation.backends.base import Backend
from generation.manager import ModelManager
from generation.types import GenerationRequest, ModelSpec


def request_for(spec: ModelSpec, space: str = "latent", n: int = 3, seed: int = 0, **changes) -> GenerationRequest:
    """Three steps at 64 x 64, of n vectors that depend on `seed`."""
    dimension = spaces.SPACES[space].dimension(spec, 64, 64)
    vectors = np.random.default_rng(seed).standard_normal((n, dimension), dtype=np.float32)
    request = GenerationRequest.by_default(spec, space, vectors, seed=42)
    return replace(request, **{"prompt": "a sea", "width": 64, "height": 64, "steps": 3, "delta_scale": 3.0} | changes)


def pixels(drawer: ModelManager | Backend, spec: ModelSpec, request: GenerationRequest) -> np.ndarray:
    """Of all pictures of a request [n, H, W, 3], as int, so that differences have a sign."""
    return np.stack([picture.pixels for picture in drawer.generate(spec, request)]).astype(int)
