"""The models of the setting IPO_EXTRA_MODELS, checked field by field; docs/models.md tells users the same."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Interval, Len
from pydantic import TypeAdapter, ValidationError

from generation.errors import readable
from generation.registry import ENCODERS
from generation.types import ModelSpec

NAME = "IPO_EXTRA_MODELS"
_HINTS = get_type_hints(ModelSpec, include_extras=True)
# Those of an entry: its key stands before it.
FIELDS = {field.name: field for field in fields(ModelSpec) if field.name != "key"}
_checks: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(_HINTS[name]) for name in FIELDS}


def parse(text: str) -> dict[str, ModelSpec]:
    """JSON, an object from key to the fields of ModelSpec (without `key`), as models by key.

    Raises ValueError with one sentence that names the entry, the field, and what is allowed.
    """
    try:
        entries = json.loads(text)
        json.dumps(entries)  # what is nested too deeply to be shown
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{NAME} is not JSON ({_short(str(error))}): see docs/models.md for the form.") from None
    if not isinstance(entries, dict):
        raise ValueError(f"{NAME} must be an object of JSON, from each model's key to its fields: see docs/models.md.")
    return {key: _model(key, entry) for key, entry in entries.items()}


def _model(key: str, entry: object) -> ModelSpec:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", key):
        raise ValueError(
            f"{NAME}: {_short(json.dumps(key))} cannot be a key: take at most 100 letters, digits, dots and dashes."
        )
    if not isinstance(entry, dict):
        raise ValueError(f"{NAME}: “{key}” must be an object with the fields of a model: see docs/models.md.")
    for name in sorted(entry.keys() - FIELDS.keys()):
        raise ValueError(f"{NAME}: “{key}” has {_short(name)}, which is no field: take one of {', '.join(FIELDS)}.")
    for name in (name for name, field in FIELDS.items() if field.default is MISSING and name not in entry):
        raise ValueError(f"{NAME}: “{key}” lacks {name}: give it {allowed(name)}.")
    values: dict[str, Any] = {}
    for name, value in entry.items():
        try:
            found = tuple(value) if isinstance(value, list) else value
            values[name] = _checks[name].validate_python(found, strict=True)
        except ValidationError:
            raise _refused(key, name, entry) from None
    spec = ModelSpec(key=key, **values)
    for name, wanted in _unfit(spec):
        raise _refused(key, name, entry, wanted)
    return spec


def _refused(key: str, name: str, entry: Mapping[str, Any], wanted: str = "") -> ValueError:
    said = f"has {name} {_short(json.dumps(entry[name], ensure_ascii=False))}" if name in entry else f"lacks {name}"
    return ValueError(f"{NAME}: “{key}” {said}: give it {wanted or allowed(name)}.")


def _unfit(spec: ModelSpec) -> Iterator[tuple[str, str]]:
    """Fields that do not go with others, each with what does."""
    for name in ("width", "height"):
        pixels = getattr(spec, name)
        if pixels % spec.side_step or pixels > spec.largest_side:
            yield name, f"a multiple of {spec.side_step} up to {spec.largest_side} (largest_side)"
    for name in ("source", "single_file", "changes", "preview_vae"):
        try:
            Path(getattr(spec, name)).exists()
        except OSError:
            yield name, "a path that can be read, or the id of a Hugging Face repository"
    if spec.encoder and spec.encoder not in ENCODERS:
        yield "encoder", allowed("encoder")
    if spec.family == "flux" and "pooled_embed" in spec.spaces and not spec.pooled_size:
        yield "pooled_size", "a whole number from 1 to 65536 with the family flux (768 in FLUX.1)"


def allowed(name: str) -> str:
    """What a field may be, in words."""
    if name == "encoder":
        return "one of " + ", ".join(json.dumps(key) for key in ("", *ENCODERS))
    return _in_words(_HINTS[name])


def _in_words(hint: Any) -> str:
    metadata = getattr(hint, "__metadata__", ())
    kind = get_args(hint)[0] if metadata else hint
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(json.dumps(value) for value in get_args(kind))
    if get_origin(kind) is tuple:
        return "a list of at least " + _in_words(get_args(kind)[0])
    if kind is bool:
        return "true or false"
    if kind is str:
        (length,) = (one for one in metadata if isinstance(one, Len))
        return f"a text of {length.min_length} to {length.max_length} characters, without control characters"
    (limits,) = (one for one in metadata if isinstance(one, Interval))
    return f"a {'whole ' if kind is int else ''}number from {limits.ge} to {limits.le}"


def _short(text: str) -> str:
    text = readable(text)
    return text if len(text) <= 80 else text[:79] + "…"
