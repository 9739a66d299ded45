"""The web server of the pages and of the generation service: waitress, with limits on what clients may take of it.

waitress reads a request whole, in one loop for all connections, before a thread is taken for it, and writes answers
in that loop too: a client that is slow, or never finishes, holds no thread. What it lacks is here: an end to bodies
and headers that come in drops, a place for the next connection when all are taken, and a look at the headers before
a body is read.
"""

import json
import logging
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from types import FrameType
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.utilities import Error, RequestEntityTooLarge

from ipo_site.wsgi import application

log = logging.getLogger(__name__)

HEADER_SECONDS = 15.0  # for the first request of a connection, from its first byte to the end of its headers
BODY_SECONDS = 120.0  # for headers and body together
SILENCE = 15.0  # without a byte, in the middle of a request or of an answer
IDLE_SECONDS = 75.0  # between two requests of a connection
CONNECTIONS = 200  # beyond these, the connection that has kept us waiting longest makes room
GRACE = 3  # seconds that running requests have left at the end

# Asked after the headers of a request that has a body: its path and headers; the error that answers it, or None.
Door = Callable[[str, dict[str, str]], tuple[int, str] | None]


class Refusal(Error):  # type: ignore[misc]
    """An answer to what is not read to its end: one sentence, as the generation service words its problems."""

    def __init__(self, code: int, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code, self.reason = code, reason

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        body = json.dumps({"detail": self.body}).encode()
        return f"{self.code} {self.reason}", [("Content-Type", "application/json")], body


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """One request, as far as it has come."""

    door: Door | None = None
    error: Error | None = None
    completed = False
    _is_asked = False

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if isinstance(self.error, RequestEntityTooLarge):
            most = self.adj.max_request_body_size - 1
            self.error = Refusal(413, "Content Too Large", f"The request is too large: send {most:,} bytes at most.")
        elif self.headers_finished and not self.completed and not self._is_asked:
            self._is_asked = True
            refused = None if self.door is None else self.door(self.path, self.headers)
            if refused is not None:
                self.error, self.completed = Refusal(refused[0], "Refused", refused[1]), True
        return consumed


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection. Where `requests` holds something, the application has its turn, for as long as it takes."""

    began: float | None = None  # when the request that is coming in began
    has_served = False

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self.began = time.time()
        return bool(super().received(data))

    def service(self) -> None:
        super().service()
        self.has_served = True

    @property
    def waits_since(self) -> float:
        return float(self.last_activity if self.request is None else self.began or self.creation_time)

    def is_overdue(self, now: float) -> bool:
        if self.requests:
            return False
        silent, waited = float(now - self.last_activity), now - self.waits_since
        if self.total_outbufs_len:
            return silent > SILENCE
        if self.request is None:
            return silent > (IDLE_SECONDS if self.has_served else HEADER_SECONDS)
        if not self.request.headers_finished:
            return waited > HEADER_SECONDS
        return silent > SILENCE or waited > BODY_SECONDS


class Server(TcpWSGIServer):  # type: ignore[misc]
    channel_class = Channel

    def maintenance(self, now: float) -> None:
        for channel in self.active_channels.values():
            if channel.is_overdue(now):
                channel.will_close = True

    def handle_accept(self) -> None:
        super().handle_accept()
        if len(self.active_channels) > CONNECTIONS:
            waiting = [one for one in self.active_channels.values() if not one.requests and not one.will_close]
            if waiting:
                min(waiting, key=lambda one: one.waits_since).will_close = True

    def run(self) -> None:
        """Until SIGTERM or Ctrl-C."""
        try:
            self.asyncore.loop(self.adj.asyncore_loop_timeout, self.adj.asyncore_use_poll, self._map)
        except (SystemExit, KeyboardInterrupt):
            self.task_dispatcher.shutdown(timeout=GRACE)


def _without_bodies_for_head(served: Any) -> Any:
    """Django leaves it to the server to answer HEAD without a body, waitress to the application."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        body = served(environ, start_response)
        if environ["REQUEST_METHOD"] != "HEAD":
            return body
        if hasattr(body, "close"):
            body.close()
        return []

    return answer


def open_server(
    served: Any, host: str, port: int, *, threads: int, most_bytes: int, door: Door | None = None
) -> Server:
    """Listening, not yet serving. `most_bytes` are of a request's body. Raises OSError where it cannot listen."""
    # A class of its own, since waitress makes parsers from the class: the door is part of it.
    parser = type("Parser", (Parser,), {"door": None if door is None else staticmethod(door)})
    server = Server(
        _without_bodies_for_head(served),
        map={},
        host=host,
        port=port,
        threads=threads,
        max_request_body_size=most_bytes + 1,  # the first size that is refused
        max_request_header_size=64 * 2**10,
        # Answers are kept, on disk where they are large, until the client has read them: no thread waits for it.
        outbuf_high_watermark=2**30,
        channel_request_lookahead=1,  # reads on while it answers, and so sees that a client has left
        connection_limit=2 * CONNECTIONS,
        cleanup_interval=1,
        asyncore_use_poll=True,
        log_socket_errors=False,
        ident=None,
    )
    channel: type[Channel] = type("Channel", (Channel,), {"parser_class": parser})
    server.channel_class = channel
    return server


def main(host: str, port: int) -> None:
    """Serve the application of DJANGO_SETTINGS_MODULE until SIGTERM or Ctrl-C."""
    import_module(settings.ROOT_URLCONF)  # what the first request would wait for
    door = import_string(settings.IPO_DOOR) if settings.IPO_DOOR else None
    try:
        server = open_server(
            application, host, port, threads=settings.IPO_THREADS, most_bytes=settings.IPO_BODY_BYTES, door=door
        )
    except OSError as error:
        sys.exit(f"Nothing can listen on {host}:{port} ({error.strerror}): end what uses it, or choose another port.")
    signal.signal(signal.SIGTERM, _leave)
    server.run()


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
