"""Servers and clients that behave badly, on real sockets."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

Behaviour = Callable[[socket.socket, bytes], None]  # what it does with a connection whose request has this head


@contextmanager
def server(behave: Behaviour) -> Iterator[str]:
    """A server that reads the head of each request and then behaves as told with it; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        open_ones: list[socket.socket] = []

        def attend(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                head = b""
                while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
                    head += more
                behave(connection, head)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    open_ones.append(connection)
                    threading.Thread(target=attend, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for one in open_ones:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def head(kind: str = "application/x-ndjson", *more: str, status: str = "200 OK") -> bytes:
    """The head of an answer that goes on until the connection is closed."""
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close", *more, "", ""]).encode()


def saying(content: bytes, kind: str = "application/x-ndjson", *more: str) -> Behaviour:
    """Says this, whatever it is asked, and hangs up."""

    def behave(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(head(kind, *more) + content)
        connection.shutdown(socket.SHUT_WR)
        # To close on what was not read would reset the connection, and take the answer away from who reads it.
        while connection.recv(65536):
            pass

    return behave


def ndjson(*lines: object) -> Behaviour:
    """Says these lines of JSON."""
    return saying(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def passing_on(url: str, path: str, instead: Behaviour) -> Behaviour:
    """Passes on to the server at `url` what it is asked, but for this path: there it behaves in another way."""

    def behave(connection: socket.socket, asked: bytes) -> None:
        if asked.startswith(f"POST {path} ".encode()):
            instead(connection, asked)
            return
        wanted = int(asked.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(asked.split(b"\r\n\r\n", 1)[1]) < wanted:
            asked += connection.recv(65536)
        with socket.create_connection(("127.0.0.1", urlsplit(url).port)) as real:
            real.sendall(asked.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            while piece := real.recv(65536):
                connection.sendall(piece)

    return behave
