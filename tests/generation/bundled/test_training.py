"""The trainings at the size of seconds: that they learn, resume and fit together; how well is the report's business."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from generation.bundled.architecture import POCKET, build_vae
from generation.bundled.scenes import CHOICES, Scene
from generation.bundled.training import common
from generation.bundled.training.card import BEGIN, END, write_card
from generation.bundled.training.classifier import Classifier
from generation.bundled.training.report import CEILINGS, FLOORS, entropy, missed, summary
from generation.bundled.training.siglip import agree, scene_codes, sigmoid_loss
from generation.bundled.training.text import build_reader
from generation.bundled.training.vae import encode, fit_components, fold_normalisation, gradient_loss, project
from generation.bundled.vocabulary import build_tokenizer

PLAIN = {name: values[0] for name, values in CHOICES.items()}


def line_loss(model: torch.nn.Linear):
    def loss(moment: common.Moment) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.from_numpy(moment.rng.standard_normal((16, 1), dtype=np.float32))
        error = (model(x) - 3 * x).square().mean()
        return error, error

    return loss


def test_a_training_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    model = torch.nn.Linear(1, 1)
    path = common.train("line", model, line_loss(model), minutes=0.02, rate=0.05, folder=tmp_path)
    assert path.exists()
    assert not path.with_suffix(".partial").exists()
    assert model.weight.item() == pytest.approx(3, abs=0.3)
    again = torch.nn.Linear(1, 1)
    steps = common.load_average("line", again, tmp_path)
    assert again.weight.item() == pytest.approx(3, abs=0.3)
    fresh = torch.nn.Linear(1, 1)
    firsts: list[int] = []

    def watched(moment: common.Moment) -> tuple[torch.Tensor, torch.Tensor]:
        firsts.append(moment.step)
        return line_loss(fresh)(moment)

    common.train("line", fresh, watched, minutes=0.005, rate=0.05, folder=tmp_path)
    assert firsts[0] == steps + 1
    assert fresh.weight.item() == pytest.approx(3, abs=0.3)


def test_weights_that_are_not_there_are_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="line"):
        common.load_average("line", torch.nn.Linear(1, 1), tmp_path)


def test_pictures_are_painted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "SHARD_SIZE", 3)
    pictures, scenes = common.load_pictures(tmp_path, (1, 2))
    again, same = common.load_pictures(tmp_path, (1, 2))
    assert pictures.shape == (6, 128, 128, 3)
    assert scenes == same
    assert np.array_equal(pictures, again)
    (tmp_path / "pictures-1.npy").unlink()  # one of two files alone is no shard
    assert np.array_equal(common.load_pictures(tmp_path, (1, 2))[0], pictures)
    assert not list(tmp_path.glob("*.partial"))
    for name in ("pictures-1.npy", "scenes-1.json"):
        file = tmp_path / name
        file.write_bytes(file.read_bytes()[:50])
        with pytest.raises(common.Damaged, match=name):
            common.load_pictures(tmp_path, (1, 2))
        file.unlink()
        common.load_pictures(tmp_path, (1, 2))


@pytest.mark.parametrize("content", [b"", b"PK", None], ids=["empty", "cut off", "of another part"])
def test_a_damaged_checkpoint_says_so(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        common.train(
            "line", torch.nn.Linear(2, 1), line_loss(torch.nn.Linear(1, 1)), minutes=0.001, rate=0.1, folder=tmp_path
        )
    else:
        (tmp_path / "line.pt").write_bytes(content)
    with pytest.raises(common.Damaged, match="delete it"):
        common.load_average("line", torch.nn.Linear(1, 1), tmp_path)
    model = torch.nn.Linear(1, 1)
    with pytest.raises(common.Damaged, match="delete it"):
        common.train("line", model, line_loss(model), minutes=0.001, rate=0.1, folder=tmp_path)


def test_a_file_that_was_not_written_to_its_end_does_not_take_its_name(tmp_path: Path) -> None:
    def write(content: Iterable[bytes]) -> None:
        with common.whole(tmp_path / "file") as out:
            out.writelines(content)

    write([b"before"])
    with pytest.raises(ZeroDivisionError):
        write(b"half" if part else bytes(1 // part) for part in (1, 0))
    assert (tmp_path / "file").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1


def painted(count: int) -> np.ndarray:
    from generation.bundled.scenes import paint_many

    return paint_many(count, 11)[0]


def test_components_have_unit_spread_and_no_mean() -> None:
    pictures = painted(20)
    mean, projection = fit_components(pictures)
    latents = project(common.to_tensor(pictures), mean, projection)
    assert latents.shape == (20, 4, 16, 16)
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(4), atol=1e-2, rtol=0)


def test_folding_scales_the_latents_and_keeps_what_is_decoded() -> None:
    torch.manual_seed(0)
    vae = build_vae(POCKET).eval()
    pictures = painted(4)
    latents = encode(vae, pictures)
    with torch.inference_mode():
        before = vae.decode(latents).sample
        claimed = vae.encode(common.to_tensor(pictures)).latent_dist.logvar
    fold_normalisation(vae, latents)
    folded = encode(vae, pictures)
    torch.testing.assert_close(folded.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(folded.std((0, 2, 3)), torch.ones(4), atol=1e-3, rtol=0)
    with torch.inference_mode():
        torch.testing.assert_close(vae.decode(folded).sample, before, atol=1e-4, rtol=1e-3)
        logvar = vae.encode(common.to_tensor(pictures)).latent_dist.logvar
    spread = latents.std((0, 2, 3))
    torch.testing.assert_close(logvar, claimed - 2 * spread.log()[None, :, None, None], atol=1e-3, rtol=1e-3)


def test_gradient_loss_sees_edges_and_not_brightness() -> None:
    true = torch.zeros(1, 3, 8, 8)
    assert gradient_loss(true + 0.5, true).item() == 0
    edged = true.clone()
    edged[..., 4:] = 1
    assert gradient_loss(edged, true).item() > 0.1


def test_a_caption_is_true_of_every_picture_that_shows_what_it_names() -> None:
    scenes = [Scene(**PLAIN), Scene(**{**PLAIN, "time": "night"}), Scene(**{**PLAIN, "ground": "snow"})]
    codes = torch.from_numpy(scene_codes(scenes))
    named = torch.zeros(3, len(CHOICES), dtype=torch.bool)
    named[0, list(CHOICES).index("time")] = True  # the first names the time, the second all, the third nothing
    named[1] = True
    expected = torch.tensor([[True, False, True], [False, True, False], [True, True, True]])
    assert torch.equal(agree(named, codes, codes), expected)


def test_sigmoid_loss_is_least_where_logits_agree_with_the_truth() -> None:
    true = torch.eye(4, dtype=torch.bool)
    right = torch.where(true, 10.0, -10.0)
    assert sigmoid_loss(right, true) < 0.01 < sigmoid_loss(torch.zeros(4, 4), true) < sigmoid_loss(-right, true)


def test_the_classifier_has_a_head_for_each_attribute() -> None:
    logits = Classifier()(torch.zeros(2, 3, 128, 128))
    assert {name: tuple(part.shape) for name, part in logits.items()} == {
        name: (2, len(values)) for name, values in CHOICES.items()
    }


def test_entropy_is_in_bits() -> None:
    assert entropy(["a", "b", "c", "d"]) == 2
    assert entropy(["a", "a"]) == 0


def test_the_report_names_what_is_missed() -> None:
    good = {**dict.fromkeys(FLOORS, 1.0), **dict.fromkeys(CEILINGS, 0.0)}
    assert missed(good) == []
    assert missed({**good, "adherence time": 0.94}) == ["adherence time is 0.940, it must be at least 0.95"]
    assert missed({**good, "megabytes": 12.5}) == ["megabytes is 12.500, it must be at most 12.0"]
    assert len(missed({})) == len(FLOORS) + len(CEILINGS)
    assert len(missed({**good, "least variety": float("nan")})) == 1
    assert "| adherence time | 1.000 | ≥ 0.95 |" in summary(good)


def test_the_card_keeps_its_words_around_new_figures(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_card(card, "new")
    write_card(card, "newer")
    assert card.read_text() == f"before\n{BEGIN}\nnewer\n{END}\nafter\n"
    card.write_text("no marks")
    with pytest.raises(ValueError, match="no place"):
        write_card(card, "new")
    assert card.read_text() == "no marks"


def test_the_reader_tells_the_words_apart_and_what_is_not_said() -> None:
    reader = build_reader().eval()
    tokens = build_tokenizer(POCKET.words, POCKET.tokens)(
        ["a landscape with tall mountains", "a landscape with no mountains"],
        padding="max_length",
        return_tensors="pt",
    ).input_ids
    logits = reader(tokens)
    assert [part.shape[1] for part in logits] == [len(values) + 1 for values in CHOICES.values()]
    states = reader.encoder(tokens)[0]
    # From the words that differ on, all later states must know of it: a text encoder that has run away does not.
    assert (states[0, 5:] - states[1, 5:]).norm(dim=-1).min() > 0.01 * states[0].norm(dim=-1).mean()
