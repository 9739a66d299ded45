"""ModelManager: the one door to drawing."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from generation.backends.base import Backend
from generation.types import GenerationRequest, ModelSpec, Picture, Pixels, Vectors


class ModelManager:
    """Routes to a backend. A worker process keeps one for its lifetime (its model slot)."""

    def __init__(self, backend: Backend | None = None) -> None:
        self._backend = backend
        self._opening = threading.Lock()

    def ensure_ready(self, spec: ModelSpec) -> None:
        """Have the model loaded. Raises ModelUnavailable with a remedy."""
        self._get_backend().ensure_ready(spec)

    def generate(self, spec: ModelSpec, request: GenerationRequest) -> list[Picture]:
        """Draw one forward pass: one Picture for each vector, in their order. Raises GenerationError."""
        return self._get_backend().generate(spec, request)

    def generate_all(self, spec: ModelSpec, request: GenerationRequest, at_once: int) -> Iterator[Picture]:
        """Draw a request of any size, `at_once` pictures in a forward pass, as they come. Raises GenerationError."""
        for i in range(0, len(request.vectors), at_once):
            yield from self.generate(spec, replace(request, vectors=request.vectors[i : i + at_once]))

    def embed(self, encoder: str, pictures: Sequence[Pixels]) -> Vectors:
        """What an encoder (a key of ENCODERS) sees in pictures: unit vectors [n, k]. Raises ModelUnavailable."""
        return self._get_backend().embed(encoder, pictures)

    def _get_backend(self) -> Backend:
        # Locked: two threads that ask first would each open a backend, and load the model twice at once.
        with self._opening:
            if self._backend is None:
                # Imported on first use: this module is also imported where torch must stay unloaded.
                from generation.backends.local import LocalBackend  # noqa: PLC0415

                self._backend = LocalBackend()
            return self._backend
