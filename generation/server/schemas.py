"""What the service is sent, and what it answers."""

from typing import Annotated, Any, Literal

from ninja import Field, Schema

MOST_PICTURES = 64  # of one request
PROMPT_LIMIT = 4000

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Side = Annotated[int, Field(ge=64, le=4096)]
Steps = Annotated[int, Field(ge=1, le=200)]
Guidance = Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)]


class Drawing(Schema):
    """What all pictures of a request have in common. What is left out has the model's own default."""

    prompt: str = Field(max_length=PROMPT_LIMIT)
    negative_prompt: str = Field("", max_length=PROMPT_LIMIT)
    embedding_type: Literal["pooled", "latent", "prompt", "text"] = "text"
    width: Side | None = None
    height: Side | None = None
    steps: Steps | None = None
    guidance: Guidance | None = None
    seed: Seed | None = Field(None, description="Of the noise; drawn and reported if left out.")
    delta_scale: Number | None = None


class Generate(Drawing):
    embedding: list[Number] | None = None


class Batch(Drawing):
    embeddings: list[list[Number]] = Field(min_length=1, max_length=MOST_PICTURES)


class Draw(Schema):
    """One forward pass of one model, whole: what IPO itself sends (generation/wire.py)."""

    model_id: str = Field(max_length=200)
    prompt: str = Field(max_length=PROMPT_LIMIT)
    negative_prompt: str = Field("", max_length=PROMPT_LIMIT)
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


class ModelChoice(Schema):
    model_id: str = Field(max_length=200)


class Health(Schema):
    status: str
    model_loaded: bool
    current_model: str | None


class Model(Schema):
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
