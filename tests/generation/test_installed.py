"""What of the models is on this machine: whole or in part, in a folder, in the cache, as one file, kept."""

import json
import shutil
from dataclasses import replace

import pytest
from huggingface_hub import constants

from generation import installed, registry
from tests.generation import tiny_flux


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flux")
    tiny_flux.build().save_pretrained(folder, safe_serialization=True)
    return folder


def test_the_bundled_model_is_there_and_what_was_not_fetched_is_not(monkeypatch, tmp_path):
    found = installed.look(registry.BUILTIN["pocket-landscapes"])
    assert found.place is not None
    assert 0.005 < found.gigabytes < 0.05
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for key in ("flux-dev", "flux-dev-nf4", "flux-schnell-nf4"):
        found = installed.look(registry.BUILTIN[key])
        assert found == installed.Installed(registry.BUILTIN[key], None, has_encoder=False, has_previews=False)
        assert (
            found.without == "its image encoder google/siglip-base-patch16-224 and madebyollin/taef1 for its previews"
        )


@pytest.mark.parametrize("part", ["transformer", "text_encoder", "text_encoder_2", "vae"])
def test_a_folder_without_the_weights_of_one_part_is_not_installed(folder, part):
    spec = tiny_flux.spec(str(folder))
    assert installed.look(spec).place == folder
    (weights,) = (folder / part).glob("*.safetensors")
    hidden = weights.rename(folder / "hidden")
    assert installed.look(spec).place is None
    hidden.rename(weights)


@pytest.mark.parametrize(
    "file",
    [
        "scheduler/scheduler_config.json",
        "tokenizer/tokenizer.json",
        "tokenizer_2/tokenizer_config.json",
        "vae/config.json",
    ],
)
def test_nor_is_one_without_a_small_file(folder, file):
    spec = tiny_flux.spec(str(folder))
    (folder / file).rename(folder / "hidden")
    assert installed.look(spec).place is None
    assert installed.missing(folder, weights=False) == file.partition("/")[0]
    (folder / "hidden").rename(folder / file)
    assert installed.look(spec).place == folder


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"vae": []}'])
def test_a_damaged_index_is_not_installed(text, tmp_path):
    (tmp_path / "model_index.json").write_text(text)
    assert installed.look(tiny_flux.spec(str(tmp_path))).place is None


def test_of_weights_in_several_files_all_must_be_there(folder):
    spec = tiny_flux.spec(str(folder))
    (weights,) = (folder / "transformer").glob("*.safetensors")
    index = folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": weights.name, "b": "second.safetensors"}}))
    assert installed.look(spec).place is None
    (folder / "transformer" / "second.safetensors").touch()
    assert installed.look(spec).place == folder
    index.unlink()


def test_what_is_in_the_cache_of_the_hub_is_found(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--somebody--flux" / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    (tmp_path / "models--somebody--flux" / "refs").mkdir()
    (tmp_path / "models--somebody--flux" / "refs" / "main").write_text("0" * 40)
    snapshot.symlink_to(folder)
    spec = replace(tiny_flux.spec("somebody/flux"))
    monkeypatch.setattr(installed, "try_to_load_from_cache", _in(tmp_path))
    assert installed.look(spec).place == snapshot
    assert installed.look(replace(spec, source="somebody/else")).place is None
    one = replace(spec, single_file="somebody/flux/transformer/*.safetensors")
    assert installed.look(one).place.suffix == ".safetensors"
    assert installed.look(replace(one, single_file="somebody/flux/*.ckpt")).place is None
    assert installed.revision(spec) == installed.revision(one) == "0" * 40
    assert not installed.revision(replace(spec, source="somebody/else"))


def test_a_folder_has_the_revision_of_its_weights_and_so_has_a_file(folder, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    spec, same = tiny_flux.spec(str(folder)), tiny_flux.spec(str(copy))
    before = installed.revision(spec)
    assert len(before) == 12
    assert installed.revision(same) == before
    (weights,) = (copy / "vae").glob("*.safetensors")
    one = replace(spec, single_file=str(weights))
    alone = installed.revision(one)
    assert alone != before
    schedule = copy / "scheduler" / "scheduler_config.json"
    schedule.write_text(schedule.read_text().replace("}", ', "shift": 7}'))
    assert installed.revision(same) not in (before, "")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert installed.revision(same) != before
    assert installed.revision(one) != alone
    monkeypatch.setattr(installed, "WHOLE", len(content) // 2)
    half = installed.revision(one)
    content[len(content) // 4] ^= 1
    weights.write_bytes(content)
    quarter = installed.revision(one)
    assert quarter != half
    weights.write_bytes(content[:-1])  # of a large file its size counts besides
    assert installed.revision(one) != quarter


def _in(cache):
    """The default of its argument is the cache as it was on import."""
    from huggingface_hub import try_to_load_from_cache

    return lambda repository, name: try_to_load_from_cache(repository, name, cache_dir=cache)


def test_a_single_file_needs_the_small_files_of_its_base(folder, tmp_path):
    file, base = tmp_path / "flux.safetensors", tmp_path / "base"
    shutil.copytree(folder, base, ignore=shutil.ignore_patterns("*.safetensors"))
    file.touch()
    spec = replace(tiny_flux.spec(str(base)), single_file=str(file))
    assert installed.look(spec).place == file
    shutil.rmtree(base / "tokenizer_2")
    assert installed.look(spec).place is None
    changed = replace(spec, changes=str(registry.SCHNELL))
    assert installed.kept_folder(changed) != installed.kept_folder(spec)


def test_what_only_accompanies_a_model_is_told_apart(folder, tmp_path):
    spec = replace(tiny_flux.spec(str(folder)), encoder="pocket-siglip", preview_vae=str(tmp_path))
    found = installed.look(spec)
    assert found.place == folder
    assert (found.has_encoder, found.has_previews) == (True, False)
    assert found.without == f"{tmp_path} for its previews"


def test_what_is_kept_counts_also_when_its_source_has_gone(folder, tmp_path):
    spec = replace(tiny_flux.spec(str(tmp_path / "gone")), quantization="nf4")
    assert installed.look(spec).place is None
    kept = installed.kept_folder(spec)
    kept.parent.mkdir(parents=True)
    kept.symlink_to(folder)
    assert installed.look(spec).place == kept


def test_weights_of_another_kind_of_file_have_a_revision_too_and_without_any_there_is_none(tmp_path):
    (tmp_path / "model_index.json").write_text("{}")
    (tmp_path / "unet").mkdir()
    told = []
    for weights in (b"one", b"two"):
        (tmp_path / "unet" / "diffusion_pytorch_model.bin").write_bytes(weights)
        told.append(installed.revision_of(str(tmp_path), "model_index.json"))
    assert told[0] != told[1]
    (tmp_path / "unet" / "diffusion_pytorch_model.bin").unlink()
    assert installed.revision_of(str(tmp_path), "model_index.json") == ""
