"""The Stable Diffusion family: sd-turbo, the bundled model, and whatever else diffusers loads as one."""

from typing import Any

import numpy as np
import torch
from diffusers import LCMScheduler, StableDiffusionPipeline

from generation import spaces
from generation.errors import ModelUnavailable
from generation.pipelines.base import Pipeline, after_step, decoded, generators
from generation.pipelines.loading import read
from generation.progress import Report
from generation.types import GenerationRequest, ModelSpec, Picture


class StableDiffusion(Pipeline):
    """A diffusers StableDiffusionPipeline with the embeddings of the last prompt kept."""

    def __init__(self, spec: ModelSpec, pipe: StableDiffusionPipeline) -> None:
        self.spec = spec
        self.pipe = pipe
        self._encoded: tuple[tuple[str, str, bool], tuple[torch.Tensor, torch.Tensor | None]] | None = None

    @classmethod
    def load(cls, spec: ModelSpec, device: str, report: Report | None = None) -> "StableDiffusion":
        pipe = read(
            StableDiffusionPipeline, spec, report or Report(spec), safety_checker=None, requires_safety_checker=False
        )
        if spec.scheduler == "lcm":
            pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config)
        hidden, tokens = pipe.text_encoder.config.hidden_size, pipe.tokenizer.model_max_length
        if (hidden, tokens) != (spec.hidden_size, spec.prompt_tokens):
            raise ModelUnavailable(
                f"{spec.label} reads {tokens} tokens of {hidden} numbers, its entry says {spec.prompt_tokens} of "
                f"{spec.hidden_size}: correct prompt_tokens and hidden_size."
            )
        return cls(spec, pipe.to(device))

    @torch.inference_mode()
    def generate(self, request: GenerationRequest) -> list[Picture]:
        space = self.space_of(request)
        count = len(request.vectors)
        embeds, negative = self._encode(request)
        embeds = embeds.expand(count, -1, -1)
        if isinstance(space, spaces.PooledEmbed):
            embeds = embeds + self._tensor(space.to_delta(request.vectors, request.delta_scale))[:, None, :]
        elif isinstance(space, spaces.PromptEmbed):
            embeds = embeds + self._tensor(space.to_delta(self.spec, request.vectors, request.delta_scale))
        latents = self.pipe(
            prompt_embeds=embeds,
            negative_prompt_embeds=None if negative is None else negative.expand(count, -1, -1),
            latents=self._tensor(self.noise_of(request, space)),
            width=request.width,
            height=request.height,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            generator=generators(request),
            output_type="latent",
            callback_on_step_end=after_step(self, request),
        ).images
        return decoded(self.pipe.vae, latents)

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

    def _tensor(self, array: Any) -> torch.Tensor:
        return torch.from_numpy(np.array(array)).to(self.pipe.device, self.pipe.unet.dtype)
