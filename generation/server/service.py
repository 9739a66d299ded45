"""The one model of a service's process, and the queue before it."""

import json
import logging
import threading
from collections.abc import Iterator
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
# Seconds after which a line without news is sent: who waits knows that the service lives, and the service that who
# waits is still there.
HEARTBEAT = 5.0


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
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A place in the queue, and after the wait the model slot. Raises Full."""
        self._take_place()
        try:
            with self._turn:
                yield
        finally:
            self.places.release()

    def load(self, spec: ModelSpec) -> None:
        """Have a model loaded, in one's turn. Raises GenerationError."""
        self.manager.ensure_ready(spec)
        self.chosen = spec

    def draw(self, spec: ModelSpec, request: GenerationRequest) -> list[Picture]:
        """Of any size, in one's turn. Raises GenerationError."""
        self.load(spec)
        return list(self.manager.generate_all(spec, request, spec.inference_batch))

    def stream(self, spec: ModelSpec, request: GenerationRequest, *, with_previews: bool = False) -> "Stream":
        """Draw one forward pass in a thread that keeps its place until it is done or nobody waits. Raises Full."""
        self._take_place()
        stream = Stream()
        followed = replace(
            request,
            on_step=stream.step,
            on_preview=stream.preview if with_previews else None,
            should_stop=stream.is_left,
        )
        try:
            threading.Thread(target=self._draw_into, args=(stream, spec, followed), daemon=True).start()
        except RuntimeError:  # no more threads: the place would be lost for good
            self.places.release()
            raise
        return stream

    def _take_place(self) -> None:
        if not self.places.acquire(blocking=False):
            raise Full

    def _draw_into(self, stream: "Stream", spec: ModelSpec, request: GenerationRequest) -> None:
        try:
            with self._turn:
                if stream.is_left():
                    return
                self.load(spec)
                took: list[float] = []
                pictures = self.manager.generate(spec, replace(request, on_drawn=took.append))
            stream.put({"images": [wire.from_picture(picture) for picture in pictures], "seconds": sum(took)})
        except Cancelled:
            log.info("Nobody waits any longer: stopped drawing with %s.", spec.key)
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
    """What is told while a request is drawn: a line for each step, then the pictures or the reason why not."""

    def __init__(self) -> None:
        self._lines: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._left = threading.Event()

    def put(self, line: dict[str, Any] | None) -> None:
        """None is the end."""
        self._lines.put(line)

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
        """Lines of JSON, an empty one where there was no news for some seconds."""
        while True:
            try:
                line = self._lines.get(timeout=HEARTBEAT)
            except Empty:
                line = {}
            if line is None:
                return
            yield json.dumps(line).encode() + b"\n"
