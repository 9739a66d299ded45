"""The HTTP generation service: it draws what this process would draw, and says what does not fit."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from generation import registry
from generation.server import api as routes
from generation.server.service import QUEUE, Service
from generation.types import GenerationRequest
from tests.generation.service import pixels, vectors


def test_before_and_after_a_model_is_loaded(api):
    assert api("/health") == (200, {"status": "healthy", "model_loaded": False, "current_model": None})
    assert api("/model") == (200, {"status": "ok", "model_id": None, "loaded": False})
    assert "tiny" in api("/models")[1]["models"]
    assert api("/model", {"model_id": "tiny"}) == (200, {"status": "loaded", "model_id": "tiny"})
    assert api("/model") == (200, {"status": "ok", "model_id": "tiny", "loaded": True})
    assert api("/health")[1] == {"status": "healthy", "model_loaded": True, "current_model": "tiny"}


@pytest.mark.parametrize(
    ("kind", "space", "dimension"),
    [("latent", "latent", 256), ("pooled", "pooled_embed", 16), ("prompt", "prompt_embed", 512)],
)
def test_it_draws_what_this_process_draws(api, manager, settings, kind, space, dimension):
    spec, steering = settings.IPO_MODELS["tiny"], vectors(dimension)
    body = {"prompt": "a sea", "embedding_type": kind, "embeddings": steering.tolist(), "seed": 7, "delta_scale": 3.0}
    status, answer = api("/batch", body)
    assert status == 200
    assert (answer["model"], answer["seed"]) == ("tiny", 7)
    request = replace(GenerationRequest.by_default(spec, space, steering, 7), prompt="a sea", delta_scale=3.0)
    drawn = [
        picture
        for i in range(0, 3, spec.inference_batch)
        for picture in manager.generate(spec, replace(request, vectors=steering[i : i + spec.inference_batch]))
    ]
    for image, picture in zip(answer["images"], drawn, strict=True):
        assert np.array_equal(pixels(image["image_base64"]), picture.pixels)
    one = body | {"embedding": body.pop("embeddings")[1]}
    alone = pixels(api("/generate", one)[1]["image_base64"])
    assert np.abs(alone.astype(int) - drawn[1].pixels).max() <= 2


def test_not_steered_it_draws_the_prompt_by_the_seed_that_it_reports(api):
    body = {"prompt": "a sea", "embedding": None, "embedding_type": "text"}
    first = api("/generate", body)[1]
    assert pixels(first["image_base64"]).shape == (64, 64, 3)
    assert first["time_ms"] >= 0
    again = api("/generate", body | {"seed": first["seed"]})[1]
    other = api("/generate", body | {"seed": first["seed"] + 1})[1]
    assert again["image_base64"] == first["image_base64"] != other["image_base64"]
    large = api("/generate", body | {"width": 128, "height": 64, "steps": 1})[1]
    assert pixels(large["image_base64"]).shape == (64, 128, 3)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": "x" * 5000}, "prompt"),
        ({"embedding_type": "noise"}, "embedding_type"),
        ({"embedding": [1.0, 2.0]}, "embedding"),
        ({"embedding": [float("nan")] * 16}, "embedding"),
        ({"embedding": ["a"]}, "embedding"),
        ({"width": 65}, "width"),
        ({"height": 1 << 40}, "height"),
        ({"width": 4096}, "width"),
        ({"steps": 0}, "steps"),
        ({"seed": -1}, "seed"),
        ({"guidance": 1e9}, "guidance"),
        ({"delta_scale": 1e30}, "delta_scale"),
    ],
)
def test_bad_input_is_named(api, changes, named):
    status, answer = api("/generate", {"prompt": "a sea", "embedding_type": "pooled"} | changes)
    assert status == 422
    assert named in json.dumps(answer)


def test_what_is_no_json_and_too_many_are_refused(api, settings):
    assert api("/batch", {"prompt": "a sea", "embeddings": []})[0] == 422
    assert api("/batch", {"prompt": "a sea", "embeddings": [[0.0]] * 65})[0] == 422
    answer = Client().post("/generate", "{", content_type="application/json")
    assert answer.status_code in (400, 422)


def test_a_model_that_is_unknown_or_cannot_be_loaded_here(api):
    status, answer = api("/model", {"model_id": "dall-e"})
    assert (status, "model_id" in answer["detail"]) == (422, True)
    status, answer = api("/model", {"model_id": "sd-turbo"})
    assert status == 409
    assert "NVIDIA GPU" in answer["detail"]
    assert api("/health")[1]["model_loaded"] is False


def test_what_could_not_be_drawn_says_why(api, monkeypatch):
    monkeypatch.setattr("generation.images.NEARLY_CONSTANT", 2.0)  # so that every picture counts as plain
    status, answer = api("/batch", {"prompt": "a sea", "embedding_type": "pooled", "embeddings": vectors(16).tolist()})
    assert status == 200
    assert [image["image_base64"] for image in answer["images"]] == [None] * 3
    assert "plain square" in answer["images"][0]["error"]
    status, answer = api("/generate", {"prompt": "a sea"})
    assert (status, "plain square" in answer["detail"]) == (422, True)


def test_a_full_queue_turns_away_and_recovers(api):
    body = {"prompt": "a sea"}
    for _ in range(QUEUE):
        routes.service.places.acquire()
    assert api("/generate", body)[0] == 429
    assert api("/health")[0] == 200
    routes.service.places.release()
    assert api("/generate", body)[0] == 200
    assert api("/generate", body | {"width": 65})[0] == 422  # an error gives its place back
    assert api("/generate", body)[0] == 200


def test_with_a_token_nobody_draws_without_it(api, settings):
    settings.IPO_GENERATION_TOKEN = "s3cret"
    assert api("/health")[0] == 200
    assert api("/models")[0] == 401
    assert api("/generate", {"prompt": "a sea"})[0] == 401
    assert api("/models", authorization="Bearer wrong")[0] == 401
    assert api("/models", authorization="Bearer s3cret")[0] == 200


def test_beyond_this_machine_it_wants_a_token(settings):
    settings.IPO_GENERATION_TOKEN = ""
    for host in ("0.0.0.0", "192.168.0.7", "example.org", "::"):
        with pytest.raises(CommandError, match="IPO_GENERATION_TOKEN"):
            call_command("generation_server", host=host)
    with pytest.raises(CommandError, match="1 to 65535"):
        call_command("generation_server", port=70_000)


def test_a_model_for_the_start_must_be_one(settings):
    settings.IPO_PRELOAD = "dall-e"
    with pytest.raises(CommandError, match="GEN_SERVER_MODEL is 'dall-e': correct it to one of"):
        call_command("generation_server")


def test_a_model_is_loaded_at_the_start(settings, tiny_model):
    service = Service()
    service.preload(settings.IPO_MODELS["tiny"])
    until = time.monotonic() + 60
    while service.manager.loaded != "tiny" and time.monotonic() < until:
        time.sleep(0.05)
    assert service.manager.loaded == "tiny"


def test_ids_of_hugging_face_name_a_model_where_they_are_its_alone(settings):
    models = settings.IPO_MODELS
    for name in ("stabilityai/sd-turbo", "sd-turbo"):
        assert registry.named(models, name).key == "sd-turbo"
    assert registry.named(models, "lllyasviel/flux1-dev-bnb-nf4").key == "flux-dev-nf4"
    assert registry.named(models, "black-forest-labs/FLUX.1-schnell").key == "flux-schnell"
    assert registry.named(models | {"mine": replace(models["sd-turbo"], key="mine")}, "stabilityai/sd-turbo") is None
    assert registry.named(models, "") is None


def test_the_real_process_describes_itself(generation_server):
    with urllib.request.urlopen(f"{generation_server.url}/openapi.json", timeout=5) as answer:
        assert {"/health", "/model", "/models", "/generate", "/batch", "/draw", "/embed"} == set(
            json.load(answer)["paths"]
        )
    with urllib.request.urlopen(f"{generation_server.url}/docs", timeout=5) as page:
        assert "https://" not in page.read().decode()  # nothing is fetched from elsewhere


def test_pages_of_other_sites_cannot_draw(generation_server):
    def ask(path: str, **headers: str) -> int:
        request = urllib.request.Request(generation_server.url + path, b"{}" if path != "/health" else None)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    bearer = f"Bearer {generation_server.token}"
    assert ask("/generate", Content_Type="text/plain", Authorization=bearer) == 415
    assert ask("/generate", Content_Type="application/json", Authorization=bearer) == 422
    assert ask("/health") == 200


def test_another_name_for_this_machine_is_refused_where_no_token_is_asked_for(settings):
    settings.MIDDLEWARE = ["generation.server.middleware.only_json"]
    settings.ROOT_URLCONF = "generation.server.urls"
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    assert Client().get("/health", headers={"host": "127.0.0.1:8580"}).status_code == 200
    assert Client().get("/health", headers={"host": "evil.example"}).status_code == 400


def test_what_has_no_route_is_told_in_json(generation_server, api):
    assert api("/nowhere") == (404, {"detail": "There is nothing here: /docs describes the routes."})
    request = urllib.request.Request(generation_server.url + "/health", headers={"Host": "a_b"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=5)
    assert refused.value.code == 400
    assert "names this machine otherwise" in json.load(refused.value)["detail"]


def test_monitors_may_ask_with_head(generation_server):
    request = urllib.request.Request(generation_server.url + "/health", method="HEAD")
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert (answer.status, answer.read()) == (200, b"")
