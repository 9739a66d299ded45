"""What of the models is on this machine: read off folders and the cache of Hugging Face; nothing is loaded."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from generation.types import ModelSpec

WEIGHTS = (".safetensors", ".bin")


@dataclass(frozen=True)
class Installed:
    """Where a model's weights lie; None where they are not all here."""

    spec: ModelSpec
    place: Path | None

    @property
    def gigabytes(self) -> float:
        """What it takes of the disk."""
        if self.place is None:
            return 0.0
        files = [self.place] if self.place.is_file() else [one for one in self.place.rglob("*") if one.is_file()]
        return sum(file.stat().st_size for file in files) / 1e9


def look(spec: ModelSpec) -> Installed:
    """What of a model is here."""
    places = (kept_folder(spec), _single_file(spec) if spec.single_file else _folder(spec.source))
    return Installed(spec, next((place for place in places if place is not None and _is_whole(place)), None))


def kept_folder(spec: ModelSpec) -> Path:
    """Where quantised or converted weights of a spec are kept: another place if what they are made of changes."""
    made_of = [spec.source, spec.single_file, spec.dtype, spec.quantization]
    files = [path for path in (Path(spec.source) / "model_index.json", Path(spec.single_file)) if path.is_file()]
    made_of += [f"{path.stat().st_size} {path.stat().st_mtime_ns}" for path in files]
    digest = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:12]
    return Path(constants.HF_HOME) / "ipo" / f"{spec.key}-{digest}"


def _folder(source: str) -> Path | None:
    """Of a folder, or of what is cached of a repository."""
    if Path(source).is_dir():
        return Path(source)
    try:
        index = try_to_load_from_cache(source, "model_index.json")
    except HFValidationError:  # a folder that is not there, by its name
        return None
    return Path(index).parent if isinstance(index, str) else None


def _single_file(spec: ModelSpec) -> Path | None:
    if Path(spec.single_file).is_file():
        return Path(spec.single_file)
    repository, pattern = spec.single_file_parts
    snapshots = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}" / "snapshots"
    return next(iter(sorted(snapshots.glob(f"*/{pattern}"))), None) if pattern else None


def _is_whole(place: Path) -> bool:
    """Whether a folder in the layout of diffusers has the weights of all its parts."""
    if place.is_file():
        return True
    index = place / "model_index.json"
    if not index.is_file():
        return False
    try:
        parts = json.loads(index.read_text())
        return all(_has_weights(place / name) for name, kind in parts.items() if _is_model(kind))
    except (ValueError, KeyError, AttributeError, OSError):  # damaged, or gone meanwhile
        return False


def _is_model(kind: object) -> bool:
    """Of an entry of the index, such as ["diffusers", "AutoencoderKL"]: it has weights, unlike a tokenizer."""
    if not isinstance(kind, list) or not isinstance(kind[1], str):
        return False
    return not kind[1].endswith(("Scheduler", "Tokenizer", "TokenizerFast", "Processor", "Extractor", "SafetyChecker"))


def _has_weights(part: Path) -> bool:
    indices = list(part.glob("*.index.json"))
    if indices:
        return any(all((part / file).is_file() for file in _shards(index)) for index in indices)
    return any(file.suffix in WEIGHTS for file in part.glob("*") if file.is_file())


def _shards(index: Path) -> Iterator[str]:
    yield from set(json.loads(index.read_text())["weight_map"].values())
