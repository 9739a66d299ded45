"""The page of models: what is installed, loaded, gated, and what it needs."""

import re
from dataclasses import replace

import pytest

from preferences.jobs import worker
from preferences.models import Worker

pytestmark = pytest.mark.django_db


def cards(client) -> dict[str, str]:
    """The text of each model's card, by key."""
    page = client.get("/models/").content.decode()
    found = re.findall(r'<li class="card" id="([^"]*)">(.*?)</li>', page, re.DOTALL)
    return {key: re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", text)) for key, text in found}


def test_every_model_says_how_it_stands(client, settings, tiny_model):
    found = cards(client)
    assert list(found) == list(settings.IPO_MODELS)
    assert "Installed · 0.01 GB on disk" in found["pocket-landscapes"]
    assert "Not downloaded" in found["sd-turbo"]
    assert "4 steps · float16 · needs about 4 GB of GPU memory" in found["sd-turbo"]
    assert "fetch_models sd-turbo" in found["sd-turbo"]
    assert "NF4 (4 bits)" in found["flux-dev"]
    assert "Gated: accept the licence of black-forest-labs/FLUX.1-dev" in found["flux-dev"]
    assert "Gated: accept the licence of black-forest-labs/FLUX.1-schnell" in found["flux-schnell"]
    assert "Gated" not in found["flux-schnell-nf4"] + found["flux-dev-nf4"] + found["sd-turbo"]


def test_a_model_that_draws_says_what_else_could_be_fetched(client, settings, tiny_model):
    spec = replace(settings.IPO_MODELS["tiny"], encoder="siglip-base")
    settings.IPO_MODELS = {"tiny": spec}
    found = cards(client)["tiny"]
    assert "Installed" in found
    assert "so far without its image encoder google/siglip-base-patch16-224" in found
    assert "fetch_models tiny" in found


def test_the_token_is_asked_for_and_never_shown(client, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert "HF_TOKEN" in cards(client)["flux-dev"]
    monkeypatch.setenv("HF_TOKEN", "hf_s3cret")
    page = client.get("/models/").content.decode()
    assert "HF_TOKEN" not in page
    assert "s3cret" not in page


def test_what_a_worker_has_in_memory_and_what_it_draws_on(client, tiny_model):
    assert "No worker is drawing" in client.get("/models/").content.decode()
    worker.report_worker("gpu@here", state=Worker.State.READY, model="tiny", device="NVIDIA H200", memory_gb=150.1)
    page = client.get("/models/").content.decode()
    assert "Loaded by gpu@here" in cards(client)["tiny"]
    assert "NVIDIA H200 (150 GB)" in page
    worker.report_worker("gpu@here", state=Worker.State.LOADING, model="sd-turbo")
    assert "Being loaded by gpu@here" in cards(client)["sd-turbo"]
    worker.report_worker("gpu@here", state=Worker.State.FAILED, model="", error="No room.")
    assert "No room." in client.get("/models/").content.decode()
    assert "Not downloaded" in cards(client)["sd-turbo"]
