"""A judge of pictures: reads a scene's attributes off its pixels. Trained on the painter's pictures only."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import avg_pool2d, cross_entropy, interpolate

from generation.bundled.scenes import CHOICES
from generation.bundled.training.common import (
    FOLDER,
    Moment,
    device,
    load_average,
    load_pictures,
    to_tensor,
    train,
)
from generation.bundled.training.siglip import scene_codes

NAME = "classifier"
RATE = 2e-3
BATCH = 48
CHANNELS = (16, 32, 48, 64)
MINUTES = 6.0


class Classifier(nn.Module):
    """Four strided convolutions, the means and the maxima of what they find, and one linear head an attribute."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *CHANNELS[:-1]), CHANNELS, strict=True):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(4, after), nn.SiLU()]
            layers += [nn.Conv2d(after, after, 3, padding=1), nn.GroupNorm(4, after), nn.SiLU()]
        self.features = nn.Sequential(*layers)
        self.heads = nn.ModuleDict({name: nn.Linear(2 * CHANNELS[-1], len(values)) for name, values in CHOICES.items()})

    def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        """n x 3 x P x P in [-1, 1] to the logits of each attribute, n x values."""
        found = self.features(pictures)
        summary = torch.cat([found.mean((2, 3)), found.amax((2, 3))], 1)
        return {name: head(summary) for name, head in self.heads.items()}


def train_classifier(minutes: float = MINUTES, seed: int = 0, folder: Path = FOLDER) -> Path:
    """Train for `minutes`, going on from the checkpoint; returns its path.

    Batches are mirrored, softened and speckled at random, so that it goes by shapes and colours and not by the
    painter's crisp edges.
    """
    pictures, scenes = load_pictures(folder)
    codes = torch.from_numpy(scene_codes(scenes))
    model = Classifier().to(device()).train()

    def loss(moment: Moment) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = moment.rng.integers(0, len(pictures), BATCH)
        batch = pictures[chosen]
        if moment.rng.random() < 0.5:
            batch = np.ascontiguousarray(batch[:, :, ::-1])
        pixels = to_tensor(batch, device())
        if moment.rng.random() < 0.4:
            pixels = interpolate(avg_pool2d(pixels, 2), scale_factor=2, mode="bilinear")
        pixels = pixels + 0.1 * moment.rng.random() * torch.randn_like(pixels)
        logits = model(pixels)
        value = sum(
            (cross_entropy(logits[name], codes[chosen, i].to(device())) for i, name in enumerate(CHOICES)),
            start=torch.zeros((), device=device()),
        )
        return value, value / len(CHOICES)

    return train(NAME, model, loss, minutes=minutes, rate=RATE, seed=seed, folder=folder)


class Judge:
    """The trained classifier, trained first where there is none."""

    def __init__(self, folder: Path = FOLDER) -> None:
        if not (folder / f"{NAME}.pt").exists():
            train_classifier(folder=folder)
        self.model = Classifier()
        load_average(NAME, self.model, folder)
        self.model.eval()

    @torch.inference_mode()
    def attributes(self, pictures: NDArray[np.uint8]) -> dict[str, list[str]]:
        """What n x P x P x 3 pictures show: for each attribute n values of CHOICES."""
        parts = [self.model(to_tensor(pictures[i : i + 64])) for i in range(0, len(pictures), 64)]
        return {
            name: [values[int(best)] for part in parts for best in part[name].argmax(1)]
            for name, values in CHOICES.items()
        }
