"""Weights in four bits: made once, and kept (generation/installed.py says where)."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from diffusers import BitsAndBytesConfig as DiffusersConfig
from transformers import BitsAndBytesConfig as TransformersConfig

from generation.errors import ModelUnavailable
from generation.pipelines.locking import lock
from generation.types import ModelSpec

# What makes up nearly all of the weights. T5 alone is 9.5 GB in bfloat16.
LARGE_PARTS = ("transformer", "text_encoder_2")


def options(spec: ModelSpec, part: str) -> dict[str, Any]:
    """Options of from_pretrained of one of the large parts.

    Four-bit NormalFloat (Dettmers et al. 2023) saves memory, not time.
    """
    if spec.quantization != "nf4":
        return {}
    kind = TransformersConfig if part == "text_encoder_2" else DiffusersConfig
    dtype = getattr(torch, spec.dtype)
    config = kind(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    return {"quantization_config": config}


def need_bitsandbytes(name: str) -> None:
    """Raises ModelUnavailable where it is not installed."""
    if find_spec("bitsandbytes") is None:
        raise ModelUnavailable(f"{name} needs bitsandbytes: install it (pip install -e '.[cuda]'), and try again.")


@contextmanager
def written_once(folder: Path, while_waiting: Callable[[], None] = lambda: None) -> Iterator[Path | None]:
    """A draft to write into, which becomes `folder` at the end of the block; None where that is there already.

    A second process waits for the first, and calls `while_waiting` now and then, which may raise. What fails or is
    killed leaves nothing that looks complete. Raises OSError.
    """
    draft = folder.with_name(f"{folder.name}.partial")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        lock(file, while_waiting)
        if folder.is_dir():
            yield None
            return
        shutil.rmtree(draft, ignore_errors=True)  # of one that was killed
        try:
            draft.mkdir()
            yield draft
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
