"""What every family of pipelines promises, in every space; a new family is a new row here."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from generation import spaces
from generation.backends.local import FAMILIES, LocalBackend
from generation.errors import Cancelled, ModelUnavailable
from generation.manager import ModelManager
from generation.types import ModelSpec
from tests.conftest import tiny_vae
from tests.generation import tiny_flux
from tests.generation.requests import pixels, request_for

everywhere = pytest.mark.parametrize("space", spaces.SPACES)


@pytest.fixture(scope="module")
def flux_folder(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("flux")
    tiny_flux.build().save_pretrained(folder, safe_serialization=True)
    return str(folder)


@pytest.fixture(params=FAMILIES)
def spec(request, settings, tiny_model, flux_folder) -> ModelSpec:
    specs: dict[str, Callable[[], ModelSpec]] = {
        "stable_diffusion": lambda: settings.IPO_MODELS[tiny_model],
        "flux": lambda: tiny_flux.spec(flux_folder),
    }
    return specs[request.param]()


@pytest.fixture(scope="module")
def manager() -> ModelManager:
    return ModelManager()


@everywhere
def test_same_request_same_bytes_and_the_vector_steers(manager, spec, space):
    first = pixels(manager, spec, request_for(spec, space))
    assert first.shape == (3, 64, 64, 3)
    assert np.array_equal(first, pixels(manager, spec, request_for(spec, space)))
    assert not np.array_equal(first, pixels(manager, spec, request_for(spec, space, seed=1)))
    assert len({picture.tobytes() for picture in first}) == 3


@everywhere
def test_batch_composition_does_not_matter(manager, spec, space):
    whole = request_for(spec, space)
    together = pixels(manager, spec, whole)
    for row in range(3):
        alone = pixels(manager, spec, replace(whole, vectors=whole.vectors[row : row + 1]))
        assert np.abs(alone[0] - together[row]).max() <= 2


def test_no_delta_is_the_bare_prompt_and_the_prompt_counts(manager, spec):
    def without(space: str, **changes) -> np.ndarray:
        return pixels(manager, spec, request_for(spec, space, n=1, delta_scale=0.0, **changes))

    bare = without("pooled_embed")
    for space in ("pooled_embed", "prompt_embed"):
        zero = request_for(spec, space, n=1)
        zero.vectors[:] = 0
        assert np.array_equal(bare, pixels(manager, spec, zero))
        assert np.array_equal(bare, without(space))
    assert not np.array_equal(bare, without("pooled_embed", prompt="a house"))
    assert not np.array_equal(bare, without("pooled_embed", guidance=spec.guidance + 3))


def test_cancelled_between_steps_and_usable_after(manager, spec):
    steps: list[tuple[int, int]] = []
    stop = request_for(spec, should_stop=lambda: len(steps) == 2, on_step=lambda done, of: steps.append((done, of)))
    with pytest.raises(Cancelled):
        manager.generate(spec, stop)
    assert steps == [(1, 3), (2, 3)]
    assert pixels(manager, spec, request_for(spec)).shape[0] == 3


def test_without_a_gpu_that_it_needs_it_is_not_loaded(manager, spec):
    with pytest.raises(ModelUnavailable, match="needs an NVIDIA GPU"):
        manager.ensure_ready(replace(spec, needs_cuda=True))


def test_previews_show_every_picture_before_the_last_step_and_change_nothing(spec, tmp_path, monkeypatch):
    monkeypatch.setattr("generation.pipelines.previews.SECONDS", 0.0)
    manager, seen = ModelManager(), []
    plain = request_for(spec, n=3)
    shown = replace(plain, on_preview=lambda first, pictures: seen.append((first, np.stack(pictures))))
    with_vae = replace(spec, preview_vae=tiny_vae(str(tmp_path), spec.latent_channels))
    drawn = [picture.pixels for picture in manager.generate_all(with_vae, shown, at_once=2)]
    assert np.array_equal(np.stack(drawn)[:2], pixels(manager, spec, replace(plain, vectors=plain.vectors[:2])))
    assert [(first, len(pictures)) for first, pictures in seen] == [
        (0, 2),
        (0, 2),
        (2, 1),
        (2, 1),
    ]  # two of three steps
    assert {pictures.shape[1:] for _, pictures in seen} == {(64, 64, 3)}
    assert not np.array_equal(seen[0][1], seen[1][1])
    monkeypatch.setattr("generation.pipelines.previews.SECONDS", 60.0)
    seen.clear()
    manager.generate(with_vae, shown)
    assert not seen  # too fast to need any


def test_without_the_tiny_autoencoder_pictures_are_drawn_all_the_same(spec, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("generation.pipelines.previews.SECONDS", 0.0)
    backend, seen = LocalBackend(), []
    request = request_for(spec, on_preview=lambda first, pictures: seen.append(first))
    missing = replace(spec, preview_vae=str(tmp_path / "nowhere"))
    for _ in range(2):
        assert len(backend.generate(missing, request)) == 3
    assert not seen
    assert caplog.text.count("No previews") == 1
