"""The weights that ship: small, whole, and worth something. How much exactly is the report's business."""

from pathlib import Path

import numpy as np
import pytest

from generation.bundled.training import report
from generation.bundled.training.drawer import Drawer
from generation.encoders import Siglip
from generation.registry import BUILTIN, WEIGHTS

MODEL, ENCODER = BUILTIN["pocket-landscapes"], WEIGHTS / "pocket-siglip"
pytestmark = pytest.mark.filterwarnings("ignore")


def test_they_are_as_small_as_promised():
    assert report.megabytes(Path(MODEL.source), ENCODER) <= report.CEILINGS["megabytes"]


def test_the_encoder_finds_pictures_by_their_captions():
    assert report.retrieval(Siglip.load(str(ENCODER)))["retrieval recall@5"] >= report.FLOORS["retrieval recall@5"]


def test_the_pictures_follow_the_prompt():
    drawer, seeds = Drawer.load(MODEL), 8
    prompts = ["a landscape at night", "a landscape at noon", "the sea", "a desert", "a monochrome meadow", "a meadow"]
    drawn = drawer.draw([prompt for prompt in prompts for _ in range(seeds)], 7).astype(float) / 255
    # What a prompt leaves open differs from seed to seed, so one picture of each would prove nothing.
    night, noon, sea, desert, grey, meadow = drawn.reshape(len(prompts), seeds, *drawn.shape[1:])
    assert night.mean() < noon.mean() - 0.2
    lower = np.s_[:, 90:, :, :]
    warmth = [float((pictures[lower][..., 0] - pictures[lower][..., 2]).mean()) for pictures in (sea, desert)]
    assert warmth[0] < warmth[1] - 0.15
    colour = [float(np.ptp(pictures, axis=3).mean()) for pictures in (grey, meadow)]
    assert colour[0] < 0.5 * colour[1]


def test_the_encoder_agrees_with_what_is_drawn():
    drawer, encoder = Drawer.load(MODEL), Siglip.load(str(ENCODER))
    texts = ["a landscape at night", "a desert at noon", "a meadow at noon", "snow at dawn"]
    likeness = encoder.embed_texts(texts) @ encoder.embed_images(list(drawer.draw(texts, 3))).T
    assert (likeness.argmax(axis=1) == np.arange(len(texts))).all()
