from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest

from generation.bundled.brushes import PIXELS
from generation.bundled.captions import WORDING, caption, phrases
from generation.bundled.scenes import CHOICES, Scene, paint, paint_many, sample_scene
from generation.bundled.vocabulary import WORDS


def test_a_seed_fixes_pictures_and_scenes() -> None:
    pictures, scenes = paint_many(3, 7)
    again, same = paint_many(3, 7)
    assert pictures.shape == (3, PIXELS, PIXELS, 3)
    assert np.array_equal(pictures, again)
    assert scenes == same
    assert not np.array_equal(pictures, paint_many(3, 8)[0])


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in CHOICES for value in CHOICES[name]])
def test_every_value_of_every_attribute_can_be_painted(name: str, value: str) -> None:
    plain = {name: values[0] for name, values in CHOICES.items()}
    picture = paint(Scene(**{**plain, name: value}), np.random.default_rng(1))
    assert picture.dtype == np.uint8
    assert picture.std() > 5


def test_sampling_reaches_every_value() -> None:
    rng = np.random.default_rng(0)
    seen = Counter(item for _ in range(300) for item in asdict(sample_scene(rng)).items())
    assert set(seen) == {(name, value) for name, values in CHOICES.items() for value in values}


def test_a_full_caption_names_every_attribute() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        scene = sample_scene(rng)
        text = caption(scene, rng, named=1.0)
        for name, value in asdict(scene).items():
            bare = [phrase.removeprefix("the ").removeprefix("a ") for phrase in WORDING[name][value]]
            assert any(phrase in text for phrase in bare), (name, value, text)


def test_captions_leave_things_out_and_use_known_words_only() -> None:
    rng = np.random.default_rng(3)
    scene = sample_scene(rng)
    texts = {caption(scene, rng) for _ in range(100)}
    assert len(texts) > 20
    assert {word.strip(",") for text in texts for word in text.split()} <= set(WORDS)


def test_all_wording_is_in_the_vocabulary() -> None:
    wording = [phrase for values in WORDING.values() for choices in values.values() for phrase in choices]
    unknown = {word for phrase in wording for word in phrase.split()} - set(WORDS)
    assert unknown == set()


def test_what_an_even_caption_leaves_out_tells_nothing() -> None:
    rng = np.random.default_rng(4)
    scenes = [sample_scene(rng) for _ in range(4000)]
    unstyled = [scene.style for scene in scenes if "style" not in phrases(scene, rng, 0.6, evenly=True)]
    natural = sum(scene.style == "natural" for scene in scenes) / len(scenes)
    assert abs(unstyled.count("natural") / len(unstyled) - natural) < 0.05
    as_people_say = [scene.style for scene in scenes if "style" not in phrases(scene, rng, 0.6)]
    assert as_people_say.count("natural") / len(as_people_say) > natural + 0.1
