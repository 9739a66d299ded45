"""Each way to draw faster draws the same pictures, in both families."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from generation import registry
from generation.backends.local import LocalBackend
from generation.pipelines.speedups import SPEEDUPS
from generation.types import ModelSpec
from tests.generation import tiny_flux
from tests.generation.requests import pixels, request_for


@pytest.fixture(params=["stable_diffusion", "flux"])
def spec(request, settings, tiny_model, tmp_path) -> ModelSpec:
    if request.param == "stable_diffusion":
        return settings.IPO_MODELS[tiny_model]
    tiny_flux.build().save_pretrained(tmp_path / "flux", safe_serialization=True)
    return tiny_flux.spec(str(tmp_path / "flux"))


@pytest.fixture
def traced(monkeypatch) -> list[str]:
    """torch.compile without the C++ compiler that it needs on the CPU; returns what it was called for."""
    found: list[str] = []
    compile_ = torch.compile

    def compile_without(call, *args, **kwargs):
        found.append(str(call))
        return compile_(call, *args, backend="eager", **kwargs)

    monkeypatch.setattr(torch, "compile", compile_without)
    return found


@pytest.mark.parametrize("name", SPEEDUPS)
def test_the_pictures_are_the_same(spec, name, traced):
    request = request_for(spec)
    plain = pixels(LocalBackend(), spec, request)
    fast = LocalBackend([name])
    assert np.abs(pixels(fast, spec, request) - plain).max() <= 2
    part = fast.resident.pipe.components.get("unet") or fast.resident.pipe.transformer
    signs = {
        "channels_last": fast.resident.pipe.vae.decoder.conv_in.weight.is_contiguous(memory_format=torch.channels_last),
        "fused_projections": any(getattr(one, "fused_projections", False) for one in part.modules()),
        "compiled": bool(traced),
    }
    assert [sign for sign, is_on in signs.items() if is_on] == [name]


def test_weights_in_four_bits_are_not_joined(spec, bitsandbytes_on_the_cpu):
    if spec.family == "flux":
        four_bits = replace(spec, quantization="nf4")
        request = request_for(spec)
        assert np.array_equal(
            pixels(LocalBackend(["fused_projections"]), four_bits, request), pixels(LocalBackend(), four_bits, request)
        )


def test_all_together(spec, traced):
    request = request_for(spec)
    assert (
        np.abs(pixels(LocalBackend(list(SPEEDUPS)), spec, request) - pixels(LocalBackend(), spec, request)).max() <= 2
    )


def test_the_names_that_the_environment_may_say_are_these():
    assert tuple(SPEEDUPS) == registry.SPEEDUPS
