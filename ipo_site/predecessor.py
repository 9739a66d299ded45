"""Names in the environment that the predecessor's users have: honoured, or told what replaces them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from generation.types import ModelSpec

REPLACED = {
    "IPO_DATA_ROOT": "IPO_DATA_DIR says where the data of this version lie",
    "CLIP_DB_URL": "DATABASE_URL names the database of this version, if not its own",
}


def notes(environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each name that means nothing any more."""
    for name, instead in REPLACED.items():
        if environment.get(name):
            yield f"{name} is not read: {instead}; what the predecessor kept is left as it is, and not imported yet."


def with_local_flux(models: Mapping[str, ModelSpec], folder: str) -> dict[str, ModelSpec]:
    """The models, FLUX.1 schnell or dev among them read from this folder (FLUX_LOCAL_MODEL); its files tell which.

    Raises ValueError with one sentence if it holds neither as diffusers saves them.
    """
    path = Path(folder).expanduser()
    try:
        is_dev = json.loads((path / "transformer" / "config.json").read_text())["guidance_embeds"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"FLUX_LOCAL_MODEL is {folder!r}, which is no folder of FLUX as diffusers saves it: correct it, or "
            "describe the model in IPO_EXTRA_MODELS (a single file as single_file)."
        ) from error
    key = "flux-dev" if is_dev else "flux-schnell"
    return {**models, key: replace(models[key], source=str(path.resolve()), is_gated=False)}
