"""What every backend promises: drawing in this process, or on a server, is the same to whoever asks."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from generation import spaces, wire
from generation.backends.base import Backend
from generation.backends.local import LocalBackend
from generation.backends.remote import RemoteBackend
from generation.errors import Cancelled, GenerationError, ModelUnavailable, ServerUnavailable
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


def test_nobody_there_a_stranger_and_a_wrong_token(generation_server, spec):
    url, token = generation_server.url, generation_server.token
    with pytest.raises(ServerUnavailable, match=r"start it there \(manage.py generation_server\)"):
        RemoteBackend("http://127.0.0.1:1").ensure_ready(spec)
    for wrong in ("", "wrong"):
        with pytest.raises(ServerUnavailable, match="IPO_GENERATION_TOKEN"):
            RemoteBackend(url, wrong).ensure_ready(spec)
    with pytest.raises(ServerUnavailable, match="no generation server of IPO"):
        RemoteBackend(f"{url}/docs", token).generate(spec, request_for(spec))
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
