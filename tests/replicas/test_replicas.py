"""Every model and image encoder of the registry has a replica, and every replica goes all the way."""

import os
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
import sentencepiece
import torch
from huggingface_hub import constants
from safetensors.torch import load_file

from generation import installed, registry
from generation.errors import ModelUnavailable
from generation.pipelines.flux import Flux
from generation.pipelines.loading import fetch
from generation.pipelines.stable_diffusion import StableDiffusion
from generation.progress import Report
from preferences.feedback import training_set
from preferences.models import Embedding
from preferences.sessions import training
from tests.drawing import draw_whole
from tests.factories import SessionFactory
from tests.replicas import GATED, guard, repositories


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("replicas")


def test_what_is_in_the_registry_has_a_replica_and_is_gated_where_that_is():
    models = repositories.models()
    encoders = [one.source for one in registry.ENCODERS.values() if not Path(one.source).is_dir()]
    needed = {name for spec in models.values() for name in repositories.needed(spec)} | {*encoders}
    assert needed == repositories.REPOSITORIES.keys()
    assert registry.BUILTIN.keys() - models.keys() == {"pocket-landscapes"}  # which is here itself
    for spec in models.values():
        assert spec.is_gated == (spec.source in GATED), spec.key
    assert not {*encoders} & {*GATED}


@pytest.mark.longest
@pytest.mark.timeout(900)
def test_all_of_them_with_no_more_than_make_run_installs():
    command = [sys.executable, "-m", "tests.replicas"]
    walk = subprocess.run(command, cwd=guard.ROOT, capture_output=True, text=True, check=False)
    assert walk.returncode == 0, walk.stdout + walk.stderr
    assert all(f"ok      {key}" in walk.stdout for key in repositories.models())


def test_the_guard_hides_what_make_run_does_not_install():
    begin = "from tests.replicas import guard; guard.install(); import importlib.util as u, importlib.metadata as m; "
    shown = "print([u.find_spec(n) is not None for n in ('sentencepiece', 'bitsandbytes', 'pytest', 'hypothesis')], "
    shown += "'pytest' in {one.metadata['Name'] for one in m.distributions()})"
    command = [sys.executable, "-c", begin + shown]
    found = subprocess.run(command, cwd=guard.ROOT, capture_output=True, text=True, check=True, env={**os.environ})
    assert found.stdout.strip() == "[True, True, False, False] False"


def stored(part: Path, kind: str = "") -> dict[str, torch.Tensor]:
    """The weights of a part, from all its files of a variant, without what newer versions leave out of the names."""
    files = [file for file in part.glob("*.safetensors") if (".fp16." in file.name) == bool(kind)]
    tensors = {name: tensor for file in files for name, tensor in load_file(file).items()}
    return {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}


def test_every_weight_of_flux_arrives(folder):
    spec = replace(repositories.local(repositories.models()["flux-schnell"], folder), quantization="")
    flux = Flux.load(spec, "cpu")
    pipe, parts = flux.pipe, {**flux.pipe.components, "text_encoder_2": flux.t5}
    for part in ("transformer", "text_encoder", "text_encoder_2", "vae"):
        weights = {name.removeprefix("text_model."): one for name, one in parts[part].named_parameters()}
        expected = stored(Path(spec.source) / part)
        assert weights.keys() == expected.keys()
        assert all(torch.equal(weights[name], expected[name]) for name in weights), part
    assert flux.t5.encoder.embed_tokens.weight is flux.t5.shared.weight
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(Path(spec.source) / "tokenizer_2" / "spiece.model"))
    assert pipe.tokenizer_2("A calm landscape.").input_ids == [*pieces.encode("A calm landscape."), 1]
    clip = pipe.tokenizer("the", padding="max_length", max_length=6).input_ids
    assert clip[0] == clip[-1] - 1  # the end, with which it also pads, has the largest id: so CLIP finds it
    assert clip[2:] == [clip[-1]] * 4


def test_sd_turbo_in_half_precision_with_lcm(folder):
    spec = repositories.local(repositories.models()["sd-turbo"], folder)
    pipe = StableDiffusion.load(spec, "cpu").pipe
    for part in ("unet", "text_encoder", "vae"):
        weights = {name.removeprefix("text_model."): one for name, one in getattr(pipe, part).named_parameters()}
        expected = stored(Path(spec.source) / part, "fp16")
        assert weights.keys() == expected.keys()
        assert all(torch.equal(weights[name], expected[name]) for name in weights), part
    assert pipe.safety_checker is None
    assert pipe.tokenizer("the", padding="max_length", max_length=6).input_ids[3:] == [0, 0, 0]
    pipe.scheduler.set_timesteps(spec.steps)
    assert pipe.scheduler.timesteps.tolist() == [999, 759, 499, 259]


def test_schnell_of_one_file_is_schnell_though_its_base_is_dev(folder, bitsandbytes_on_the_cpu):
    models = repositories.models()
    for key, guided, shift in (("flux-schnell-nf4", False, 1.0), ("flux-dev-nf4", True, 3.0)):
        pipe = Flux.load(repositories.local(models[key], folder), "cpu").pipe
        assert pipe.transformer.config.guidance_embeds == guided
        assert (pipe.scheduler.config.shift, pipe.scheduler.config.use_dynamic_shifting) == (shift, guided)


def test_the_encoder_of_a_model_sees_and_its_choices_are_saved(
    client, user, folder, settings, manager, monkeypatch, transactional_db
):
    spec = repositories.local(repositories.models()["sd-turbo"], folder)
    spec = replace(spec, key="tiny", curation_size=4, dtype="float32")  # half precision is slow here
    settings.IPO_MODELS = {"tiny": spec}
    encoder = registry.ENCODERS["siglip-base"]
    here = replace(encoder, source=str(repositories.write(encoder.source, folder / encoder.source)))
    monkeypatch.setitem(registry.ENCODERS, "siglip-base", here)
    for space in spec.spaces:
        session = SessionFactory(owner=user, space=space, value_model="bayesian", draws_per_picture=3, diff_steps=4)
        for number in (1, 2, 3):
            batch = draw_whole(session.batches.get(number=number), manager)
            note = batch.optimizer_states.get().note
            assert "not looked at" not in note
            assert ("Of 3 pictures drawn" in note) == (number > 1)
            seen = Embedding.objects.filter(picture__candidate__batch=batch, encoder="siglip-base")
            assert [len(one.vector) for one in seen] == [768] * 4
            for candidate in batch.candidates.order_by("slot"):
                value = "good" if candidate.slot < 2 else "bad"
                client.post(f"/candidates/{candidate.pk}/rate", {"value": value, "form_token": str(uuid.uuid4())})
            client.post(f"/s/{session.pk}/{number}/submit")
        known = training.training_set(session, 1)
        assert training_set.feature_set(known).features["siglip-base"].shape == (12, 768)


def test_what_lacks_a_small_file_is_refused_before_gigabytes(folder, tmp_path, monkeypatch):
    """A base that was fetched in part, or by an older version."""
    spec = repositories.local(repositories.models()["flux-dev-nf4"], tmp_path)
    (Path(spec.source) / "tokenizer_2" / "tokenizer.json").unlink()
    assert installed.look(spec).place is not None  # spiece.model is enough
    (Path(spec.source) / "tokenizer_2" / "spiece.model").unlink()
    assert installed.look(spec).place is None
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    far = replace(spec, single_file="nobody/nothing/*.safetensors")
    with pytest.raises(ModelUnavailable, match="has no tokenizer_2, or not all of it"):
        fetch(far, Report(far))
