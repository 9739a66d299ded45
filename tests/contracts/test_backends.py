"""What every backend promises: drawing and looking in this process, or on a server, is the same to whoever asks."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from generation import installed, registry, spaces, wire
from generation.backends.base import Backend
from generation.backends.local import LocalBackend
from generation.backends.remote import RemoteBackend
from generation.encoders import Siglip
from generation.errors import Cancelled, GenerationError, ModelUnavailable, ServerUnavailable, UnknownModel
from generation.types import Picture
from tests import hostile
from tests.generation.requests import pixels, request_for


@pytest.fixture(scope="module")
def local() -> LocalBackend:
    return LocalBackend()


@pytest.fixture(params=["local", "remote"])
def backend(request, local, generation_server) -> Backend:
    return local if request.param == "local" else RemoteBackend(generation_server.url, generation_server.token)


@pytest.fixture
def spec(settings, tiny_model):
    return settings.IPO_MODELS[tiny_model]


@pytest.mark.parametrize("space", spaces.SPACES)
def test_the_same_request_is_the_same_picture_everywhere(backend, local, spec, space):
    request = request_for(spec, space, step_seed=7, guidance=2.0, negative_prompt="a tree")
    backend.ensure_ready(spec)
    assert np.array_equal(pixels(backend, spec, request), pixels(local, spec, request))
    other = replace(request, step_seed=8, noise_seed=8)
    assert space == "latent" or not np.array_equal(pixels(backend, spec, request), pixels(backend, spec, other))


def test_steps_are_told_and_it_stops_between_two(backend, spec):
    steps: list[tuple[int, int]] = []
    request = request_for(spec, on_step=lambda done, of: steps.append((done, of)))
    assert len(backend.generate(spec, request)) == 3
    assert steps == [(1, 3), (2, 3), (3, 3)]
    steps.clear()
    with pytest.raises(Cancelled):
        backend.generate(spec, replace(request, should_stop=lambda: len(steps) == 2))
    assert steps == [(1, 3), (2, 3)]
    assert len(backend.generate(spec, request)) == 3


def test_a_picture_says_which_weights_drew_it(backend, spec):
    told = {picture.revision for picture in backend.generate(spec, request_for(spec))}
    assert told == {installed.revision(spec)}
    assert all(told)


def test_the_seconds_of_drawing_are_told(backend, spec):
    took: list[float] = []
    backend.ensure_ready(spec)
    began = time.monotonic()
    backend.generate(spec, request_for(spec, on_drawn=took.append))
    assert len(took) == 1
    assert 0 < took[0] < time.monotonic() - began


def test_what_cannot_be_drawn_is_one_sentence(backend, spec, settings):
    with pytest.raises(ModelUnavailable, match="needs an NVIDIA GPU"):
        backend.ensure_ready(settings.IPO_MODELS["sd-turbo"])
    with pytest.raises(ModelUnavailable, match="needs an NVIDIA GPU"):
        backend.generate(settings.IPO_MODELS["sd-turbo"], request_for(settings.IPO_MODELS["sd-turbo"]))
    with pytest.raises((GenerationError, ValueError), match="vectors"):
        backend.generate(spec, replace(request_for(spec), vectors=np.zeros((1, 5), np.float32)))


ENCODER = registry.ENCODERS["pocket-siglip"]
RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, (*side, 3), np.uint8) for side in ((64, 64), (1, 1), (3, 7), (300, 40))]
TEXTS = ["a meadow", "", "a house\nwith pines \u65e5\u672c \ud800", "snow " * 2000]


@pytest.fixture(scope="module")
def encoder() -> Siglip:
    return Siglip.load(ENCODER.source)


def test_the_same_pictures_and_texts_are_the_same_vectors_everywhere(backend, encoder):
    seen, read = backend.embed_images(ENCODER.key, PICTURES), backend.embed_texts(ENCODER.key, TEXTS)
    np.testing.assert_allclose(seen.vectors, encoder.embed_images(PICTURES), atol=1e-5)
    np.testing.assert_allclose(read.vectors, encoder.embed_texts(TEXTS), atol=1e-5)
    for found in (seen, read):
        assert (found.encoder, found.revision) == (ENCODER.key, encoder.revision)
        assert found.vectors.dtype == np.float32
        assert found.vectors.shape == (4, ENCODER.dimension)
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
    assert np.abs(seen.vectors[0] - seen.vectors[3]).max() > 0.01  # they are told apart
    assert np.abs(read.vectors[0] - read.vectors[3]).max() > 0.01


def test_nothing_is_no_rows(backend):
    for found in (backend.embed_images(ENCODER.key, []), backend.embed_texts(ENCODER.key, [])):
        assert found.vectors.shape == (0, ENCODER.dimension)


def test_any_number_is_read_in_its_order(backend, encoder):
    pictures = [np.full((8, 8, 3), 3 * number, np.uint8) for number in range(wire.MOST_PICTURES + 3)]
    texts = [f"{number} houses at a lake" for number in range(wire.MOST_PICTURES + 3)]
    seen, read = backend.embed_images(ENCODER.key, pictures), backend.embed_texts(ENCODER.key, texts)
    np.testing.assert_allclose(seen.vectors, encoder.embed_images(pictures), atol=1e-4)
    np.testing.assert_allclose(read.vectors, encoder.embed_texts(texts), atol=1e-4)


def test_an_encoder_that_there_is_not_is_one_sentence(backend):
    for ask in (lambda: backend.embed_images("clip", PICTURES), lambda: backend.embed_texts("clip", TEXTS)):
        with pytest.raises(UnknownModel, match=r"no image encoder “clip”\. Choose one of: pocket-siglip, siglip-base"):
            ask()


def test_looking_stops_when_nobody_waits(backend):
    for ask in (backend.embed_images, backend.embed_texts):
        with pytest.raises(Cancelled):
            ask(ENCODER.key, [], lambda: True)
    assert len(backend.embed_images(ENCODER.key, PICTURES, lambda: False).vectors) == 4


def test_a_server_that_knows_other_encoders_says_so(generation_server, monkeypatch):
    monkeypatch.setitem(registry.ENCODERS, "ours", replace(ENCODER, key="ours"))
    far = RemoteBackend(generation_server.url, generation_server.token)
    with pytest.raises(GenerationError, match=r"says: encoder: There is no such encoder\. Choose one of: pocket"):
        far.embed_images("ours", PICTURES)


def test_pictures_that_the_service_takes_in_none_are_sent_in_parts(monkeypatch):
    monkeypatch.setattr(wire, "MOST_PIXELS", 150)
    pictures = [np.full((10, width, 3), 7, np.uint8) for width in (10, 5, 1, 16, 15)]
    assert [len(part) for part in wire.in_parts(pictures)] == [2, 1, 1, 1]
    monkeypatch.setattr(wire, "MOST_BYTES", wire.ENVELOPE + 300)
    small = [RNG.integers(0, 256, (4, 4, 3), np.uint8) for _ in range(4)]
    parts = list(wire.in_parts(small))
    assert len(parts) > 1
    assert all(len(part) == 1 or sum(len(one["image_base64"]) for one in part) <= 300 for part in parts)
    sent = [wire.to_pixels(one) for part in parts for one in part]
    assert all(np.array_equal(one, own) for one, own in zip(sent, small, strict=True))


def test_nobody_there_a_stranger_and_a_wrong_token(generation_server, spec):
    url, token = generation_server.url, generation_server.token
    with pytest.raises(ServerUnavailable, match=r"start it there \(manage.py generation_server\)"):
        RemoteBackend("http://127.0.0.1:1").ensure_ready(spec)
    for wrong in ("", "wrong"):
        with pytest.raises(ServerUnavailable, match="IPO_GENERATION_TOKEN"):
            RemoteBackend(url, wrong).ensure_ready(spec)
    with pytest.raises(ServerUnavailable, match="no generation server of IPO"):
        RemoteBackend(f"{url}/docs", token).generate(spec, request_for(spec))
    with pytest.raises(ServerUnavailable, match=r"No generation server answers"):
        RemoteBackend("http://127.0.0.1:1").embed_images(ENCODER.key, PICTURES)
    with pytest.raises(ServerUnavailable, match="IPO_GENERATION_TOKEN"):
        RemoteBackend(url, "wrong").embed_texts(ENCODER.key, TEXTS)
    with pytest.raises(GenerationError, match="There is no such model"):
        RemoteBackend(url, token).ensure_ready(replace(spec, key="dall-e"))


def test_previews_are_passed_on(spec):
    pixels = np.arange(2 * 64 * 64 * 3).astype(np.uint8).reshape(2, 64, 64, 3)
    pictures = [wire.from_picture(Picture(one)) for one in pixels]
    lines = [{"step": 1, "steps": 3}, {}, {"preview": pictures}, {"images": pictures, "seconds": 0.1}]
    seen: list[np.ndarray] = []
    with hostile.server(hostile.saying(b"\n".join(json.dumps(line).encode() for line in lines))) as url:
        request = request_for(spec, n=2, on_preview=lambda first, shown: seen.extend(shown))
        drawn = RemoteBackend(url).generate(spec, request)
    assert np.array_equal(np.stack(seen), pixels)
    assert np.array_equal(np.stack([picture.pixels for picture in drawn]), pixels)


@pytest.mark.parametrize(
    ("content", "kind", "sentence"),
    [
        (b'{"step": 1, "steps": 3}\n{"ima', "application/x-ndjson", "broke off"),
        (b'{"step": 1, "steps": 3}\n', "application/x-ndjson", "broke off"),
        (b"<html>", "text/html", "no generation server of IPO"),
        (b'{"detail": "No room.", "status": 409}\n', "application/x-ndjson", "says: No room."),
    ],
)
def test_answers_that_are_none(spec, content, kind, sentence):
    with hostile.server(hostile.saying(content, kind)) as url, pytest.raises(GenerationError, match=sentence):
        RemoteBackend(url).generate(spec, request_for(spec))


@pytest.mark.parametrize("address", ["gpu-box:8580", "http://\u2603.", "ftp://box"])
def test_what_is_no_address_is_said_so(spec, address):
    with pytest.raises(ServerUnavailable, match=r"No generation server answers|is not the address of a server"):
        RemoteBackend(address).ensure_ready(spec)
