"""One request to a server that may be slow, broken or hostile: it ends in time, in memory, and when nobody waits.

The libraries have a timeout for each read, which a server that sends a byte now and then never meets, and none of them
can be interrupted while it waits. So the waiting itself is ours: a network stream of httpcore that looks up every half
second (its interface for backends is public).
"""

import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpcore2

from generation.errors import Cancelled

CONNECT_SECONDS = 5.0
SILENCE = 30.0  # seconds without a byte, after which the server is taken for dead: it sends a line at least every 5
LOOK_SECONDS = 0.5  # between two looks whether anybody still waits
# Without any progress, whatever is sent. Long, since a load does not tell how far it is; it goes on without us.
STUCK_SECONDS = 1800.0
LONGEST_SECONDS = 6 * 3600.0  # of one request: the download of a large model, and its drawing
PIECE = 64 * 2**10  # bytes written between two looks


class Stuck(Exception):
    """The server lives, but nothing moves on."""


class TooLarge(Exception):
    """The server sends more than it was asked for."""


@dataclass
class Watch:
    """Looks, while a server is waited for, whether that is still wanted and still of use."""

    should_stop: Callable[[], bool] | None = None
    _until: float = field(default_factory=lambda: time.monotonic() + STUCK_SECONDS)
    _end: float = field(default_factory=lambda: time.monotonic() + LONGEST_SECONDS)
    _best: tuple[int, float] = (-1, 0.0)

    def moved(self, phase: int, done: float) -> None:
        """Hear of progress; only what goes beyond all that was heard before is some."""
        if (phase, done) > self._best:
            self._best, self._until = (phase, done), time.monotonic() + STUCK_SECONDS

    def look(self) -> None:
        """Raises Cancelled and Stuck."""
        if self.should_stop is not None and self.should_stop():
            raise Cancelled("Stopped.")
        if time.monotonic() > min(self._until, self._end):
            raise Stuck


class _Stream(httpcore2.NetworkStream):
    """A connection that looks up while it waits."""

    def __init__(self, stream: httpcore2.NetworkStream, watch: Watch) -> None:
        self._stream, self._watch = stream, watch

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        until = time.monotonic() + SILENCE
        while True:
            self._watch.look()
            try:
                return self._stream.read(max_bytes, LOOK_SECONDS)
            except httpcore2.ReadTimeout:
                if time.monotonic() > until:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for first in range(0, len(buffer), PIECE):
            self._watch.look()
            self._stream.write(buffer[first : first + PIECE], timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *args: Any, **kwargs: Any) -> "_Stream":
        return _Stream(self._stream.start_tls(*args, **kwargs), self._watch)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Network(httpcore2.SyncBackend):
    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        return _Stream(super().connect_tcp(host, port, timeout, local_address, socket_options), self._watch)


class Answer:
    """What a server says: its status, the kind of its content, and the content, as it comes and as far as allowed."""

    def __init__(self, response: httpcore2.Response) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
        self.status = response.status
        # What is packed is not unpacked: nobody asked for it, and a megabyte of it may be a gigabyte.
        self.is_packed = headers.get(b"content-encoding", "identity").lower() != "identity"
        self.kind = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        self._pieces = response.iter_stream()

    def read(self, most: int) -> bytes:
        """All of it. Raises TooLarge."""
        content = bytearray()
        for piece in self._pieces:
            content += piece
            if len(content) > most:
                raise TooLarge
        return bytes(content)

    def lines(self, longest: int, most: int) -> Iterator[bytes]:
        """As they come; `longest` is of one, `most` of all together, in bytes. Raises TooLarge."""
        line, total = bytearray(), 0
        for piece in self._pieces:
            total += len(piece)
            *ended, rest = piece.split(b"\n")
            for end in ended:
                line += end
                if len(line) > longest:
                    raise TooLarge
                yield bytes(line)
                line.clear()
            line += rest
            if len(line) > longest or total > most:
                raise TooLarge
        if line:
            yield bytes(line)


@contextmanager
def post(url: str, body: dict[str, Any], headers: dict[str, str], watch: Watch) -> Iterator[Answer]:
    """Send JSON. Leaving the block closes the connection, which tells the server that nobody waits.

    Raises what httpcore does, and here and within the block Cancelled and Stuck.
    """
    content = json.dumps(body).encode()
    named = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
    sent = [(name.encode(), value.encode()) for name, value in named.items()]
    timeout = {"connect": CONNECT_SECONDS, "read": SILENCE, "write": SILENCE, "pool": CONNECT_SECONDS}
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    # Through no proxy: the server is a machine of one's own, often this one. A connection for each request: one that
    # is kept may have been closed on the other side just now.
    with (
        httpcore2.ConnectionPool(
            max_keepalive_connections=0, network_backend=_Network(watch), socket_options=options
        ) as pool,
        pool.stream("POST", url, headers=sent, content=content, extensions={"timeout": timeout}) as response,
    ):
        yield Answer(response)
