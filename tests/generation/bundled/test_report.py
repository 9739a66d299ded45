"""The report on models that know nothing: every figure comes out, and none of them passes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from generation.bundled.architecture import POCKET, build_pipeline, build_processor, build_siglip
from generation.bundled.scenes import CHOICES
from generation.bundled.training import common, report, sheet
from generation.bundled.training.classifier import NAME, Classifier, Judge
from generation.bundled.training.drawer import Drawer
from generation.encoders import Siglip
from generation.registry import BUILTIN

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random weights of all three, where the trainings and exports put theirs."""
    folder = tmp_path_factory.mktemp("untrained")
    pipe = build_pipeline(POCKET)
    pipe.save_pretrained(folder / "model")
    encoder = build_siglip(pipe.tokenizer)
    encoder.save_pretrained(folder / "encoder")
    build_processor(pipe.tokenizer, encoder).save_pretrained(folder / "encoder")
    torch.manual_seed(0)
    model = Classifier()
    parameters = list(model.parameters())
    average = common.EMAModel(parameters, decay=0.9)
    common.save(folder / f"{NAME}.pt", model, torch.optim.AdamW(parameters), average, 1)
    return {"folder": folder, "model": folder / "model", "encoder": folder / "encoder"}


@pytest.fixture(scope="module")
def drawer(untrained: dict[str, Path]) -> Drawer:
    return Drawer.load(replace(BUILTIN["pocket-landscapes"], source=str(untrained["model"]), steps=1))


def test_figures_of_models_that_know_nothing(untrained: dict[str, Path], drawer: Drawer) -> None:
    judge = Judge(untrained["folder"])
    follows = report.adherence(drawer, judge, 6)
    assert set(follows) == {f"adherence {name}" for name in CHOICES}
    assert all(0 <= share <= 1 for share in follows.values())
    varied = report.variety(drawer, judge, 3)
    assert {f"variety {name}" for name in CHOICES} < set(varied)
    assert varied["least variety"] <= min(varied.values())
    found = report.retrieval(Siglip.load(str(untrained["encoder"])), 40)
    assert found["retrieval recall@1"] <= found["retrieval recall@5"] < 0.7
    made = report.reconstruction(drawer, judge, 4)
    assert made["reconstruction L1"] > 0.2
    size = report.megabytes(untrained["model"], untrained["encoder"])
    assert 15 < size < 30  # in float32, twice of what is shipped
    assert report.missed({**follows, **varied, **found, "megabytes": size})


def test_the_same_seed_draws_the_same_picture_whatever_is_drawn_beside_it(drawer: Drawer) -> None:
    few = drawer.draw(["a sea", "snow"], 5)
    more = Drawer(drawer.pipe, drawer.spec, chunk=1).draw(["a sea", "snow"], 5)
    assert few.shape == (2, 128, 128, 3)
    assert np.abs(few.astype(int) - more).max() <= 2
    assert not np.array_equal(few[0], drawer.draw(["a sea"], 6)[0])


def test_the_contact_sheet_has_a_row_a_prompt(drawer: Drawer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "PROMPTS", ("a sea", "snow"))
    sheet.draw_sheet(drawer.spec, tmp_path / "made" / "sheet.png")
    with sheet.Image.open(tmp_path / "made" / "sheet.png") as page:
        assert page.size == (sheet.COLUMNS * 128, 2 * 128)
