"""Why weights cannot be read: one sentence with a remedy for each cause, however deep it is hidden."""

import errno
import os
from dataclasses import replace

import httpx2
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from generation import installed, registry
from generation.bundled.architecture import TINY, build_pipeline
from generation.errors import ModelUnavailable
from generation.pipelines import loading
from generation.pipelines.loading import why_not
from generation.pipelines.stable_diffusion import StableDiffusion
from generation.types import ModelSpec

SPEC = registry.BUILTIN["sd-turbo"]
ANSWER = httpx2.Response(403, request=httpx2.Request("GET", "http://hub.example/"))


def hidden(cause: Exception) -> OSError:
    """As diffusers raises it: a plain OSError, made while the cause was handled."""
    error = OSError("Can't load the model.")
    error.__context__ = ValueError("no config.json")
    error.__context__.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [
        (GatedRepoError("gated", response=ANSWER), "Accept the licence at"),
        (RepositoryNotFoundError("none", response=ANSWER), "there is no repository stabilityai/sd-turbo"),
        (LocalEntryNotFoundError("not here"), "network cannot be reached"),
        (OfflineModeIsEnabled("offline"), "network cannot be reached"),
        (ConnectionError("refused"), "network cannot be reached"),
        (PermissionError("no"), "check the folder"),
        (OSError(errno.ENOSPC, "full"), "is full. Free some space there, or set HF_HOME"),
        (OSError(errno.EDQUOT, "quota"), "is full. Free some space there, or set HF_HOME"),
        (RuntimeError("Data processing error: I/O error: No space left on device (os error 28)"), "is full."),
    ],
)
def test_each_cause_has_its_remedy(cause, remedy):
    sentence = why_not(SPEC, hidden(cause))
    assert remedy in sentence
    assert SPEC.label in sentence
    assert "Traceback" not in sentence


@pytest.mark.parametrize("key", ["sd-turbo", "flux-dev", "flux-schnell-nf4"])
def test_what_the_disk_has_no_room_for_is_refused_before_it_is_fetched(key, monkeypatch):
    spec = registry.BUILTIN[key]
    monkeypatch.setattr(loading, "free_gb", lambda: 2.0)
    monkeypatch.setattr(loading, "small_files", lambda spec: spec)
    monkeypatch.setattr(loading, "snapshot_download", lambda *args, **options: pytest.fail("it was fetched"))
    monkeypatch.setattr(loading.DiffusionPipeline, "download", lambda *args, **options: pytest.fail("it was fetched"))
    with pytest.raises(ModelUnavailable, match=r"needs \d+ GB more on the disk of .*, which has 2 GB free: free some"):
        loading.fetch(spec)


def test_what_is_here_already_needs_no_room(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    dev = registry.BUILTIN["flux-dev-nf4"]
    assert installed.needed_gb(dev) == pytest.approx(12.1 + 11.5)
    begun = tmp_path / "models--lllyasviel--flux1-dev-bnb-nf4" / "blobs" / "abc.incomplete"
    begun.parent.mkdir(parents=True)
    begun.write_bytes(b"")
    os.truncate(begun, 5_000_000_000)  # sparse: a download that was cut off, and goes on from there
    assert installed.needed_gb(dev) == pytest.approx(12.1 + 11.5 - 5)
    assert installed.needed_gb(registry.BUILTIN["pocket-landscapes"]) == 0
    assert installed.free_gb() > 0


def test_a_gated_repository_names_licence_and_variable():
    sentence = why_not(SPEC, GatedRepoError("gated", response=ANSWER))
    assert f"/{SPEC.source}," in sentence
    assert "HF_TOKEN" in sentence


@pytest.mark.parametrize("saved", ["", "fp16"])
def test_weights_are_read_with_the_variant_or_else_without(saved, settings, tiny_model, tmp_path):
    build_pipeline(TINY, seed=0).save_pretrained(tmp_path, variant=saved or None, safe_serialization=True)
    spec = replace(settings.IPO_MODELS[tiny_model], source=str(tmp_path), variant="fp16")
    assert StableDiffusion.load(spec, "cpu").pipe.unet is not None
    with pytest.raises(ModelUnavailable, match="check the folder"):
        StableDiffusion.load(replace(spec, source=str(tmp_path / "unet")), "cpu")


def test_an_empty_folder_and_a_repository_that_is_out_of_reach(tmp_path, monkeypatch):
    fields = vars(registry.BUILTIN["pocket-landscapes"])
    with pytest.raises(ModelUnavailable, match="check the folder"):
        StableDiffusion.load(ModelSpec(**fields | {"source": str(tmp_path)}), "cpu")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match="network cannot be reached"):
        StableDiffusion.load(ModelSpec(**fields | {"source": "nobody/nothing"}), "cpu")
