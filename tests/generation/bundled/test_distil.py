"""Few steps from many: the pieces of a path, and a training of seconds from teacher to exported student."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from generation.bundled.architecture import TINY, build_pipeline
from generation.bundled.training import distil
from generation.bundled.training.common import Damaged

SIDE = TINY.pixels // 8


@pytest.fixture
def pieces() -> distil.Pieces:
    return distil.Pieces.of(distil.build_scheduler())


def noise(count: int, seed: int) -> torch.Tensor:
    return torch.randn((count, 4, SIDE, SIDE), generator=torch.Generator().manual_seed(seed))


def test_any_number_of_steps_is_even_in_log_of_signal_over_noise() -> None:
    scheduler = distil.build_scheduler()
    for steps in (1, 2, 4, 20):
        scheduler.set_timesteps(steps)
        kept = scheduler.alphas_cumprod[scheduler.timesteps.long()].double()
        ratios = 0.5 * torch.log(kept / (1 - kept))
        assert ratios[0].item() == pytest.approx(distil.NOISIEST, abs=1e-3)
        gaps = torch.diff(ratios)
        torch.testing.assert_close(
            gaps, torch.full_like(gaps, (distil.CLEANEST - distil.NOISIEST) / steps), atol=0.01, rtol=0
        )


def test_the_teacher_is_asked_at_moments_that_are_as_noisy() -> None:
    pipe = build_pipeline(TINY)
    at = torch.tensor([999, 749, 499, 249])
    kept = pipe.scheduler.alphas_cumprod[distil.teacher_moments(pipe, at).round().long()]
    theirs = 0.5 * torch.log(kept / (1 - kept))
    torch.testing.assert_close(theirs.double(), distil.log_ratio(at.double()), atol=0.05, rtol=0)


def test_one_step_leads_from_an_end_of_a_piece_to_the_other(pieces: distil.Pieces) -> None:
    piece = torch.tensor([0, 1, 2, 3])
    latents, following = noise(4, 1), noise(4, 2)
    moved = pieces.step(piece, latents, pieces.wanted(piece, latents, following))
    torch.testing.assert_close(moved, following, atol=1e-4, rtol=1e-4)


def test_what_is_trained_is_what_the_scheduler_does(pieces: distil.Pieces) -> None:
    scheduler = distil.build_scheduler()
    scheduler.set_timesteps(distil.STUDENT_STEPS)
    for number, moment in enumerate(scheduler.timesteps):
        latents, velocity, piece = noise(2, number), noise(2, 10 + number), torch.full((2,), number)
        ours = pieces.step(piece, latents, pieces.clean(piece, latents, velocity))
        torch.testing.assert_close(ours, scheduler.step(velocity, moment, latents).prev_sample, atol=1e-4, rtol=1e-4)


def test_captions_are_drawn_as_for_the_teacher() -> None:
    texts = distil.sample_captions(300, np.random.default_rng(0))
    assert texts == distil.sample_captions(300, np.random.default_rng(0))
    assert 10 < texts.count("") < 60
    assert len(set(texts)) > 150


def test_from_a_teacher_to_a_student_that_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distil, "SHARDS", range(2))
    monkeypatch.setattr(distil, "SHARD", 3)
    monkeypatch.setattr(distil, "FIT_STEPS", 10)
    monkeypatch.setattr(distil, "WHOLE_WAY", 0.0)
    build_pipeline(TINY).save_pretrained(tmp_path / "teacher")
    teacher = distil.load_teacher(tmp_path)
    paths = distil.load_paths(teacher, tmp_path)
    assert paths["latents"].shape == (6, distil.STUDENT_STEPS + 1, 4, SIDE, SIDE)
    assert len(paths["tokens"]) == 6
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "teacher").glob("paths-*.pt")}
    assert distil.train_distil(0.02, folder=tmp_path) == tmp_path / f"{distil.name_of(tmp_path)}.pt"
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "teacher").glob("paths-*.pt")} == kept  # drawn once
    distil.export(tmp_path / "student", tmp_path)
    assert not [file for file in (tmp_path / "student").rglob("*.json") if str(tmp_path) in file.read_text()]
    student = StableDiffusionPipeline.from_pretrained(tmp_path / "student", dtype=torch.float32)
    student.set_progress_bar_config(disable=True)
    begin = noise(1, 3)
    drawn = student("a meadow", latents=begin, num_inference_steps=4, guidance_scale=1.0, output_type="latent").images
    assert drawn.shape == begin.shape
    assert not torch.equal(student.unet.conv_out.weight, teacher.unet.conv_out.weight)
    assert torch.equal(student.vae.decoder.conv_out.weight.half(), teacher.vae.decoder.conv_out.weight.half())


def test_a_teacher_that_was_trained_further_takes_the_place_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distil.diffusion, "load_trained", lambda folder: build_pipeline(TINY, seed=2))
    build_pipeline(TINY, seed=1).save_pretrained(tmp_path / "teacher")
    paths = tmp_path / "teacher" / "paths-0.pt"
    paths.touch()
    before = distil.load_teacher(tmp_path).unet.conv_in.weight
    assert paths.exists()
    (tmp_path / "diffusion.pt").touch()
    os.utime(tmp_path / "diffusion.pt", (time.time() + 10, time.time() + 10))
    students = distil.name_of(tmp_path)
    assert not torch.equal(distil.load_teacher(tmp_path).unet.conv_in.weight, before)
    assert not paths.exists()
    assert distil.name_of(tmp_path) != students  # the student of the one before is not drawn with the parts of this one
    with pytest.raises(FileNotFoundError, match=distil.name_of(tmp_path)):
        distil.export(tmp_path / "exported", tmp_path)


@pytest.mark.parametrize("name", ["vae", "text", "diffusion"])
def test_a_newer_part_of_any_kind_makes_a_newer_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(distil.diffusion, "load_trained", lambda folder: build_pipeline(TINY, seed=2))
    build_pipeline(TINY, seed=1).save_pretrained(tmp_path / "teacher")
    before = distil.load_teacher(tmp_path).unet.conv_in.weight
    (tmp_path / f"{name}.pt").touch()
    os.utime(tmp_path / f"{name}.pt", (time.time() + 10, time.time() + 10))
    assert not torch.equal(distil.load_teacher(tmp_path).unet.conv_in.weight, before)


def test_a_teacher_without_its_weights_is_damaged(tmp_path: Path) -> None:
    build_pipeline(TINY).save_pretrained(tmp_path / "teacher")
    for file in (tmp_path / "teacher" / "unet").glob("*.safetensors"):
        file.unlink()
    with pytest.raises(Damaged, match="teacher is damaged"):
        distil.load_teacher(tmp_path)


def test_without_a_teacher_its_parts_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="vae"):
        distil.load_teacher(tmp_path)
