"""Draws in this process. One model is resident at a time; a lock keeps it while it is in use."""

import gc
import threading
from collections.abc import Sequence

import torch

from generation import registry
from generation.backends.base import Backend
from generation.encoders import Siglip
from generation.errors import OutOfMemory
from generation.pipelines.base import Pipeline
from generation.pipelines.flux import Flux
from generation.pipelines.stable_diffusion import StableDiffusion
from generation.types import GenerationRequest, ModelSpec, Picture, Pixels, Vectors

FAMILIES: dict[str, type[Pipeline]] = {"stable_diffusion": StableDiffusion, "flux": Flux}


class LocalBackend(Backend):
    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._resident: Pipeline | None = None
        self._encoder: tuple[str, Siglip] | None = None

    def ensure_ready(self, spec: ModelSpec) -> None:
        with self._lock:
            if self._resident is not None and self._resident.spec == spec:
                return
            self._resident = None  # the old one first: two may not fit
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._resident = FAMILIES[spec.family].load(spec, _device())

    def generate(self, spec: ModelSpec, request: GenerationRequest) -> list[Picture]:
        with self._lock:
            self.ensure_ready(spec)
            assert self._resident is not None
            try:
                return self._resident.generate(request)
            except torch.OutOfMemoryError:
                failed = True  # recover below: inside this block the traceback still holds the tensors
            if failed and torch.cuda.is_available():
                torch.cuda.empty_cache()
        raise OutOfMemory("The GPU ran out of memory: lower Inference Batch or the size of the pictures.")

    def embed(self, encoder: str, pictures: Sequence[Pixels]) -> Vectors:
        with self._lock:
            if self._encoder is None or self._encoder[0] != encoder:
                self._encoder = None
                self._encoder = encoder, Siglip.load(registry.ENCODERS[encoder], _device())
            return self._encoder[1].embed_images(pictures)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
