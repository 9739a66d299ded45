"""Training of the autoencoder, with latents that start out as principal components.

A plain autoencoder first spends most of its time on finding any code at all. Here the code is known from the start:
the four strongest principal components of 8 x 8 patches, each scaled to unit spread (roughly lightness, two colour
axes and a vertical edge). The encoder is anchored to them; then the anchor is loosened, and encoder and
decoder together move to a code that also holds what four components leave out.
"""

import math
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from generation.bundled.architecture import POCKET, build_vae
from generation.bundled.training.common import (
    FOLDER,
    SHARDS,
    Moment,
    batch,
    device,
    load_average,
    load_pictures,
    to_tensor,
    train,
)

NAME = "vae"
RATE = 1e-3
PATCH, CHANNELS = 8, 4
CROP, CROPS, WHOLE = 64, 16, 4
# The decoder sees latents as a few-step sampler leaves them: not quite clean.
LATENT_NOISE = 0.06
# Steps until the anchor has its last weight; that one also keeps the latents near unit spread.
LOOSENING, LAST_ANCHOR = 1500, 0.01


def patches(pictures: torch.Tensor) -> torch.Tensor:
    """n x 3 x H x W to n x 192 x H/8 x W/8."""
    return torch.nn.functional.pixel_unshuffle(pictures, PATCH)


def fit_components(pictures: NDArray[np.uint8]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (192) and projection (4 x 192, scaled for unit spread) of the patches of uint8 pictures."""
    rows = patches(to_tensor(pictures)).permute(0, 2, 3, 1).reshape(-1, 3 * PATCH**2)
    mean = rows.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((rows - mean).T))
    best = vectors[:, -CHANNELS:].T.flip(0)
    # An eigenvector's sign is arbitrary: fix it, so that another run or library gives the same latents.
    best = best * best.sum(1, keepdim=True).sign()
    return mean, best / values[-CHANNELS:].flip(0).sqrt()[:, None]


def project(pictures: torch.Tensor, mean: torch.Tensor, projection: torch.Tensor) -> torch.Tensor:
    """n x 3 x H x W in [-1, 1] to n x 4 x H/8 x W/8."""
    return torch.einsum("cp,nphw->nchw", projection, patches(pictures) - mean[None, :, None, None])


def gradient_loss(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of neighbouring pixels' differences: keeps edges that L1 alone would blur."""
    error = made - true
    return error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()


def sample_batch(pictures: NDArray[np.uint8], rng: np.random.Generator, whole: bool) -> torch.Tensor:
    """Some whole pictures, or crops of others that start on a multiple of the patch; half of them mirrored."""
    if whole:
        pixels = pictures[rng.integers(0, len(pictures), batch(WHOLE))]
    else:
        chosen = rng.integers(0, len(pictures), batch(CROPS))
        corners = PATCH * rng.integers(0, (POCKET.pixels - CROP) // PATCH + 1, (len(chosen), 2))
        crops = [pictures[i, r : r + CROP, c : c + CROP] for i, (r, c) in zip(chosen, corners, strict=True)]
        pixels = np.stack(crops)
    if rng.random() < 0.5:
        pixels = np.ascontiguousarray(pixels[:, :, ::-1])
    return to_tensor(pixels, device()).to(memory_format=torch.channels_last)


def train_vae(minutes: float, seed: int = 0, folder: Path = FOLDER) -> Path:
    """Train for `minutes`, going on from the checkpoint; returns its path.

    The first 60 % of the time uses crops (more variety for the same work), the rest whole pictures, since
    group norms see other statistics there.
    """
    pictures, _ = load_pictures(folder)
    mean, projection = (part.to(device()) for part in fit_components(pictures[:1000]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = build_vae(POCKET).to(device(), memory_format=torch.channels_last).train()

    def loss(moment: Moment) -> tuple[torch.Tensor, torch.Tensor]:
        true = sample_batch(pictures, moment.rng, whole=moment.spent > 0.6)
        posterior = vae.encode(true).latent_dist
        made = vae.decode(posterior.mean + LATENT_NOISE * torch.randn_like(posterior.mean)).sample
        error = (made - true).abs().mean()
        anchor = max(LAST_ANCHOR, 1 - moment.step / LOOSENING)
        drift = (posterior.mean - project(true, mean, projection)).square().mean()
        # The spread that the posterior claims is the noise that the decoder has been trained to bear.
        claim = (posterior.logvar - 2 * math.log(LATENT_NOISE)).square().mean()
        return error + gradient_loss(made, true) + anchor * drift + 0.001 * claim, error

    return train(NAME, vae, loss, minutes=minutes, rate=RATE, seed=seed, folder=folder)


@torch.inference_mode()
def encode(vae: AutoencoderKL, pictures: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 pictures to the means of their latents, n x 4 x P/8 x P/8, float32, on the CPU."""
    parts = [
        vae.encode(to_tensor(pictures[i : i + 64], vae.device)).latent_dist.mean.cpu()
        for i in range(0, len(pictures), 64)
    ]
    return torch.cat(parts)


def fold_normalisation(vae: AutoencoderKL, latents: torch.Tensor) -> None:
    """Move mean and spread of `latents` (n x 4 x h x w) into the 1 x 1 convolutions, so that new ones have 0 and 1."""
    mean, spread = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    inward, outward = vae.quant_conv, vae.post_quant_conv
    with torch.no_grad():
        outward.bias += outward.weight[:, :, 0, 0] @ mean
        outward.weight *= spread[None, :, None, None]
        inward.weight[:CHANNELS] /= spread[:, None, None, None]
        inward.bias[:CHANNELS] = (inward.bias[:CHANNELS] - mean) / spread
        inward.bias[CHANNELS:] -= 2 * spread.log()  # the other half is the log of the variance


def load_vae(folder: Path = FOLDER) -> tuple[AutoencoderKL, int]:
    """The trained autoencoder on the CPU, its latents scaled to mean 0 and spread 1, and the number of its steps.

    Raises FileNotFoundError if there is none.
    """
    vae = build_vae(POCKET)
    steps = load_average(NAME, vae, folder)
    vae.eval()
    pictures, _ = load_pictures(folder, shards=SHARDS[:1])
    fold_normalisation(vae, encode(vae, pictures[:300]))
    return vae, steps
