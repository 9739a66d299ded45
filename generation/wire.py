"""How a request travels to the HTTP generation service and its answer comes back, without loss."""

import base64
import binascii
import io
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from generation import images
from generation.types import GenerationRequest, Picture, Pixels, Vectors

# Of a request, by the names that the service knows as well; callbacks stay at home.
PLAIN = (
    "prompt",
    "negative_prompt",
    "space",
    "width",
    "height",
    "steps",
    "guidance",
    "delta_scale",
    "noise_seed",
    "step_seed",
)


def is_address(text: str) -> bool:
    """Whether a generation service can have this address: http or https, a host, no more than a path after it."""
    try:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            return False
    except ValueError:
        return False
    return not ("@" in parts.netloc or parts.query or parts.fragment or any(map(str.isspace, text)))


def to_body(model: str, request: GenerationRequest) -> dict[str, Any]:
    """A request as JSON: its vectors as base64 of little-endian float32, in C order."""
    plain = {name: getattr(request, name) for name in PLAIN}
    vectors = base64.b64encode(np.ascontiguousarray(request.vectors, "<f4").tobytes()).decode()
    return {"model_id": model, **plain, "vectors": vectors, "previews": request.on_preview is not None}


def to_vectors(text: str, dimension: int) -> Vectors:
    """base64 -> float32 [n, dimension], finite. Raises ValueError with one sentence."""
    try:
        numbers = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
    except (binascii.Error, ValueError) as error:
        raise ValueError("must be base64 of whole float32 numbers.") from error
    if not len(numbers) or len(numbers) % dimension:
        raise ValueError(f"must be one or more rows of {dimension} numbers, there are {len(numbers)} numbers.")
    if not np.isfinite(numbers).all():
        raise ValueError("must be finite numbers.")
    return numbers.astype(np.float32).reshape(-1, dimension)


def from_picture(picture: Picture) -> dict[str, Any]:
    """A picture as JSON: a PNG file in base64, or null and the sentence that says why there is none."""
    png = None if picture.pixels is None else base64.b64encode(images.to_png(picture.pixels)).decode()
    return {"image_base64": png, "error": picture.error}


def to_picture(answer: dict[str, Any]) -> Picture:
    """The inverse of from_picture."""
    if answer["image_base64"] is None:
        return Picture(None, answer["error"])
    return Picture(to_pixels(answer))


def to_pixels(answer: dict[str, Any]) -> Pixels:
    """Of a picture that there is."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["image_base64"]))).convert("RGB"))
