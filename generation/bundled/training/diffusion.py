"""Joint training of the text encoder and the U-Net on the autoencoder's latents: v-prediction, min-SNR, EMA."""

import math
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from diffusers.training_utils import EMAModel
from torch.nn.functional import mse_loss

from generation.bundled.architecture import POCKET, build_pipeline
from generation.bundled.captions import caption
from generation.bundled.training.common import FOLDER, Progress, device, load_pictures, save_checkpoint
from generation.bundled.training.vae import load_latents, load_vae

CHECKPOINT = "diffusion.pt"
RATE = 1e-3
BATCH = 12
DROPOUT = 0.1  # captions replaced by nothing, so that an empty prompt draws any landscape
SNR_CAP = 5.0
CAPTIONS = 3  # different captions of each picture


def training_tokens(pipe: StableDiffusionPipeline, folder: Path, rng: np.random.Generator) -> torch.Tensor:
    """Token numbers of `CAPTIONS` captions of each picture: n x CAPTIONS x tokens. The first names everything."""
    _, scenes = load_pictures(folder)
    texts = [caption(scene, rng, 1.0 if i == 0 else 0.6) for scene in scenes for i in range(CAPTIONS)]
    tokens: torch.Tensor = pipe.tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    return tokens.reshape(len(scenes), CAPTIONS, -1)


def train_diffusion(  # noqa: PLR0915 - one loop, read from top to bottom
    minutes: float, seed: int = 0, folder: Path = FOLDER
) -> Path:
    """Train for `minutes`, from the checkpoint in `folder` if there is one; returns the checkpoint's path."""
    pipe = build_pipeline(POCKET, seed)
    latents = load_latents(folder)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    tokens = training_tokens(pipe, folder, rng)
    empty = pipe.tokenizer("", padding="max_length", return_tensors="pt").input_ids[0]
    unet, text = pipe.unet.to(device()).train(), pipe.text_encoder.to(device()).train()
    trained = torch.nn.ModuleList([unet, text])
    optimiser = torch.optim.AdamW(trained.parameters(), lr=RATE, weight_decay=0.01)
    average = EMAModel(trained.parameters(), decay=0.998, use_ema_warmup=True, power=0.75)
    path, step = folder / CHECKPOINT, 0
    if path.exists():
        state = torch.load(path, weights_only=True)
        trained.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        average.load_state_dict(state["average"])
        step = state["step"]

    def save() -> None:
        state = {"model": trained.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
        save_checkpoint(path, {**state, "average": average.state_dict()})

    kept = pipe.scheduler.alphas_cumprod.to(device())
    progress = Progress("diffusion", minutes)
    saved = 0.0
    while progress.fraction < 1:
        step += 1
        decay = 0.02 + 0.98 * math.cos(min(1, progress.fraction) * math.pi / 2) ** 2
        optimiser.param_groups[0]["lr"] = RATE * min(1, step / 50) * decay
        chosen = torch.from_numpy(rng.integers(0, len(latents), BATCH))
        clean = latents[chosen].to(device())
        words = tokens[chosen, torch.from_numpy(rng.integers(0, CAPTIONS, BATCH))]
        words[torch.from_numpy(rng.random(BATCH) < DROPOUT)] = empty
        moments = torch.from_numpy(rng.integers(0, len(kept), BATCH)).to(device())
        alpha = kept[moments][:, None, None, None]
        noise = torch.randn_like(clean)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        target = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        guess = unet(noisy, moments, text(words.to(device()))[0]).sample
        ratio = kept[moments] / (1 - kept[moments])
        # Hang et al. 2023 (min-SNR) for v-prediction, plus a floor: layout is decided where the ratio is small.
        weight = ratio.clamp(max=SNR_CAP) / (ratio + 1) + 0.25
        error = mse_loss(guess, target, reduction="none").mean((1, 2, 3))
        loss = (weight * error).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimiser.step()
        average.step(trained.parameters())
        progress.step(step, error.mean().item())
        if (progress.fraction - saved) * minutes > 2:
            saved = progress.fraction
            save()
    save()
    return path


def load_trained(folder: Path = FOLDER) -> StableDiffusionPipeline:
    """The pipeline with the trained autoencoder and the averaged U-Net and text encoder, float32, on the CPU."""
    pipe = build_pipeline(POCKET)
    load_vae(pipe.vae, folder)
    state = torch.load(folder / CHECKPOINT, weights_only=True, map_location="cpu")
    trained = torch.nn.ModuleList([pipe.unet, pipe.text_encoder])
    for parameter, mean in zip(trained.parameters(), state["average"]["shadow_params"], strict=True):
        parameter.data.copy_(mean)
    return pipe


def export(target: Path, folder: Path = FOLDER) -> None:
    """Write the trained pipeline to `target` in half precision, as `from_pretrained` reads it."""
    load_trained(folder).to(dtype=torch.float16).save_pretrained(target, safe_serialization=True)
