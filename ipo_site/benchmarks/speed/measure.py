"""How fast a model draws: by batch size, beside the other models, and beside bare calls of diffusers."""

import gc
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline, FluxPipeline, LCMScheduler, StableDiffusionPipeline
from torch.utils.flop_counter import FlopCounterMode

from generation import images, spaces
from generation.installed import kept_folder
from generation.manager import ModelManager
from generation.pipelines.speedups import denoiser
from generation.types import GenerationRequest, ModelSpec, Picture

SIZES = (1, 2, 4, 8, 16)
SEED = 7
FLUX_TOKENS = 256


@dataclass(frozen=True)
class Work:
    """What is drawn: the example prompt of a model at its own size, steered in Latent."""

    spec: ModelSpec
    steps: int

    def request(self, n: int) -> GenerationRequest:
        """n pictures in one forward pass."""
        spec = self.spec
        dimension = spaces.LATENT.dimension(spec, spec.width, spec.height)
        noise = np.random.default_rng(SEED).standard_normal((n, dimension), dtype=np.float32)
        request = GenerationRequest.by_default(spec, spaces.LATENT.key, noise, SEED)
        return replace(request, steps=self.steps)


def by_size(work: Work, manager: ModelManager, rounds: int, sizes: tuple[int, ...] = SIZES) -> Iterator[dict[str, Any]]:
    """For each batch size: seconds of a pass (the median), pictures a second, and the peak of memory in MB."""
    for n in sizes:
        request = work.request(n)
        manager.generate(work.spec, request)  # not counted: the first pass of a size chooses its kernels
        _reset_peak()
        seconds = median(timed(partial(manager.generate, work.spec, request)) for _ in range(rounds))
        yield {"size": n, "seconds": seconds, "images_per_second": n / seconds, "megabytes": _peak()}


def against_bare(work: Work, manager: ModelManager, n: int, rounds: int) -> dict[str, Any]:
    """Our path (request to saved PNG and thumbnail) and bare calls of diffusers with the same files, in turns.

    The ratios are of pictures a second, median over the rounds: above 1 ours is faster.
    """
    manager.ensure_ready(work.spec)
    bare = _bare(work.spec, "cuda" if torch.cuda.is_available() else "cpu")
    request = work.request(n)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(images.THREADS) as threads:
        ways: dict[str, Callable[[], list[np.ndarray[Any, Any]]]] = {
            "ours": lambda: _ours(work, manager, request, Path(folder), threads),
            "batched": lambda: _batched(bare, request, n, Path(folder)),
            "loop": lambda: _batched(bare, request, 1, Path(folder)),
        }
        pictures = {name: way() for name, way in ways.items()}  # not counted, as above
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                seconds[name].append(timed(way))
    ratio = {name: median(np.divide(seconds[name], seconds["ours"])) for name in ("batched", "loop")}
    return {
        "size": n,
        "images_per_second": {name: n / median(times) for name, times in seconds.items()},
        "over_batched": float(ratio["batched"]),
        "over_loop": float(ratio["loop"]),
        # The same pictures, or the comparison says nothing.
        "largest_difference": _largest_difference(pictures["ours"], pictures["batched"]),
        **_share_of_peak(bare, request, n / median(seconds["ours"])),
    }


def summary(work: Work, found: dict[str, Any]) -> str:
    """In words."""
    speeds = ", ".join(f"{name} {speed:.2f}" for name, speed in found["images_per_second"].items())
    return (
        f"{work.spec.label}, {work.steps} steps, {found['size']} pictures: {speeds} img/s\n"
        f"ours is {found['over_batched']:.2f} times as fast as the batched call, {found['over_loop']:.2f} times as the "
        f"loop; the pictures differ by {found['largest_difference']} of 255 at most\n"
        f"{found['teraflop_per_image']:.2f} TFLOP a picture: {100 * found['share_of_peak']:.0f} % of the "
        f"{found['peak_teraflops']:.1f} TFLOP/s that this hardware reaches in a matrix multiplication"
    )


def missed(found: dict[str, Any]) -> list[str]:
    """A sentence for each figure that is not reached."""
    gpu = torch.cuda.is_available()
    return [
        f"Ours is {found[name]:.2f} times as fast as {what}, not {least}."
        for name, what, least in (
            ("over_batched", "a bare batched call", 1.0 if gpu else 0.95),
            ("over_loop", "a loop of bare calls", 3.0 if gpu else 2.0),
        )
        if found[name] < least
    ]


def _largest_difference(some: list[np.ndarray[Any, Any]], others: list[np.ndarray[Any, Any]]) -> int:
    return max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(some, others, strict=True))


def _ours(
    work: Work, manager: ModelManager, request: GenerationRequest, folder: Path, threads: ThreadPoolExecutor
) -> list[np.ndarray[Any, Any]]:
    def saved(number: int, picture: Picture) -> np.ndarray[Any, Any]:
        assert picture.pixels is not None, picture.error
        _write(folder, number, images.encode(picture.pixels))
        return picture.pixels

    drawn = manager.generate_all(work.spec, request, len(request.vectors))
    return [future.result() for future in [threads.submit(saved, *item) for item in enumerate(drawn)]]


def _batched(pipe: DiffusionPipeline, request: GenerationRequest, at_once: int, folder: Path) -> list[Any]:
    """As the documentation of diffusers shows it, `at_once` pictures in a call."""
    found = []
    for i in range(0, len(request.vectors), at_once):
        rows = request.vectors[i : i + at_once]
        for number, image in enumerate(_call(pipe, request, rows), start=i):
            pixels = np.asarray(image)
            _write(folder, number, images.encode(pixels))
            found.append(pixels)
    return found


def _call(pipe: DiffusionPipeline, request: GenerationRequest, rows: np.ndarray[Any, Any]) -> list[Any]:
    factor = pipe.vae_scale_factor
    shape = len(rows), -1, request.height // factor, request.width // factor
    latents = torch.from_numpy(rows.reshape(shape)).to(pipe.device, denoiser(pipe).dtype)
    if isinstance(pipe, FluxPipeline):
        latents = pipe._pack_latents(latents, *latents.shape)
    called: list[Any] = pipe(
        prompt=[request.prompt] * len(rows),
        latents=latents,
        width=request.width,
        height=request.height,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance,
        generator=[torch.Generator("cpu").manual_seed(request.step_seed) for _ in rows],
        **({"max_sequence_length": FLUX_TOKENS} if isinstance(pipe, FluxPipeline) else {}),
    ).images
    return called


def _bare(spec: ModelSpec, device: str) -> DiffusionPipeline:
    """The pipeline as diffusers itself loads it, with the same precision, quantisation and scheduler."""
    given = {"dtype": getattr(torch, spec.dtype), "variant": spec.variant or None}
    if spec.single_file or spec.quantization:
        pipe = FluxPipeline.from_pretrained(kept_folder(spec), **given)  # kept there by now, as ours was run first
    elif spec.family == "flux":
        pipe = FluxPipeline.from_pretrained(spec.source, **given)
    else:
        pipe = StableDiffusionPipeline.from_pretrained(spec.source, **given, safety_checker=None)
        if spec.scheduler == "lcm":
            pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def _share_of_peak(pipe: DiffusionPipeline, request: GenerationRequest, images_per_second: float) -> dict[str, float]:
    """Multiplications a picture takes, and what share of the hardware's own measured peak ours gets out of it."""
    with FlopCounterMode(display=False) as counted:
        _call(pipe, request, request.vectors[:1])
    operations = counted.get_total_flops()
    peak = matmul_peak(pipe.device, denoiser(pipe).dtype)
    return {
        "teraflop_per_image": operations / 1e12,
        "peak_teraflops": peak / 1e12,
        "share_of_peak": operations * images_per_second / peak,
    }


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of the multiplication of two large square matrices."""
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    a @ b
    seconds = min(timed(lambda: a @ b) for _ in range(5))
    return float(2 * size**3 / seconds)


def _write(folder: Path, number: int, files: images.Files) -> None:
    (folder / f"{number}.png").write_bytes(files.png)
    (folder / f"{number}.webp").write_bytes(files.thumbnail)


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    _finish()
    began = time.perf_counter()
    work()
    _finish()
    return time.perf_counter() - began


def _finish() -> None:
    """A GPU works on by itself."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _reset_peak() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> float:
    """MB: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
