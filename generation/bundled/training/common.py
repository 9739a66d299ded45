"""What all trainings share: the painted data, the loop with its checkpoints, and the progress bar."""

import json
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from numpy.typing import NDArray
from tqdm import tqdm

from generation.bundled.scenes import Scene, paint_many

FOLDER = Path("data/train")
SHARDS, MORE_SHARDS = (1, 2, 3, 4), tuple(range(1, 17))  # of painted pictures; on a GPU, which sees them sooner
SHARD_SIZE = 3500
LARGER = 16  # times as many pictures a step on a GPU, which fewer do not keep busy
WARM_UP = 50  # steps
LAST_RATE = 0.02  # of the first one, reached along half a cosine
AVERAGE_DECAY = 0.999
MINUTES_BETWEEN_SAVES = 2.0
STEPS_BETWEEN_LINES = 20


class Damaged(Exception):
    """A file of a training that cannot be read: one sentence with the remedy."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} is damaged, or of another version: delete it, and run this again.")


def device() -> torch.device:
    """CUDA when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def is_on_gpu() -> bool:
    return device().type == "cuda"


def batch(pictures: int) -> int:
    """How many pictures a step has here that has `pictures` on a CPU."""
    return pictures * LARGER if is_on_gpu() else pictures


def load_pictures(
    folder: Path = FOLDER, shards: tuple[int, ...] | None = None
) -> tuple[NDArray[np.uint8], list[Scene]]:
    """The training pictures (n x P x P x 3, uint8) and scenes, painted on first use and kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures, scenes = [], []
    if shards is None:
        shards = MORE_SHARDS if is_on_gpu() else SHARDS
    for seed in shards:
        picture_file, scene_file = folder / f"pictures-{seed}.npy", folder / f"scenes-{seed}.json"
        if not (picture_file.exists() and scene_file.exists()):
            painted, drawn = paint_many(SHARD_SIZE, seed)
            with whole(picture_file) as out:
                np.save(out, painted)
            with whole(scene_file) as out:
                out.write(json.dumps([asdict(scene) for scene in drawn]).encode())
        with readable(picture_file):
            pictures.append(np.load(picture_file))
        with readable(scene_file):
            scenes += [Scene(**fields) for fields in json.loads(scene_file.read_text())]
    return np.concatenate(pictures), scenes


@contextmanager
def whole(file: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes its name once it is whole, however often and wherever this is killed."""
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as out:
            yield out
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Around what reads a file of a training. Raises Damaged where that fails, but FileNotFoundError without one."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RuntimeError, EOFError, TypeError, KeyError, UnpicklingError) as error:
        raise Damaged(file) from error


def read(file: Path, place: torch.device | str = "cpu") -> Any:
    """What torch.save wrote. Raises FileNotFoundError and Damaged."""
    with readable(file):
        return torch.load(file, weights_only=True, map_location=place)


def to_tensor(pictures: NDArray[np.uint8], place: torch.device | str = "cpu") -> torch.Tensor:
    """n x H x W x 3 uint8 to n x 3 x H x W float32 in [-1, 1], at `place`."""
    return torch.from_numpy(pictures).to(place).permute(0, 3, 1, 2).float() / 127.5 - 1


@dataclass(frozen=True)
class Moment:
    """Where a training stands when it asks for the next loss."""

    step: int  # over all runs, from 1
    spent: float  # of this run's time, 0 to 1
    rng: np.random.Generator

    def integers(self, low: int | NDArray[np.integer[Any]], high: int, count: int | None = None) -> torch.Tensor:
        """Random numbers from `low` to `high` - 1, where training takes place."""
        return torch.from_numpy(self.rng.integers(low, high, count)).to(device())


def train(
    name: str,
    model: torch.nn.Module,
    loss: Callable[[Moment], tuple[torch.Tensor, torch.Tensor]],
    *,
    minutes: float,
    rate: float,
    seed: int = 0,
    folder: Path = FOLDER,
) -> Path:
    """Train `model` in place for `minutes` with AdamW, going on from `folder`/`name`.pt if that is there.

    `loss` returns what to minimise and the figure to show; on a GPU it is computed in bfloat16. The checkpoint, which
    is returned, also holds the moving average of the weights (`load_average`). A run that is killed loses at most the
    last two minutes; the next one draws other random numbers, made from `seed` and the step at which it starts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.pt"
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    average = EMAModel(parameters, decay=AVERAGE_DECAY, use_ema_warmup=True, power=0.75, foreach=is_on_gpu())
    first = resume(path, model, optimiser, average)
    rng = np.random.default_rng([seed, first])
    torch.manual_seed(int(rng.integers(2**31)))
    step, started, saved = first, time.monotonic(), 0.0
    shown: deque[torch.Tensor] = deque(maxlen=200)
    with tqdm(total=round(60 * minutes), unit="s", desc=name, mininterval=5) as bar:
        while (spent := (time.monotonic() - started) / (60 * minutes)) < 1:
            step += 1
            decay = LAST_RATE + (1 - LAST_RATE) * math.cos(spent * math.pi / 2) ** 2
            optimiser.param_groups[0]["lr"] = rate * min(1, (step - first) / WARM_UP) * decay
            # Without its cache: a cast that a loss needs without gradients would have none for the rest of it either.
            with torch.autocast(device().type, torch.bfloat16, enabled=is_on_gpu(), cache_enabled=False):
                value, figure = loss(Moment(step, spent, rng))
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(value)
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            average.step(parameters)
            shown.append(figure.detach())
            if step % STEPS_BETWEEN_LINES == 0:
                bar.set_postfix(step=step, loss=f"{torch.stack(list(shown)).mean():.4f}", refresh=False)
                bar.update(min(bar.total, round(time.monotonic() - started)) - bar.n)
            if (spent - saved) * minutes > MINUTES_BETWEEN_SAVES:
                saved = spent
                save(path, model, optimiser, average, step)
    save(path, model, optimiser, average, step)
    return path


def resume(path: Path, model: torch.nn.Module, optimiser: torch.optim.Optimizer, average: EMAModel) -> int:
    """Take up what `save` wrote, if there is a checkpoint; returns the step from which to go on."""
    if not path.exists():
        return 0
    state = read(path, device())
    with readable(path):
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        average.load_state_dict(state["average"])
        return int(state["step"])


def save(path: Path, model: torch.nn.Module, optimiser: torch.optim.Optimizer, average: EMAModel, step: int) -> None:
    """Keep all that `resume` needs; a killed training leaves the last good checkpoint."""
    state: dict[str, Any] = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "average": average.state_dict(),
        "step": step,
    }
    with whole(path) as out:
        torch.save(state, out)


def load_average(name: str, model: torch.nn.Module, folder: Path = FOLDER) -> int:
    """Put the averaged weights of the checkpoint into `model`; returns how many steps they have been trained.

    Raises FileNotFoundError if that training has not been started, and Damaged.
    """
    file = folder / f"{name}.pt"
    state = read(file)
    with readable(file):
        model.load_state_dict(state["model"])
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for parameter, mean in zip(parameters, state["average"]["shadow_params"], strict=True):
            parameter.data.copy_(mean)
        return int(state["step"])
