"""The generation service in this process."""

import base64
import json

import pytest
from django.http import StreamingHttpResponse
from django.test import Client

from generation.server import api as routes
from generation.server.service import Service
from tests.generation.service import vectors


@pytest.fixture
def api(settings, tiny_model, monkeypatch):
    """Answers of the service: status and what the JSON says."""
    settings.ROOT_URLCONF = "generation.server.urls"
    settings.MIDDLEWARE = []
    settings.IPO_GENERATION_TOKEN = ""
    monkeypatch.setattr(routes, "service", Service())
    client = Client()

    def ask(path: str, body: dict | None = None, **headers) -> tuple[int, dict]:
        if body is None:
            answer = client.get(path, headers=headers)
        else:
            answer = client.post(path, json.dumps(body), content_type="application/json", headers=headers)
        return answer.status_code, answer.json()

    return ask


@pytest.fixture
def draw(api):
    """Ask for a drawing and get its stream, as Django's client leaves it to be read."""

    def draw(steps: int = 200, **changes) -> StreamingHttpResponse:
        body = {
            "model_id": "tiny",
            "prompt": "a sea",
            "space": "pooled_embed",
            "width": 64,
            "height": 64,
            "steps": steps,
        }
        body |= {"guidance": 1.0, "delta_scale": 1.0, "noise_seed": 1, "step_seed": 1}
        body["vectors"] = base64.b64encode(vectors(16).tobytes()).decode()
        return Client().post("/draw", json.dumps(body | changes), content_type="application/json")

    return draw
