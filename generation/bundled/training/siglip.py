"""Contrastive training of the bundled image-text encoder on painted pictures and their captions."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import avg_pool2d, logsigmoid, normalize
from transformers import CLIPTokenizer

from generation.bundled.architecture import POCKET, build_processor, build_siglip
from generation.bundled.captions import loosely, phrases, sentence
from generation.bundled.scenes import CHOICES, Scene
from generation.bundled.training.common import (
    FOLDER,
    Moment,
    device,
    load_average,
    load_pictures,
    to_tensor,
    train,
)
from generation.bundled.vocabulary import build_tokenizer

NAME = "siglip"
RATE = 1e-3
BATCH = 128
CAPTIONS = 6
PICTURE_NOISE = 0.05


def scene_codes(scenes: list[Scene]) -> NDArray[np.int64]:
    """The attributes as numbers, n x 7, in the order of CHOICES."""
    return np.array([[CHOICES[name].index(value) for name, value in asdict(scene).items()] for scene in scenes])


def sample_captions(
    tokenizer: CLIPTokenizer, scenes: list[Scene], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Captions of each scene as tokens (n x CAPTIONS x tokens), and the attributes they name (n x CAPTIONS x 7)."""
    texts, named = [], []
    for scene in scenes:
        for i in range(CAPTIONS):
            said = phrases(scene, rng, 1.0 if i % 2 == 0 else 0.6)
            texts.append(sentence(said, rng) if i % 2 == 0 else loosely(said, rng))
            named.append([name in said for name in CHOICES])
    tokens: torch.Tensor = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    return tokens.reshape(len(scenes), CAPTIONS, -1), torch.tensor(named).reshape(len(scenes), CAPTIONS, -1)


def agree(named: torch.Tensor, spoken: torch.Tensor, painted: torch.Tensor) -> torch.Tensor:
    """Which of n captions is true of which of m pictures, n x m: all that it names is as it says.

    Args: the attributes that each caption names (n x 7, bool), their values there (n x 7), those painted (m x 7).
    """
    return (~named[:, None] | (spoken[:, None] == painted[None])).all(2)


def sigmoid_loss(logits: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """SigLIP's loss (Zhai et al. 2023, equation 2) where more than one picture may be right for a caption."""
    return -logsigmoid(torch.where(true, logits, -logits)).sum(1).mean()


def train_siglip(minutes: float, seed: int = 0, folder: Path = FOLDER) -> Path:
    """Train for `minutes`, going on from the checkpoint; returns its path."""
    pictures, scenes = load_pictures(folder)
    tokenizer = build_tokenizer(POCKET.words, POCKET.tokens)
    tokens, named = sample_captions(tokenizer, scenes, np.random.default_rng(seed))
    codes = torch.from_numpy(scene_codes(scenes))
    model = build_siglip(tokenizer, seed).to(device()).train()
    torch.nn.init.constant_(model.logit_scale, np.log(10))
    torch.nn.init.constant_(model.logit_bias, -10)
    shrink = POCKET.pixels // model.config.vision_config.image_size

    def loss(moment: Moment) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = moment.rng.integers(0, len(pictures), BATCH)
        batch = pictures[chosen]
        if moment.rng.random() < 0.5:
            batch = np.ascontiguousarray(batch[:, :, ::-1])
        pixels = avg_pool2d(to_tensor(batch, device()), shrink)
        pixels = pixels + PICTURE_NOISE * torch.randn_like(pixels)
        which = torch.from_numpy(moment.rng.integers(0, CAPTIONS, BATCH))
        true = agree(named[chosen, which], codes[chosen], codes[chosen]).to(device())
        images = normalize(model.get_image_features(pixel_values=pixels).pooler_output, dim=-1)
        texts = normalize(model.get_text_features(input_ids=tokens[chosen, which].to(device())).pooler_output, dim=-1)
        value = sigmoid_loss(texts @ images.T * model.logit_scale.exp() + model.logit_bias, true)
        return value, value

    return train(NAME, model, loss, minutes=minutes, rate=RATE, seed=seed, folder=folder)


def export(target: Path, folder: Path = FOLDER) -> None:
    """Write the trained model to `target` in half precision, with its processor, as `from_pretrained` reads them."""
    tokenizer = build_tokenizer(POCKET.words, POCKET.tokens)
    model = build_siglip(tokenizer)
    load_average(NAME, model, folder)
    model.to(dtype=torch.float16).save_pretrained(target, safe_serialization=True)
    build_processor(tokenizer, model).save_pretrained(target)
