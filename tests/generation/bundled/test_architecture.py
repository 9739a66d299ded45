from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from generation.bundled.architecture import POCKET, TINY, build_pipeline
from generation.bundled.vocabulary import WORDS, build_tokenizer


def draw(pipe: StableDiffusionPipeline, prompt: str, seed: int) -> np.ndarray:
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    result = pipe(prompt, num_inference_steps=2, guidance_scale=0.0, generator=generator, output_type="np")
    return result.images[0]


def test_every_known_word_is_one_token() -> None:
    tokenizer = build_tokenizer(WORDS, 32)
    for word in WORDS:
        assert len(tokenizer(word).input_ids) == 3, word


@pytest.mark.parametrize("prompt", ["", "xylophone 日本 🙂 \x00", "a " * 200])
def test_any_prompt_can_be_drawn(prompt: str) -> None:
    image = draw(build_pipeline(TINY), prompt, 1)
    assert image.shape == (64, 64, 3)
    assert np.isfinite(image).all()


def test_a_seed_fixes_the_weights_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two, other = build_pipeline(TINY, 1), build_pipeline(TINY, 1), build_pipeline(TINY, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.unet.conv_in.weight, two.unet.conv_in.weight)
    assert not torch.equal(one.unet.conv_in.weight, other.unet.conv_in.weight)


def test_a_saved_pipeline_draws_the_same(tmp_path: Path) -> None:
    pipe = build_pipeline(TINY, 3)
    pipe.save_pretrained(tmp_path, safe_serialization=True)
    loaded = StableDiffusionPipeline.from_pretrained(tmp_path, dtype=torch.float32)
    assert loaded.tokenizer("a meadow, qx").input_ids == pipe.tokenizer("a meadow, qx").input_ids
    np.testing.assert_allclose(draw(pipe, "a sea at night", 7), draw(loaded, "a sea at night", 7), atol=1e-5)


def test_pocket_has_stable_diffusions_latent_formula_and_a_few_million_parameters() -> None:
    pipe = build_pipeline(POCKET)
    assert pipe.vae_scale_factor == 8
    assert pipe.unet.config.in_channels == 4
    assert pipe.unet.config.sample_size * pipe.vae_scale_factor == POCKET.pixels
    assert 2.5e6 < sum(p.numel() for p in pipe.unet.parameters()) < 4e6
