"""The one model of a service's process, and the queue before it."""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

from generation import wire
from generation.errors import Cancelled, GenerationError, ModelUnavailable, OutOfMemory
from generation.manager import ModelManager
from generation.types import GenerationRequest, ModelSpec, Picture, Pixels

log = logging.getLogger(__name__)
QUEUE = 8  # requests that draw or wait; more are turned away
# Seconds after which a line is sent though there is no step to tell: who waits knows that the service lives and whether
# anything moves on, and the service that who waits is still there.
HEARTBEAT = 5.0
LOOK_SECONDS = 0.5  # between two looks whether who waits for a turn is still there


class Full(Exception):
    """There is no place in the queue."""


def status_of(error: GenerationError) -> int:
    """409 for what this machine cannot do, 422 for what the request may not ask."""
    return 409 if isinstance(error, ModelUnavailable | OutOfMemory) else 422


@dataclass
class Service:
    """A model slot that is used by one request at a time: two models in turn would be swapped at each pass."""

    manager: ModelManager = field(default_factory=ModelManager)
    chosen: ModelSpec | None = None  # by the last request that named a model; after a failure it is loaded again
    places: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(QUEUE))
    moved: int = 0  # steps and loads so far, whoever they were for: who waits for a turn sees this grow
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def preload(self, spec: ModelSpec) -> None:
        """Have a model loaded in a thread, before anybody asks for it."""

        def load() -> None:
            with self._turn:
                try:
                    self.load(spec)
                except GenerationError as error:
                    log.warning("%s could not be loaded at the start: %s", spec.key, error)

        threading.Thread(target=load, name="preload", daemon=True).start()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A place in the queue, and after the wait the model slot. Raises Full."""
        self._take_place()
        try:
            with self._turn:
                yield
        finally:
            self.places.release()

    def load(self, spec: ModelSpec, should_stop: Callable[[], bool] | None = None) -> None:
        """Have a model loaded, in one's turn. Raises GenerationError."""

        def moves_on() -> bool:
            self._count()  # asked between two chunks of a download, two tensors of a conversion
            return should_stop is not None and should_stop()

        self.manager.ensure_ready(spec, should_stop=moves_on)
        self.chosen = spec
        self.moved += 1

    def draw(self, spec: ModelSpec, request: GenerationRequest) -> list[Picture]:
        """Of any size, in one's turn. Raises GenerationError."""
        self.load(spec)
        counted = replace(request, on_step=lambda done, of: self._count())
        return list(self.manager.generate_all(spec, counted, spec.inference_batch))

    def stream(self, spec: ModelSpec, request: GenerationRequest, *, with_previews: bool = False) -> "Stream":
        """Draw one forward pass in a thread that keeps its place until it is done or nobody waits. Raises Full."""

        def draw(stream: Stream) -> dict[str, Any]:
            self._load_for(stream, spec)

            def step(done: int, of: int) -> None:
                self._count()
                stream.step(done, of)

            took: list[float] = []
            followed = replace(
                request,
                on_step=step,
                on_preview=stream.preview if with_previews else None,
                on_drawn=took.append,
                should_stop=stream.is_left,
            )
            stream.begin("drawing")
            pictures = self.manager.generate(spec, followed)
            return {"images": [wire.from_picture(picture) for picture in pictures], "seconds": sum(took)}

        return self._told(draw)

    def stream_loading(self, spec: ModelSpec) -> "Stream":
        """Have a model loaded in a thread, as `stream` draws. Raises Full."""

        def load(stream: Stream) -> dict[str, Any]:
            self._load_for(stream, spec)
            return {"status": "loaded", "model_id": spec.key}

        return self._told(load)

    def stream_embedding(self, encoder: str, pictures: Sequence[Pixels], texts: Sequence[str]) -> "Stream":
        """Look at pictures or at texts in a thread, as `stream` draws. Raises Full."""

        def embed(stream: Stream) -> dict[str, Any]:
            stream.begin("embedding")
            if texts:
                seen = self.manager.embed_texts(encoder, texts, should_stop=stream.is_left)
            else:
                seen = self.manager.embed_images(encoder, pictures, should_stop=stream.is_left)
            self._count()
            return wire.from_embedded(seen)

        return self._told(embed)

    def _load_for(self, stream: "Stream", spec: ModelSpec) -> None:
        stream.begin("loading")
        self.load(spec, stream.is_left)

    def _told(self, work: "Callable[[Stream], dict[str, Any]]") -> "Stream":
        self._take_place()
        stream = Stream(self)
        try:
            threading.Thread(target=self._work, args=(stream, work), daemon=True).start()
        except RuntimeError:  # no more threads: the place would be lost for good
            self.places.release()
            raise
        return stream

    def _take_place(self) -> None:
        if not self.places.acquire(blocking=False):
            raise Full

    def _count(self) -> None:
        self.moved += 1  # in one's turn: nobody else counts

    def _work(self, stream: "Stream", work: "Callable[[Stream], dict[str, Any]]") -> None:
        """Wait for the turn, work; the last line is what comes of it."""
        try:
            while not self._turn.acquire(timeout=LOOK_SECONDS):
                if stream.is_left():
                    return
            try:
                last = work(stream)
            finally:
                self._turn.release()
            stream.put(last)
        except Cancelled:
            log.info("Nobody waits any longer: stopped.")
        except GenerationError as error:
            stream.put({"detail": str(error), "status": status_of(error)})
        except Exception:
            # Who waits gets a sentence, the log gets the traceback.
            stream.put({"detail": "The server failed unexpectedly; its log has the details.", "status": 500})
            raise
        finally:
            self.places.release()
            stream.put(None)


class Stream:
    """What is told while a request waits, loads and is drawn, line by line; then what comes of it, or why nothing."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._phase = "waiting"
        self._lines: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._left = threading.Event()

    def put(self, line: dict[str, Any] | None) -> None:
        """None is the end."""
        self._lines.put(line)

    def begin(self, phase: str) -> None:
        self._phase = phase
        self.put(self._so_far())

    def step(self, done: int, of: int) -> None:
        self.put({"step": done, "steps": of})

    def preview(self, first: int, pictures: list[Pixels]) -> None:
        self.put({"preview": [wire.from_picture(Picture(pixels)) for pixels in pictures]})

    def is_left(self) -> bool:
        """Whether nobody waits for the pictures any longer."""
        return self._left.is_set()

    def close(self) -> None:
        """Called when all was sent, and when sending failed because the other side has gone."""
        self._left.set()

    def __iter__(self) -> Iterator[bytes]:
        """Lines of JSON, one at least every few seconds."""
        while True:
            try:
                line = self._lines.get(timeout=HEARTBEAT)
            except Empty:
                line = self._so_far()
            if line is None:
                return
            yield json.dumps(line).encode() + b"\n"

    def _so_far(self) -> dict[str, Any]:
        return {"phase": self._phase, "done": self._service.moved}
