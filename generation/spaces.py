"""The spaces in which a model is steered: what a vector of each is, and what it becomes in the pipeline."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from generation.errors import UnsupportedSpace
from generation.types import ModelSpec, Vectors


class Space(ABC):
    """One way to steer. `is_noise` says which geometry holds: noise lives on a shell, embeddings in a ball."""

    key: ClassVar[str]
    label: ClassVar[str]
    is_noise: ClassVar[bool]
    # Defaults of the learner's lengths: degrees on the shell of noise, plain lengths among embeddings.
    start_radius: ClassVar[float]
    max_dist: ClassVar[float]
    step_size: ClassVar[float]
    ridge_alpha: ClassVar[float]

    @abstractmethod
    def dimension(self, spec: ModelSpec, width: int, height: int) -> int:
        """How many numbers a steering vector has, for pictures of this size in pixels."""

    def shape(self, spec: ModelSpec, width: int, height: int) -> tuple[int, int, int] | None:
        """Channels, height and width, where the vector is laid out as a picture."""
        return None


class Latent(Space):
    """The initial noise: channels x height/8 x width/8 standard normal numbers, flattened in C order."""

    key = "latent"
    label = "Latent"
    is_noise = True
    start_radius = 90.0
    max_dist = 45.0
    step_size = 1.0
    ridge_alpha = 1000.0

    def dimension(self, spec: ModelSpec, width: int, height: int) -> int:
        return int(np.prod(self.shape(spec, width, height)))

    def shape(self, spec: ModelSpec, width: int, height: int) -> tuple[int, int, int]:
        factor = spec.latent_downsampling
        return spec.latent_channels, height // factor, width // factor

    def to_latents(self, spec: ModelSpec, vectors: Vectors, width: int, height: int) -> Vectors:
        """float32 [n, d] -> float32 [n, channels, height/8, width/8]."""
        return vectors.reshape(len(vectors), *self.shape(spec, width, height))


class Embedding(Space):
    """What is added to the prompt's embedding. Lengths mean the same in all of these spaces."""

    is_noise = False
    start_radius = 0.8
    max_dist = 0.8
    step_size = 0.02
    ridge_alpha = 1.0


class PooledEmbed(Embedding):
    """A vector, times the delta scale, added to the prompt's pooled embedding.

    Where a model has none, as Stable Diffusion, it is added to the embedding of every token.
    """

    key = "pooled_embed"
    label = "PooledEmbed"

    def dimension(self, spec: ModelSpec, width: int, height: int) -> int:
        return spec.pooled_size or spec.hidden_size

    def to_delta(self, vectors: Vectors, delta_scale: float) -> Vectors:
        """float32 [n, size], to be added to the pooled embedding [n, size] or to each token's [n, tokens, size]."""
        return np.asarray(vectors * np.float32(delta_scale))


class PromptEmbed(Embedding):
    """The embedding of all tokens of the prompt: what is added to each is a part of the vector of its own.

    The sum of all squares is as in PooledEmbed with every token moved, so that a length means the same there and here.
    """

    key = "prompt_embed"
    label = "PromptEmbed"

    def dimension(self, spec: ModelSpec, width: int, height: int) -> int:
        return spec.prompt_tokens * spec.hidden_size

    def to_delta(self, spec: ModelSpec, vectors: Vectors, delta_scale: float) -> Vectors:
        """float32 [n, tokens * hidden] -> float32 [n, tokens, hidden], to be added to the tokens' embeddings."""
        scale = np.float32(delta_scale * np.sqrt(spec.prompt_tokens))
        return np.asarray(vectors * scale).reshape(len(vectors), spec.prompt_tokens, spec.hidden_size)


LATENT = Latent()
POOLED_EMBED = PooledEmbed()
PROMPT_EMBED = PromptEmbed()
SPACES: dict[str, Space] = {space.key: space for space in (LATENT, POOLED_EMBED, PROMPT_EMBED)}


def get(spec: ModelSpec, key: str) -> Space:
    """The space of a key, or UnsupportedSpace when this model cannot be steered in it."""
    if key not in spec.spaces or key not in SPACES:
        able = ", ".join(SPACES[name].label for name in spec.spaces)
        raise UnsupportedSpace(f"{spec.label} cannot be steered in “{key}”. Choose one of: {able}.")
    return SPACES[key]
