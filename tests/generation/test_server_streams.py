"""What the service tells while it draws, line by line."""

import base64
import json

import numpy as np
import pytest

from generation.server import api as routes
from generation.server.service import QUEUE
from tests.generation.requests import request_for
from tests.generation.service import free_places, vectors


def test_who_closes_the_connection_stops_the_drawing(draw, settings, db):
    spec = settings.IPO_MODELS["tiny"]
    routes.service.load(spec)  # the first time may take so long that its phase is told twice
    stream = routes.service.stream(spec, request_for(spec, steps=200))
    lines = iter(stream)
    assert [json.loads(next(lines)).get("phase") for _ in range(2)] == ["loading", "drawing"]
    assert json.loads(next(lines)) == {"step": 1, "steps": 200}
    assert free_places() == QUEUE - 1
    stream.close()
    told = [json.loads(line) for line in lines]
    assert len(told) < 199
    assert not any("images" in line for line in told)
    assert free_places() == QUEUE
    answer = draw(steps=200)  # and over HTTP: the answer closes its stream
    next(iter(answer.streaming_content))
    answer.close()
    assert "images" in [json.loads(line) for line in draw(steps=2).streaming_content][-1]
    assert free_places() == QUEUE


def test_while_another_draws_it_says_that_it_lives(draw, monkeypatch):
    monkeypatch.setattr("generation.server.service.HEARTBEAT", 0.01)
    with routes.service.turn():
        answer = draw(steps=2)
        lines = iter(answer.streaming_content)
        assert json.loads(next(lines)) == {"phase": "waiting", "done": 0}
        routes.service.moved += 1  # a step of the other
        assert {"phase": "waiting", "done": 1} in (json.loads(next(lines)) for _ in range(100))
        assert free_places() == QUEUE - 2
    assert "images" in [json.loads(line) for line in lines][-1]
    assert free_places() == QUEUE


@pytest.mark.parametrize(
    "changes",
    [
        {"vectors": "no base64"},
        {"vectors": ""},
        {"vectors": base64.b64encode(b"abcde").decode()},
        {"vectors": base64.b64encode(vectors(15).tobytes()).decode()},
        {"vectors": base64.b64encode(np.full(16, np.nan, "<f4").tobytes()).decode()},
        {"vectors": base64.b64encode(vectors(16, 65).tobytes()).decode()},
        {"width": 65},
        {"space": "text"},
        {"model_id": "dall-e"},
    ],
)
def test_a_drawing_that_does_not_fit_is_refused_before_it_waits(draw, changes):
    answer = draw(**changes)
    assert answer.status_code == 422
    assert next(iter(changes)) in json.dumps(answer.json())
    assert free_places() == QUEUE


def test_what_happens_while_drawing_is_told_in_the_stream(draw, api):
    answer = draw(model_id="sd-turbo", vectors=base64.b64encode(vectors(1024).tobytes()).decode())
    line = [json.loads(line) for line in answer.streaming_content][-1]
    assert line["status"] == 409
    assert "NVIDIA GPU" in line["detail"]
    for _ in range(QUEUE):
        routes.service.places.acquire()
    assert draw().status_code == 429


def test_previews_come_in_the_stream_where_they_are_asked_for(draw, monkeypatch):
    monkeypatch.setattr("generation.pipelines.previews.SECONDS", 0.0)
    lines = [json.loads(line) for line in draw(steps=3, previews=True).streaming_content]
    assert ["preview" in line for line in lines].count(True) == 2
    assert lines[-1]["seconds"] > 0
    assert not any("preview" in json.loads(line) for line in draw(steps=3).streaming_content)
