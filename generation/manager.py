"""ModelManager: the one door to drawing."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from generation.backends.base import Backend
from generation.types import GenerationRequest, ModelSpec, Picture, Pixels, Vectors

if TYPE_CHECKING:
    from generation.backends.local import LocalBackend


class ModelManager:
    """Routes to a backend. A worker process keeps one for its lifetime (its model slot).

    `server` is the URL of a generation service; empty draws in this process. `tokens` are of services, by their URL:
    no other address gets to know them.
    """

    def __init__(self, tokens: Mapping[str, str] | None = None) -> None:
        self._tokens = dict(tokens or {})
        self._local: LocalBackend | None = None
        self._servers: dict[str, Backend] = {}
        self._opening = threading.Lock()

    def ensure_ready(self, spec: ModelSpec, server: str = "") -> None:
        """Have the model loaded. Raises GenerationError with a remedy."""
        self._backend(server).ensure_ready(spec)

    def generate(self, spec: ModelSpec, request: GenerationRequest, server: str = "") -> list[Picture]:
        """Draw one forward pass: one Picture for each vector, in their order. Raises GenerationError."""
        return self._backend(server).generate(spec, request)

    def generate_all(
        self, spec: ModelSpec, request: GenerationRequest, at_once: int, server: str = ""
    ) -> Iterator[Picture]:
        """Draw a request of any size, `at_once` pictures in a forward pass, as they come. Raises GenerationError."""
        for i in range(0, len(request.vectors), at_once):
            yield from self.generate(spec, replace(request, vectors=request.vectors[i : i + at_once]), server)

    def embed(self, encoder: str, pictures: Sequence[Pixels]) -> Vectors:
        """What an encoder (a key of ENCODERS) sees in pictures: unit vectors [n, k]. Raises ModelUnavailable."""
        return self._local_backend().embed(encoder, pictures)

    def _backend(self, server: str) -> Backend:
        return self._remote_backend(server) if server else self._local_backend()

    def _remote_backend(self, server: str) -> Backend:
        from generation.backends.remote import RemoteBackend  # noqa: PLC0415 - most never need a client

        with self._opening:
            if server not in self._servers:
                self._servers[server] = RemoteBackend(server, self._tokens.get(server, ""))
            return self._servers[server]

    def _local_backend(self) -> "LocalBackend":
        # Locked: two threads that ask first would each open a backend, and load the model twice at once.
        with self._opening:
            if self._local is None:
                # Imported on first use: this module is also imported where torch must stay unloaded.
                from generation.backends.local import LocalBackend  # noqa: PLC0415

                self._local = LocalBackend()
            return self._local
