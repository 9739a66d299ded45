"""The HTTP generation service: what a GPU host offers to IPO on other machines, and to the predecessor's clients.

Started by `manage.py generation_server`; its own description is at /docs and /openapi.json. Bad input is answered with
422 and the field named, what this machine cannot do with 409, a full queue with 429.
"""

import base64
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from ninja import Field, NinjaAPI, Schema
from ninja.errors import HttpError
from ninja.security import HttpBearer

from generation import images, registry, spaces
from generation.errors import GenerationError, ModelUnavailable, OutOfMemory
from generation.manager import ModelManager
from generation.types import GenerationRequest, ModelSpec, Picture, Vectors

QUEUE = 8  # requests that draw or wait; more are turned away
MOST_PICTURES = 64  # of one request
PROMPT_LIMIT = 4000
# How the predecessor's clients call the spaces; "text" is not steered.
SPACES = {"latent": "latent", "pooled": "pooled_embed", "prompt": "prompt_embed"}

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]


class Drawing(Schema):
    """What all pictures of a request have in common. What is left out has the model's own default."""

    prompt: str = Field(max_length=PROMPT_LIMIT)
    negative_prompt: str = Field("", max_length=PROMPT_LIMIT)
    embedding_type: Literal["pooled", "latent", "prompt", "text"] = "text"
    width: int | None = Field(None, ge=64, le=4096)
    height: int | None = Field(None, ge=64, le=4096)
    steps: int | None = Field(None, ge=1, le=150)
    guidance: float | None = Field(None, ge=0, le=50, allow_inf_nan=False)
    seed: int | None = Field(None, ge=0, lt=2**63, description="Of the noise; drawn and reported if left out.")
    delta_scale: Number | None = None


class Generate(Drawing):
    embedding: list[Number] | None = None


class Batch(Drawing):
    embeddings: list[list[Number]] = Field(min_length=1, max_length=MOST_PICTURES)


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


class Token(HttpBearer):
    """A bearer token, where one is set; without one the service listens on this machine only (see its command)."""

    def __call__(self, request: HttpRequest) -> Any:
        return super().__call__(request) if settings.IPO_GENERATION_TOKEN else "anyone"

    def authenticate(self, request: HttpRequest, token: str) -> str | None:
        right = secrets.compare_digest(token.encode(), settings.IPO_GENERATION_TOKEN.encode())
        return "token" if right else None


@dataclass
class Service:
    """The model slot of this process, and its queue."""

    manager: ModelManager = field(default_factory=ModelManager)
    current: ModelSpec | None = None
    places: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(QUEUE))

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue, in which the model's own lock lets one draw at a time."""
        if not self.places.acquire(blocking=False):
            raise HttpError(429, "The queue is full: try again in a while.")
        try:
            yield
        finally:
            self.places.release()

    def load(self, key: str) -> ModelSpec:
        """Have a model loaded. Raises GenerationError."""
        spec = registry.get(settings.IPO_MODELS, key)
        self.manager.ensure_ready(spec)
        self.current = spec
        return spec

    def draw(self, asked: Drawing, embeddings: list[list[float]] | None) -> tuple[ModelSpec, int, list[Picture]]:
        """The model, the seed, and a picture for each embedding; one that is not steered where there are none."""
        spec = self.current or self.load(settings.IPO_DEFAULT_MODEL)
        request = _request(spec, asked, embeddings)
        return spec, request.noise_seed, list(self.manager.generate_all(spec, request, max(1, spec.inference_batch)))


service = Service()
api = NinjaAPI(title="IPO generation service", version="1", auth=Token(), urls_namespace="generation")
PROBLEMS = frozenset({401, 409, 422, 429})


@api.exception_handler(GenerationError)
def cannot(request: HttpRequest, error: GenerationError) -> HttpResponse:
    """One sentence with a remedy: 409 for what this machine cannot do, 422 for what the request may not ask."""
    status = 409 if isinstance(error, ModelUnavailable | OutOfMemory) else 422
    return api.create_response(request, {"detail": str(error)}, status=status)


@api.get("/health", response=Health, auth=None)
def health(request: HttpRequest) -> Health:
    spec = service.current
    return Health(status="ok", model_loaded=spec is not None, current_model=None if spec is None else spec.key)


@api.get("/model", response={200: Model, 401: Problem})
def model(request: HttpRequest) -> Model:
    spec = service.current
    return Model(model_id=None if spec is None else spec.key, loaded=spec is not None)


@api.get("/models", response={200: Models, 401: Problem})
def models(request: HttpRequest) -> Models:
    return Models(models=list(settings.IPO_MODELS))


@api.post("/model", response={200: Loaded, PROBLEMS: Problem})
def load(request: HttpRequest, choice: ModelChoice) -> Loaded:
    if choice.model_id not in settings.IPO_MODELS:
        raise unfit("model_id", f"There is no such model. Choose one of: {', '.join(settings.IPO_MODELS)}.")
    with service.place():
        return Loaded(status="loaded", model_id=service.load(choice.model_id).key)


@api.post("/generate", response={200: Generated, PROBLEMS: Problem})
def generate(request: HttpRequest, asked: Generate) -> Generated:
    began = time.perf_counter()
    with service.place():
        spec, seed, (picture,) = service.draw(asked, None if asked.embedding is None else [asked.embedding])
    if picture.pixels is None:
        raise unfit("embedding", picture.error)
    return Generated(image_base64=_base64(picture), model=spec.key, time_ms=_since(began), seed=seed)


@api.post("/batch", response={200: GeneratedBatch, PROBLEMS: Problem})
def batch(request: HttpRequest, asked: Batch) -> GeneratedBatch:
    began = time.perf_counter()
    with service.place():
        spec, seed, pictures = service.draw(asked, asked.embeddings)
    drawn = [Image(image_base64=None if one.pixels is None else _base64(one), error=one.error) for one in pictures]
    return GeneratedBatch(images=drawn, model=spec.key, time_ms=_since(began), seed=seed)


def unfit(name: str, message: str) -> HttpError:
    """For what fits the description, but not the model: 422 with the field named."""
    return HttpError(422, f"{name}: {message}")


def _request(spec: ModelSpec, asked: Drawing, embeddings: list[list[float]] | None) -> GenerationRequest:
    """Raises HttpError 422 for what does not fit the model."""
    width, height = asked.width or spec.width, asked.height or spec.height
    for name, side in (("width", width), ("height", height)):
        if side % spec.side_step or side > spec.largest_side:
            raise unfit(name, f"must be a multiple of {spec.side_step}, {spec.largest_side} at most, with {spec.key}.")
    seed = secrets.randbelow(2**32) if asked.seed is None else asked.seed
    if embeddings is None or asked.embedding_type == "text":
        # Not steered: the noise of the seed, one picture for each embedding that was given all the same.
        space = "latent"
        noise = np.random.default_rng(seed).standard_normal((1, spaces.LATENT.dimension(spec, width, height)))
        vectors = np.repeat(noise.astype(np.float32), len(embeddings or [0]), axis=0)
    else:
        space = SPACES[asked.embedding_type]
        vectors = _vectors(spaces.get(spec, space).dimension(spec, width, height), embeddings)
    return GenerationRequest(
        prompt=asked.prompt,
        negative_prompt=asked.negative_prompt,
        space=space,
        vectors=vectors,
        width=width,
        height=height,
        steps=asked.steps or spec.steps,
        guidance=spec.guidance if asked.guidance is None else asked.guidance,
        delta_scale=spec.delta_scale if asked.delta_scale is None else asked.delta_scale,
        noise_seed=seed,
        step_seed=seed,
    )


def _vectors(dimension: int, embeddings: list[list[float]]) -> Vectors:
    """float32 [n, dimension]. Raises HttpError 422."""
    for number, embedding in enumerate(embeddings):
        if len(embedding) != dimension:
            raise unfit("embedding", f"number {number} must have {dimension} numbers, it has {len(embedding)}.")
    return np.array(embeddings, dtype=np.float32)


def _base64(picture: Picture) -> str:
    assert picture.pixels is not None
    return base64.b64encode(images.to_png(picture.pixels)).decode()


def _since(began: float) -> int:
    """Milliseconds."""
    return round(1000 * (time.perf_counter() - began))


urlpatterns = [path("", api.urls)]
