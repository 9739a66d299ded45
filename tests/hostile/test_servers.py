"""Generation servers that are broken or mean harm: each ends in one sentence, soon, with a free worker and no memory
taken. The same limits as in use, only smaller numbers of them."""

import base64
import gzip
import io
import json
import resource
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from django.db import connections
from django.utils import timezone
from PIL import Image

from generation import registry, wire
from generation.backends import exchange
from generation.backends.remote import RemoteBackend
from generation.errors import Cancelled, GenerationError, ServerUnavailable
from generation.manager import ModelManager
from generation.progress import Report
from generation.types import ModelSpec, Picture
from preferences.models import Candidate, Job
from tests import factories, hostile
from tests.drawing import draw_batch
from tests.generation.requests import request_for

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
GOOD = wire.from_picture(Picture(NOISE))


@pytest.fixture
def spec(settings, tiny_model):
    return settings.IPO_MODELS[tiny_model]


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(exchange, "SILENCE", 1.0)
    monkeypatch.setattr(exchange, "STUCK_SECONDS", 2.0)


POCKET = registry.ENCODERS["pocket-siglip"]
ASKED = {
    "to load": lambda far, spec: far.ensure_ready(spec),
    "to draw": lambda far, spec: far.generate(spec, request_for(spec)),
    "to look": lambda far, spec: far.embed_images(POCKET.key, [NOISE]),
    "to read": lambda far, spec: far.embed_texts(POCKET.key, ["a meadow"]),
}


def nothing(connection: socket.socket, asked: bytes) -> None:
    threading.Event().wait(60)


def for_ever(first: bytes, piece: bytes, pause: float = 0.0) -> hostile.Behaviour:
    def behave(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return behave


HEAD = hostile.head()
LINGERING = {
    "never answers": nothing,
    "drips its head": for_ever(b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.2),
    "beats for ever": for_ever(HEAD, b"{}\n", 0.2),
    "waits for ever": for_ever(HEAD, b'{"phase": "waiting", "done": 0}\n', 0.2),
    "loads for ever": for_ever(HEAD, b'{"phase": "loading", "done": 7}\n', 0.2),
    "goes back and forth": for_ever(HEAD, b'{"phase": "drawing", "done": 1}\n{"phase": "waiting", "done": 9}\n', 0.2),
    "repeats a step": for_ever(HEAD, b'{"step": 1, "steps": 3}\n', 0.2),
    "says it is silent": hostile.saying(b""),
}


@pytest.mark.parametrize("behaviour", LINGERING)
def test_who_gets_no_further_is_left(spec, impatient, behaviour):
    def sentence(ask: Callable[[RemoteBackend, ModelSpec], object]) -> str:
        with pytest.raises(ServerUnavailable, match=r"has got no further|broke off") as raised:
            ask(RemoteBackend(url), spec)
        return str(raised.value)

    with hostile.server(LINGERING[behaviour]) as url, ThreadPoolExecutor() as waiting:  # for all at once
        for said in waiting.map(sentence, ASKED.values()):
            assert said.count(".") <= 5  # the address has three


@pytest.mark.parametrize("behaviour", ["never answers", "drips its head", "beats for ever"])
def test_who_asks_to_stop_need_not_wait_for_the_server(spec, behaviour):
    stop = threading.Event()
    with hostile.server(LINGERING[behaviour]) as url:
        threading.Timer(0.5, stop.set).start()
        with pytest.raises(Cancelled):
            RemoteBackend(url).generate(spec, request_for(spec, should_stop=stop.is_set))
        with pytest.raises(Cancelled):
            RemoteBackend(url).ensure_ready(spec, Report(spec, should_stop=stop.is_set))
        with pytest.raises(Cancelled):
            RemoteBackend(url).embed_images(POCKET.key, [NOISE], stop.is_set)


def test_a_server_that_does_not_read_is_left(spec, impatient):
    request = request_for(spec, n=1)
    large = np.zeros((1, 4_000_000), np.float32)  # more than the system takes off our hands

    def deaf(connection: socket.socket, asked: bytes) -> None:
        threading.Event().wait(60)

    with hostile.server(deaf) as url, pytest.raises(ServerUnavailable, match="broke off"):
        RemoteBackend(url).generate(spec, replace(request, vectors=large))


@cache
def bomb() -> bytes:
    """400 MB, packed piece by piece when a test first asks for them."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as packer:
        for _ in range(400):
            packer.write(b"0" * 2**20)
    return packed.getvalue()


@cache
def large_and_empty() -> str:
    return png(np.zeros((8000, 8000), np.uint8))


def late(build: Callable[[], hostile.Behaviour]) -> hostile.Behaviour:
    """Built once somebody asks, not whenever this file is read."""

    def behave(connection: socket.socket, asked: bytes) -> None:
        build()(connection, asked)

    return behave


FLOODS = {
    "a line without end": for_ever(HEAD, b"x" * 2**20),
    "lines without end": for_ever(HEAD, b"{}\n" * 2**18),
    "a body without end": for_ever(hostile.head("application/json", status="500 Oh"), b" " * 2**20),
    "an announced body": for_ever(hostile.head("application/json", "Content-Length: 5000000000"), b" " * 2**20),
    "a bomb": late(lambda: hostile.saying(bomb(), "application/x-ndjson", "Content-Encoding: gzip")),
    "a bomb as JSON": late(lambda: hostile.saying(bomb(), "application/json", "Content-Encoding: gzip")),
    "headers without end": for_ever(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 2**16),
    "nested": hostile.saying(b"[" * 100_000 + b"\n"),
}


@pytest.mark.parametrize("behaviour", FLOODS)
def test_floods_take_no_memory(spec, behaviour):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with hostile.server(FLOODS[behaviour]) as url:
        for ask in ASKED.values():
            with pytest.raises(ServerUnavailable):
                ask(RemoteBackend(url), spec)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KB


def png(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def images(*pictures: object) -> hostile.Behaviour:
    return hostile.ndjson({"images": list(pictures), "seconds": 0.1})


ODD = {
    "too few": images(GOOD),
    "too many": images(GOOD, GOOD, GOOD),
    "tiny": images(GOOD, {"image_base64": png(NOISE[:8, :8])}),
    "large and empty": late(lambda: images(GOOD, {"image_base64": large_and_empty()})),
    "cut off": images(GOOD, {"image_base64": png(NOISE)[:400]}),
    "another kind": images(GOOD, {"image_base64": base64.b64encode(b"GIF89a" + bytes(100)).decode()}),
    "no base64": images(GOOD, {"image_base64": "\u2603"}),
    "no text": images(GOOD, {"image_base64": 7}),
    "no object": images(GOOD, "picture"),
    "no error": images(GOOD, {"image_base64": None, "error": 7}),
    "nothing": images(GOOD, {}),
    "no list": hostile.ndjson({"images": 7, "seconds": 0.1}),
    "no time": hostile.ndjson({"images": [GOOD, GOOD]}),
    "no number": hostile.ndjson({"images": [GOOD, GOOD], "seconds": "long"}),
    "endless": hostile.saying(json.dumps({"images": [GOOD] * 2, "seconds": float("inf")}).encode() + b"\n"),
    "no step": hostile.ndjson({"step": "one", "steps": 3}),
    "a step too far": hostile.ndjson({"step": 2**70, "steps": 2**70}),
    "a strange step": hostile.ndjson({"step": None}),
    "a strange phase": hostile.ndjson({"phase": "loading", "done": []}),
    "a list": hostile.ndjson([1, 2]),
    "a number": hostile.ndjson(7),
    "preview": hostile.ndjson({"preview": 7}),
    "a large preview": late(lambda: hostile.ndjson({"preview": [{"image_base64": large_and_empty()}]})),
    "many previews": hostile.ndjson({"preview": [GOOD] * 3}),
}


@pytest.mark.parametrize("behaviour", ODD)
def test_what_is_not_as_it_should_be_is_one_sentence(spec, behaviour):
    request = request_for(spec, n=2, on_preview=lambda first, shown: None, on_drawn=lambda seconds: None)
    with hostile.server(ODD[behaviour]) as url, pytest.raises(ServerUnavailable, match="does not answer as one of IPO"):
        RemoteBackend(url).generate(spec, request)


@pytest.mark.parametrize("odd", [None, 7, ["a"], "7" * 101, "a\n", "\0", "\ud800"])
def test_an_odd_revision_costs_no_picture(spec, odd):
    with hostile.server(images(GOOD | {"revision": "abc"}, GOOD | {"revision": odd})) as url:
        known, unknown = RemoteBackend(url).generate(spec, request_for(spec, n=2))
    assert (known.revision, unknown.revision) == ("abc", "")
    np.testing.assert_array_equal(known.pixels, unknown.pixels)


@pytest.mark.parametrize("detail", ["x" * 50_000, ["x" * 50_000], {"a": 7}, None, 7])
def test_what_a_server_says_is_cut(spec, detail):
    far = hostile.server(hostile.ndjson({"detail": detail, "status": "strange"}))
    with far as url, pytest.raises(GenerationError, match="says: ") as raised:
        RemoteBackend(url).generate(spec, request_for(spec))
    assert len(str(raised.value)) < 700


@pytest.mark.parametrize("odd", ["\0", "\ud800", "\x1b[31m"])
def test_what_cannot_be_kept_is_kept_as_a_mark(user, manager, spec, odd):
    """It would be no sentence, and the batch would be drawn again for ever."""
    with hostile.server(hostile.ndjson({"detail": f"bad {odd} thing", "status": 409})) as url:
        session = factories.SessionFactory(owner=user, generation_mode="server", server_url=url)
        batch = session.batches.get()
        draw_batch(batch.pk, manager, "gpu@test")
    batch.refresh_from_db()
    assert batch.job.state == Job.State.FAILED
    assert "says: bad \ufffd" in batch.job.error
    with hostile.server(images({"image_base64": None, "error": f"no {odd} paint"})) as url:
        (picture,) = RemoteBackend(url).generate(spec, request_for(spec, n=1))
    assert picture.error.startswith("no \ufffd")


def test_a_black_picture_is_a_failed_tile_as_it_is_at_home(spec):
    with hostile.server(images(GOOD, {"image_base64": png(NOISE * 0)})) as url:
        drawn = RemoteBackend(url).generate(spec, request_for(spec, n=2))
    assert np.array_equal(drawn[0].pixels, NOISE)
    assert drawn[1].pixels is None
    assert "plain square" in drawn[1].error


def test_more_than_the_service_takes_at_once_is_sent_in_parts(spec, monkeypatch):
    heard: list[int] = []

    def draw(connection: socket.socket, asked: bytes) -> None:
        length = int(asked.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = asked.split(b"\r\n\r\n", 1)[1]
        while len(body) < length:
            body += connection.recv(65536)
        rows = len(base64.b64decode(json.loads(body)["vectors"])) // (4 * 256)
        heard.append(rows)
        images(*[GOOD] * rows)(connection, asked)

    monkeypatch.setattr(wire, "MOST_PIXELS", 2 * 64 * 64)
    took: list[float] = []
    with hostile.server(draw) as url:
        assert len(RemoteBackend(url).generate(spec, request_for(spec, n=5, on_drawn=took.append))) == 5
    assert heard == [2, 2, 1]
    assert took == [pytest.approx(0.3)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/model", "/draw", "/embed"])
def test_a_cancelled_batch_frees_the_worker_of_a_server_that_never_answers(
    user, settings, generation_server, path, caplog
):
    settings.IPO_LEASE_SECONDS = 2
    is_asked = threading.Event()

    def never(connection: socket.socket, asked: bytes) -> None:
        is_asked.set()
        nothing(connection, asked)

    with hostile.server(hostile.passing_on(generation_server.url, path, never)) as url:
        manager = ModelManager({url: generation_server.token})
        session = factories.SessionFactory(owner=user, generation_mode="server", server_url=url)
        batch = session.batches.get()

        def draw() -> None:
            draw_batch(batch.pk, manager, "gpu@a")
            connections.close_all()

        worker = threading.Thread(target=draw)
        worker.start()
        assert is_asked.wait(60)
        # As whoever cancels it, or takes it over: the lease is no longer the worker's.
        none = {"lease_token": None, "lease_expires_at": None}
        Job.objects.filter(batch=batch).update(state=Job.State.CANCELLED, finished_at=timezone.now(), **none)
        worker.join(30)
        assert not worker.is_alive()
    assert not Candidate.objects.filter(state=Candidate.State.READY).exists()
    assert "The image encoder" not in caplog.text  # it has not failed
