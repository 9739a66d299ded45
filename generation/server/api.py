"""The routes of the service: read what was sent, take a turn, answer."""

import secrets
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError, ValidationErrorContext
from ninja.parser import Parser
from ninja.security import HttpBearer

from generation import registry, spaces, wire
from generation.errors import GenerationError
from generation.manager import ModelManager
from generation.server import door, schemas
from generation.server.service import Full, Service, Stream, status_of
from generation.types import GenerationRequest, ModelSpec, Vectors

# How the predecessor's clients call the spaces; "text" is not steered.
SPACES = {"latent": "latent", "pooled": "pooled_embed", "prompt": "prompt_embed"}
PROBLEMS = frozenset({401, 409, 413, 422, 429})
LINES = "application/x-ndjson"
MOST_ERRORS = 10  # that one answer names
MOST_MARKS = 20_000  # that begin an object, a list or a field; prompts may have some of their own


class Token(HttpBearer):
    """A bearer token, where one is set; without one the service listens on this machine only (see its command)."""

    def __call__(self, request: HttpRequest) -> Any:
        return door.knows_token(request.headers.get("Authorization", "")) or None

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        raise AssertionError("__call__ has the answer")


class OnlyNumbers(Parser):
    """Reads JSON whose bulk is numbers or base64: anything else of that size would become far larger in memory."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        if sum(map(request.body.count, (b"[", b"{", b":"))) > MOST_MARKS:
            raise ValueError("There are too many objects.")
        return super().parse_body(request)


class Api(NinjaAPI):
    def validation_error_from_error_contexts(
        self, error_contexts: list[ValidationErrorContext[Any]]
    ) -> ValidationError:
        """The fields that do not fit, without what was sent: it may be long."""
        errors = [context.pydantic_validation_error for context in error_contexts]
        found = [one for error in errors for one in error.errors(include_context=False, include_input=False)]
        for error in errors:
            error.__traceback__ = None  # see `unreadable`
        return ValidationError(
            [
                {"loc": ["body", *one["loc"]], "msg": one["msg"][:300], "type": one["type"]}
                for one in found[:MOST_ERRORS]
            ]
        )


service = Service(ModelManager(speedups=settings.IPO_SPEEDUPS))
api = Api(title="IPO generation service", version="1", auth=Token(), urls_namespace="generation", parser=OnlyNumbers())


@api.exception_handler(GenerationError)
def cannot(request: HttpRequest, error: GenerationError) -> HttpResponse:
    """One sentence with a remedy."""
    return api.create_response(request, {"detail": str(error)}, status=status_of(error))


@api.exception_handler(Full)
def full(request: HttpRequest, error: Full) -> HttpResponse:
    return api.create_response(request, {"detail": "The queue is full: try again in a while."}, status=429)


@api.exception_handler(ValidationError)
def unreadable(request: HttpRequest, error: ValidationError) -> HttpResponse:
    # A frame of its traceback holds it, and what was sent: megabytes that would stay until the collector comes by.
    error.__traceback__ = None
    return api.create_response(request, {"detail": error.errors}, status=422)


@api.api_operation(["GET", "HEAD"], "/health", response=schemas.Health, auth=None)
def health(request: HttpRequest) -> schemas.Health:
    key = service.manager.loaded or None
    return schemas.Health(status="healthy", model_loaded=key is not None, current_model=key)


@api.get("/model", response={200: schemas.Model, 401: schemas.Problem})
def model(request: HttpRequest) -> schemas.Model:
    key = service.manager.loaded or None
    return schemas.Model(status="ok", model_id=key, loaded=key is not None)


@api.get("/models", response={200: schemas.Models, 401: schemas.Problem})
def models(request: HttpRequest) -> schemas.Models:
    return schemas.Models(models=list(settings.IPO_MODELS))


@api.post("/model", response={200: schemas.Loaded, PROBLEMS: schemas.Problem})
def load(request: HttpRequest, choice: schemas.ModelChoice) -> schemas.Loaded | StreamingHttpResponse:
    """Who accepts application/x-ndjson hears every few seconds how far it is, in lines as /draw has them."""
    spec = _model(choice.model_id)
    if LINES in request.headers.get("Accept", ""):
        return _told(service.stream_loading(spec))
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
                "last {images, seconds} or {detail, status}; {phase, done} (waiting, loading, drawing) at least every "
                "5 s, where what is done grows as long as anything moves on. Who closes the connection stops the "
                "drawing before its next step.",
                "content": {LINES: {"schema": {"type": "string"}}},
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
    _check_size(asked.width, asked.height, len(vectors), "vectors")
    plain = {name: getattr(asked, name) for name in wire.PLAIN}
    return _told(service.stream(spec, GenerationRequest(vectors=vectors, **plain), with_previews=asked.previews))


@api.post(
    "/embed",
    response={PROBLEMS: schemas.Problem},
    openapi_extra={
        "responses": {
            200: {
                "description": "Lines of JSON as /draw has them ({phase, done}: waiting, embedding), at last {encoder, "
                "revision, vectors} or {detail, status}. `vectors` is one of unit length for each picture or text, in "
                "their order: base64 of little-endian float32. Those of one encoder and revision may be compared.",
                "content": {LINES: {"schema": {"type": "string"}}},
            }
        }
    },
)
def embed(request: HttpRequest, asked: schemas.Embed) -> StreamingHttpResponse:
    if asked.encoder not in registry.ENCODERS:
        raise unfit("encoder", f"There is no such encoder. Choose one of: {', '.join(registry.ENCODERS)}.")
    if asked.images and asked.texts:
        raise unfit("texts", "send images or texts, not both.")
    return _told(service.stream_embedding(asked.encoder, asked.images, asked.texts))


def _told(stream: Stream) -> StreamingHttpResponse:
    return StreamingHttpResponse(stream, content_type=LINES)  # which closes the stream at its end


def unfit(name: str, message: str) -> HttpError:
    """For what fits the description, but not the model: 422 with the field named."""
    return HttpError(422, f"{name}: {message}")


def _model(key: str) -> ModelSpec:
    """By our key, or its id at Hugging Face. Raises HttpError 422."""
    spec = registry.named(settings.IPO_MODELS, key)
    if spec is None:
        raise unfit("model_id", f"There is no such model. Choose one of: {', '.join(settings.IPO_MODELS)}.")
    return spec


def _loaded() -> ModelSpec:
    """What was chosen last; the predecessor's clients may ask before anything was."""
    return service.chosen or registry.get(settings.IPO_MODELS, settings.IPO_DEFAULT_MODEL)


def _check_sides(spec: ModelSpec, width: int, height: int) -> None:
    """Raises HttpError 422."""
    for name, side in (("width", width), ("height", height)):
        if side % spec.side_step or side > spec.largest_side:
            raise unfit(name, f"must be a multiple of {spec.side_step}, {spec.largest_side} at most, with {spec.key}.")


def _check_size(width: int, height: int, pictures: int, name: str) -> None:
    """Raises HttpError 422 for more pictures of this size than one request may have."""
    most = min(wire.MOST_PICTURES, wire.MOST_PIXELS // (width * height))
    if pictures > most:
        raise unfit(name, f"must be {most} rows at most with pictures of {width} x {height}, there are {pictures}.")


def _request(spec: ModelSpec, asked: schemas.Drawing, embeddings: Sequence[Vectors] | None) -> GenerationRequest:
    """Raises HttpError 422 for what does not fit the model."""
    width, height = asked.width or spec.width, asked.height or spec.height
    _check_sides(spec, width, height)
    _check_size(width, height, len(embeddings or [0]), "embeddings")
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


def _vectors(dimension: int, embeddings: Sequence[Vectors]) -> Vectors:
    """float32 [n, dimension]. Raises HttpError 422."""
    for number, embedding in enumerate(embeddings):
        if len(embedding) != dimension:
            raise unfit("embedding", f"number {number} must have {dimension} numbers, it has {len(embedding)}.")
    return np.stack(embeddings)


def _since(began: float) -> int:
    """Milliseconds."""
    return round(1000 * (time.perf_counter() - began))
