"""The benchmark with pictures: tastes that see what they say, sessions that can be run again, a check that can fail."""

import numpy as np
import pytest

from generation import registry
from generation.bundled.scenes import Scene, paint
from generation.encoders import Siglip
from ipo_site.benchmarks.learning import pictures, tastes
from ipo_site.benchmarks.learning.studio import Studio
from ipo_site.benchmarks.learning.trial import OURS

PALMS = Scene("sunset", "desert", "none", "palms", "none", "none", "natural")
NIGHT = Scene("night", "snow", "tall", "pines", "house", "none", "natural")


def flat(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((32, 32, 3), (red, green, blue), np.uint8)


def with_light(rows: slice, columns: slice) -> np.ndarray:
    picture = flat(20, 20, 20)
    picture[rows, columns] = 250
    return picture


def chequered() -> np.ndarray:
    return (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)


@pytest.mark.parametrize(
    ("taste", "liked", "other"),
    [
        ("warm", flat(200, 90, 30), flat(30, 90, 200)),
        ("bright", flat(200, 200, 200), flat(60, 60, 60)),
        ("light on the left", with_light(slice(None), slice(0, 8)), with_light(slice(None), slice(24, 32))),
        ("busy", chequered(), flat(128, 128, 128)),
        ("low sun", with_light(slice(12, 15), slice(10, 14)), with_light(slice(1, 4), slice(10, 14))),
        ("contrasts", with_light(slice(0, 16), slice(None)), flat(200, 200, 200)),
        ("green", flat(60, 160, 60), flat(160, 160, 60)),
        ("bright middle", with_light(slice(12, 20), slice(12, 20)), with_light(slice(0, 8), slice(0, 8))),
    ],
)
def test_a_taste_likes_what_it_says(taste: str, liked: np.ndarray, other: np.ndarray):
    utility = (tastes.PIXELS | tastes.UNFORESEEN)[taste](np.stack([other, liked]))
    assert utility.shape == (2,)
    assert utility[1] > utility[0]


def test_tastes_of_the_encoder_know_their_text_and_their_picture():
    encoder = Siglip.load(str(registry.WEIGHTS / "pocket-siglip"))
    rng = np.random.default_rng(0)
    shown = np.stack([paint(PALMS, rng), paint(NIGHT, rng)])
    assert tastes.TEXTS[0] == "palms in a desert at sunset"
    assert np.argmax(tastes.taste_of(tastes.TEXT, 0, encoder)(shown)) == 0
    assert np.argmax(tastes.taste_of(tastes.TEXT, 2, encoder)(shown)) == 1  # snowy mountains at night
    one, same, another = (tastes.taste_of(tastes.PICTURE, seed, encoder)(shown) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.allclose(one, another)


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio(20)


@pytest.mark.parametrize("space", pictures.SPACES)
@pytest.mark.parametrize("arm", pictures.ARMS)
def test_a_session_can_be_run_again(studio: Studio, space: str, arm: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pictures, "BATCHES", 2)
    first = pictures.run_session(space, "warm", arm, 3, studio)
    assert pictures.key(first) == (space, "warm", arm, 3)
    assert len(first["percentiles"]) == len(first["contrast"]) == 3
    assert all(0 <= value <= 1 for value in first["percentiles"])
    assert min(first["contrast"]) > 0.001  # not the same picture eight times
    if arm == OURS:
        assert pictures.run_session(space, "warm", arm, 3, studio) == first


def test_every_arm_meets_the_same_first_batch_and_ours_learns_in_pictures(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pictures, "BATCHES", 3)
    ours = pictures.run_session("latent", "warm", OURS, 3, studio)
    random = pictures.run_session("latent", "warm", "random", 3, studio)
    assert ours["percentiles"][0] == random["percentiles"][0]
    assert ours["percentiles"][-1] > random["percentiles"][-1]


def test_who_is_told_the_utility_gets_further_than_chance(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pictures, "TOLD", 30)
    told = pictures.run_told("pooled_embed", "warm", pictures.KNOWS, 3, studio)
    assert pictures.key(told) == ("pooled_embed", "warm", pictures.KNOWS, 3)
    assert told["percentiles"][-1] > told["percentiles"][0]


def record(space: str, after: float, arm: str = OURS, seed: int = 10) -> dict:
    curve = [0.5] * 5 + [after] * 6
    return {"space": space, "taste": "warm", "arm": arm, "seed": seed, "percentiles": curve, "contrast": [0.1] * 11}


def test_the_check_fails_where_pictures_are_not_good_enough_or_missing():
    assert pictures.missed([record(space, 0.995) for space in pictures.SPACES]) == []
    problems = pictures.missed([record("latent", 0.96)])
    assert len(problems) == 1
    assert len(pictures.missed([record("pooled_embed", 0.995)])) == 2
    assert "0.960 after 10" in problems[0]
    assert "| latent | all | ours | 1 | 0.500 | 0.960 | 0.960 | 0.100 |" in pictures.table([record("latent", 0.96)])
    unforeseen = record("latent", 0.6) | {"taste": "green"}
    assert pictures.missed([record("latent", 0.995), unforeseen]) == []
    assert "| latent | all | ours | 1 | 0.500 | 0.995 |" in pictures.table([record("latent", 0.995), unforeseen])


def test_the_people_reported_on_are_not_those_that_settings_were_chosen_by():
    wanted = pictures.jobs(quick=False)
    assert min(job[3] for job in wanted) >= pictures.TUNED_ON
    ours = [job for job in wanted if job[2] == OURS and job[:2] == ("latent", "warm")]
    assert len(ours) == len(set(ours)) == 20


def test_the_check_names_an_arm_whose_pictures_are_better_than_ours():
    seeds = range(10, 14)
    ours = [record("latent", 0.995 + seed / 1e5, seed=seed) for seed in seeds]
    rival = [record("latent", 0.998, "our Ridge", seed) for seed in seeds]
    told = [record("latent", 0.999, pictures.KNOWS, seed) for seed in seeds]
    assert pictures.missed(ours + told) == []
    assert [problem[:35] for problem in pictures.missed(ours + rival)] == ["our Ridge is ahead of ours in laten"] * 2
    assert pictures.missed(ours + rival[:1]) == []  # of one session nothing follows
