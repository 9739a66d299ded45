"""Where simulated people look at pictures: the bundled model and its encoder, by the path that the product takes."""

from dataclasses import replace
from functools import cache

import numpy as np

from generation import registry, spaces
from generation.descriptors import describe
from generation.encoders import Siglip
from generation.manager import ModelManager
from generation.types import GenerationRequest, Vectors
from ipo_site.benchmarks.learning.tastes import Pictures
from preferences.learning.pictures import Features

MODEL = registry.BUILTIN["pocket-landscapes"]
PROMPT = "a landscape"
REFERENCE_SEED, CHUNK = 80_001, 25


class Studio:
    """The bundled model and encoder, and `reference` pictures of the prompt alone, each from a noise of its own."""

    def __init__(self, reference: int) -> None:
        self.manager = ModelManager()
        self.manager.ensure_ready(MODEL)
        self.encoder = Siglip.load(registry.ENCODERS[MODEL.encoder].source)
        size = spaces.LATENT.dimension(MODEL, MODEL.width, MODEL.height)
        noise = np.random.default_rng(REFERENCE_SEED).standard_normal((reference, size)).astype(np.float32)
        self.bare = np.concatenate([self.draw("latent", noise[i : i + CHUNK], 0) for i in range(0, reference, CHUNK)])

    def draw(self, space: str, vectors: Vectors, noise_seed: int) -> Pictures:
        """[n, H, W, 3], by the path that the product takes; one that failed is black."""
        request = replace(GenerationRequest.by_default(MODEL, space, vectors, noise_seed), prompt=PROMPT)
        black = np.zeros((MODEL.height, MODEL.width, 3), np.uint8)
        drawn = [picture.pixels for picture in self.manager.generate(MODEL, request)]
        return np.stack([black if one is None else one for one in drawn])

    def features(self, pictures: Pictures) -> Features:
        """Those by which the product chooses among pictures of this model."""
        return {MODEL.encoder: self.encoder.embed_images(list(pictures))} | describe(list(pictures))


@cache
def studio(reference: int) -> Studio:
    """One for each process."""
    return Studio(reference)
