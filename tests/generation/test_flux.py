"""The FLUX family, on a small pipeline of the same classes, saved and loaded through the same code."""

import os
import resource
import shutil
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from transformers import T5Config, T5EncoderModel

from generation import spaces
from generation.backends.local import LocalBackend
from generation.errors import Cancelled, GenerationError, ModelUnavailable
from generation.installed import kept_folder
from generation.manager import ModelManager
from generation.pipelines import flux as family
from generation.pipelines import loading
from generation.pipelines.flux import PROMPTS, Flux
from generation.progress import Progress, Report, Stage
from generation.registry import BUILTIN
from generation.types import ModelSpec
from ipo_site.benchmarks.speed import full_size
from tests.generation import tiny_flux
from tests.generation.requests import pixels, request_for


@pytest.fixture(scope="module")
def spec(tmp_path_factory) -> ModelSpec:
    folder = tmp_path_factory.mktemp("flux")
    tiny_flux.build().save_pretrained(folder, safe_serialization=True)
    return tiny_flux.spec(str(folder))


@pytest.fixture(scope="module")
def manager() -> ModelManager:
    return ModelManager()


def test_dimensions_are_those_of_the_two_text_encoders(spec):
    dimensions = {key: space.dimension(spec, 64, 64) for key, space in spaces.SPACES.items()}
    assert dimensions == {"latent": 16 * 8 * 8, "pooled_embed": 64, "prompt_embed": 16 * 64}
    assert spec.side_step == 16


def test_the_picture_is_what_diffusers_draws_of_the_same_noise(manager, spec):
    request = request_for(spec, n=1)
    pipe = tiny_flux.build()
    pipe.set_progress_bar_config(disable=True)
    noise = torch.from_numpy(request.vectors.reshape(1, 16, 8, 8))
    theirs = pipe(
        "a sea",
        latents=pipe._pack_latents(noise, 1, 16, 8, 8),
        width=64,
        height=64,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance,
        max_sequence_length=16,
        output_type="np",
    ).images[0]
    assert np.abs(pixels(manager, spec, request)[0] - np.round(theirs * 255)).max() <= 1


def test_a_negative_prompt_is_not_ignored_in_silence(manager, spec):
    with pytest.raises(GenerationError, match="reads no negative prompt"):
        manager.generate(spec, request_for(spec, negative_prompt="a house"))


def test_an_entry_that_does_not_fit_the_weights_is_named(manager, spec):
    with pytest.raises(ModelUnavailable, match="correct hidden_size and pooled_size"):
        manager.ensure_ready(replace(spec, pooled_size=768))


def test_both_families_in_turn_and_the_old_one_is_freed(spec, settings, tiny_model):
    backend = LocalBackend()
    first = pixels(backend, spec, request_for(spec))
    assert backend.resident is not None
    weights = weakref.ref(backend.resident.pipe.transformer)
    backend.ensure_ready(settings.IPO_MODELS[tiny_model])
    assert weights() is None
    assert np.array_equal(first, pixels(backend, spec, request_for(spec)))


def test_nf4_quantises_the_transformer_and_t5_and_little_else(spec, bitsandbytes_on_the_cpu):
    from bitsandbytes.nn import Linear4bit

    quantised = Flux.load(replace(spec, quantization="nf4"), "cpu")
    parts = {
        name: sum(isinstance(one, Linear4bit) for one in part.modules())
        for name, part in (quantised.pipe.components | {"text_encoder_2": quantised.t5}).items()
        if isinstance(part, torch.nn.Module)
    }
    assert {name for name, count in parts.items() if count} == {"transformer", "text_encoder_2"}
    whole = Flux.load(spec, "cpu")
    request = request_for(spec)
    four_bits = np.stack([picture.pixels for picture in quantised.generate(request)]).astype(int)
    full = np.stack([picture.pixels for picture in whole.generate(request)]).astype(int)
    assert 0 < np.abs(four_bits - full).mean() < np.abs(full[0] - full[1]).mean()  # the same picture, a little off
    first, other = (pixels_of(quantised, prompt) for prompt in ("a sea", "a hill"))
    assert not np.array_equal(first, other)
    for number in range(PROMPTS):  # so that the first is forgotten
        pixels_of(quantised, f"prompt {number}")
    assert np.array_equal(pixels_of(quantised, "a sea"), first)  # T5 comes back as it went


def test_t5_is_there_only_while_a_prompt_is_read(spec, monkeypatch):
    flux = Flux.load(spec, "cpu")
    read: list[str] = []
    encode = flux.pipe.encode_prompt

    def spy(prompt, **options):
        if prompt is not None:  # the pipeline itself asks again, with the embeddings
            assert flux.pipe.text_encoder_2 is flux.t5
            read.append(prompt)
        return encode(prompt, **options)

    monkeypatch.setattr(flux.pipe, "encode_prompt", spy)
    first = pixels_of(flux, "a sea")
    assert flux.pipe.text_encoder_2 is None
    other = pixels_of(flux, "a hill")
    assert not np.array_equal(first, other)
    assert np.array_equal(pixels_of(flux, "a sea"), first)  # two sessions in turn read their prompts once each
    assert read == ["a sea", "a hill"]
    for number in range(PROMPTS):
        pixels_of(flux, f"prompt {number}")
    assert np.array_equal(pixels_of(flux, "a sea"), first)
    assert read[-1] == "a sea"  # the oldest was forgotten
    monkeypatch.setattr(flux.pipe, "encode_prompt", lambda *args, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pixels_of(flux, "a new one")
    assert flux.pipe.text_encoder_2 is None  # also after a failure


def test_where_there_is_no_room_the_transformer_leaves_for_t5(spec, monkeypatch):
    """As on a full card: "meta" stands for it, the one other place that every torch has."""
    flux = Flux.load(spec, "cpu")
    moves: list[tuple[str, str]] = []
    for name, part in (("transformer", flux.pipe.transformer), ("t5", flux.t5)):
        monkeypatch.setattr(part, "to", lambda place, name=name, part=part: moves.append((name, str(place))) or part)
    monkeypatch.setattr(type(flux.pipe), "device", property(lambda pipe: torch.device("cuda")))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    for free, expected in (
        (0, [("transformer", "cpu"), ("t5", "cuda"), ("t5", "cpu"), ("transformer", "cuda")]),
        (10**12, [("t5", "cuda"), ("t5", "cpu")]),
    ):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10**12))
        moves.clear()
        with flux.reading():
            assert flux.pipe.text_encoder_2 is flux.t5
        assert moves == expected


def four_bit_bytes(module: torch.nn.Module, spared: tuple[str, ...] = ()) -> float:
    """Half a byte for each weight of a linear layer, 4 bytes for each 64 of them; 2 for all other numbers."""
    linear = {
        f"{name}.weight"
        for name, layer in module.named_modules()
        if isinstance(layer, torch.nn.Linear) and name.rpartition(".")[2] not in spared
    }
    return sum(one.numel() * (0.5 + 4 / 64 if name in linear else 2) for name, one in module.named_parameters())


def test_flux_in_four_bits_fits_a_card_of_12_gb():
    """Of the whole architecture, on the meta device: what is on the card in each phase, in GB."""
    with torch.device("meta"):
        t5 = T5EncoderModel(T5Config(vocab_size=32128, d_kv=64, **full_size.FLUX["text_encoder_2"]))
        transformer = FluxTransformer2DModel(guidance_embeds=True)
        small = 2 * sum(p.numel() for p in AutoencoderKL(**full_size.FLUX["vae"]).parameters()) + 2 * 123e6  # and CLIP
    siglip = 4 * 203e6
    large = {"t5": four_bit_bytes(t5, ("wo",)) / 1e9, "transformer": four_bit_bytes(transformer) / 1e9}
    assert large == {"t5": pytest.approx(4.3, abs=0.1), "transformer": pytest.approx(6.7, abs=0.1)}
    reading = max(large["t5"], large["transformer"] + small / 1e9)  # one after the other
    drawing = large["transformer"] + (small + siglip) / 1e9
    promised = BUILTIN["flux-schnell-nf4"].memory_gb
    assert reading < drawing < promised - 1.0  # for activations, at 512 px
    assert promised < 10.0
    assert drawing + large["t5"] > 12.0  # so it is of use that T5 leaves


def test_t5_has_left_the_card_before_the_transformer_is_read(spec, monkeypatch):
    events: list[str] = []
    read = family.from_here

    def spy(kind, spec, **options):
        name = options.get("subfolder", "the rest")
        events.append(name)
        part = read(kind, spec, **options)
        if name == "text_encoder_2":
            to = part.to
            monkeypatch.setattr(part, "to", lambda place: events.append(f"T5 to {place}") or to(place), raising=False)
        return part

    monkeypatch.setattr(family, "from_here", spy)
    monkeypatch.setattr(loading, "from_here", spy)
    heard: list[Progress] = []
    loaded = Flux.load(spec, "cpu", Report(spec, heard.append))
    assert events[:4] == ["text_encoder_2", "T5 to cpu", "transformer", "the rest"]
    assert [(one.stage, one.done, one.total) for one in heard] == [(Stage.READING, done, 3) for done in range(3)]
    assert drawn(loaded).shape == (3, 64, 64, 3)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_quantising_is_stopped_between_two_parts_and_leaves_nothing(spec, bitsandbytes_on_the_cpu, most):
    four_bits = replace(spec, quantization="nf4")
    heard: list[Progress] = []
    with pytest.raises(Cancelled):
        Flux.load(four_bits, "cpu", Report(four_bits, heard.append, lambda: len(heard) > most))
    assert [(one.stage, one.done) for one in heard] == [(Stage.CONVERTING, done) for done in range(most + 1)]
    assert not list(kept_folder(four_bits).parent.glob("*/"))


def pixels_of(flux: Flux, prompt: str) -> np.ndarray:
    return np.stack([picture.pixels for picture in flux.generate(request_for(flux.spec, prompt=prompt))])


def drawn(flux: Flux) -> np.ndarray:
    return np.stack([picture.pixels for picture in flux.generate(request_for(flux.spec))]).astype(int)


def test_what_was_quantised_once_is_kept(spec, bitsandbytes_on_the_cpu, monkeypatch, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(spec.source, source)
    four_bits = replace(spec, source=str(source), quantization="nf4")
    first = drawn(Flux.load(four_bits, "cpu"))
    folder = kept_folder(four_bits)
    sizes = [sum(file.stat().st_size for file in (where / "transformer").iterdir()) for where in (folder, source)]
    assert sizes[0] < sizes[1] / 3
    shutil.rmtree(source / "transformer")  # the source is not read again
    assert np.array_equal(drawn(Flux.load(four_bits, "cpu")), first)
    # So a folder that others quantised, in the layout of diffusers, is read as it is.
    assert np.array_equal(drawn(Flux.load(replace(spec, source=str(folder)), "cpu")), first)
    os.utime(source / "model_index.json", (1, 1))
    assert kept_folder(four_bits) != folder  # another source, another folder


def test_it_draws_all_the_same_where_nothing_can_be_kept(spec, bitsandbytes_on_the_cpu, caplog):
    four_bits = replace(spec, quantization="nf4")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))  # as if the disk were full
    try:
        assert drawn(Flux.load(four_bits, "cpu")).shape == (3, 64, 64, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "quantised anew at each start" in caplog.text
    assert not list(kept_folder(four_bits).parent.glob("*/"))


def test_without_bitsandbytes_it_says_what_to_install(spec, monkeypatch):
    monkeypatch.setattr("generation.pipelines.quantization.find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match=r"pip install -e '\.\[cuda\]'"):
        Flux.load(replace(spec, quantization="nf4"), "cpu")
