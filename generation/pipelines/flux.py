"""The FLUX family: schnell, dev, and whatever else diffusers loads as one."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from diffusers import FluxPipeline
from diffusers.quantizers import PipelineQuantizationConfig

from generation import spaces
from generation.errors import GenerationError, ModelUnavailable
from generation.pipelines.base import Pipeline, after_step, decoded, generators
from generation.pipelines.loading import read
from generation.types import GenerationRequest, ModelSpec, Picture

# What makes up nearly all of the weights. T5 alone is 9.5 GB in bfloat16.
LARGE_PARTS = ["transformer", "text_encoder_2"]


class Flux(Pipeline):
    """A diffusers FluxPipeline with the embeddings of the last prompt kept."""

    def __init__(self, spec: ModelSpec, pipe: FluxPipeline) -> None:
        self.spec = spec
        self.pipe = pipe
        self._encoded: tuple[str, tuple[torch.Tensor, torch.Tensor]] | None = None

    @classmethod
    def load(cls, spec: ModelSpec, device: str) -> "Flux":
        pipe = read(FluxPipeline, spec, **quantized(spec))
        found = pipe.text_encoder_2.config.d_model, pipe.text_encoder.config.hidden_size
        if found != (spec.hidden_size, spec.pooled_size):
            raise ModelUnavailable(
                f"{spec.label} has tokens of {found[0]} numbers and a pooled embedding of {found[1]}, its entry says "
                f"{spec.hidden_size} and {spec.pooled_size}: correct hidden_size and pooled_size."
            )
        return cls(spec, pipe.to(device))

    @torch.inference_mode()
    def generate(self, request: GenerationRequest) -> list[Picture]:
        space = self.space_of(request)
        if request.negative_prompt:  # the form says so already; the service that others call has no form
            raise GenerationError(f"{self.spec.label} reads no negative prompt: start a session without one.")
        count = len(request.vectors)
        embeds, pooled = (part.expand(count, *part.shape[1:]) for part in self._encode(request.prompt))
        if isinstance(space, spaces.PooledEmbed):
            pooled = pooled + self._tensor(space.to_delta(request.vectors, request.delta_scale))
        elif isinstance(space, spaces.PromptEmbed):
            embeds = embeds + self._tensor(space.to_delta(self.spec, request.vectors, request.delta_scale))
        noise = self._tensor(self.noise_of(request, space))
        packed = self.pipe(
            prompt_embeds=embeds,
            pooled_prompt_embeds=pooled,
            latents=self.pipe._pack_latents(noise, *noise.shape),  # in patches of 2 x 2
            width=request.width,
            height=request.height,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            max_sequence_length=self.spec.prompt_tokens,
            generator=generators(request),
            output_type="latent",
            callback_on_step_end=after_step(request),
        ).images
        latents = self.pipe._unpack_latents(packed, request.height, request.width, self.pipe.vae_scale_factor)
        return decoded(self.pipe.vae, latents)

    def _encode(self, prompt: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings of the tokens [1, tokens, hidden] by T5, and of the prompt as a whole [1, pooled] by CLIP."""
        if self._encoded is None or self._encoded[0] != prompt:
            embeds, pooled, _ = self.pipe.encode_prompt(
                prompt, device=self.pipe.device, max_sequence_length=self.spec.prompt_tokens
            )
            self._encoded = prompt, (embeds, pooled)
        return self._encoded[1]

    def _tensor(self, array: Any) -> torch.Tensor:
        return torch.from_numpy(np.array(array)).to(self.pipe.device, self.pipe.transformer.dtype)


def quantized(spec: ModelSpec) -> dict[str, Any]:
    """Options of from_pretrained. Four-bit NormalFloat (Dettmers et al. 2023) saves memory, not time."""
    if spec.quantization != "nf4":
        return {}
    if find_spec("bitsandbytes") is None:
        raise ModelUnavailable(
            f"{spec.label} needs bitsandbytes: install it (pip install -e '.[cuda]'), and try again."
        )
    config = PipelineQuantizationConfig(
        quant_backend="bitsandbytes_4bit",
        quant_kwargs={
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_compute_dtype": getattr(torch, spec.dtype),
        },
        components_to_quantize=LARGE_PARTS,
    )
    return {"quantization_config": config}
