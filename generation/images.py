"""From pixels to files."""

import json
import os
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo

THUMBNAIL_SIDE = 256
# Level 1 takes an eighth of the default's time for files a tenth larger.
PNG_LEVEL = 1
# Pictures encoded at once: Pillow lets go of the interpreter's lock while it compresses.
THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Files:
    """What is kept of a picture: a PNG file, and a WebP file of at most 256 px a side."""

    png: bytes
    thumbnail: bytes


def encode(pixels: npt.NDArray[np.uint8], settings: dict[str, Any] | None = None) -> Files:
    """uint8 [H, W, 3] -> both files; `settings` as in to_png."""
    return Files(to_png(pixels, settings), to_thumbnail(pixels))


def to_png(pixels: npt.NDArray[np.uint8], settings: dict[str, Any] | None = None) -> bytes:
    """uint8 [H, W, 3] -> a PNG file; `settings` go into its text chunk “parameters” as JSON."""
    info = PngInfo()
    if settings is not None:
        info.add_itxt("parameters", json.dumps(settings, ensure_ascii=False))
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
