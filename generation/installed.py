"""What of the models is on this machine: read off folders and the cache of Hugging Face; nothing is loaded."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from generation.registry import ENCODERS
from generation.types import ModelSpec

WEIGHTS = (".safetensors", ".bin")
# What a tokenizer reads its words from: one of these groups of files.
WORDS = (("tokenizer.json",), ("spiece.model",), ("tokenizer.model",), ("vocab.json", "merges.txt"))
# What decides how a model draws: its weights, and the schedule of its noise.
DECIDING = ("*.safetensors", "*.bin", "scheduler_config.json")
WHOLE = 64 * 2**20  # bytes of a file of weights that its digest reads
PROCESSORS = ("preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True)
class Installed:
    """Where a model lies; None where anything that drawing needs is missing.

    What only accompanies it, its image encoder and the tiny autoencoder of its previews, may be missing besides.
    """

    spec: ModelSpec
    place: Path | None
    has_encoder: bool = True  # or needs none
    has_previews: bool = True

    @property
    def gigabytes(self) -> float:
        """What it takes of the disk."""
        if self.place is None:
            return 0.0
        return _gigabytes(self.place)

    @property
    def needed_gb(self) -> float:
        """What is still to be written to the disk before it can draw, in GB."""
        return needed_gb(self.spec)

    @property
    def without(self) -> str:
        """The names of what could accompany it and is not here, in one phrase; empty where nothing is missing."""
        encoder = "" if self.has_encoder else f"its image encoder {ENCODERS[self.spec.encoder].source}"
        previews = "" if self.has_previews else f"{self.spec.preview_vae} for its previews"
        return " and ".join(filter(None, (encoder, previews)))


def look(spec: ModelSpec) -> Installed:
    """What of a model is here."""
    encoder, previews = ENCODERS.get(spec.encoder), spec.preview_vae
    return Installed(
        spec,
        next(filter(None, _places(spec)), None),
        not encoder or _is_encoder(folder_of(encoder.source, "config.json")),
        not previews or _has_model(folder_of(previews, "config.json")),
    )


def _places(spec: ModelSpec) -> Iterator[Path | None]:
    kept, source = kept_folder(spec), folder_of(spec.source)
    yield kept if not missing(kept) else None
    if spec.single_file:
        yield _single_file(spec) if source is not None and not missing(source, weights=False) else None
    else:
        yield source if source is not None and not missing(source) else None


def needed_gb(spec: ModelSpec) -> float:
    """What is still to be written to the disk before the model can draw, in GB as far as its entry knows."""
    kept, here = kept_folder(spec), next(filter(None, _places(spec)), None)
    if here == kept:
        return 0.0
    written = written_gb(spec)
    if here is not None:
        return written
    repository = spec.single_file_parts[0] if spec.single_file else spec.source
    blobs = _cached(repository) / "blobs"
    # What ends otherwise (.incomplete) is begun anew by whoever left it; our own downloads go on (.part).
    begun = sum(_gigabytes(one) for one in blobs.glob("*") if one.suffix in ("", ".part"))
    return written + max(0.0, spec.download_gb - begun)


def written_gb(spec: ModelSpec) -> float:
    """What is written beside what is fetched for it, in GB: its weights in four bits, or in another layout."""
    return spec.kept_gb if spec.quantization or spec.single_file else 0.0


def revision(spec: ModelSpec) -> str:
    """Which weights a model has: a commit of the hub, or a digest of local files; empty where they have gone."""
    file = _single_file(spec) if spec.single_file else None
    if file is not None:
        if Path(spec.single_file).is_file():
            return _digest([file])
        return file.relative_to(_snapshots(spec.single_file_parts[0])).parts[0]
    return revision_of(spec.source, "model_index.json")


def revision_of(source: str, file: str) -> str:
    """The same of a folder, or of a hub's repository that has this file."""
    folder = folder_of(source, file)
    if folder is None:
        return ""
    if folder != Path(source):
        return folder.name  # the cache names its folders by the commit
    return _digest(sorted(file for pattern in DECIDING for file in folder.rglob(pattern)))


def _digest(files: list[Path]) -> str:
    """Of large ones the beginning and the size tell as much, in no time. Empty for no files."""
    if not files:
        return ""
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        with file.open("rb") as weights:
            digest.update(weights.read(WHOLE))
        if size > WHOLE:
            digest.update(str(size).encode())
    return digest.hexdigest()[:12]


def free_gb() -> float:
    """Free on the disk that downloads go to."""
    folder = next(folder for folder in (Path(constants.HF_HOME), *Path(constants.HF_HOME).parents) if folder.is_dir())
    return shutil.disk_usage(folder).free / 1e9


def _gigabytes(place: Path) -> float:
    files = [place] if place.is_file() else [one for one in place.rglob("*") if one.is_file()]
    return sum(file.stat().st_size for file in files) / 1e9


def missing(folder: Path, *, weights: bool = True) -> str:
    """The first part that a folder in the layout of diffusers lacks, by its name there; empty where it is whole.

    `weights`: whether those count as well.
    """
    index = folder / "model_index.json"
    try:
        parts = {name: kind for name, kind in json.loads(index.read_text()).items() if _is_needed(kind)}
        lacking = (name for name, kind in parts.items() if not _is_there(folder / name, kind[-1], weights))
        return next(lacking, "" if parts else index.name)
    except (ValueError, KeyError, AttributeError, OSError):  # damaged, or gone meanwhile
        return index.name


def kept_folder(spec: ModelSpec) -> Path:
    """Where quantised or converted weights of a spec are kept: another place if what they are made of changes."""
    made_of = [spec.source, spec.single_file, spec.dtype, spec.quantization]
    made_of += [Path(spec.changes).read_text()] if Path(spec.changes).is_file() else []
    files = [path for path in (Path(spec.source) / "model_index.json", Path(spec.single_file)) if path.is_file()]
    made_of += [f"{path.stat().st_size} {path.stat().st_mtime_ns}" for path in files]
    digest = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:12]
    return Path(constants.HF_HOME) / "ipo" / f"{spec.key}-{digest}"


def folder_of(source: str, file: str = "model_index.json") -> Path | None:
    """Of a folder, or of what is cached of a repository that has this file."""
    if Path(source).is_dir():
        return Path(source)
    try:
        cached = try_to_load_from_cache(source, file)
    except HFValidationError:  # a folder that is not there, by its name
        return None
    return Path(cached).parent if isinstance(cached, str) else None


def _single_file(spec: ModelSpec) -> Path | None:
    if Path(spec.single_file).is_file():
        return Path(spec.single_file)
    repository, pattern = spec.single_file_parts
    return next(iter(sorted(_snapshots(repository).glob(f"*/{pattern}"))), None) if pattern else None


def _snapshots(repository: str) -> Path:
    """A folder for each commit, by its name."""
    return _cached(repository) / "snapshots"


def _cached(repository: str) -> Path:
    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def _is_needed(kind: object) -> bool:
    """Of an entry of the index: whether it is a part that drawing needs, such as ["diffusers", "AutoencoderKL"]."""
    if not isinstance(kind, list) or not kind or not isinstance(kind[-1], str):
        return False
    return not kind[-1].endswith("SafetyChecker")


def _is_there(part: Path, kind: str, weights: bool) -> bool:
    """Whether the folder of a part of this class has all its files."""
    if kind.endswith("Scheduler"):
        return (part / "scheduler_config.json").is_file()
    if kind.endswith(("Tokenizer", "TokenizerFast")):
        return (part / "tokenizer_config.json").is_file() and _has_words(part)
    if kind.endswith(("Processor", "Extractor")):
        return _has_any(part, PROCESSORS)
    return (part / "config.json").is_file() and (not weights or _has_weights(part))


def _has_words(part: Path) -> bool:
    return any(all((part / name).is_file() for name in group) for group in WORDS)


def _has_any(part: Path, names: tuple[str, ...]) -> bool:
    return any((part / name).is_file() for name in names)


def _has_model(part: Path | None) -> bool:
    try:
        return part is not None and (part / "config.json").is_file() and _has_weights(part)
    except (ValueError, KeyError, AttributeError, OSError):
        return False


def _is_encoder(part: Path | None) -> bool:
    return part is not None and _has_model(part) and _has_words(part) and _has_any(part, PROCESSORS)


def _has_weights(part: Path) -> bool:
    indices = list(part.glob("*.index.json"))
    if indices:
        return any(all((part / file).is_file() for file in _shards(index)) for index in indices)
    return any(file.suffix in WEIGHTS for file in part.glob("*") if file.is_file())


def _shards(index: Path) -> Iterator[str]:
    yield from set(json.loads(index.read_text())["weight_map"].values())
