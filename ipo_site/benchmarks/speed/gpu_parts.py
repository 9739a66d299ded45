"""What `manage.py benchmark gpu` measures, a part each: in a process of its own, each row written as it is known."""

import json
import shutil
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
import torch
import torch.version

from generation import registry
from generation.errors import GenerationError, ModelUnavailable
from generation.manager import ModelManager
from generation.pipelines import previews
from generation.pipelines.speedups import SPEEDUPS
from generation.types import ModelSpec, Picture, Pixels, Vectors
from ipo_site.benchmarks.speed import full_size, measure
from ipo_site.benchmarks.speed.gpu import Row

STEPS = {"sd-turbo": (4, 1), "flux-schnell": (4,)}
# How much faster ours must be; with FLUX a single picture fills the card, so a loop loses little.
LEAST = {"sd-turbo": {"batched": 1.0, "loop": 3.0}, "flux-schnell": {"batched": 1.0}}
DISK_GB = {"sd-turbo": 6, "flux-schnell": 45}  # random weights, and beside them those in four bits


@dataclass(frozen=True)
class Bench:
    """Where random weights lie, and how much is measured; a rehearsal draws narrow models, on the CPU too."""

    folder: Path
    is_rehearsal: bool

    @property
    def rounds(self) -> int:
        return 1 if self.is_rehearsal else 5

    @property
    def pictures(self) -> int:
        return 2 if self.is_rehearsal else 16

    @property
    def sizes(self) -> tuple[int, ...]:
        return (1, 2) if self.is_rehearsal else measure.SIZES

    def spec(self, key: str) -> ModelSpec:
        """Of a model of the registry, with random weights; written into the folder the first time."""
        name = f"{'narrow' if self.is_rehearsal else 'random'}-{key}"
        return full_size.written(registry.BUILTIN[key], self.folder / name, is_narrow=self.is_rehearsal)


def machine(bench: Bench) -> Iterator[Row]:
    """What everything else is measured on."""
    hardware = ModelManager().hardware()
    yield Row("Draws on", f"{hardware.name}, {hardware.gigabytes:.0f} GB")
    yield Row("torch, CUDA", f"{torch.__version__}, {torch.version.cuda or 'none'}")
    device = torch.device("cuda" if hardware.is_gpu else "cpu")
    for dtype in (torch.float16, torch.bfloat16) if hardware.is_gpu else (torch.float32,):
        peak = measure.matmul_peak(device, dtype) / 1e12
        yield Row(f"Matrix multiplication, {str(dtype).removeprefix('torch.')}", f"{peak:.1f} TFLOP/s")


def against_bare(bench: Bench, key: str) -> Iterator[Row]:
    """A model beside bare calls of diffusers, its share of the card's peak, and what it holds of the memory."""
    spec, manager = yield from _loaded(bench, key)
    for steps in STEPS[key]:
        work = measure.Work(spec, steps)
        for row in measure.by_size(work, manager, bench.rounds, bench.sizes):
            about = f"{_steps(steps)}, {row['size']} in a pass"
            yield Row(about, f"{row['images_per_second']:.2f} img/s, peak {row['megabytes']:,.0f} MB")
    for steps in STEPS[key]:
        work = measure.Work(spec, steps)
        found = measure.against_bare(work, manager, bench.pictures, bench.rounds)
        speed = found["images_per_second"]
        least = {} if bench.is_rehearsal else LEAST[key]
        yield from (
            Row(f"{_steps(steps)}: ours, files saved", f"{speed['ours']:.2f} img/s"),
            Row.ratio(f"{_steps(steps)}: ours over one bare batched call", found["over_batched"], least.get("batched")),
            Row.ratio(f"{_steps(steps)}: ours over a loop of single calls", found["over_loop"], least.get("loop")),
            Row(f"{_steps(steps)}: largest difference of a pixel", f"{found['largest_difference']} of 255"),
            Row(
                f"{_steps(steps)}: share of the peak",
                f"{100 * found['share_of_peak']:.0f} % ({found['teraflop_per_image']:.2f} TFLOP a picture)",
            ),
        )


def speedups(bench: Bench, key: str) -> Iterator[Row]:
    """Each of IPO_SPEEDUPS, and all of them, beside none: the same request, one after the other."""
    spec, plain = yield from _loaded(bench, key)
    request = measure.Work(spec, STEPS[key][0]).request(bench.pictures)

    def drawn(manager: ModelManager) -> npt.NDArray[np.int64]:
        """[pictures, height, width, 3]"""
        pictures = manager.generate(spec, request)
        return np.stack([_pixels(picture) for picture in pictures]).astype(np.int64)

    expected = drawn(plain)
    seconds = median(measure.timed(partial(drawn, plain)) for _ in range(bench.rounds))
    yield Row("none", f"{bench.pictures / seconds:.2f} img/s")
    del plain  # two of the large ones may not fit
    for names in (*((name,) for name in SPEEDUPS), tuple(SPEEDUPS)):
        title = names[0] if len(names) == 1 else "all together"
        manager = ModelManager(speedups=names)
        try:
            manager.ensure_ready(spec)
            began = time.perf_counter()
            pictures = drawn(manager)  # where it compiles, it does so here
            first = time.perf_counter() - began
            faster = seconds / median(measure.timed(partial(drawn, manager)) for _ in range(bench.rounds))
        except (GenerationError, RuntimeError) as error:  # of one that this machine cannot have; the others may work
            yield Row.failed(title, error)
            continue
        differs = int(np.abs(pictures - expected).max())
        yield Row(title, f"{faster:.2f} times as fast; first pass {first:.1f} s; pixels differ by {differs} at most")


def preview_costs(bench: Bench, key: str) -> Iterator[Row]:
    """What showing the pictures of a pass once costs, beside a step of it."""
    spec, manager = yield from _loaded(bench, key)
    folder = bench.folder / f"{'narrow' if bench.is_rehearsal else 'random'}-preview-{spec.latent_channels}"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    look = previews.load(replace(spec, preview_vae=full_size.tiny_autoencoder(spec, folder)), device)
    assert look is not None, "its weights were written just now"
    steps = STEPS[key][0]
    for n in bench.sizes:
        request = measure.Work(spec, steps).request(n)
        latents = _latents(spec, request.vectors).to(device)
        with torch.inference_mode():
            look(latents)
            of_look = median(measure.timed(partial(look, latents)) for _ in range(bench.rounds))
        manager.generate(spec, request)
        of_pass = median(measure.timed(partial(manager.generate, spec, request)) for _ in range(bench.rounds))
        yield Row(f"{n} in a pass", f"{1000 * of_look:.1f} ms, {100 * of_look / of_pass:.1f} % of a pass")


def _pixels(picture: Picture) -> Pixels:
    """Raises GenerationError where there are none."""
    if picture.pixels is None:
        raise GenerationError(picture.error)
    return picture.pixels


def _latents(spec: ModelSpec, vectors: Vectors) -> torch.Tensor:
    factor = spec.latent_downsampling
    shape = len(vectors), spec.latent_channels, spec.height // factor, spec.width // factor
    return torch.from_numpy(vectors.reshape(shape))


def _loaded(bench: Bench, key: str) -> Generator[Row, None, tuple[ModelSpec, ModelManager]]:
    """Rows of the start; returns the spec and the manager that has it loaded. Raises ModelUnavailable."""
    free = shutil.disk_usage(bench.folder).free / 1e9
    if not bench.is_rehearsal and not (bench.folder / f"random-{key}").is_dir() and free < DISK_GB[key]:
        raise ModelUnavailable(f"{bench.folder} has {free:.0f} GB free, and {key} needs {DISK_GB[key]} GB: free some.")
    began = time.perf_counter()
    spec = bench.spec(key)
    written = time.perf_counter()
    manager = ModelManager()
    manager.ensure_ready(spec)
    ready = time.perf_counter()
    yield Row("Random weights written", f"{written - began:.0f} s")
    yield Row("Loaded" + (", in four bits" if spec.quantization else ""), f"{ready - written:.0f} s")
    return spec, manager


def _steps(steps: int) -> str:
    return f"{steps} step{'s' * (steps != 1)}"


PARTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "machine": machine,
    "sd-turbo": partial(against_bare, key="sd-turbo"),
    "flux-schnell": partial(against_bare, key="flux-schnell"),
    "sd-turbo-speedups": partial(speedups, key="sd-turbo"),
    "sd-turbo-previews": partial(preview_costs, key="sd-turbo"),
    "flux-schnell-speedups": partial(speedups, key="flux-schnell"),
    "flux-schnell-previews": partial(preview_costs, key="flux-schnell"),
}


def main(part: str, folder: Path, into: Path, kind: str) -> None:
    """Measure a part; each row is a line of JSON in `into`."""
    bench = Bench(folder, is_rehearsal=kind == "rehearsal")
    with into.open("a") as lines:
        for row in PARTS[part](bench):
            lines.write(json.dumps(asdict(row)) + "\n")
            lines.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
