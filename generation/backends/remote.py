"""Draws on another machine, or in another process: a client of the HTTP generation service (generation/server)."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from generation import wire
from generation.backends.base import Backend
from generation.errors import Cancelled, GenerationError, ModelUnavailable, ServerUnavailable
from generation.types import GenerationRequest, ModelSpec, Picture

PATIENCE = 60.0  # seconds that a full queue is waited for
SILENCE = 30.0  # seconds without a line, after which the server is taken for dead: it sends one at least every 5
# The system asks after a connection that is silent: a model may take as long to load as its download.
KEEP_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
if hasattr(socket, "TCP_KEEPIDLE"):
    KEEP_ALIVE += [(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30), (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)]

# A connection for each request: one that is kept may have been closed on the other side just now.
ONE_EACH = httpx2.Limits(max_keepalive_connections=0)


class RemoteBackend(Backend):
    """`url` is where the service answers; `token` is what it wants to hear, if it wants one."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url
        with self._reached():
            self._client = self._opened(token)

    def _opened(self, token: str) -> httpx2.Client:
        return httpx2.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx2.Timeout(SILENCE, connect=5.0),
            # Through no proxy: the server is a machine of one's own, often this one.
            transport=httpx2.HTTPTransport(socket_options=KEEP_ALIVE, limits=ONE_EACH),
        )

    def ensure_ready(self, spec: ModelSpec) -> None:
        timeout = httpx2.Timeout(SILENCE, connect=5.0, read=None)
        for _ in self._turns():
            with self._reached():
                answer = self._client.post("/model", json={"model_id": spec.key}, timeout=timeout)
            if answer.status_code != 429:
                self._check(answer, "application/json")
                return

    def generate(self, spec: ModelSpec, request: GenerationRequest) -> list[Picture]:
        body = wire.to_body(spec.key, request)
        for _ in self._turns(request):
            # Leaving the block closes the connection, and the server stops before its next step.
            with self._reached(), self._client.stream("POST", "/draw", json=body) as answer:
                if answer.status_code != 429:
                    self._check(answer, "application/x-ndjson")
                    return self._follow(answer, request)
        raise AssertionError("_turns ends by raising")

    def _follow(self, answer: httpx2.Response, request: GenerationRequest) -> list[Picture]:
        """Read the lines of a drawing until its pictures come."""
        for text in answer.iter_lines():
            line = self._parsed(text)
            if "images" in line:
                if request.on_drawn is not None:
                    request.on_drawn(line["seconds"])
                return [wire.to_picture(image) for image in line["images"]]
            if "detail" in line:
                raise self._problem(line["status"], line["detail"])
            if "step" in line and request.on_step is not None:
                request.on_step(line["step"], line["steps"])
            if "preview" in line and request.on_preview is not None:
                request.on_preview(0, [wire.to_pixels(image) for image in line["preview"]])
            _stop_if_asked(request)
        raise self._broken("no pictures")

    def _turns(self, request: GenerationRequest | None = None) -> Iterator[None]:
        """One try after the other, as long as the queue is full. Raises ServerUnavailable when patience ends."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            yield
            time.sleep(1.0)
            if request is not None:
                _stop_if_asked(request)
        raise ServerUnavailable(f"The generation server at {self.url} has too much to do: try again in a while.")

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """One sentence for all that can happen on the way."""
        try:
            yield
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise ServerUnavailable(
                f"No generation server answers at {self.url}: start it there (manage.py generation_server), or "
                "correct Server URL."
            ) from error
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise ServerUnavailable(
                f"{self.url} is not the address of a server: it looks like http://gpu-box:8580."
            ) from error
        except httpx2.HTTPError as error:
            raise self._broken(type(error).__name__) from error

    def _check(self, answer: httpx2.Response, kind: str) -> None:
        """Raises what the server says against the request, or that it is none of ours."""
        is_json = answer.headers.get("content-type", "").startswith((kind, "application/json"))
        if answer.status_code == 401:
            raise ServerUnavailable(
                f"The generation server at {self.url} wants a token: set IPO_GENERATION_SERVER to its address and "
                "IPO_GENERATION_TOKEN to its token in .env, and restart."
            )
        if is_json and answer.status_code == 200:
            return
        said = self._parsed(answer.read()) if is_json else None
        if not isinstance(said, dict) or "detail" not in said:
            raise ServerUnavailable(f"What answers at {self.url} is no generation server of IPO: correct Server URL.")
        raise self._problem(answer.status_code, said["detail"])

    def _parsed(self, text: str | bytes) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:  # cut off
            raise self._broken("in the middle of an answer") from error

    def _problem(self, status: int, detail: Any) -> GenerationError:
        kind = ModelUnavailable if status == 409 else GenerationError
        return kind(f"The generation server at {self.url} says: {detail}")

    def _broken(self, how: str) -> ServerUnavailable:
        return ServerUnavailable(f"The generation server at {self.url} broke off ({how}): see its log, and try again.")


def _stop_if_asked(request: GenerationRequest) -> None:
    if request.should_stop is not None and request.should_stop():
        raise Cancelled("Stopped.")
