"""A contact sheet of an exported model: one prompt a row, one seed a column."""

from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

PROMPTS = (
    "a landscape",
    "a meadow with a house and pines at noon",
    "the sea with snowy mountains at sunset",
    "a desert with palms at dawn",
    "snow with pine trees at night",
    "a pastel sea with palm trees and clouds",
    "a monochrome meadow with tall mountains",
    "a vivid desert with a house and a clear sky",
)
COLUMNS = 6
FIRST_SEED = 90_000


def draw_sheet(weights: Path, file: Path, steps: int = 8) -> None:
    """Draw `PROMPTS` x `COLUMNS` pictures with the weights in a folder and write one PNG."""
    pipe = StableDiffusionPipeline.from_pretrained(weights, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    side = pipe.unet.config.sample_size * pipe.vae_scale_factor
    page = Image.new("RGB", (COLUMNS * side, len(PROMPTS) * side))
    for row, prompt in enumerate(PROMPTS):
        seeds = [torch.Generator().manual_seed(FIRST_SEED + i) for i in range(COLUMNS)]
        images = pipe([prompt] * COLUMNS, num_inference_steps=steps, guidance_scale=0.0, generator=seeds).images
        for column, image in enumerate(images):
            page.paste(image, (column * side, row * side))
    file.parent.mkdir(parents=True, exist_ok=True)
    page.save(file)
