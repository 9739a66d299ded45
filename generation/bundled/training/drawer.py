"""Pictures from an exported model for the report and the contact sheet."""

from dataclasses import dataclass

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray

from generation.types import ModelSpec


@dataclass(frozen=True)
class Drawer:
    """Draws prompts with the settings that the product uses by default."""

    pipe: StableDiffusionPipeline
    spec: ModelSpec
    chunk: int = 32

    @classmethod
    def load(cls, spec: ModelSpec) -> "Drawer":
        """The pipeline of an entry of the registry, as float32 on the CPU."""
        pipe = StableDiffusionPipeline.from_pretrained(spec.source, dtype=torch.float32)
        pipe.set_progress_bar_config(disable=True)
        return cls(pipe, spec)

    def draw(self, prompts: list[str], first_seed: int) -> NDArray[np.uint8]:
        """One picture a prompt (n x P x P x 3), the i-th with the seed `first_seed` + i."""
        drawn = []
        for i in range(0, len(prompts), self.chunk):
            part = prompts[i : i + self.chunk]
            seeds = [torch.Generator().manual_seed(first_seed + i + k) for k in range(len(part))]
            images = self.pipe(
                part,
                num_inference_steps=self.spec.steps,
                guidance_scale=self.spec.guidance,
                generator=seeds,
                output_type="np",
            ).images
            drawn.append((images * 255).round().astype(np.uint8))
        return np.concatenate(drawn)
