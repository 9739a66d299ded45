"""Hidden tastes that are read off the picture: light and places by its pixels, meaning by the image encoder."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from generation.bundled.scenes import paint, sample_scene
from generation.descriptors import LUMINANCE
from generation.encoders import Siglip

Pictures = NDArray[np.uint8]  # [n, H, W, 3]
Floats = NDArray[np.float64]
Taste = Callable[[Pictures], Floats]  # utility [n] of pictures

TEXTS = (
    "palms in a desert at sunset",
    "a house in the snow",
    "snowy mountains at night",
    "the sea with clouds at noon",
)
BRIGHTEST = 0.02  # share of the sky's pixels that are taken for the sun or moon


def luminance(pictures: Pictures) -> Floats:
    """[n, H, W], by ITU-R BT.601, 0 to 255."""
    return np.asarray(pictures @ np.array(LUMINANCE))


def warm(pictures: Pictures) -> Floats:
    """More red than blue."""
    means = pictures.mean((1, 2))
    return np.asarray(means[:, 0] - means[:, 2])


def bright(pictures: Pictures) -> Floats:
    """Light rather than dark."""
    return np.asarray(luminance(pictures).mean((1, 2)))


def light_on_the_left(pictures: Pictures) -> Floats:
    """The left half brighter than the right one."""
    light, middle = luminance(pictures), pictures.shape[2] // 2
    return np.asarray(light[:, :, :middle].mean((1, 2)) - light[:, :, middle:].mean((1, 2)))


def busy(pictures: Pictures) -> Floats:
    """Many edges."""
    light = luminance(pictures)
    return np.asarray(np.abs(np.diff(light, axis=1)).mean((1, 2)) + np.abs(np.diff(light, axis=2)).mean((1, 2)))


def low_sun(pictures: Pictures) -> Floats:
    """What is brightest in the upper half stands low: its mean row."""
    sky = luminance(pictures)[:, : pictures.shape[1] // 2].reshape(len(pictures), -1)
    count = max(1, round(BRIGHTEST * sky.shape[1]))
    brightest = np.argpartition(-sky, count - 1, axis=1)[:, :count]
    return np.asarray((brightest // pictures.shape[2]).mean(axis=1))


PIXELS: dict[str, Taste] = {
    "warm": warm,
    "bright": bright,
    "light on the left": light_on_the_left,
    "busy": busy,
    "low sun": low_sun,
}
TEXT, PICTURE = "like a text", "like a picture"
TASTES = (*PIXELS, TEXT, PICTURE)


def contrasts(pictures: Pictures) -> Floats:
    """Light and dark far apart."""
    return np.asarray(luminance(pictures).std((1, 2)))


def green(pictures: Pictures) -> Floats:
    """More green than red and blue."""
    means = pictures.mean((1, 2))
    return np.asarray(means[:, 1] - (means[:, 0] + means[:, 2]) / 2)


def bright_middle(pictures: Pictures) -> Floats:
    """The middle brighter than the whole."""
    light = luminance(pictures)
    high, wide = light.shape[1] // 4, light.shape[2] // 4
    return np.asarray(light[:, high:-high, wide:-wide].mean((1, 2)) - light.mean((1, 2)))


# Nothing was chosen by these: they show what the learner does with a taste that nobody thought of.
UNFORESEEN: dict[str, Taste] = {"contrasts": contrasts, "green": green, "bright middle": bright_middle}


def taste_of(name: str, seed: int, encoder: Siglip) -> Taste:
    """The taste of a person: which text or picture it is about depends on `seed`; these need the image encoder."""
    of_pixels = PIXELS | UNFORESEEN
    if name in of_pixels:
        return of_pixels[name]
    if name == TEXT:
        wanted = encoder.embed_texts([TEXTS[seed % len(TEXTS)]])[0]
    else:
        rng = np.random.default_rng([seed, 5])
        wanted = encoder.embed_images([paint(sample_scene(rng), rng)])[0]
    return lambda pictures: np.asarray(encoder.embed_images(list(pictures)) @ wanted, np.float64)
