"""The routes of the service: read what was sent, take a turn, answer."""

import secrets
import time
from typing import Any

import numpy as np
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.security import HttpBearer

from generation import registry, spaces, wire
from generation.errors import GenerationError
from generation.manager import ModelManager
from generation.server import schemas
from generation.server.service import Full, Service, status_of
from generation.types import GenerationRequest, ModelSpec, Vectors

# How the predecessor's clients call the spaces; "text" is not steered.
SPACES = {"latent": "latent", "pooled": "pooled_embed", "prompt": "prompt_embed"}
PROBLEMS = frozenset({401, 409, 422, 429})


class Token(HttpBearer):
    """A bearer token, where one is set; without one the service listens on this machine only (see its command)."""

    def __call__(self, request: HttpRequest) -> Any:
        return super().__call__(request) if settings.IPO_GENERATION_TOKEN else "anyone"

    def authenticate(self, request: HttpRequest, token: str) -> str | None:
        right = secrets.compare_digest(token.encode(), settings.IPO_GENERATION_TOKEN.encode())
        return "token" if right else None


service = Service(ModelManager(speedups=settings.IPO_SPEEDUPS))
api = NinjaAPI(title="IPO generation service", version="1", auth=Token(), urls_namespace="generation")


@api.exception_handler(GenerationError)
def cannot(request: HttpRequest, error: GenerationError) -> HttpResponse:
    """One sentence with a remedy."""
    return api.create_response(request, {"detail": str(error)}, status=status_of(error))


@api.exception_handler(Full)
def full(request: HttpRequest, error: Full) -> HttpResponse:
    return api.create_response(request, {"detail": "The queue is full: try again in a while."}, status=429)


@api.get("/health", response=schemas.Health, auth=None)
def health(request: HttpRequest) -> schemas.Health:
    key = service.manager.loaded or None
    return schemas.Health(status="ok", model_loaded=key is not None, current_model=key)


@api.get("/model", response={200: schemas.Model, 401: schemas.Problem})
def model(request: HttpRequest) -> schemas.Model:
    key = service.manager.loaded or None
    return schemas.Model(model_id=key, loaded=key is not None)


@api.get("/models", response={200: schemas.Models, 401: schemas.Problem})
def models(request: HttpRequest) -> schemas.Models:
    return schemas.Models(models=list(settings.IPO_MODELS))


@api.post("/model", response={200: schemas.Loaded, PROBLEMS: schemas.Problem})
def load(request: HttpRequest, choice: schemas.ModelChoice) -> schemas.Loaded:
    spec = _model(choice.model_id)
    with service.turn():
        service.load(spec)
    return schemas.Loaded(status="loaded", model_id=spec.key)


@api.post("/generate", response={200: schemas.Generated, PROBLEMS: schemas.Problem})
def generate(request: HttpRequest, asked: schemas.Generate) -> schemas.Generated:
    began = time.perf_counter()
    with service.turn():
        spec = _loaded()
        wanted = _request(spec, asked, None if asked.embedding is None else [asked.embedding])
        (picture,) = service.draw(spec, wanted)
    if picture.pixels is None:
        raise unfit("embedding", picture.error)
    png = wire.from_picture(picture)["image_base64"]
    return schemas.Generated(image_base64=png, model=spec.key, time_ms=_since(began), seed=wanted.noise_seed)


@api.post("/batch", response={200: schemas.GeneratedBatch, PROBLEMS: schemas.Problem})
def batch(request: HttpRequest, asked: schemas.Batch) -> schemas.GeneratedBatch:
    began = time.perf_counter()
    with service.turn():
        spec = _loaded()
        wanted = _request(spec, asked, asked.embeddings)
        pictures = service.draw(spec, wanted)
    drawn = [schemas.Image(**wire.from_picture(picture)) for picture in pictures]
    return schemas.GeneratedBatch(images=drawn, model=spec.key, time_ms=_since(began), seed=wanted.noise_seed)


@api.post(
    "/draw",
    response={PROBLEMS: schemas.Problem},
    openapi_extra={
        "responses": {
            200: {
                "description": "A line of JSON for each step ({step, steps}), {preview} now and then if asked for, at "
                "last {images, seconds} or {detail, status}; {} where there is no news. Who closes the connection "
                "stops the drawing before its next step.",
                "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
            }
        }
    },
)
def draw(request: HttpRequest, asked: schemas.Draw) -> HttpResponse | StreamingHttpResponse:
    spec = _model(asked.model_id)
    _check_sides(spec, asked.width, asked.height)
    dimension = spaces.get(spec, asked.space).dimension(spec, asked.width, asked.height)
    try:
        vectors = wire.to_vectors(asked.vectors, dimension)
    except ValueError as error:
        raise unfit("vectors", str(error)) from error
    if len(vectors) > schemas.MOST_PICTURES:
        raise unfit("vectors", f"must be {schemas.MOST_PICTURES} rows at most, there are {len(vectors)}.")
    plain = {name: getattr(asked, name) for name in wire.PLAIN}
    stream = service.stream(spec, GenerationRequest(vectors=vectors, **plain), with_previews=asked.previews)
    return StreamingHttpResponse(stream, content_type="application/x-ndjson")  # which closes the stream at its end


def unfit(name: str, message: str) -> HttpError:
    """For what fits the description, but not the model: 422 with the field named."""
    return HttpError(422, f"{name}: {message}")


def _model(key: str) -> ModelSpec:
    """Raises HttpError 422."""
    if key not in settings.IPO_MODELS:
        raise unfit("model_id", f"There is no such model. Choose one of: {', '.join(settings.IPO_MODELS)}.")
    return registry.get(settings.IPO_MODELS, key)


def _loaded() -> ModelSpec:
    """What was chosen last; the predecessor's clients may ask before anything was."""
    return service.chosen or registry.get(settings.IPO_MODELS, settings.IPO_DEFAULT_MODEL)


def _check_sides(spec: ModelSpec, width: int, height: int) -> None:
    """Raises HttpError 422."""
    for name, side in (("width", width), ("height", height)):
        if side % spec.side_step or side > spec.largest_side:
            raise unfit(name, f"must be a multiple of {spec.side_step}, {spec.largest_side} at most, with {spec.key}.")


def _request(spec: ModelSpec, asked: schemas.Drawing, embeddings: list[list[float]] | None) -> GenerationRequest:
    """Raises HttpError 422 for what does not fit the model."""
    width, height = asked.width or spec.width, asked.height or spec.height
    _check_sides(spec, width, height)
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


def _since(began: float) -> int:
    """Milliseconds."""
    return round(1000 * (time.perf_counter() - began))
