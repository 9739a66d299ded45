"""What the bundled models can do, in figures: the prompts and seeds here are not used in any training."""

import math
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch

from generation.bundled.captions import phrases, sentence
from generation.bundled.scenes import CHOICES, paint_many
from generation.bundled.training.classifier import Judge
from generation.bundled.training.common import to_tensor
from generation.bundled.training.drawer import Drawer
from generation.bundled.training.likeness import likeness
from generation.encoders import Siglip
from generation.images import to_png
from generation.types import ModelSpec

SHEET, TEACHER = "sheet.png", "teacher.png"
SCENES_SEED, PAINTED_SEED, NOISE_SEED = 70_001, 70_002, 70_003
ADHERENCE = 512  # prompts
SAME_PROMPT = 64  # seeds
RETRIEVAL = 256  # pictures
VARIETY_PROMPTS: dict[str, tuple[str, ...]] = {  # and the attributes that they name
    "a landscape": ("",),
    "a meadow at noon": ("ground", "time"),
    "the sea with a house at sunset": ("ground", "house", "time"),
    "snow with pines": ("ground", "trees"),
    "a landscape with snowy mountains at night": ("mountains", "time"),
}
FLOORS = {  # what the report must reach; shares of 1
    "adherence time": 0.95,
    "adherence ground": 0.90,
    "adherence mountains": 0.85,
    "adherence trees": 0.75,
    "adherence house": 0.75,
    "least variety": 0.75,
    "likeness to the teacher": 0.70,
    "retrieval recall@5": 0.90,
}
CEILINGS = {"seconds for 8": 1.0, "seconds for 48": 5.0, "megabytes": 12.0}


def entropy(values: list[str]) -> float:
    """Shannon entropy in bits of the observed shares."""
    shares = np.array(list(Counter(values).values())) / len(values)
    return float(-(shares * np.log2(shares)).sum())


def adherence(drawer: Drawer, judge: Judge, count: int = ADHERENCE) -> dict[str, float]:
    """For each attribute: in what share of the pictures whose prompt names it the judge sees the named value."""
    rng = np.random.default_rng(SCENES_SEED)
    _, scenes = paint_many(count, SCENES_SEED)
    named = [phrases(scene, rng) for scene in scenes]
    seen = judge.attributes(drawer.draw([sentence(said, rng) for said in named], NOISE_SEED))
    result = {}
    for name in CHOICES:
        rows = [i for i, said in enumerate(named) if name in said]
        result[f"adherence {name}"] = sum(seen[name][i] == getattr(scenes[i], name) for i in rows) / max(1, len(rows))
    return result


def variety(drawer: Drawer, judge: Judge, count: int = SAME_PROMPT) -> dict[str, float]:
    """Entropy of each attribute over `count` seeds of one prompt that does not name it, as a share of the painter's.

    The mean over the prompts for each attribute, and the least single share.
    """
    _, scenes = paint_many(2000, SCENES_SEED)
    painted = {name: entropy([getattr(scene, name) for scene in scenes]) for name in CHOICES}
    shares: dict[str, list[float]] = {name: [] for name in CHOICES}
    for number, (prompt, spoken) in enumerate(VARIETY_PROMPTS.items()):
        seen = judge.attributes(drawer.draw([prompt] * count, NOISE_SEED + 1000 * (number + 1)))
        for name in CHOICES:
            if name not in spoken:
                shares[name].append(entropy(seen[name]) / painted[name])
    result = {f"variety {name}": sum(values) / len(values) for name, values in shares.items()}
    return {**result, "least variety": min(min(values) for values in shares.values())}


def retrieval(encoder: Siglip, count: int = RETRIEVAL) -> dict[str, float]:
    """Text-to-image recall at 1 and 5 among `count` held-out pictures, with captions that name every attribute."""
    rng = np.random.default_rng(PAINTED_SEED)
    pictures, scenes = paint_many(count, PAINTED_SEED)
    texts = [sentence(phrases(scene, rng, 1.0), rng) for scene in scenes]
    likeness = encoder.embed_texts(texts) @ encoder.embed_images(list(pictures)).T
    rank = (likeness > likeness.diagonal()[:, None]).sum(1)
    return {"retrieval recall@1": float((rank < 1).mean()), "retrieval recall@5": float((rank < 5).mean())}


def reconstruction(drawer: Drawer, judge: Judge, count: int = RETRIEVAL) -> dict[str, float]:
    """The autoencoder's mean absolute error on held-out pictures (on [-1, 1]), and the judge's own accuracy there."""
    pictures, scenes = paint_many(count, PAINTED_SEED)
    with torch.inference_mode():
        errors = []
        for i in range(0, count, 32):
            true = to_tensor(pictures[i : i + 32])
            made = drawer.pipe.vae.decode(drawer.pipe.vae.encode(true).latent_dist.mean).sample
            errors.append((made - true).abs().mean().item())
    seen = judge.attributes(pictures)
    right = [sum(seen[name][i] == getattr(s, name) for i, s in enumerate(scenes)) / count for name in CHOICES]
    return {"reconstruction L1": float(np.mean(errors)), "judge's least accuracy": min(right)}


def seconds(drawer: Drawer) -> dict[str, float]:
    """Wall-clock time from prompts to PNG files in memory, after one warm-up picture; the better of two."""
    drawer.draw(["a landscape"], NOISE_SEED)
    result = {}
    for count in (8, 48):
        times = []
        for _ in range(2):
            started = time.perf_counter()
            for picture in drawer.draw(["a meadow with a house at noon"] * count, NOISE_SEED):
                to_png(picture)
            times.append(time.perf_counter() - started)
        result[f"seconds for {count}"] = min(times)
    return result


def megabytes(*folders: Path) -> float:
    """Size of what the models are loaded from: all but the cards and their pictures."""
    files = [file for folder in folders for file in folder.rglob("*") if file.suffix in (".safetensors", ".json")]
    return sum(file.stat().st_size for file in files) / 1e6


def measure(spec: ModelSpec, encoder_folder: Path) -> dict[str, float]:
    """All figures of the exported models, whose contact sheet and that of the teacher lie in the model's folder.

    Raises FileNotFoundError for a sheet that is missing.
    """
    sheet, teacher = (Path(spec.source) / name for name in (SHEET, TEACHER))
    judge, drawer, encoder = Judge(), Drawer.load(spec), Siglip.load(str(encoder_folder))
    return {
        **adherence(drawer, judge),
        **variety(drawer, judge),
        "likeness to the teacher": likeness(sheet, teacher, spec.width),
        **retrieval(encoder),
        **reconstruction(drawer, judge),
        **seconds(drawer),
        "megabytes": megabytes(Path(spec.source), encoder_folder),
    }


def missed(figures: dict[str, float]) -> list[str]:
    """One sentence for each figure that is not what it must be. A figure that is missing or no number is missed."""
    low = [(name, f"at least {floor}") for name, floor in FLOORS.items() if not figures.get(name, math.nan) >= floor]
    high = [(name, f"at most {top}") for name, top in CEILINGS.items() if not figures.get(name, math.nan) <= top]
    return [f"{name} is {figures.get(name, math.nan):.3f}, it must be {bound}" for name, bound in low + high]


def summary(figures: dict[str, Any]) -> str:
    """A Markdown table of the figures."""
    bounds = {**{k: f"≥ {v}" for k, v in FLOORS.items()}, **{k: f"≤ {v}" for k, v in CEILINGS.items()}}
    rows = [f"| {name} | {value:.3f} | {bounds.get(name, '')} |" for name, value in figures.items()]
    return "\n".join(["| Figure | Measured | Must be |", "| --- | --- | --- |", *rows])
