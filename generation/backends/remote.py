"""Draws on another machine, or in another process: a client of the HTTP generation service (generation/server).

A session may name any address, so nothing is believed that comes from there: see `exchange` for the limits, and `wire`
for the pictures.
"""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpcore2

from generation import wire
from generation.backends.base import Backend
from generation.backends.exchange import Answer, Stuck, TooLarge, Watch, post
from generation.errors import GenerationError, ModelUnavailable, ServerUnavailable
from generation.progress import Report
from generation.types import GenerationRequest, ModelSpec, Picture

PATIENCE = 60.0  # seconds that a full queue is waited for
LINES = "application/x-ndjson"
PHASES = ("waiting", "loading", "drawing")  # in their order


class RemoteBackend(Backend):
    """`url` is where the service answers; `token` is what it wants to hear, if it wants one."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ensure_ready(self, spec: ModelSpec, report: Report | None = None) -> None:
        """The page says that the server loads, and no more."""
        watch = Watch((report or Report(spec)).should_stop)
        # Services of former versions answer at the end, with plain JSON.
        with self._asked("/model", {"model_id": spec.key}, {"Accept": f"{LINES}, application/json"}, watch) as answer:
            for line in self._told(answer, watch, wire.ENVELOPE, 10 * wire.ENVELOPE):
                if line.get("status") == "loaded":
                    return
            raise self._broken("no end of loading")

    def generate(self, spec: ModelSpec, request: GenerationRequest) -> list[Picture]:
        """In several passes what the service takes in none."""
        size = wire.most_at_once(request)
        took: list[float] = []
        pictures: list[Picture] = []
        for first in range(0, len(request.vectors), size):
            part = replace(request.part(first, first + size), on_drawn=took.append)
            pictures += self._drawn(spec, part)
        if request.on_drawn is not None:
            request.on_drawn(sum(took))
        return pictures

    def _drawn(self, spec: ModelSpec, request: GenerationRequest) -> list[Picture]:
        watch = Watch(request.should_stop)
        longest = wire.longest_line(request)
        with self._asked("/draw", wire.to_body(spec.key, request), {}, watch) as answer:
            if answer.kind != LINES:
                raise self._stranger()
            for line in self._told(answer, watch, longest, (request.steps + 2) * longest):
                if "images" in line:
                    return self._pictures(line, request)
                if "step" in line:
                    step = _whole(line["step"], request.steps)
                    watch.moved(len(PHASES), step)
                    if request.on_step is not None:
                        request.on_step(step, request.steps)
                if "preview" in line and request.on_preview is not None:
                    most = request.width * request.height
                    shown = _list(line["preview"], len(request.vectors))
                    request.on_preview(0, [wire.to_pixels(image, most) for image in shown])
            raise self._broken("no pictures")

    def _pictures(self, line: dict[str, Any], request: GenerationRequest) -> list[Picture]:
        images = _list(line["images"], len(request.vectors))
        if len(images) < len(request.vectors):
            raise wire.Unreadable(f"there are {len(images)} pictures instead of {len(request.vectors)}")
        if request.on_drawn is not None:
            seconds = line.get("seconds")
            if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
                raise wire.Unreadable("the time is no number")
            request.on_drawn(max(seconds, 1e-3))
        return [wire.to_picture(image, request.width, request.height) for image in images]

    def _told(self, answer: Answer, watch: Watch, longest: int, most: int) -> Iterator[dict[str, Any]]:
        """What is said line by line; the phases are heard here. Raises what the server says against the request."""
        for text in answer.lines(longest, most):
            line = self._parsed(text)
            if not isinstance(line, dict):
                raise wire.Unreadable("a line is no object")
            if "detail" in line:
                raise self._problem(line.get("status"), line["detail"])
            if line.get("phase") in PHASES:
                watch.moved(PHASES.index(line["phase"]), _whole(line.get("done"), 2**53))
            yield line

    @contextmanager
    def _asked(self, path: str, body: dict[str, Any], headers: dict[str, str], watch: Watch) -> Iterator[Answer]:
        """The answer of a server that takes the request. Raises one sentence for all that can happen on the way."""
        until = time.monotonic() + PATIENCE
        while True:
            with self._reached(), post(self.url + path, body, self._headers | headers, watch) as answer:
                if answer.status != 429:
                    self._check(answer)
                    yield answer
                    return
            if time.monotonic() > until:
                raise ServerUnavailable(
                    f"The generation server at {self.url} has too much to do: try again in a while."
                )
            for _ in range(4):
                watch.look()
                time.sleep(0.25)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """One sentence for all that can happen on the way."""
        try:
            if not wire.is_address(self.url):
                raise httpcore2.UnsupportedProtocol
            yield
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            raise ServerUnavailable(
                f"No generation server answers at {self.url}: start it there (manage.py generation_server), or "
                "correct Server URL."
            ) from error
        except (httpcore2.UnsupportedProtocol, UnicodeError) as error:  # the latter for names that none can have
            raise ServerUnavailable(
                f"{self.url} is not the address of a server: it looks like http://gpu-box:8580."
            ) from error
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise self._broken(type(error).__name__) from error
        except Stuck as error:
            raise ServerUnavailable(
                f"The generation server at {self.url} has got no further for a long time: see its log, and try again."
            ) from error
        except TooLarge as error:
            raise self._odd("it sends more than it was asked for") from error
        except wire.Unreadable as error:
            raise self._odd(str(error)) from error

    def _check(self, answer: Answer) -> None:
        """Raises what the server says against the request, or that it is none of ours."""
        if answer.status == 401:
            raise ServerUnavailable(
                f"The generation server at {self.url} wants a token: set IPO_GENERATION_SERVER to its address and "
                "IPO_GENERATION_TOKEN to its token in .env, and restart."
            )
        # Ours has these routes: what does not, even if it is ours at another path, is at another address.
        if answer.status == 404 or answer.is_packed or answer.kind not in (LINES, "application/json"):
            raise self._stranger()
        if answer.status != 200:
            said = self._parsed(answer.read(wire.ENVELOPE))
            if not isinstance(said, dict) or "detail" not in said:
                raise self._stranger()
            raise self._problem(answer.status, said["detail"])

    def _parsed(self, text: bytes) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:  # cut off
            raise self._broken("in the middle of an answer") from error

    def _problem(self, status: Any, detail: Any) -> GenerationError:
        said = wire.to_text(detail if isinstance(detail, str) else json.dumps(detail))
        kind = ModelUnavailable if status == 409 else GenerationError
        return kind(f"The generation server at {self.url} says: {said}")

    def _broken(self, how: str) -> ServerUnavailable:
        return ServerUnavailable(f"The generation server at {self.url} broke off ({how}): see its log, and try again.")

    def _odd(self, what: str) -> ServerUnavailable:
        return ServerUnavailable(
            f"The generation server at {self.url} does not answer as one of IPO does ({what}): update both, or correct "
            "Server URL."
        )

    def _stranger(self) -> ServerUnavailable:
        return ServerUnavailable(f"What answers at {self.url} is no generation server of IPO: correct Server URL.")


def _whole(value: Any, most: int) -> int:
    """Raises wire.Unreadable for what is no whole number from 0 to `most`."""
    if not isinstance(value, int) or not 0 <= value <= most:
        raise wire.Unreadable("a count is no number")
    return value


def _list(value: Any, most: int) -> list[Any]:
    """Raises wire.Unreadable for what is no list, or too long."""
    if not isinstance(value, list) or len(value) > most:
        raise wire.Unreadable("the pictures are no list, or too many")
    return value
