"""Training of the text encoder alone: what does a caption say of each attribute?

Learnt together with the U-Net it went astray: its states grew until words for things no longer made a difference.
Trained first, and then left as it is (as Stable Diffusion's own), it gives the U-Net a language that stands still.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import CLIPTextModel

from generation.bundled.architecture import POCKET, build_text_encoder
from generation.bundled.scenes import CHOICES
from generation.bundled.training.common import FOLDER, Moment, device, load_average, load_pictures, train
from generation.bundled.training.siglip import sample_captions, scene_codes
from generation.bundled.vocabulary import build_tokenizer

NAME = "text"
RATE = 3e-4
BATCH = 128


class Reader(nn.Module):
    """The text encoder with a linear head for each attribute, on the mean of all tokens and on the last one."""

    def __init__(self, encoder: CLIPTextModel) -> None:
        super().__init__()
        self.encoder = encoder
        width = encoder.config.hidden_size
        # One class more than there are values: the caption does not say.
        self.heads = nn.ModuleList(nn.Linear(2 * width, len(values) + 1) for values in CHOICES.values())

    def forward(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """n x tokens to the logits of each attribute, n x (values + 1)."""
        states = self.encoder(tokens)[0]
        summary = torch.cat([states.mean(1), states[:, -1]], 1)
        return [head(summary) for head in self.heads]


def build_reader(seed: int = 0) -> Reader:
    """With random weights fixed by `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Reader(build_text_encoder(POCKET, build_tokenizer(POCKET.words, POCKET.tokens)))


def train_text(minutes: float, seed: int = 0, folder: Path = FOLDER) -> Path:
    """Train for `minutes`, going on from the checkpoint; returns its path."""
    _, scenes = load_pictures(folder)
    tokens, named = sample_captions(
        build_tokenizer(POCKET.words, POCKET.tokens), scenes, np.random.default_rng([seed, 1])
    )
    codes = torch.from_numpy(scene_codes(scenes))
    model = build_reader(seed).to(device()).train()

    def loss(moment: Moment) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.from_numpy(moment.rng.integers(0, len(scenes), BATCH))
        which = torch.from_numpy(moment.rng.integers(0, tokens.shape[1], BATCH))
        said = torch.where(named[chosen, which], codes[chosen] + 1, 0).to(device())
        logits = model(tokens[chosen, which].to(device()))
        value = torch.stack([cross_entropy(part, said[:, i]) for i, part in enumerate(logits)]).mean()
        return value, value

    return train(NAME, model, loss, minutes=minutes, rate=RATE, seed=seed, folder=folder)


def load_text(folder: Path = FOLDER) -> tuple[CLIPTextModel, int]:
    """The trained text encoder on the CPU, and the number of its steps. FileNotFoundError without one."""
    reader = build_reader()
    steps = load_average(NAME, reader, folder)
    return reader.encoder.eval(), steps
