"""Ways to draw more pictures a second, switched on one by one; none changes what is drawn but by rounding."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from diffusers import DiffusionPipeline


def channels_last(pipe: DiffusionPipeline) -> None:
    """The layout in memory that convolutions in half precision prefer."""
    for part in (denoiser(pipe), pipe.vae):
        part.to(memory_format=torch.channels_last)


def fused_projections(pipe: DiffusionPipeline) -> None:
    """Query, key and value of each attention by one matrix multiplication.

    Weights in four bits cannot be joined; the others are kept beside the joined ones, which takes memory.
    """
    if getattr(denoiser(pipe), "quantization_method", None) is None:
        denoiser(pipe).fuse_qkv_projections()


def compiled(pipe: DiffusionPipeline) -> None:
    """By torch.compile, the repeated blocks only: all of the gain for a fraction of the wait at the first picture."""
    denoiser(pipe).compile_repeated_blocks()


SPEEDUPS: dict[str, Callable[[DiffusionPipeline], None]] = {
    "channels_last": channels_last,
    "fused_projections": fused_projections,
    "compiled": compiled,
}


def apply(pipe: DiffusionPipeline, names: Iterable[str]) -> None:
    """Switch these on, for good; `names` are of registry.SPEEDUPS."""
    for name in names:
        SPEEDUPS[name](pipe)


def denoiser(pipe: DiffusionPipeline) -> Any:
    """The transformer of FLUX, or the U-Net."""
    return pipe.transformer if hasattr(pipe, "transformer") else pipe.unet
