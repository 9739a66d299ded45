"""Distillation of the U-Net to a few steps, with the map from noise to pictures kept.

The teacher's own path from noise to picture (its probability flow, TEACHER_STEPS steps of DPM-Solver++) is cut into
STUDENT_STEPS pieces, even in log SNR. The student learns to go each piece in one DDIM step (progressive distillation,
Salimans & Ho 2022, equation 7 in their appendix G), then the whole way by itself.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch.nn.functional import mse_loss

from generation import installed
from generation.bundled.captions import loosely, phrases, sentence
from generation.bundled.scenes import sample_scene
from generation.bundled.training import diffusion, text, vae
from generation.bundled.training.common import (
    FOLDER,
    Damaged,
    Moment,
    batch,
    device,
    is_on_gpu,
    load_average,
    read,
    train,
    whole,
)

TEACHER = "teacher"  # its folder
RATE = 3e-4
BATCH = 32
STUDENT_STEPS, TEACHER_STEPS = 4, 24
MOMENTS = 1000  # of the schedule
NOISIEST, CLEANEST = -5.1, 4.0  # log of signal over noise at its ends
SHARD = 500  # paths of one file
SHARDS, MORE_SHARDS = range(24), range(60)  # on a GPU
FIT_STEPS = 3000  # of the embedding of the student's moments
WHOLE_WAY = 0.5  # of the time: from then on the student also learns from where it itself has come to
WEIGHTS = (1.0, 1.0, 1.3, 4.0)  # of the pieces: the last one paints the details


def load_teacher(folder: Path = FOLDER) -> StableDiffusionPipeline:
    """What lies in `folder`/teacher, in diffusers' layout: the trained parts, put there anew once there are newer ones.

    Raises FileNotFoundError if there is none, and one of its parts has not been trained; and Damaged.
    """
    place = folder / TEACHER
    index = place / StableDiffusionPipeline.config_name
    parts = [file for name in (vae.NAME, text.NAME, diffusion.NAME) if (file := folder / f"{name}.pt").exists()]
    if not index.exists() or any(file.stat().st_mtime > index.stat().st_mtime for file in parts):
        trained = diffusion.load_trained(folder)
        shutil.rmtree(place, ignore_errors=True)  # and with it the paths of the one before
        trained.save_pretrained(place, safe_serialization=True)
    try:
        pipe = StableDiffusionPipeline.from_pretrained(place, dtype=torch.float32)
    except OSError as error:
        raise Damaged(place) from error
    for part in (pipe.vae, pipe.text_encoder, pipe.unet):
        part.eval().requires_grad_(False)
    return pipe.to(device())


def name_of(folder: Path = FOLDER) -> str:
    """Of the student's checkpoint, which belongs to the teacher that lies in `folder`, and to no other."""
    return f"distil-{installed.revision_of(str(folder / TEACHER), StableDiffusionPipeline.config_name)}"


def log_ratio(moments: torch.Tensor) -> torch.Tensor:
    """Log of signal over noise (half the log SNR) at moments of the student's schedule: even from end to end."""
    return CLEANEST - (CLEANEST - NOISIEST) * (moments + 1) / MOMENTS


def build_scheduler() -> DDIMScheduler:
    """Any number of steps is even in log SNR; with STUDENT_STEPS they are the pieces of the distillation."""
    kept = torch.sigmoid(2 * log_ratio(torch.arange(MOMENTS, dtype=torch.float64)))
    betas = 1 - kept / torch.cat([torch.ones(1, dtype=torch.float64), kept[:-1]])
    return DDIMScheduler(
        num_train_timesteps=MOMENTS,
        trained_betas=[round(beta, 12) for beta in betas.tolist()],
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,  # diffusers warns without it; trailing spacing ignores it
    )


def teacher_moments(pipe: StableDiffusionPipeline, at: torch.Tensor) -> torch.Tensor:
    """Moments of the teacher's schedule, as floats, with the noise that the student's schedule has at `at`."""
    kept = pipe.scheduler.alphas_cumprod.double()
    theirs = 0.5 * torch.log(kept / (1 - kept))  # falls with the moment
    wanted = log_ratio(at.double())
    found = np.interp(-wanted.numpy(), -theirs.numpy(), np.arange(len(kept)))
    return torch.from_numpy(found)


def sample_captions(count: int, rng: np.random.Generator) -> list[str]:
    """As the teacher was trained on, a share of them empty."""
    texts = []
    for _ in range(count):
        scene = sample_scene(rng)
        if rng.random() < diffusion.DROPOUT:
            texts.append("")
        elif rng.random() < 1 / 8:
            texts.append(sentence(phrases(scene, rng, 1.0), rng))
        else:
            texts.append(loosely(phrases(scene, rng, rng.uniform(*diffusion.NAMED), evenly=True), rng))
    return texts


@torch.no_grad()
def draw_paths(pipe: StableDiffusionPipeline, count: int, seed: int) -> dict[str, torch.Tensor]:
    """`count` paths of the teacher: tokens [n, tokens], and latents at the ends of the pieces [n, pieces + 1, ...]."""
    rng = np.random.default_rng([seed, 77])
    texts = sample_captions(count, rng)
    tokens = pipe.tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    side = pipe.unet.config.sample_size
    noise = torch.from_numpy(rng.standard_normal((count, 4, side, side), dtype=np.float32))
    ends = MOMENTS * (1 - torch.arange(TEACHER_STEPS) / TEACHER_STEPS) - 1
    moments = teacher_moments(pipe, ends).round().long().tolist()
    paths = []
    at_once = batch(BATCH)
    for i in range(0, count, at_once):
        latents = noise[i : i + at_once].to(device())
        states = pipe.text_encoder(tokens[i : i + at_once].to(device()))[0]
        pipe.scheduler.set_timesteps(timesteps=moments)
        path = [latents]
        for number, moment in enumerate(pipe.scheduler.timesteps, start=1):
            velocity = pipe.unet(latents, moment, states).sample
            latents = pipe.scheduler.step(velocity, moment, latents).prev_sample
            if number % (TEACHER_STEPS // STUDENT_STEPS) == 0:
                path.append(latents)
        paths.append(torch.stack(path, 1).half().cpu())
    return {"tokens": tokens, "latents": torch.cat(paths)}


def load_paths(pipe: StableDiffusionPipeline, folder: Path = FOLDER) -> dict[str, torch.Tensor]:
    """The teacher's paths, drawn when they are first asked for and kept beside it, a file after the other."""
    parts = []
    for seed in MORE_SHARDS if is_on_gpu() else SHARDS:
        file = folder / TEACHER / f"paths-{seed}.pt"
        if not file.exists():
            with whole(file) as out:
                torch.save(draw_paths(pipe, SHARD, seed), out)
        parts.append(read(file))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def build_student(pipe: StableDiffusionPipeline) -> UNet2DConditionModel:
    """The teacher's U-Net on the CPU, made to read the moments of the student's schedule."""
    student = UNet2DConditionModel.from_config(pipe.unet.config)
    student.load_state_dict(pipe.unet.state_dict())
    moments = torch.arange(MOMENTS)
    with torch.no_grad():
        wanted = student.time_embedding(student.time_proj(teacher_moments(pipe, moments).float()))
    seen = student.time_proj(moments)
    optimiser = torch.optim.Adam(student.time_embedding.parameters(), 1e-3)
    for _ in range(FIT_STEPS):
        error = mse_loss(student.time_embedding(seen), wanted)
        optimiser.zero_grad()
        torch.autograd.backward(error)
        optimiser.step()
    return student


@dataclass(frozen=True)
class Pieces:
    """The student's steps: its moments, and signal and noise at the ends of each piece, from noisy to clean."""

    moments: torch.Tensor
    signal: torch.Tensor
    noise: torch.Tensor

    @classmethod
    def of(cls, scheduler: DDIMScheduler) -> "Pieces":
        scheduler.set_timesteps(STUDENT_STEPS)
        moments = scheduler.timesteps.long()
        kept = torch.cat([scheduler.alphas_cumprod[moments], torch.ones(1)]).to(device())
        return cls(moments.to(device()), kept.sqrt(), (1 - kept).sqrt())

    def clean(self, piece: torch.Tensor, latents: torch.Tensor, velocity: torch.Tensor) -> torch.Tensor:
        """The picture that a velocity foretells."""
        return _wide(self.signal[piece]) * latents - _wide(self.noise[piece]) * velocity

    def wanted(self, piece: torch.Tensor, latents: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
        """The picture to foretell, so that one DDIM step leads from `latents` to `following`."""
        ratio = self.noise[piece + 1] / self.noise[piece]
        below = self.signal[piece + 1] - ratio * self.signal[piece]
        return (following - _wide(ratio) * latents) / _wide(below)

    def step(self, piece: torch.Tensor, latents: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        """DDIM (Song et al. 2021, equation 12, without added noise)."""
        noise = (latents - _wide(self.signal[piece]) * clean) / _wide(self.noise[piece])
        return _wide(self.signal[piece + 1]) * clean + _wide(self.noise[piece + 1]) * noise


def _wide(numbers: torch.Tensor) -> torch.Tensor:
    return numbers[:, None, None, None]


def train_distil(minutes: float, seed: int = 0, folder: Path = FOLDER) -> Path:
    """Train the student for `minutes`, going on from the checkpoint; returns its path. The teacher comes first."""
    pipe = load_teacher(folder)
    paths = load_paths(pipe, folder)
    tokens, kept = (paths[name].to(device()) for name in ("tokens", "latents"))
    student, encoder = build_student(pipe).to(device()).train(), pipe.text_encoder
    pieces = Pieces.of(build_scheduler())
    weights = torch.tensor(WEIGHTS, device=device())
    count = batch(BATCH)
    each = torch.arange(count, device=device())

    def loss(moment: Moment) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = moment.integers(0, len(tokens), count)
        piece = moment.integers(0, STUDENT_STEPS, count)
        with torch.no_grad():
            states = encoder(tokens[chosen])[0]
            path = kept[chosen].float()
            latents = path[each, piece]
            if moment.spent > WHOLE_WAY:
                latents = _own_way(student, pieces, path, piece, states, latents)
        following = path[each, piece + 1]
        velocity = student(latents, pieces.moments[piece], states).sample
        clean = pieces.clean(piece, latents, velocity)
        errors = (clean - pieces.wanted(piece, latents, following)).square().mean((1, 2, 3))
        # Of what it foretells only that part counts which its step takes over.
        error = (weights[piece] * errors).mean()
        return error, error

    return train(name_of(folder), student, loss, minutes=minutes, rate=RATE, seed=seed, folder=folder)


def _own_way(
    student: UNet2DConditionModel,
    pieces: Pieces,
    path: torch.Tensor,
    piece: torch.Tensor,
    states: torch.Tensor,
    latents: torch.Tensor,
) -> torch.Tensor:
    """Half of the latents replaced by where the student itself comes to from the same noise."""
    half = len(piece) // 2
    own = path[:half, 0]
    for step in range(int(piece[:half].max())):
        now = torch.full_like(piece[:half], step)
        velocity = student(own, pieces.moments[now], states[:half]).sample
        moved = pieces.step(now, own, pieces.clean(now, own, velocity))
        own = torch.where(_wide(piece[:half] > step), moved, own)
    return torch.cat([own, latents[half:]])


def load_student(folder: Path = FOLDER) -> StableDiffusionPipeline:
    """The teacher's pipeline with the student's U-Net, averaged weights, and its few steps.

    Raises FileNotFoundError if it has not been trained from the newest teacher.
    """
    pipe = load_teacher(folder).to("cpu")
    load_average(name_of(folder), pipe.unet.requires_grad_(True), folder)
    pipe.scheduler = build_scheduler()
    return pipe


def export(target: Path, folder: Path = FOLDER) -> None:
    """Write the student to `target` in half precision, as `from_pretrained` reads it."""
    load_student(folder).to("cpu", dtype=torch.float16).save_pretrained(target, safe_serialization=True)
    for file in (target / StableDiffusionPipeline.config_name, *target.glob("*/config.json")):
        config = json.loads(file.read_text())
        config.pop("_name_or_path", None)  # where it lay on this machine
        file.write_text(json.dumps(config, indent=2) + "\n")
