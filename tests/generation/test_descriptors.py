"""Visual descriptors: what they say of pictures that are made for it."""

import numpy as np
import pytest

from generation.descriptors import describe


def flat(side: int = 32) -> np.ndarray:
    return np.full((side, side, 3), 51, np.uint8)


def one(picture: np.ndarray) -> dict[str, np.ndarray]:
    return {name: rows[0].reshape(8, 8, -1) for name, rows in describe([picture]).items() if name != "highlights"}


def test_colours_are_the_means_of_the_cells():
    picture = flat()
    picture[:4, 4:8] = (255, 0, 0)
    colours = one(picture)["colours"]
    assert colours[0, 1] == pytest.approx([1, 0, 0])
    assert np.allclose(np.delete(colours.reshape(64, 3), 1, axis=0), 0.2)


def test_balance_is_what_differs_within_a_row_of_cells():
    picture = flat()
    picture[:16] = 200  # all of the upper half: not left and right
    assert np.allclose(one(picture)["balance"], 0, atol=1e-6)
    picture[:, :16] = 250
    balance = one(picture)["balance"][..., 0]
    assert (balance[:, :4] > 0).all()
    assert (balance[:, 4:] < 0).all()


def test_detail_is_where_neighbours_differ():
    picture = flat()
    picture[::2, :16] = 250
    detail = one(picture)["detail"][..., 0]
    assert (detail[:, :4] > 0.2).all()
    assert np.allclose(detail[:, 5:], 0, atol=1e-6)


def test_highlights_are_where_the_brightest_pixels_are():
    picture = flat(80)
    picture[20:30, 50:60] = 250  # a few pixels more than are taken
    picture[70:80, 0:10] = 90  # darker than those above
    above, left, above_below, left_below = np.split(describe([picture])["highlights"][0], 4)
    assert above == pytest.approx([0, 0, 0, 0, 0.5, 1, 1], abs=0.05)  # of the upper 40 rows all is in 20 to 30
    assert left == pytest.approx([0, 0, 0, 0, 0, 1, 1], abs=0.05)
    assert above_below == pytest.approx([0, 0, 0, 0, 0, 0, 0.5], abs=0.05)
    assert left_below == pytest.approx([1] * 7)


@pytest.mark.parametrize("size", [(8, 8), (9, 31), (128, 100)])
def test_every_size_has_as_many_numbers(size):
    rng = np.random.default_rng(0)
    looks = describe(list(rng.integers(0, 256, (3, *size, 3), dtype=np.uint8)))
    assert {name: rows.shape for name, rows in looks.items()} == {
        "colours": (3, 192),
        "balance": (3, 64),
        "detail": (3, 64),
        "highlights": (3, 28),
    }
    assert all(np.isfinite(rows).all() and rows.dtype == np.float32 for rows in looks.values())


def test_a_mean_is_the_mean_however_the_cells_fall():
    picture = np.random.default_rng(1).integers(0, 256, (19, 8, 3), dtype=np.uint8)
    colours = one(picture)["colours"]
    assert colours[7, 0] == pytest.approx(picture[16:19, 0].mean(0) / 255, abs=1e-5)
    assert colours[1, 3] == pytest.approx(picture[2:4, 3].mean(0) / 255, abs=1e-5)


def test_no_pictures_have_no_looks():
    assert describe([]) == {}
