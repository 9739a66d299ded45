"""`manage.py train_bundled` says what it lacks in one sentence, before it has done anything."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from generation.bundled.training import common


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / common.FOLDER
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("option", ["--minutes=0", "--minutes=-1", "--minutes=nan", "--minutes=inf", "--seed=-1"])
@pytest.mark.parametrize("part", ["distil", "classifier"])
def test_odd_numbers(part: str, option: str) -> None:
    with pytest.raises(CommandError, match=option.split("=", maxsplit=1)[0]):
        call_command("train_bundled", part, option)


def test_a_report_that_could_not_be_written_is_not_begun() -> None:
    with pytest.raises(CommandError, match="there is no folder missing: make it first"):
        call_command("train_bundled", "report", "--json=missing/report.json")


@pytest.mark.parametrize("part", ["distil", "diffusion", "export"])
def test_what_comes_first_is_named(folder: Path, part: str) -> None:
    (folder / "siglip.pt").touch()
    with pytest.raises(CommandError, match=r"There is no data/train/.*\.pt yet: train that part first."):
        call_command("train_bundled", part)


def test_of_two_models_neither_is_written_where_one_is_missing() -> None:
    with pytest.raises(CommandError, match="train siglip, or export --only diffusion"):
        call_command("train_bundled", "export")


def test_a_damaged_checkpoint_is_named(folder: Path) -> None:
    (folder / "vae.pt").write_bytes(b"PK")
    with pytest.raises(CommandError, match=r"data/train/vae.pt is damaged, .*: delete it, and run this again."):
        call_command("train_bundled", "distil")
