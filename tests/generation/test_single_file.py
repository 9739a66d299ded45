"""FLUX of one file, as Forge and ComfyUI have it: a small one is written here, converted, and drawn with."""

import functools
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from diffusers import FluxTransformer2DModel
from safetensors.torch import load_file, save_file

from generation.errors import ModelUnavailable
from generation.installed import kept_folder
from generation.pipelines import single_file
from generation.pipelines.flux import Flux
from generation.pipelines.loading import fetch, file_of
from tests.generation import tiny_flux
from tests.generation.requests import request_for
from tests.replicas.one_file import write


def different(seed: int = 1):
    """Another pipeline of the base's architecture, without weights that are the same by accident."""
    pipe = tiny_flux.build(seed)
    with torch.no_grad():
        for part in (pipe.transformer, pipe.vae, pipe.text_encoder, pipe.text_encoder_2):
            for weight in part.parameters():
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)), alpha=0.02)
    return pipe


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    tiny_flux.build().save_pretrained(folder)
    for weights in folder.rglob("*.safetensors"):
        weights.unlink()  # nothing of them may be needed
    config = json.loads((folder / "text_encoder_2" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}  # nor of how they are stored
    (folder / "text_encoder_2" / "config.json").write_text(json.dumps(config))
    return folder


def drawn(flux: Flux) -> np.ndarray:
    return np.stack([picture.pixels for picture in flux.generate(request_for(flux.spec))])


def same(found: torch.nn.Module, expected: torch.nn.Module) -> bool:
    ours, theirs = found.state_dict(), expected.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    ("nested", "everything", "t5"),
    [(False, False, torch.float8_e4m3fn), (True, False, torch.float16), (True, True, torch.float8_e4m3fn)],
)
def test_every_weight_and_the_picture_are_those_of_the_file(base, tmp_path, monkeypatch, nested, everything, t5):
    monkeypatch.setattr(single_file, "SHARD", "50KB")
    pipe = different()
    write(pipe, tmp_path / "flux.safetensors", nested=nested, everything=everything, t5=t5)
    steps = []
    single_file.convert(
        tmp_path / "flux.safetensors",
        base,
        tmp_path / "flux",
        dtype="float32",
        quantize=False,
        on_progress=lambda done, total: steps.append((done, total)),
    )
    assert len(list((tmp_path / "flux" / "transformer").glob("*.safetensors"))) > 3
    assert steps == [(done, len(steps)) for done in range(1, len(steps) + 1)]
    spec = tiny_flux.spec(str(tmp_path / "flux"))
    flux = Flux.load(spec, "cpu")
    for part in ("transformer", "text_encoder", "text_encoder_2", "vae"):
        ours = flux.t5 if part == "text_encoder_2" else getattr(flux.pipe, part)
        assert same(ours, getattr(pipe, part)), part
    assert np.array_equal(drawn(flux), drawn(Flux(spec, pipe)))


def test_several_blocks_in_the_dtype_of_the_model(base, tmp_path):
    pipe = different()
    pipe.transformer = FluxTransformer2DModel.from_config(
        {**pipe.transformer.config, "num_layers": 2, "num_single_layers": 11, "guidance_embeds": False}
    )
    shutil.copytree(base, tmp_path / "deep")
    pipe.transformer.save_config(tmp_path / "deep" / "transformer")
    write(pipe, tmp_path / "flux.safetensors")
    single_file.convert(tmp_path / "flux.safetensors", tmp_path / "deep", tmp_path / "flux", quantize=False)
    flux = Flux.load(replace(tiny_flux.spec(str(tmp_path / "flux")), dtype="bfloat16"), "cpu")
    assert same(flux.pipe.transformer, pipe.transformer.bfloat16())


@pytest.mark.parametrize(("nested", "everything"), [(False, False), (True, True)])
def test_packed_weights_stay_as_they_are(base, tmp_path, bitsandbytes_on_the_cpu, nested, everything):
    pipe = different()
    write(pipe, tmp_path / "flux.safetensors", nested=nested, everything=everything)
    single_file.convert(tmp_path / "flux.safetensors", base, tmp_path / "flux", dtype="float32")
    flux = Flux.load(tiny_flux.spec(str(tmp_path / "flux")), "cpu")  # T5 is in four bits as well
    assert any(isinstance(layer, Linear4bit) for layer in flux.t5.modules())
    kept = 0
    for name, layer in flux.pipe.transformer.named_modules():
        if isinstance(layer, torch.nn.Linear):
            expected = pipe.transformer.get_submodule(name).weight
            found = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
            if everything or "transformer_blocks." in name:
                assert torch.equal(found, expected), name
                kept += 1
            else:
                assert 0 < (found - expected).abs().mean() < 0.2 * expected.abs().mean(), name
    assert kept >= 20
    found, whole = drawn(flux).astype(int), drawn(Flux(flux.spec, pipe)).astype(int)
    assert np.abs(found - whole).mean() < np.abs(whole[0] - whole[1]).mean() / 2


def test_a_complete_folder_is_left_as_it_is(base, tmp_path):
    write(different(), tmp_path / "flux.safetensors")
    single_file.convert(tmp_path / "flux.safetensors", base, tmp_path / "flux", quantize=False)
    (tmp_path / "flux.safetensors").unlink()
    single_file.convert(tmp_path / "flux.safetensors", base, tmp_path / "flux", quantize=False)


@pytest.fixture
def refused(base, tmp_path):
    """Convert a file of these tensors, and return the sentence that says why it cannot be; nothing must be left."""

    def convert(change=lambda tensors: tensors, base=base) -> str:
        file = tmp_path / "flux.safetensors"
        if not file.exists():
            write(different(), file)
            tensors = load_file(file)
            save_file(change(tensors) or tensors, file)
        with pytest.raises(ModelUnavailable) as raised:
            single_file.convert(file, base, tmp_path / "flux", quantize=False)
        assert not [path for path in tmp_path.iterdir() if path.is_dir()]
        return str(raised.value)

    return convert


def test_a_truncated_file(refused, tmp_path):
    write(different(), tmp_path / "flux.safetensors")
    whole = (tmp_path / "flux.safetensors").read_bytes()
    for size in (len(whole) // 2, 100, 0):
        (tmp_path / "flux.safetensors").write_bytes(whole[:size])
        assert "is damaged or incomplete" in refused()
    (tmp_path / "flux.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match="There is no file"):
        single_file.convert(tmp_path / "flux.safetensors", tmp_path, tmp_path / "flux")


@pytest.mark.parametrize(
    "keys",
    [
        ["model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.encoder.conv_in.weight"],
        ["model.diffusion_model.double_blocks.0.img_mod.lin.weight", "model.diffusion_model.single_blocks.0.linear1"],
        ["double_blocks.0.img_mod.lin.weight"],
    ],
)
def test_another_layout(refused, keys):
    assert "is not FLUX with all parts in one file" in refused(lambda tensors: {key: torch.zeros(2) for key in keys})


def without(*words):
    return lambda tensors: {key: one for key, one in tensors.items() if not any(word in key for word in words)}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (without("guidance_in"), "its transformer lacks time_text_embed.guidance_embedder.linear_1.bias"),
        (without("double_blocks.0.img_mod"), "its transformer lacks double_blocks.0.img_mod.lin"),
        (without("t5xxl.transformer.shared"), "its text_encoder_2 lacks shared.weight"),
        (without("decoder.conv_in"), "its vae lacks decoder.conv_in"),
        (lambda t: t | {"model.diffusion_model.img_in.scale_weight": torch.ones(1)}, "has img_in.scale_weight"),
        (
            lambda t: t | {"model.diffusion_model.img_in.weight": torch.ones(64, 128)},
            "has x_embedder.weight of [64, 128]",
        ),
        (lambda t: t | {"vae.decoder.conv_in.bias": torch.tensor(1.0)}, "has decoder.conv_in.bias of"),
    ],
)
def test_a_file_that_does_not_fit_its_base(refused, change, what):
    sentence = refused(change)
    assert "does not fit" in sentence
    assert what in sentence


PACKED = "model.diffusion_model.single_blocks.0.linear1.weight"


@pytest.mark.parametrize(
    "change",
    [
        without(f"{PACKED}.absmax"),
        lambda tensors: tensors | {PACKED: tensors[PACKED][:-4].clone()},
        lambda tensors: tensors | {f"{PACKED}.quant_state.bitsandbytes__nf4": torch.ones(9, dtype=torch.uint8)},
        lambda tensors: (
            tensors
            | {f"{PACKED}.quant_state.bitsandbytes__nf4": torch.tensor([*json.dumps({}).encode()], dtype=torch.uint8)}
        ),
    ],
)
def test_packed_weights_that_are_damaged(refused, change):
    assert f"is damaged (in {PACKED})" in refused(change)


def test_a_base_of_another_kind(refused, tmp_path_factory):
    assert "has no model_index.json" in refused(base=tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("No space left on device")])
def test_a_conversion_that_ends_early_leaves_nothing(base, tmp_path, error):
    def stop(done: int, total: int) -> None:
        assert (tmp_path / "flux.partial" / "transformer").is_dir()
        if done == total:
            raise error

    write(different(), tmp_path / "flux.safetensors")
    with pytest.raises((KeyboardInterrupt, ModelUnavailable)):
        single_file.convert(tmp_path / "flux.safetensors", base, tmp_path / "flux", on_progress=stop)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    (tmp_path / "flux.partial").mkdir()  # as after a power cut
    (tmp_path / "flux.partial" / "half").touch()
    single_file.convert(tmp_path / "flux.safetensors", base, tmp_path / "flux")
    assert not (tmp_path / "flux" / "half").exists()


def test_a_model_of_one_file_is_converted_once_and_drawn_with(base, tmp_path, bitsandbytes_on_the_cpu):
    pipe = different()
    file = tmp_path / "flux.safetensors"
    write(pipe, file)
    spec = replace(tiny_flux.spec(str(base)), single_file=str(file), quantization="nf4")
    found = drawn(Flux.load(spec, "cpu")).astype(int)
    whole = drawn(Flux(spec, pipe)).astype(int)
    assert np.abs(found - whole).mean() < np.abs(whole[0] - whole[1]).mean() / 2
    size = file.stat()
    file.write_bytes(b"damaged")
    os.truncate(file, size.st_size)
    os.utime(file, ns=(size.st_atime_ns, size.st_mtime_ns))
    assert np.array_equal(drawn(Flux.load(spec, "cpu")), found)  # not read again
    os.utime(file)
    with pytest.raises(ModelUnavailable, match="is damaged"):  # another file by the same name
        Flux.load(spec, "cpu")
    file.unlink()
    with pytest.raises(ModelUnavailable, match="there is no file"):
        Flux.load(spec, "cpu")


def test_a_repository_of_one_file_is_looked_up_and_named_when_it_is_not_there(base, tmp_path, monkeypatch):
    from huggingface_hub import snapshot_download

    cache = tmp_path / "models--somebody--flux"
    snapshot = cache / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("0" * 40)
    (snapshot / "one.safetensors").touch()
    offline = functools.partial(snapshot_download, cache_dir=tmp_path, local_files_only=True)
    monkeypatch.setattr("generation.pipelines.loading.snapshot_download", offline)
    spec = tiny_flux.spec(str(base))
    for name in ("one.safetensors", "*.safetensors"):
        assert file_of(replace(spec, single_file=f"somebody/flux/{name}")) == snapshot / "one.safetensors"
    (snapshot / "two.safetensors").touch()
    with pytest.raises(ModelUnavailable, match="2 files of somebody/flux fit"):
        file_of(replace(spec, single_file="somebody/flux/*.safetensors"))
    with pytest.raises(ModelUnavailable, match="nobody/flux is not on this machine"):
        file_of(replace(spec, single_file="nobody/flux/one.safetensors"))


def test_what_is_kept_is_not_fetched_again(base):
    spec = replace(tiny_flux.spec(str(base)), single_file="nobody/flux/one.safetensors", quantization="nf4")
    kept_folder(spec).mkdir(parents=True)
    fetch(spec)  # nobody has such a repository
