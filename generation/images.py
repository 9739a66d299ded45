"""From pixels to files."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo

THUMBNAIL_SIDE = 256
# A picture whose pixels hardly differ is a failed one: a black or grey square, not something to rate.
NEARLY_CONSTANT = 2.0 / 255
PLAIN = "The model drew a plain square: try another prompt or a smaller Delta Scale."
# Level 1 takes an eighth of the default's time for files a tenth larger.
PNG_LEVEL = 1
# Pictures encoded at once: Pillow lets go of the interpreter's lock while it compresses.
THREADS = min(4, os.cpu_count() or 1)


def is_plain(darkest: float, brightest: float) -> bool:
    """Whether a picture with these extremes, in 0..1, shows nothing."""
    return brightest - darkest < NEARLY_CONSTANT


@dataclass(frozen=True)
class Files:
    """What is kept of a picture: a PNG file, and a WebP file of at most 256 px a side."""

    png: bytes
    thumbnail: bytes


def encode(pixels: npt.NDArray[np.uint8], texts: Mapping[str, str] | None = None) -> Files:
    """uint8 [H, W, 3] -> both files; `texts` as in to_png."""
    return Files(to_png(pixels, texts), to_thumbnail(pixels))


def to_png(pixels: npt.NDArray[np.uint8], texts: Mapping[str, str] | None = None) -> bytes:
    """uint8 [H, W, 3] -> a PNG file, with a text chunk for each of `texts`, by its keyword."""
    info = PngInfo()
    for keyword, text in (texts or {}).items():
        info.add_text(keyword, text)  # in the older kind of chunk where its letters allow it: some read that one only
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=PNG_LEVEL, pnginfo=info)
    return buffer.getvalue()


def to_thumbnail(pixels: npt.NDArray[np.uint8]) -> bytes:
    """uint8 [H, W, 3] -> a WebP file of at most 256 px a side."""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=88, method=0)
    return buffer.getvalue()
