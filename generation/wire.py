"""How a request travels to the HTTP generation service and its answer comes back, without loss."""

import base64
import binascii
import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from generation import images
from generation.errors import readable
from generation.types import Embedded, EncoderSpec, GenerationRequest, Picture, Pixels, Vectors

# The largest request that the service takes, in three ways. 64 pictures of SD-Turbo at its 512 px, each steered by a
# whole prompt embedding, just fit (27 MB of base64); of FLUX, whose prompts have 13 times the numbers, five do.
MOST_PICTURES = 64
MOST_PIXELS = MOST_PICTURES * 512 * 512  # of all pictures together
MOST_BYTES = 32 * 2**20
MOST_CHARACTERS = 4000  # of a text: far more than an encoder or a model reads
ENVELOPE = 64 * 2**10  # bytes beside the vectors of a request, and beside the pictures of an answer

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

# What Pillow and base64 raise for what is none.
NO_PNG = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


class Unreadable(Exception):
    """What came is not what the other side sends. The message says why, to go into a sentence."""


def is_address(text: str) -> bool:
    """Whether a generation service can have this address: http or https, a host, no more than a path after it."""
    if not text.isascii():  # such a name is written as xn--... by who needs it
        return False
    try:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            return False
    except ValueError:
        return False
    return not ("@" in parts.netloc or parts.query or parts.fragment or any(map(str.isspace, text)))


def most_at_once(request: GenerationRequest) -> int:
    """How many pictures of this request fit into one that the service takes; one at least."""
    of_one = -(-4 * int(request.vectors.shape[1]) // 3) * 4  # in base64
    by_bytes, by_pixels = (MOST_BYTES - ENVELOPE) // of_one, MOST_PIXELS // (request.width * request.height)
    return max(1, min(MOST_PICTURES, by_bytes, by_pixels))


def longest_line(request: GenerationRequest) -> int:
    """Bytes of the pictures of a request as JSON, were they all noise, which a PNG file cannot make smaller."""
    of_one = 3 * request.width * request.height + request.height
    return len(request.vectors) * (of_one * 3 // 2 + ENVELOPE) + ENVELOPE


def to_body(model: str, request: GenerationRequest) -> dict[str, Any]:
    """A request as JSON: its vectors as base64 of little-endian float32, in C order."""
    plain = {name: getattr(request, name) for name in PLAIN}
    return {
        "model_id": model,
        **plain,
        "vectors": from_vectors(request.vectors),
        "previews": request.on_preview is not None,
    }


def from_vectors(vectors: Vectors) -> str:
    """float32 [n, d] -> base64."""
    return base64.b64encode(np.ascontiguousarray(vectors, "<f4").tobytes()).decode()


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
    return {"image_base64": png, "error": picture.error, "revision": picture.revision}


def _is_revision(told: Any) -> bool:
    return isinstance(told, str) and len(told) <= 100 and told.isprintable()


def to_picture(answer: Any, width: int, height: int) -> Picture:
    """The inverse of from_picture. Raises Unreadable for what it did not make, or of another size."""
    if not isinstance(answer, dict):
        raise Unreadable("a picture is no object")
    revision = answer.get("revision", "")  # an older service does not know it
    if not _is_revision(revision):
        revision = ""  # no reason to lose a picture
    if answer.get("image_base64") is None:
        return Picture(None, to_text(answer.get("error")), revision)
    pixels = to_pixels(answer)
    if pixels.shape[:2] != (height, width):
        raise Unreadable(f"a picture has {pixels.shape[1]} x {pixels.shape[0]} pixels instead of {width} x {height}")
    if images.is_plain(pixels.min() / 255, pixels.max() / 255):
        return Picture(None, images.PLAIN, revision)
    return Picture(pixels, revision=revision)


def to_pixels(answer: Any, most: int = MOST_PIXELS) -> Pixels:
    """Of a picture that there is, of no more than `most` pixels. Raises Unreadable."""
    text = answer.get("image_base64") if isinstance(answer, dict) else None
    if not isinstance(text, str):
        raise Unreadable("a picture is no text")
    try:
        # Its size stands at the beginning: nothing is unpacked that is too large.
        image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=("PNG",))
        if image.width * image.height > most:
            raise Unreadable("a picture is too large")
        return np.asarray(image.convert("RGB"))
    except NO_PNG as error:
        raise Unreadable("a picture is no PNG file") from error


def in_parts(pictures: Sequence[Pixels]) -> Iterator[list[dict[str, Any]]]:
    """Pictures as JSON, as many in a part as the service takes at once; one that is too large is a part of its own.

    One part at least, which is empty where there are no pictures.
    """
    part: list[dict[str, Any]] = []
    characters, area = 0, 0
    for pixels in pictures:
        one = from_picture(Picture(pixels))
        more, wider = len(one["image_base64"]), pixels.shape[0] * pixels.shape[1]
        is_full = len(part) == MOST_PICTURES or characters + more > MOST_BYTES - ENVELOPE or area + wider > MOST_PIXELS
        if part and is_full:
            yield part
            part, characters, area = [], 0, 0
        part.append(one)
        characters, area = characters + more, area + wider
    yield part


def from_embedded(seen: Embedded) -> dict[str, Any]:
    """As JSON: which encoder it was, and its vectors as those of a request."""
    return {"encoder": seen.encoder, "revision": seen.revision, "vectors": from_vectors(seen.vectors)}


def to_embedded(answer: dict[str, Any], encoder: EncoderSpec, count: int) -> Embedded:
    """The inverse of from_embedded. Raises Unreadable for what is not `count` unit vectors of this encoder."""
    revision, text = answer.get("revision"), answer.get("vectors")
    if answer.get("encoder") != encoder.key:
        raise Unreadable("another encoder read them")
    if not _is_revision(revision) or not revision:
        raise Unreadable("the encoder's revision is no text")
    if not isinstance(text, str):
        raise Unreadable("the vectors are no text")
    try:
        numbers = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
    except (binascii.Error, ValueError) as error:
        raise Unreadable("the vectors are no numbers") from error
    if len(numbers) != count * encoder.dimension:
        raise Unreadable(f"there are {len(numbers)} numbers instead of {count} x {encoder.dimension}")
    vectors = numbers.astype(np.float32).reshape(count, encoder.dimension)
    with np.errstate(over="ignore"):
        if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < 1e-3).all():  # which no NaN is
            raise Unreadable("the vectors are no unit vectors")
    return Embedded(vectors, encoder.key, revision)


def to_text(value: Any, most: int = 500) -> str:
    """A sentence that a server says, as far as one can be. Raises Unreadable if it is none."""
    if not isinstance(value, str):
        raise Unreadable("a sentence is no text")
    return readable(value if len(value) <= most else f"{value[:most]}…")
