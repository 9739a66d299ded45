"""What the service is sent, and what it answers."""

from typing import Annotated, Any, Literal

import numpy as np
from ninja import Field, Schema
from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from generation.types import Pixels, Vectors
from generation.wire import MOST_CHARACTERS, MOST_PICTURES, MOST_PIXELS, Unreadable, to_pixels

LARGEST = 1e6  # number that steers


def to_vector(numbers: Any) -> Vectors:
    """A list of numbers as float32 [d]: one error for all of them, where pydantic would have one for each.

    Raises PydanticCustomError, which unlike a ValueError does not live on in the answer with all that was sent.
    """
    try:
        vector = np.array(numbers if isinstance(numbers, list) else None, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        vector = np.empty(())
    if vector.ndim != 1 or not (np.abs(vector) <= LARGEST).all():  # which no NaN is
        raise PydanticCustomError("numbers", f"must be a list of numbers from -{LARGEST:.0f} to {LARGEST:.0f}.")
    return vector.astype(np.float32)


def to_vectors(rows: Any) -> list[Vectors]:
    """Raises PydanticCustomError."""
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_PICTURES:
        raise PydanticCustomError("rows", f"must be a list of 1 to {MOST_PICTURES} lists of numbers.")
    return [to_vector(row) for row in rows]


def to_pictures(rows: Any) -> list[Pixels]:
    """As our answers have pictures; one error for all of them, too. Raises PydanticCustomError."""
    if not isinstance(rows, list) or len(rows) > MOST_PICTURES:
        raise PydanticCustomError("pictures", f"must be a list of {MOST_PICTURES} pictures at most.")
    pictures: list[Pixels] = []
    room = MOST_PIXELS
    for number, row in enumerate(rows):
        try:
            pictures.append(to_pixels(row, room))
        except Unreadable as error:
            said = {"number": number, "why": str(error)}
            raise PydanticCustomError("pictures", "number {number}: {why}.", said) from None
        room -= pictures[-1].shape[0] * pictures[-1].shape[1]
    return pictures


def to_texts(rows: Any) -> list[str]:
    """Raises PydanticCustomError."""
    is_list = isinstance(rows, list) and len(rows) <= MOST_PICTURES
    if not is_list or not all(isinstance(row, str) and len(row) <= MOST_CHARACTERS for row in rows):
        raise PydanticCustomError(
            "texts", f"must be a list of {MOST_PICTURES} texts at most, of {MOST_CHARACTERS} characters at most."
        )
    return list(rows)


NUMBER = {"type": "number", "minimum": -LARGEST, "maximum": LARGEST}
ROW = {"type": "array", "items": NUMBER}
ROWS = {"type": "array", "items": ROW, "minItems": 1, "maxItems": MOST_PICTURES}
Row = Annotated[Any, PlainValidator(to_vector), WithJsonSchema(ROW)]
Rows = Annotated[Any, PlainValidator(to_vectors), WithJsonSchema(ROWS)]
PNG = {"type": "object", "properties": {"image_base64": {"type": "string"}}, "required": ["image_base64"]}
PICTURES = {"type": "array", "items": PNG, "maxItems": MOST_PICTURES}
TEXTS = {"type": "array", "items": {"type": "string", "maxLength": MOST_CHARACTERS}, "maxItems": MOST_PICTURES}
Pictures = Annotated[Any, PlainValidator(to_pictures), WithJsonSchema(PICTURES)]
Texts = Annotated[Any, PlainValidator(to_texts), WithJsonSchema(TEXTS)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Side = Annotated[int, Field(ge=64, le=4096)]
Steps = Annotated[int, Field(ge=1, le=200)]
Guidance = Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)]


class Drawing(Schema):
    """What all pictures of a request have in common. What is left out has the model's own default."""

    prompt: str = Field(max_length=MOST_CHARACTERS)
    negative_prompt: str = Field("", max_length=MOST_CHARACTERS)
    embedding_type: Literal["pooled", "latent", "prompt", "text"] = "text"
    width: Side | None = None
    height: Side | None = None
    steps: Steps | None = None
    guidance: Guidance | None = None
    seed: Seed | None = Field(None, description="Of the noise; drawn and reported if left out.")
    delta_scale: Number | None = None


class Generate(Drawing):
    embedding: Row | None = None


class Batch(Drawing):
    embeddings: Rows


class Draw(Schema):
    """One forward pass of one model, whole: what IPO itself sends (generation/wire.py)."""

    model_id: str = Field(max_length=200)
    prompt: str = Field(max_length=MOST_CHARACTERS)
    negative_prompt: str = Field("", max_length=MOST_CHARACTERS)
    space: Literal["latent", "pooled_embed", "prompt_embed"]
    vectors: str = Field(description="Rows of numbers that steer, one a picture: base64 of little-endian float32.")
    width: Side
    height: Side
    steps: Steps
    guidance: Guidance
    delta_scale: Number
    noise_seed: Seed
    step_seed: Seed
    previews: bool = False


class Embed(Schema):
    """Pictures, or texts: PNG files in base64, as /batch and /draw have them."""

    encoder: str = Field(max_length=200)
    images: Pictures = []
    texts: Texts = []


class ModelChoice(Schema):
    model_id: str = Field(max_length=200)


class Health(Schema):
    status: str
    model_loaded: bool
    current_model: str | None


class Model(Schema):
    status: str
    model_id: str | None
    loaded: bool


class Models(Schema):
    models: list[str]


class Loaded(Schema):
    status: str
    model_id: str


class Image(Schema):
    image_base64: str | None = Field(description="A PNG file; null where the model drew none.")
    error: str = ""
    revision: str = Field("", description="Of the model's weights, where it is known.")


class Generated(Schema):
    image_base64: str
    model: str
    time_ms: int
    seed: int


class GeneratedBatch(Schema):
    images: list[Image]
    model: str
    time_ms: int
    seed: int


class Problem(Schema):
    detail: Any
