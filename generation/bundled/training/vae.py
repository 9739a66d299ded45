"""Training of the autoencoder in two parts that can run apart: a decoder, and an encoder for the same latents.

The latents are given beforehand: the four strongest principal components of 8 x 8 patches, each scaled to unit
spread (roughly lightness, two colour axes and a vertical edge). With a target that does not move, the decoder
and the U-Net are trained at the same time, and both learn in a fraction of the steps of a joint autoencoder.
What a patch holds beyond its four numbers the decoder must guess from its neighbours: small things are soft.
"""

import math
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from generation.bundled.architecture import POCKET, build_vae
from generation.bundled.training.common import FOLDER, Progress, load_pictures, save_checkpoint, to_tensor

RATE = 2e-3
PATCH, CHANNELS = 8, 4
CROP, CROPS, WHOLE = 64, 6, 2
# The decoder sees latents as a few-step sampler leaves them: not quite clean.
LATENT_NOISE = 0.08


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
    """n x 3 x H x W in [-1, 1] to latents n x 4 x H/8 x W/8."""
    return torch.einsum("cp,nphw->nchw", projection, patches(pictures) - mean[None, :, None, None])


def load_latents(folder: Path = FOLDER) -> torch.Tensor:
    """Latents of all training pictures, n x 4 x P/8 x P/8."""
    pictures, _ = load_pictures(folder)
    mean, projection = fit_components(pictures[:1000])
    parts = [project(to_tensor(pictures[i : i + 250]), mean, projection) for i in range(0, len(pictures), 250)]
    return torch.cat(parts)


def gradient_loss(made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of neighbouring pixels' differences: keeps edges that L1 alone would blur."""
    error = made - true
    return error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()


def sample_batch(pictures: NDArray[np.uint8], rng: np.random.Generator, whole: bool) -> torch.Tensor:
    """Some whole pictures, or crops of others that start on a multiple of the patch."""
    if whole:
        return to_tensor(pictures[rng.integers(0, len(pictures), WHOLE)])
    chosen = rng.integers(0, len(pictures), CROPS)
    corners = PATCH * rng.integers(0, (POCKET.pixels - CROP) // PATCH + 1, (CROPS, 2))
    crops = [pictures[i, r : r + CROP, c : c + CROP] for i, (r, c) in zip(chosen, corners, strict=True)]
    return to_tensor(np.stack(crops))


def train_part(part: str, minutes: float, seed: int = 0, folder: Path = FOLDER) -> Path:
    """Train the `decoder` or the `encoder` for `minutes`, going on from its checkpoint; returns that one's path.

    The first 60 % of the time uses crops (more variety for the same work), the rest whole pictures, since
    group norms see other statistics there.
    """
    pictures, _ = load_pictures(folder)
    mean, projection = fit_components(pictures[:1000])
    path, step = folder / f"{part}.pt", 0
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    vae = build_vae(POCKET)
    halves = {"decoder": [vae.post_quant_conv, vae.decoder], "encoder": [vae.encoder, vae.quant_conv]}
    trained = torch.nn.ModuleList(halves[part])
    optimiser = torch.optim.AdamW(trained.parameters(), lr=RATE, weight_decay=0.01)
    if path.exists():
        state = torch.load(path, weights_only=True)
        trained.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]

    def save() -> None:
        state = {"model": trained.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
        save_checkpoint(path, state)

    progress = Progress(part, minutes)
    saved = 0.0
    while (spent := progress.fraction) < 1:
        step += 1
        decay = 0.03 + 0.97 * math.cos(spent * math.pi / 2) ** 2
        optimiser.param_groups[0]["lr"] = RATE * min(1, step / 50) * decay
        true = sample_batch(pictures, rng, whole=spent > 0.6)
        latents = project(true, mean, projection)
        if part == "decoder":
            made = vae.decode(latents + LATENT_NOISE * torch.randn_like(latents)).sample
            error = (made - true).abs().mean()
            loss = error + gradient_loss(made, true)
        else:
            posterior = vae.encode(true).latent_dist
            error = (posterior.mean - latents).abs().mean()
            # The spread that the posterior claims is the noise that the decoder has been trained to bear.
            loss = error + 0.1 * (posterior.logvar - 2 * math.log(LATENT_NOISE)).abs().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimiser.step()
        progress.step(step, error.item())
        if (spent - saved) * minutes > 1:
            saved = spent
            save()
    save()
    return path


def load_vae(vae: AutoencoderKL, folder: Path = FOLDER) -> None:
    """Put the trained halves, those that there are, into `vae` in place."""
    for part, modules in (
        ("decoder", [vae.post_quant_conv, vae.decoder]),
        ("encoder", [vae.encoder, vae.quant_conv]),
    ):
        path = folder / f"{part}.pt"
        if path.exists():
            torch.nn.ModuleList(modules).load_state_dict(torch.load(path, weights_only=True)["model"])
