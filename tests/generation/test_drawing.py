"""The real (tiny) pipeline behind the one door."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from generation import registry
from generation.backends.local import LocalBackend
from generation.encoders import Siglip
from generation.errors import ModelUnavailable, OutOfMemory, UnknownModel, UnsupportedSpace
from generation.manager import ModelManager
from generation.pipelines.stable_diffusion import StableDiffusion
from tests.generation.requests import pixels, request_for


@pytest.fixture
def spec(settings, tiny_model):
    return settings.IPO_MODELS[tiny_model]


def test_all_tokens_moved_alike_is_pooled_embed(manager, spec):
    """A length of 1 moves the prompt as far in PromptEmbed as in PooledEmbed."""
    pooled = request_for(spec, "pooled_embed", n=1)
    alike = np.tile(pooled.vectors, 32) / np.sqrt(np.float32(32))
    assert np.linalg.norm(alike) == pytest.approx(np.linalg.norm(pooled.vectors))
    whole = request_for(spec, "prompt_embed", vectors=alike)
    assert np.abs(pixels(manager, spec, whole) - pixels(manager, spec, pooled)).max() <= 1


def test_negative_prompt_and_guidance_are_not_ignored(manager, spec):
    plain = pixels(manager, spec, request_for(spec))
    guided = pixels(manager, spec, request_for(spec, guidance=4.0))
    negative = pixels(manager, spec, request_for(spec, guidance=4.0, negative_prompt="a house"))
    assert not np.array_equal(plain, guided)
    assert not np.array_equal(guided, negative)


def test_numbers_that_are_no_colours_fail_their_picture_only(manager, spec):
    request = request_for(spec)
    request.vectors[1] = np.nan
    good, bad, also_good = manager.generate(spec, request)
    assert bad.pixels is None
    assert "no colours" in bad.error
    assert good.pixels is not None
    assert also_good.pixels is not None


def test_what_overflows_in_half_precision_is_decoded_again(spec):
    """The decoder's middle leaves float16's range, as some do, and comes back: only float32 can follow."""
    pipeline = StableDiffusion.load(replace(spec, dtype="float16"), "cpu")
    request = request_for(spec)
    decoder = pipeline.pipe.vae.decoder
    with torch.no_grad():
        decoder.conv_norm_out.weight.mul_(3e4)
        decoder.conv_norm_out.bias.mul_(3e4)
        decoder.conv_out.weight.mul_(2.0)
    plain = pipeline.pipe.vae.decode(torch.ones(1, 4, 8, 8, dtype=torch.float16)).sample
    assert not torch.isfinite(plain).all()
    pictures = pipeline.generate(request)
    assert all(picture.pixels is not None for picture in pictures)
    assert pipeline.pipe.vae.dtype == torch.float16


@pytest.fixture
def cramped(manager, spec, monkeypatch):
    """A backend with room for so many pictures at once; returns the sizes of all passes that were tried."""

    def with_room_for(most: int) -> list[int]:
        manager.ensure_ready(spec)
        tried: list[int] = []
        generate = StableDiffusion.generate

        def limited(self, request):
            tried.append(len(request.vectors))
            if len(request.vectors) > most:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return generate(self, request)

        monkeypatch.setattr(StableDiffusion, "generate", limited)
        return tried

    return with_room_for


def test_what_has_no_room_at_once_is_drawn_in_halves(manager, spec, cramped):
    request = request_for(spec)
    whole = pixels(manager, spec, request)
    tried = cramped(2)
    assert np.abs(pixels(manager, spec, request) - whole).max() <= 2
    assert tried == [3, 2, 1]


def test_previews_of_the_second_half_belong_to_it(spec, cramped, monkeypatch):
    monkeypatch.setattr("generation.pipelines.previews.SECONDS", 0.0)
    tried, seen = cramped(2), []
    ModelManager().generate(spec, request_for(spec, on_preview=lambda first, shown: seen.append((first, len(shown)))))
    assert tried == [3, 2, 1]
    assert set(seen) == {(0, 2), (2, 1)}


def test_no_room_to_load_is_said_and_what_was_loaded_before_is_loaded_again(spec, monkeypatch):
    backend = LocalBackend()
    request = request_for(spec)
    first = pixels(backend, spec, request)
    load = StableDiffusion.load

    def full(*args):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(StableDiffusion, "load", full)
    with pytest.raises(OutOfMemory, match="ran out of memory while loading Large: choose a smaller model"):
        backend.ensure_ready(replace(spec, key="large", label="Large"))
    monkeypatch.setattr(Siglip, "load", full)
    with pytest.raises(OutOfMemory, match="while looking at pictures"):
        backend.embed_images("pocket-siglip", [np.zeros((8, 8, 3), np.uint8)])
    monkeypatch.setattr(StableDiffusion, "load", load)
    assert np.array_equal(pixels(backend, spec, request), first)


def test_a_model_that_is_refused_leaves_the_loaded_one_where_it_is(spec):
    backend = LocalBackend()
    backend.ensure_ready(spec)
    with pytest.raises(ModelUnavailable, match="needs an NVIDIA GPU"):
        backend.ensure_ready(replace(spec, key="large", needs_cuda=True))
    assert backend.loaded == spec.key


def test_no_room_at_all_is_said_with_a_remedy(manager, spec, cramped):
    tried = cramped(0)
    for count, passes in ((3, [3, 2]), (1, [1])):
        with pytest.raises(OutOfMemory, match="lower Inference Batch"):
            manager.generate(spec, request_for(spec, n=count))
        assert tried == passes
        tried.clear()


def test_what_cannot_be_done_is_an_error_with_a_remedy(manager, spec):
    with pytest.raises(UnsupportedSpace, match="Choose one of: Latent"):
        manager.generate(spec, replace(request_for(spec), space="x"))
    with pytest.raises(ValueError, match=r"vectors must be \[n, 256\]"):
        manager.generate(spec, request_for(spec, vectors=np.zeros((1, 7), np.float32)))
    with pytest.raises(UnknownModel, match="Choose one of: tiny"):
        registry.get({"tiny": spec}, "dall-e")
    with pytest.raises(ModelUnavailable, match="32 tokens of 16 numbers"):
        manager.ensure_ready(replace(spec, hidden_size=17))
    with pytest.raises(ModelUnavailable, match="its entry says 77 of 16"):
        manager.ensure_ready(replace(spec, prompt_tokens=77))
