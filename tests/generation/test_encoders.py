import shutil
from pathlib import Path

import numpy as np
import pytest

from generation import registry
from generation.bundled.architecture import POCKET, build_processor, build_siglip
from generation.bundled.vocabulary import build_tokenizer
from generation.encoders import Siglip
from generation.errors import ModelUnavailable


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("siglip")
    tokenizer = build_tokenizer(POCKET.words, POCKET.tokens)
    model = build_siglip(tokenizer, seed=1)
    model.save_pretrained(folder)
    build_processor(tokenizer, model).save_pretrained(folder)
    return folder


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)


def test_pictures_and_texts_become_unit_vectors_of_one_space(folder: Path) -> None:
    encoder = Siglip.load(str(folder))
    images = encoder.embed_images([noise(128, 128), noise(512, 300)])
    texts = encoder.embed_texts(["a meadow", "", "日本 " * 100])
    assert images.shape == (2, encoder.dimension)
    assert texts.shape == (3, encoder.dimension)
    assert images.dtype == texts.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(np.vstack([images, texts]), axis=1), 1, rtol=1e-5)


def test_it_says_which_weights_it_has(folder: Path, tmp_path: Path) -> None:
    own = Siglip.load(str(folder))
    assert own.revision == Siglip.load(str(shutil.copytree(folder, tmp_path / "copy"))).revision
    pocket = registry.ENCODERS["pocket-siglip"]
    bundled = Siglip.load(pocket.source)
    assert bundled.dimension == pocket.dimension
    assert bundled.revision != own.revision


def test_nothing_to_embed_is_no_rows(folder: Path) -> None:
    assert Siglip.load(str(folder)).embed_images([]).shape == (0, 96)


def test_company_does_not_change_a_vector(folder: Path) -> None:
    encoder = Siglip.load(str(folder))
    pictures = [noise(128, 128), noise(64, 64)] + [noise(32, 32)] * 40
    together = encoder.embed_images(pictures)
    np.testing.assert_allclose(together[1], encoder.embed_images(pictures[1:2])[0], atol=1e-5)
    np.testing.assert_allclose(
        encoder.embed_texts(["snow", "a house with pines at night"])[0], encoder.embed_texts(["snow"])[0], atol=1e-5
    )


def test_pictures_need_no_tokenizer(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for file in tmp_path.glob("tokenizer*"):
        file.unlink()
    encoder = Siglip.load(str(tmp_path))
    assert encoder.embed_images([noise(64, 64)]).shape == (1, 96)
    with pytest.raises(ModelUnavailable, match="check the folder"):
        encoder.embed_texts(["snow"])


def test_weights_that_give_no_numbers_are_one_sentence(folder: Path) -> None:
    encoder = Siglip.load(str(folder))
    encoder.model.vision_model.post_layernorm.weight.data.fill_(float("nan"))
    with pytest.raises(ModelUnavailable, match="weights are damaged"):
        encoder.embed_images([noise(64, 64)])


def test_damaged_weights_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ModelUnavailable, match="check the folder"):
        Siglip.load(str(tmp_path))


def test_missing_weights_are_one_sentence_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="check the folder"):
        Siglip.load(str(tmp_path))
