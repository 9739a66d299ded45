"""The Stable Diffusion family: sd-turbo, the bundled model, and whatever else diffusers loads as one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from diffusers import LCMScheduler, StableDiffusionPipeline

from generation import spaces
from generation.errors import Cancelled, ModelUnavailable
from generation.pipelines.base import Pipeline
from generation.types import GenerationRequest, ModelSpec, Picture

# A picture whose pixels hardly differ is a failed one: a black or grey square, not something to rate.
NEARLY_CONSTANT = 2.0 / 255


class StableDiffusion(Pipeline):
    """A diffusers StableDiffusionPipeline with the embeddings of the last prompt kept."""

    def __init__(self, spec: ModelSpec, pipe: StableDiffusionPipeline) -> None:
        self.spec = spec
        self.pipe = pipe
        self._encoded: tuple[tuple[str, str, bool], tuple[torch.Tensor, torch.Tensor | None]] | None = None

    @classmethod
    def load(cls, spec: ModelSpec, device: str) -> "StableDiffusion":
        if spec.needs_cuda and device == "cpu":
            raise ModelUnavailable(f"{spec.label} needs an NVIDIA GPU, and this worker has none: choose another model.")
        local = Path(spec.source).is_dir()
        try:
            pipe = StableDiffusionPipeline.from_pretrained(
                spec.source,
                dtype=getattr(torch, spec.dtype),
                safety_checker=None,
                requires_safety_checker=False,
                local_files_only=local,
            )
        except (OSError, ValueError) as error:
            raise ModelUnavailable(
                f"The weights of {spec.label} could not be read from {spec.source}: "
                "check the folder, or the network connection and the Hugging Face token, and try again."
            ) from error
        if spec.scheduler == "lcm":
            pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config)
        hidden = pipe.text_encoder.config.hidden_size
        if hidden != spec.hidden_size:
            raise ModelUnavailable(
                f"{spec.label} has text embeddings of {hidden} numbers, its entry says {spec.hidden_size}: "
                "correct hidden_size."
            )
        pipe.set_progress_bar_config(disable=True)
        return cls(spec, pipe.to(device))

    @torch.inference_mode()
    def generate(self, request: GenerationRequest) -> list[Picture]:
        space = spaces.get(self.spec, request.space)
        count = len(request.vectors)
        expected = space.dimension(self.spec, request.width, request.height)
        if request.vectors.ndim != 2 or request.vectors.shape[1] != expected:
            raise ValueError(f"vectors must be [n, {expected}] in {space.label}, not {request.vectors.shape}")
        embeds, negative = self._encode(request)
        embeds = embeds.expand(count, -1, -1)
        if isinstance(space, spaces.Latent):
            noise = space.to_latents(self.spec, request.vectors, request.width, request.height)
        else:
            assert isinstance(space, spaces.PooledEmbed)
            delta = self._tensor(space.to_delta(request.vectors, request.delta_scale))
            embeds = embeds + delta
            noise = np.repeat(self._fixed_noise(request), count, axis=0)
        images = self.pipe(
            prompt_embeds=embeds,
            negative_prompt_embeds=None if negative is None else negative.expand(count, -1, -1),
            latents=self._tensor(noise),
            width=request.width,
            height=request.height,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            # One generator for each picture, all seeded alike: what a scheduler adds between the steps does
            # not depend on which pictures share the batch.
            generator=[torch.Generator("cpu").manual_seed(request.step_seed) for _ in range(count)],
            output_type="pt",
            callback_on_step_end=self._callback(request),
        ).images
        return [_to_picture(image) for image in images]

    def _encode(self, request: GenerationRequest) -> tuple[torch.Tensor, torch.Tensor | None]:
        guided = request.guidance > 1.0
        key = (request.prompt, request.negative_prompt, guided)
        if self._encoded is None or self._encoded[0] != key:
            negative = request.negative_prompt if guided else None
            embeds, negative_embeds = self.pipe.encode_prompt(
                request.prompt, self.pipe.device, 1, guided, negative_prompt=negative
            )
            self._encoded = key, (embeds, negative_embeds)
        return self._encoded[1]

    def _fixed_noise(self, request: GenerationRequest) -> Any:
        shape = spaces.LATENT.shape(self.spec, request.width, request.height)
        rng = np.random.default_rng(request.noise_seed)
        return rng.standard_normal((1, *shape), dtype=np.float32)

    def _tensor(self, array: Any) -> torch.Tensor:
        return torch.from_numpy(np.array(array)).to(self.pipe.device, self.pipe.unet.dtype)

    @staticmethod
    def _callback(request: GenerationRequest) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
        def after_step(pipe: Any, step: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
            if request.on_step is not None:
                request.on_step(step + 1, request.steps)
            if request.should_stop is not None and request.should_stop():
                raise Cancelled("Stopped.")  # raising skips the decoding and leaves the pipeline usable
            return {}

        return after_step


def _to_picture(image: torch.Tensor) -> Picture:
    """float [3, H, W] in 0..1 -> Picture; checked before the conversion, which would hide a NaN as black."""
    if not bool(torch.isfinite(image).all()):
        return Picture(None, "The model drew numbers that are no colours: try fewer steps or a smaller Delta Scale.")
    if float(image.max() - image.min()) < NEARLY_CONSTANT:
        return Picture(None, "The model drew a plain square: try another prompt or a smaller Delta Scale.")
    pixels = image.mul(255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return Picture(cast(Any, pixels))
