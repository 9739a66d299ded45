"""The service looks at pictures and reads texts as the encoder of this process does."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from django.test import Client

from generation import registry, wire
from generation.encoders import Siglip
from generation.server import api as routes
from generation.server.service import QUEUE
from generation.types import Picture
from tests.generation.service import free_places, pixels

POCKET = registry.ENCODERS["pocket-siglip"]


def png(*side: int) -> dict[str, str]:
    """A picture as our answers have it."""
    return wire.from_picture(Picture(np.zeros((*side, 3), np.uint8)))


@pytest.fixture
def embed(api):
    """Ask what an encoder sees: status, and the lines, or the one answer in which it refuses."""

    def embed(**body) -> tuple[int, list[dict]]:
        sent = json.dumps({"encoder": POCKET.key} | body)
        answer = Client().post("/embed", sent, content_type="application/json")
        if answer.status_code != 200:
            return answer.status_code, [answer.json()]
        return 200, [json.loads(line) for line in answer.streaming_content]

    return embed


def test_it_sees_what_the_encoder_of_this_process_sees_and_takes_what_it_has_drawn(draw, embed):
    drawn = [json.loads(line) for line in draw(steps=2).streaming_content][-1]["images"]
    encoder = Siglip.load(POCKET.source)
    pictures = [pixels(one["image_base64"]) for one in drawn]
    for body, own in (
        ({"images": drawn}, encoder.embed_images(pictures)),
        ({"texts": ["a meadow", ""]}, encoder.embed_texts(["a meadow", ""])),
        ({}, np.zeros((0, POCKET.dimension), np.float32)),
    ):
        status, lines = embed(**body)
        assert (status, lines[0]["phase"]) == (200, "embedding")
        assert (lines[-1]["encoder"], lines[-1]["revision"]) == (POCKET.key, encoder.revision)
        vectors = np.frombuffer(base64.b64decode(lines[-1]["vectors"]), "<f4")
        np.testing.assert_allclose(vectors.reshape(-1, POCKET.dimension), own, atol=1e-5)
    assert free_places() == QUEUE


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"encoder": "clip"}, "encoder"),
        ({"encoder": None}, "encoder"),
        ({"images": [png(8, 8)], "texts": ["a"]}, "texts"),
        ({"images": "x"}, "images"),
        ({"images": None}, "images"),
        ({"images": ["x"]}, "images"),
        ({"images": [png(8, 8), {"image_base64": None, "error": "no colours"}]}, "number 1: a picture is no text"),
        ({"images": [{"image_base64": png(8, 8)["image_base64"][:40]}]}, "number 0: a picture is no PNG file"),
        ({"images": [png(8, 8)] * 65}, "images"),
        ({"images": [png(4096, 4096), png(1, 1)]}, "number 1: a picture is too large"),
        ({"images": [png(4096, 4097)]}, "number 0: a picture is too large"),
        ({"texts": "x"}, "texts"),
        ({"texts": [7, None]}, "texts"),
        ({"texts": ["x" * 4001]}, "texts"),
        ({"texts": ["x"] * 65}, "texts"),
    ],
)
def test_what_cannot_be_looked_at_is_refused_before_it_waits(embed, body, named):
    for _ in range(QUEUE):
        routes.service.places.acquire()
    status, (answer,) = embed(**body)
    assert status == 422
    assert named in json.dumps(answer)
    assert isinstance(answer["detail"], str) or len(answer["detail"]) == 1  # one error a field


def test_looking_takes_its_turn_and_who_leaves_gives_its_place_back(embed, monkeypatch):
    monkeypatch.setattr("generation.server.service.HEARTBEAT", 0.01)
    with routes.service.turn():
        stream = routes.service.stream_embedding(POCKET.key, [], ["a meadow"])
        lines = iter(stream)
        assert json.loads(next(lines)) == {"phase": "waiting", "done": 0}
        assert free_places() == QUEUE - 2
        stream.close()
        assert not any("vectors" in json.loads(line) for line in lines)
        assert free_places() == QUEUE - 1
    for _ in range(QUEUE):
        routes.service.places.acquire()
    assert embed(texts=["a meadow"])[0] == 429


def test_an_encoder_that_cannot_be_read_is_told_in_the_stream(embed, monkeypatch, tmp_path):
    monkeypatch.setitem(registry.ENCODERS, POCKET.key, replace(POCKET, source=str(tmp_path)))
    last = embed(texts=["a meadow"])[1][-1]
    assert last["status"] == 409
    assert "The image encoder could not be read" in last["detail"]


def test_nobody_looks_without_the_token(api, settings):
    settings.IPO_GENERATION_TOKEN = "s3cret"
    assert api("/embed", {"encoder": POCKET.key, "texts": ["a meadow"]})[0] == 401
