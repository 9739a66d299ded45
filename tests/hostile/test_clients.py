"""Clients that are slow, never finish, or send too much: the service and the pages answer, in bounded memory."""

import base64
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from generation import wire
from ipo_site import serving


def get(url: str, token: str = "", body: bytes | None = None, seconds: float = 10) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=seconds) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


@pytest.fixture
def connect() -> Iterator[object]:
    """Connections that are kept open."""
    kept: list[socket.socket] = []

    def connect(url: str, first: bytes) -> socket.socket:
        connection = socket.create_connection(address(url), timeout=30)
        kept.append(connection)
        connection.sendall(first)
        return connection

    yield connect
    for connection in kept:
        connection.close()


UNFINISHED = {
    "silent": b"",
    "half a line": b"POST /gen",
    "half a head": b"POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "no body": b"POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer s3cret\r\nContent-Length: 1000\r\n\r\n",
    "half a chunk": b"POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer s3cret\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
}


@pytest.mark.parametrize("first", UNFINISHED)
def test_requests_that_never_finish_block_nobody(generation_server, connect, first):
    for _ in range(40):
        connect(generation_server.url, UNFINISHED[first])
    assert get(f"{generation_server.url}/health")[0] == 200
    assert get(f"{generation_server.url}/models", generation_server.token)[0] == 200


def test_more_connections_than_there_is_room_for_make_room(generation_server, connect):
    for _ in range(2 * serving.CONNECTIONS + 50):
        connect(generation_server.url, UNFINISHED["half a head"])
    assert get(f"{generation_server.url}/health")[0] == 200


def test_answers_that_nobody_reads_block_nobody(generation_server, connect):
    for _ in range(40):
        connect(generation_server.url, b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 200)
    assert get(f"{generation_server.url}/health")[0] == 200


def ask(url: str, head: str, *pieces: bytes) -> tuple[int, dict]:
    """Send this, as far as it is taken, and read the answer."""
    with socket.create_connection(address(url), timeout=30) as connection:
        try:
            connection.sendall(f"POST /generate HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n\r\n".encode())
            for piece in pieces:
                connection.sendall(piece)
        except OSError:  # it has hung up, after an answer
            pass
        got = b""
        while more := connection.recv(65536):
            got += more
    head_of, _, body = got.partition(b"\r\n\r\n")
    return int(head_of.split()[1]), json.loads(body)


JSON = "Content-Type: application/json"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(generation_server):
    bearer = f"Authorization: Bearer {generation_server.token}"
    status, said = ask(generation_server.url, f"{JSON}\r\n{bearer}\r\nContent-Length: {wire.MOST_BYTES + 1}")
    assert (status, said["detail"]) == (413, f"The request is too large: send {wire.MOST_BYTES:,} bytes at most.")
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    assert ask(generation_server.url, f"{JSON}\r\n{bearer}\r\nTransfer-Encoding: chunked", *[chunk] * 40)[0] == 413


@pytest.mark.parametrize("bearer", ["", "\r\nAuthorization: Bearer wrong", "\r\nAuthorization: Basic s3cret"])
def test_without_the_token_no_body_is_read(generation_server, bearer):
    for length in ("Content-Length: 1000", "Transfer-Encoding: chunked"):
        assert ask(generation_server.url, f"{JSON}{bearer}\r\n{length}") == (401, {"detail": "Unauthorized"})


def peak(pid: int, since: bool = False) -> int:
    """Bytes of memory that a process had at most; `since` begins anew."""
    if since:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) * 1024


SIZE = wire.MOST_BYTES - 1000


def of(field: str, text: str) -> bytes:
    return f'{{"prompt": "a sea", "embedding_type": "pooled", "{field}": {text}}}'.encode()


# Each close to the largest that is taken; made when it is needed.
BODIES: dict[str, Callable[[], bytes]] = {
    "nan": lambda: of("embedding", "[" + "NaN," * (SIZE // 4) + "0]"),
    "numbers": lambda: of("embedding", "[" + "0.1," * (SIZE // 4) + "0]"),
    "nan in rows": lambda: of("embeddings", "[" + "[NaN]," * (SIZE // 6) + "[0]]"),
    "objects": lambda: of("embedding", "[" + "{}," * (SIZE // 3) + "0]"),
    "texts": lambda: of("embedding", "[" + '"a",' * (SIZE // 4) + "0]"),
    "nested": lambda: b"[" * SIZE,
    "a long number": lambda: of("embedding", "[" + "1" * SIZE + "]"),
    "a long text": lambda: of("steps", '"' + "x" * SIZE + '"'),
    "many fields": lambda: b"{" + b",".join(b'"f%d": 1' % i for i in range(SIZE // 16)) + b"}",
    "no JSON": lambda: b"x" * SIZE,
}


@pytest.mark.parametrize("kind", BODIES)
def test_large_bodies_get_small_answers_and_take_little_memory(generation_server, kind):
    token, before, body = generation_server.token, peak(generation_server.pid, since=True), BODIES[kind]()
    for route in ("batch" if kind == "nan in rows" else "generate", "draw", "embed"):
        status, said = get(f"{generation_server.url}/{route}", token, body, seconds=60)
        assert status in (400, 422)
        assert len(said) < 10_000
    assert peak(generation_server.pid) - before < 800 * 2**20


def black(side: int) -> bytes:
    """A PNG file that is a thousandth of its pixels, as our answers have it."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side)).save(buffer, "PNG")
    return b'{"image_base64": "' + base64.b64encode(buffer.getvalue()) + b'"}'


PICTURES: dict[str, Callable[[], bytes]] = {
    "one that unpacks to gigabytes": lambda: black(20_000),
    "many large ones": lambda: b",".join([black(4096)] * 64),
    "more than there may be": lambda: b",".join([black(1)] * 5000),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_that_are_small_when_packed_take_little_memory(generation_server, kind):
    body = b'{"encoder": "pocket-siglip", "images": [' + PICTURES[kind]() + b"]}"
    before = peak(generation_server.pid, since=True)
    status, said = get(f"{generation_server.url}/embed", generation_server.token, body, seconds=60)
    assert (status, b"images" in said) == (422, True)
    assert len(said) < 10_000
    assert peak(generation_server.pid) - before < 300 * 2**20


def test_a_request_may_not_ask_for_more_than_this_machine_draws_at_once(generation_server):
    body = {"prompt": "a sea", "embedding_type": "text", "embeddings": [[0]] * 17, "width": 1024, "height": 1024}
    status, said = get(f"{generation_server.url}/batch", generation_server.token, json.dumps(body).encode())
    assert (status, "16 rows at most" in said.decode()) == (422, True)


@pytest.fixture
def pages(db) -> Iterator[str]:
    """The web server of the pages, as the Procfile starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ipo_site.serving", "127.0.0.1", str(port)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], env=os.environ | {"IPO_PORT": str(port)}) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    get(f"{url}/static/ipo/app.css")
                    break
                except OSError:
                    assert process.poll() is None
                    time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            assert process.wait(20) == 0


@pytest.mark.parametrize("first", UNFINISHED)
def test_the_pages_go_on_as_well(pages, connect, first):
    for _ in range(2 * serving.CONNECTIONS + 50):
        connect(pages, UNFINISHED[first])
    status, page = get(f"{pages}/static/ipo/app.css")
    assert (status, b"{" in page) == (200, True)
    assert ask(pages, "Content-Length: 100000000")[0] == 413


def test_head_is_answered_without_a_body(pages):
    connection = http.client.HTTPConnection(*address(pages), timeout=10)
    for place in ("/static/ipo/app.css", "/no/such/page"):
        connection.request("GET", place)
        wanted = connection.getresponse()
        length = len(wanted.read())
        for _ in range(2):
            connection.request("HEAD", place)
            answer = connection.getresponse()
            assert (answer.status, answer.headers["Content-Length"]) == (wanted.status, str(length))
            assert answer.read() == b""


def serve(application, **options) -> tuple[serving.Server, str]:
    server = serving.open_server(application, "127.0.0.1", 0, threads=2, most_bytes=1000, **options)
    threading.Thread(target=server.run, daemon=True).start()
    return server, f"http://127.0.0.1:{server.effective_port}"


def test_slow_clients_are_left_in_the_end(connect, monkeypatch):
    """However they are slow: a byte now and then is not enough."""
    for name in ("HEADER_SECONDS", "BODY_SECONDS", "IDLE_SECONDS"):
        monkeypatch.setattr(serving, name, 1.0)

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    server, url = serve(application)
    served = connect(url, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert served.recv(1000).startswith(b"HTTP/1.1 200")
    for connection in [served] + [connect(url, first) for first in UNFINISHED.values()]:
        is_left = False
        while not is_left:
            try:
                connection.sendall(b"x")
                time.sleep(0.1)
                connection.settimeout(0.1)
                is_left = not connection.recv(1000)
            except TimeoutError:
                continue
            except OSError:
                is_left = True
    server.close()


def test_an_answer_comes_as_it_is_made_and_who_leaves_ends_it():
    made, is_closed, go_on = [], threading.Event(), threading.Event()

    class Lines:
        def __iter__(self):
            for number in range(1000):
                made.append(number)
                yield b"%d\n" % number
                if number == 0:
                    assert go_on.wait(30)
                time.sleep(0.01)

        def close(self):
            is_closed.set()

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Lines()

    server, url = serve(application)
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.readline() == b"0\n"
        assert made == [0]
        go_on.set()
        assert answer.readline() == b"1\n"
    assert is_closed.wait(30)
    assert len(made) < 1000
    server.close()
