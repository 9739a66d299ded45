"""What every family of pipelines offers to the local backend, and what the families share."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from diffusers import AutoencoderKL

from generation import images, spaces
from generation.errors import Cancelled
from generation.pipelines import previews
from generation.progress import Report
from generation.types import GenerationRequest, ModelSpec, Picture


class Pipeline(ABC):
    """A loaded model. It owns its weights until it is dropped."""

    spec: ModelSpec
    pipe: Any  # of diffusers
    revision: str = ""  # of its weights
    look: previews.Look | None = None  # at latents, for previews
    has_looked_for_vae: bool = False  # the tiny one, which may be missing

    @classmethod
    @abstractmethod
    def load(cls, spec: ModelSpec, device: str, report: Report | None = None) -> "Pipeline":
        """Read the weights, fetched and converted if need be. Raises ModelUnavailable with a remedy, and Cancelled."""

    @abstractmethod
    def generate(self, request: GenerationRequest) -> list[Picture]:
        """One forward pass; as many pictures as the request has vectors, in their order.

        Raises ValueError for vectors of a wrong shape, UnsupportedSpace, and Cancelled.
        """

    def laid_out(self, latents: torch.Tensor, request: GenerationRequest) -> torch.Tensor:
        """The latents as diffusers has them between steps -> [n, channels, height, width]."""
        return latents

    def space_of(self, request: GenerationRequest) -> spaces.Space:
        """The space of a request whose vectors fit it. Raises UnsupportedSpace, and ValueError for a wrong shape."""
        space = spaces.get(self.spec, request.space)
        expected = space.dimension(self.spec, request.width, request.height)
        if request.vectors.ndim != 2 or request.vectors.shape[1] != expected:
            raise ValueError(f"vectors must be [n, {expected}] in {space.label}, not {request.vectors.shape}")
        return space

    def noise_of(self, request: GenerationRequest, space: spaces.Space) -> Any:
        """The initial noise of each picture, float32 [n, channels, height, width] of the latents.

        In Latent it is what steers; elsewhere one noise for all, by the request's noise_seed.
        """
        if isinstance(space, spaces.Latent):
            return space.to_latents(self.spec, request.vectors, request.width, request.height)
        shape = spaces.LATENT.shape(self.spec, request.width, request.height)
        noise = np.random.default_rng(request.noise_seed).standard_normal((1, *shape), dtype=np.float32)
        return np.repeat(noise, len(request.vectors), axis=0)


def generators(request: GenerationRequest) -> list[torch.Generator]:
    """One for each picture, all seeded alike.

    What a scheduler adds between the steps does not depend on which pictures share the batch.
    """
    return [torch.Generator("cpu").manual_seed(request.step_seed) for _ in request.vectors]


def after_step(
    pipeline: Pipeline, request: GenerationRequest
) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
    """A callback for diffusers that reports the step, and raises Cancelled where the request is to stop."""
    show = previews.Show(request, pipeline.look)

    def callback(pipe: Any, step: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        if request.on_step is not None:
            request.on_step(step + 1, request.steps)
        if request.should_stop is not None and request.should_stop():
            raise Cancelled("Stopped.")  # raising skips the decoding and leaves the pipeline usable
        show.step(step + 1, pipeline.laid_out(kwargs["latents"], request))
        return {}

    return callback


def decoded(vae: AutoencoderKL, latents: torch.Tensor) -> list[Picture]:
    """Pictures of the latents [n, channels, height, width], as a pipeline leaves them.

    In half precision some decoders overflow (sd-turbo's among them): a failed picture is decoded once more in float32.
    """
    latents = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
    pictures = [to_picture(image) for image in _decode(vae, latents)]
    failed = [row for row, picture in enumerate(pictures) if picture.pixels is None]
    if failed and vae.dtype != torch.float32:
        stored = vae.dtype
        try:
            vae.to(torch.float32)
            for row, image in zip(failed, _decode(vae, latents[failed]), strict=True):
                pictures[row] = to_picture(image)
        finally:
            vae.to(stored)
    return pictures


def _decode(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """float [n, 3, H, W], 0..1 where it is finite."""
    images: torch.Tensor = vae.decode(latents.to(vae.dtype), return_dict=False)[0]
    return (images * 0.5 + 0.5).clamp(0, 1)


def to_picture(image: torch.Tensor) -> Picture:
    """float [3, H, W] in 0..1 -> Picture; checked before the conversion, which would hide a NaN as black."""
    if not bool(torch.isfinite(image).all()):
        return Picture(None, "The model drew numbers that are no colours: try fewer steps or a smaller Delta Scale.")
    if images.is_plain(float(image.min()), float(image.max())):
        return Picture(None, images.PLAIN)
    pixels = image.mul(255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return Picture(cast(Any, pixels))
