"""Draws and looks in this process. One model is resident at a time; a lock keeps it while it is in use."""

import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import torch

from generation import installed, registry
from generation.backends.base import Backend
from generation.encoders import Siglip
from generation.errors import Cancelled, ModelUnavailable, OutOfMemory
from generation.pipelines import loading, previews, speedups
from generation.pipelines.base import Pipeline
from generation.pipelines.flux import Flux
from generation.pipelines.stable_diffusion import StableDiffusion
from generation.progress import Progress, Report
from generation.types import Embedded, EncoderSpec, GenerationRequest, Hardware, ModelSpec, Picture, Pixels, Vectors

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.25  # between two looks at whether who waits for the slot still wants it
T = TypeVar("T")
FAMILIES: dict[str, type[Pipeline]] = {"stable_diffusion": StableDiffusion, "flux": Flux}


class LocalBackend(Backend):
    def __init__(self, wanted_speedups: Sequence[str] = ()) -> None:
        self._speedups = wanted_speedups
        self._lock = threading.RLock()
        self.resident: Pipeline | None = None
        self._encoder: tuple[EncoderSpec, Siglip] | None = None
        self._preloading: ModelSpec | None = None  # what nobody has asked for yet
        self._make_way = threading.Event()  # for whoever waits: it is to stop

    def ensure_ready(self, spec: ModelSpec, report: Report | None = None) -> None:
        report = report or Report(spec)
        with self._turn(spec, report.should_stop):
            if self.resident is not None and self.resident.spec == spec:
                return
            device = _device()
            if spec.needs_cuda and device == "cpu":
                raise ModelUnavailable(
                    f"{spec.label} needs an NVIDIA GPU, and this worker has none: choose another model."
                )
            self._drop()  # the old one first: two may not fit
            self._encoder = None  # while weights are read they take most room: it is read again when it is needed
            _free_memory()
            self.resident = _tried(lambda: self._load(spec, device, report))
            if self.resident is None:
                raise _no_room(f"loading {spec.label}", "choose a smaller model, or end what else uses it")

    def preload(self, spec: ModelSpec, on_progress: Callable[[Progress], None] | None = None) -> None:
        """Have a model loaded that nobody has asked for yet. Raises GenerationError.

        Cancelled is raised as soon as somebody waits for another one, or does not want this one any longer.
        """
        self._make_way.clear()
        self._preloading = spec
        try:
            self.ensure_ready(spec, Report(spec, on_progress, self._make_way.is_set))
        finally:
            self._preloading = None

    @contextmanager
    def _turn(self, wanted: ModelSpec | EncoderSpec, should_stop: Callable[[], bool]) -> Iterator[None]:
        """The slot for a model or an encoder, after the wait for whoever has it. Raises Cancelled."""
        while not self._lock.acquire(timeout=LOOK_SECONDS):
            if self._preloading not in (None, wanted):
                self._make_way.set()
            if should_stop():
                self._make_way.set()
                raise Cancelled(f"Stopped waiting for {wanted.key}.")
        try:
            yield
        finally:
            self._lock.release()

    def _load(self, spec: ModelSpec, device: str, report: Report) -> Pipeline:
        pipeline = FAMILIES[spec.family].load(spec, device, report)
        encoder = registry.ENCODERS.get(spec.encoder)
        if encoder is not None and installed.folder_of(encoder.source, "config.json") is None:
            try:  # now that the page shows it, not in the middle of the first batch
                loading.fetch_companion(spec, encoder.source, report)
            except ModelUnavailable as error:
                log.warning("Without its image encoder for now: %s", error)
        speedups.apply(pipeline.pipe, self._speedups)
        pipeline.revision = installed.revision(spec)
        return pipeline

    def generate(self, spec: ModelSpec, request: GenerationRequest) -> list[Picture]:
        with self._lock:
            self.ensure_ready(spec)
            pipeline = self.resident
            assert pipeline is not None
            if request.on_preview is not None and not pipeline.has_looked_for_vae:
                pipeline.look, pipeline.has_looked_for_vae = previews.load(spec, _device()), True
            began = time.perf_counter()
            pictures = self._drawn(pipeline, request)
            if request.on_drawn is not None:
                request.on_drawn(time.perf_counter() - began)
            return pictures

    def _drawn(self, pipeline: Pipeline, request: GenerationRequest) -> list[Picture]:
        """In two passes what has no room in one. Raises OutOfMemory, after which the model is loaded anew."""
        pictures = _tried(lambda: pipeline.generate(request))
        count = len(request.vectors)
        if pictures is None and count > 1:
            parts = request.part(0, (count + 1) // 2), request.part((count + 1) // 2, count)
            pictures = _tried(lambda: [picture for part in parts for picture in pipeline.generate(part)])
        if pictures is None:
            self._drop()
            raise _no_room("drawing", "lower Inference Batch or the size of the pictures")
        return [replace(picture, revision=pipeline.revision) for picture in pictures]

    def _drop(self) -> None:
        self.resident = None
        _free_memory()

    @property
    def loaded(self) -> str:
        """The key of the model that is in memory; empty before there is one."""
        resident = self.resident  # read once: another thread may be changing it
        return "" if resident is None else resident.spec.key

    def hardware(self) -> Hardware:
        """What this process draws on."""
        if torch.cuda.is_available():
            properties = torch.cuda.get_device_properties(0)
            return Hardware(properties.name, properties.total_memory / 1e9, is_gpu=True)
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
        return Hardware(f"{os.cpu_count()} CPU cores", memory, is_gpu=False)

    def fetch(self, spec: ModelSpec, on_progress: Callable[[Progress], None] | None = None) -> None:
        """Download all that drawing with a model needs. Raises ModelUnavailable."""
        loading.fetch(spec, Report(spec, on_progress))

    def embed_images(
        self, encoder: str, pictures: Sequence[Pixels], should_stop: Callable[[], bool] | None = None
    ) -> Embedded:
        return self._embedded(encoder, lambda opened: opened.embed_images(pictures), should_stop)

    def embed_texts(
        self, encoder: str, texts: Sequence[str], should_stop: Callable[[], bool] | None = None
    ) -> Embedded:
        return self._embedded(encoder, lambda opened: opened.embed_texts(texts), should_stop)

    def _embedded(
        self, encoder: str, read: Callable[[Siglip], Vectors], should_stop: Callable[[], bool] | None
    ) -> Embedded:
        spec, is_unwanted = registry.encoder(encoder), should_stop or (lambda: False)

        def embedded() -> Embedded:
            opened = self._opened(spec)
            return Embedded(read(opened), spec.key, opened.revision)

        with self._turn(spec, is_unwanted):
            if is_unwanted():
                raise Cancelled("Stopped before looking.")
            found = _tried(embedded)
            if found is None:
                self._encoder = None
                _free_memory()
                raise _no_room("looking at pictures", "choose a smaller model, or end what else uses it")
            return found

    def _opened(self, encoder: EncoderSpec) -> Siglip:
        if self._encoder is None or self._encoder[0] != encoder:
            self._encoder = None
            self._encoder = encoder, Siglip.load(encoder.source, _device())
        return self._encoder[1]


def _tried(work: Callable[[], T]) -> T | None:
    """What it returns; None where it needed more memory than there is, which is then free again."""
    try:
        return work()
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
    _free_memory()  # out here: inside the block above the traceback still holds the tensors
    return None


def _no_room(what: str, remedy: str) -> OutOfMemory:
    where = "This machine" if _device() == "cpu" else "The GPU"
    return OutOfMemory(f"{where} ran out of memory while {what}: {remedy}.")


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Of the GPU; of the machine itself torch has no class of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
