"""What both trainings share: where things lie, the painted data, progress and checkpoints."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from generation.bundled.scenes import Scene, paint_many

FOLDER = Path("data/train")
SHARDS = (1, 2)
SHARD_SIZE = 3500


def device() -> torch.device:
    """CUDA when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_pictures(folder: Path = FOLDER) -> tuple[NDArray[np.uint8], list[Scene]]:
    """The training pictures (n x P x P x 3, uint8) and scenes, painted on first use and kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures, scenes = [], []
    for seed in SHARDS:
        picture_file, scene_file = folder / f"pictures-{seed}.npy", folder / f"scenes-{seed}.json"
        if not scene_file.exists():
            painted, drawn = paint_many(SHARD_SIZE, seed)
            np.save(picture_file, painted)
            scene_file.write_text(json.dumps([asdict(scene) for scene in drawn]))
        pictures.append(np.load(picture_file))
        scenes += [Scene(**fields) for fields in json.loads(scene_file.read_text())]
    return np.concatenate(pictures), scenes


def to_tensor(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """n x H x W x 3 uint8 to n x 3 x H x W float32 in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write to a temporary name first, so that a killed training leaves the last good checkpoint."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


class Progress:
    """A line with the mean loss and the time left, every `every` steps, for a run of `minutes`."""

    def __init__(self, name: str, minutes: float, every: int = 50) -> None:
        self.name, self.minutes, self.every = name, minutes, every
        self.started = time.monotonic()
        self.losses: list[float] = []

    @property
    def fraction(self) -> float:
        """How much of the time is spent, 0 to 1 and beyond."""
        return (time.monotonic() - self.started) / (60 * self.minutes)

    def step(self, number: int, loss: float) -> None:
        """Record one step's loss."""
        self.losses.append(loss)
        if number % self.every == 0:
            left = max(0.0, 1 - self.fraction) * 60 * self.minutes
            mean = sum(self.losses) / len(self.losses)
            print(f"{self.name} step {number} loss {mean:.4f} left {left:.0f} s", flush=True)
            self.losses.clear()
