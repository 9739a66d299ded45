"""The benchmarks of drawing: they compare the same pictures, build what they say, and can miss a figure."""

import json
from dataclasses import replace

import pytest
import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel, UNet2DConditionModel
from django.core.management import CommandError, call_command
from transformers import T5Config, T5EncoderModel

from generation import registry
from generation.manager import ModelManager
from generation.types import ModelSpec
from ipo_site.benchmarks.speed import full_size, measure
from tests.generation import tiny_flux


@pytest.fixture(params=["stable_diffusion", "flux"])
def spec(request, settings, tiny_model, tmp_path) -> ModelSpec:
    if request.param == "stable_diffusion":
        return settings.IPO_MODELS[tiny_model]
    tiny_flux.build().save_pretrained(tmp_path, safe_serialization=True)
    return replace(tiny_flux.spec(str(tmp_path)), prompt_tokens=measure.FLUX_TOKENS)


def test_all_three_ways_draw_the_same_pictures(spec):
    found = measure.against_bare(measure.Work(spec, 3), ModelManager(), 4, rounds=1)
    assert found["largest_difference"] <= 2
    assert set(found["images_per_second"]) == {"ours", "batched", "loop"}
    assert found["teraflop_per_image"] > 0
    assert 0 < found["share_of_peak"] < 1
    assert "4 pictures" in measure.summary(measure.Work(spec, 3), found)


def test_a_figure_can_be_missed():
    assert measure.missed({"over_batched": 0.95, "over_loop": 3.0}) == []
    slower, slow = measure.missed({"over_batched": 0.94, "over_loop": 1.5})
    assert "0.94 times as fast as a bare batched call, not 0.95" in slower
    assert "a loop of bare calls" in slow


def test_sizes_and_models_are_measured(settings, tiny_model, tmp_path, capsys):
    call_command("benchmark", "batch", model="tiny", steps=1, rounds=1, json=tmp_path / "sizes.json")
    rows = json.loads((tmp_path / "sizes.json").read_text())["sizes"]
    assert [row["size"] for row in rows] == [1, 2, 4, 8, 16]
    assert all(row["images_per_second"] == pytest.approx(row["size"] / row["seconds"]) for row in rows)
    assert all(row["megabytes"] > 100 for row in rows)
    settings.IPO_MODELS = {key: settings.IPO_MODELS[key] for key in ("sd-turbo", "tiny")}
    call_command("benchmark", "models", steps=1, rounds=1, json=tmp_path / "models.json")
    (row,) = json.loads((tmp_path / "models.json").read_text())
    assert row["model"] == "Tiny"
    assert "sd-turbo: SD-Turbo (512 px, needs CUDA) needs an NVIDIA GPU" in capsys.readouterr().out
    with pytest.raises(CommandError, match="--steps is 0"):
        call_command("benchmark", "batch", model="tiny", steps=0)


def millions(module: torch.nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def test_the_full_sizes_are_those_of_the_real_models():
    """As published: a U-Net of 866 M parameters, 12 B for FLUX, 4.7 B for its T5 encoder, 84 M for an autoencoder."""
    with torch.device("meta"):
        assert millions(UNet2DConditionModel(**full_size.SD_TURBO["unet"])) == pytest.approx(865.9, abs=0.1)
        assert millions(AutoencoderKL(**full_size.SD_TURBO["vae"])) == pytest.approx(83.7, abs=0.1)
        assert millions(FluxTransformer2DModel(guidance_embeds=True)) == pytest.approx(11_901, abs=1)
        config = T5Config(vocab_size=32128, d_kv=64, **full_size.FLUX["text_encoder_2"])
        assert millions(T5EncoderModel(config)) == pytest.approx(4_762, abs=1)


@pytest.mark.parametrize("key", ["sd-turbo", "flux-dev"])
def test_random_weights_are_written_once_and_draw(key, tmp_path):
    """With fewer and narrower layers: the full ones take gigabytes."""
    spec = registry.BUILTIN[key]
    found = full_size.written(spec, tmp_path / "random", is_narrow=True)
    assert found.label.endswith("random weights")
    written = (tmp_path / "random" / "model_index.json").stat().st_mtime_ns
    assert full_size.written(spec, tmp_path / "random", is_narrow=True) == found
    assert (tmp_path / "random" / "model_index.json").stat().st_mtime_ns == written
    request = measure.Work(found, 1).request(2)
    assert len(ModelManager().generate(found, request)) == 2
