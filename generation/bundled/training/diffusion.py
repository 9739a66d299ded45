"""Training of the U-Net on the autoencoder's latents and the text encoder's states: v-prediction."""

from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from torch.nn.functional import mse_loss

from generation.bundled.architecture import POCKET, build_pipeline
from generation.bundled.captions import loosely, phrases, sentence
from generation.bundled.scenes import Scene
from generation.bundled.training.common import (
    FOLDER,
    Moment,
    batch,
    device,
    load_average,
    load_pictures,
    read,
    train,
    whole,
)
from generation.bundled.training.text import load_text
from generation.bundled.training.vae import encode, load_vae

NAME = "diffusion"
STEPS = 20  # to draw with, before the distillation
RATE = 1e-3
BATCH = 32
DROPOUT = 0.1  # captions replaced by nothing, so that an empty prompt draws any landscape
CAPTIONS = 8  # different captions of each picture
NAMED = (0.1, 1.0)  # least and greatest share of the attributes that a caption names
NOISY_SHARE, NOISY = 0.5, 0.4  # half of the moments come from the noisier part, where layout follows the prompt


def load_latents(folder: Path = FOLDER) -> torch.Tensor:
    """Latents of all training pictures, n x 4 x P/8 x P/8, encoded when autoencoder or pictures are new, and kept."""
    vae, steps = load_vae(folder)
    pictures, _ = load_pictures(folder)
    file = folder / f"latents-{steps}-{len(pictures)}.pt"
    if not file.exists():
        with whole(file) as out:
            torch.save(encode(vae.to(device()), pictures), out)
    latents: torch.Tensor = read(file)
    return latents


def training_tokens(pipe: StableDiffusionPipeline, scenes: list[Scene], rng: np.random.Generator) -> torch.Tensor:
    """Token numbers of `CAPTIONS` captions of each scene: n x CAPTIONS x tokens. The first names everything."""
    texts = []
    for scene in scenes:
        texts.append(sentence(phrases(scene, rng, 1.0), rng))
        texts += [loosely(phrases(scene, rng, rng.uniform(*NAMED), evenly=True), rng) for _ in range(CAPTIONS - 1)]
    tokens: torch.Tensor = pipe.tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    return tokens.reshape(len(scenes), CAPTIONS, -1)


def train_diffusion(minutes: float, seed: int = 0, folder: Path = FOLDER) -> Path:
    """Train for `minutes`, going on from the checkpoint; returns its path. Autoencoder and text encoder come first.

    The loss is the plain mean square of the velocity (Salimans & Ho 2022); noisy moments, where layout and the
    prompt's words are decided, come more often.
    """
    pipe = build_pipeline(POCKET, seed)
    latents = load_latents(folder).to(device())
    _, scenes = load_pictures(folder)
    tokens = training_tokens(pipe, scenes, np.random.default_rng(seed)).to(device())
    empty = pipe.tokenizer("", padding="max_length", return_tensors="pt").input_ids[0].to(device())
    unet, text = pipe.unet.to(device()).train(), load_text(folder)[0].to(device())
    kept, count = pipe.scheduler.alphas_cumprod.to(device()), batch(BATCH)

    def loss(moment: Moment) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = moment.integers(0, len(latents), count)
        clean = latents[chosen]
        words = tokens[chosen, moment.integers(0, CAPTIONS, count)]
        words[torch.from_numpy(moment.rng.random(count) < DROPOUT).to(device())] = empty
        lowest = np.where(moment.rng.random(count) < NOISY_SHARE, round(NOISY * len(kept)), 0)
        moments = moment.integers(lowest, len(kept))
        alpha = kept[moments][:, None, None, None]
        noise = torch.randn_like(clean)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        target = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        with torch.no_grad():
            states = text(words)[0]
        error = mse_loss(unet(noisy, moments, states).sample, target)
        return error, error

    return train(NAME, unet, loss, minutes=minutes, rate=RATE, seed=seed, folder=folder)


def load_trained(folder: Path = FOLDER) -> StableDiffusionPipeline:
    """The pipeline of the trained parts, with averaged weights, float32, on the CPU.

    Raises FileNotFoundError if one of them has not been trained.
    """
    pipe = build_pipeline(POCKET)
    pipe.vae.load_state_dict(load_vae(folder)[0].state_dict())
    pipe.text_encoder.load_state_dict(load_text(folder)[0].state_dict())
    load_average(NAME, pipe.unet, folder)
    return pipe
