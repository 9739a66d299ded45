"""ModelManager: the one door to drawing, and to what encoders see."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from generation.backends.base import Backend
from generation.pacing import Pace
from generation.progress import Progress, Report
from generation.types import Embedded, GenerationRequest, Hardware, ModelSpec, Picture, Pixels

if TYPE_CHECKING:
    from generation.backends.local import LocalBackend


class ModelManager:
    """Routes to a backend. A worker process keeps one for its lifetime (its model slot).

    `server` is the URL of a generation service; empty draws in this process. `tokens` are of services, by their URL:
    no other address gets to know them. `speedups` are of registry.SPEEDUPS, for what is drawn here.
    """

    def __init__(self, tokens: Mapping[str, str] | None = None, speedups: Sequence[str] = ()) -> None:
        self.tokens = dict(tokens or {})
        self._speedups = speedups
        self._local: LocalBackend | None = None
        self._servers: dict[str, Backend] = {}
        self._paces: dict[tuple[ModelSpec, int, int, int, str], Pace] = {}
        self._opening = threading.Lock()
        self.progress: Progress | None = None  # of the model that is being loaded here; None where none is
        self.has_drawn = False  # whether a pass succeeded, here or on a server

    def ensure_ready(self, spec: ModelSpec, server: str = "", should_stop: Callable[[], bool] | None = None) -> None:
        """Have the model loaded; `progress` tells meanwhile how far it is. Raises GenerationError with a remedy."""
        with self._watched() as on_progress:
            self._backend(server).ensure_ready(spec, Report(spec, on_progress, should_stop))

    def preload(self, spec: ModelSpec, server: str = "") -> None:
        """As ensure_ready, where nobody waits yet: makes way, by raising Cancelled, for whoever wants another model."""
        with self._watched() as on_progress:
            if server:
                self._remote_backend(server).ensure_ready(spec, Report(spec, on_progress))
            else:
                self._local_backend().preload(spec, on_progress)

    @contextmanager
    def _watched(self) -> Iterator[Callable[[Progress], None]]:
        last: Progress | None = None

        def on_progress(progress: Progress) -> None:
            nonlocal last
            self.progress = last = progress

        try:
            yield on_progress
        finally:
            if self.progress is last:  # else another thread loads by now
                self.progress = None

    def generate(self, spec: ModelSpec, request: GenerationRequest, server: str = "") -> list[Picture]:
        """Draw one forward pass: one Picture for each vector, in their order. Raises GenerationError."""
        pace, on_drawn = self.pace(spec, request, server), request.on_drawn

        def timed(seconds: float) -> None:
            pace.saw(len(request.vectors), seconds)
            if on_drawn is not None:
                on_drawn(seconds)

        pictures = self._backend(server).generate(spec, replace(request, on_drawn=timed))
        self.has_drawn = True
        return pictures

    def generate_all(
        self, spec: ModelSpec, request: GenerationRequest, at_once: int = 0, server: str = ""
    ) -> Iterator[Picture]:
        """Draw a request of any size, as it comes, `at_once` pictures in a pass; 0 finds out how many are fastest.

        Raises GenerationError.
        """
        first = 0
        while first < len(request.vectors):
            size = at_once or self.fastest_size(spec, request, server)
            yield from self.generate(spec, request.part(first, first + size), server)
            first += size

    def fastest_size(self, spec: ModelSpec, request: GenerationRequest, server: str = "") -> int:
        """Pictures in a pass at which, by what was drawn so far, most such pictures come a second."""
        return self.pace(spec, request, server).size

    def pace(self, spec: ModelSpec, request: GenerationRequest, server: str = "") -> Pace:
        """What was found out of how many such pictures to draw in a pass."""
        return self._paces.setdefault((spec, request.width, request.height, request.steps, server), Pace())

    def embed_images(
        self,
        encoder: str,
        pictures: Sequence[Pixels],
        server: str = "",
        should_stop: Callable[[], bool] | None = None,
    ) -> Embedded:
        """What an encoder (a key of ENCODERS) sees in pictures of any sizes, a row for each.

        Raises GenerationError; Cancelled once `should_stop` says so.
        """
        return self._backend(server).embed_images(encoder, pictures, should_stop)

    def embed_texts(
        self, encoder: str, texts: Sequence[str], server: str = "", should_stop: Callable[[], bool] | None = None
    ) -> Embedded:
        """The same of texts, in the same space; what is longer than the encoder reads is cut."""
        return self._backend(server).embed_texts(encoder, texts, should_stop)

    @property
    def loaded(self) -> str:
        """The key of the model that is in this process's memory; empty before there is one."""
        return "" if self._local is None else self._local.loaded

    def hardware(self) -> Hardware:
        """What this process draws on."""
        return self._local_backend().hardware()

    def fetch(self, spec: ModelSpec, on_progress: Callable[[Progress], None] | None = None) -> None:
        """Download all that drawing with a model needs. Raises ModelUnavailable."""
        self._local_backend().fetch(spec, on_progress)

    def _backend(self, server: str) -> Backend:
        return self._remote_backend(server) if server else self._local_backend()

    def _remote_backend(self, server: str) -> Backend:
        from generation.backends.remote import RemoteBackend  # noqa: PLC0415 - most never need a client

        with self._opening:
            if server not in self._servers:
                self._servers[server] = RemoteBackend(server, self.tokens.get(server, ""))
            return self._servers[server]

    def _local_backend(self) -> "LocalBackend":
        # Locked: two threads that ask first would each open a backend, and load the model twice at once.
        with self._opening:
            if self._local is None:
                # Imported on first use: this module is also imported where torch must stay unloaded.
                from generation.backends.local import LocalBackend  # noqa: PLC0415

                self._local = LocalBackend(self._speedups)
            return self._local
