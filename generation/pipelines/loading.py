"""Reading a pipeline's weights, and saying in one sentence why they could not be read."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from generation.errors import ModelUnavailable
from generation.registry import ENCODERS
from generation.types import ModelSpec

SMALL_FILES = ["model_index.json", "*/config.json", "scheduler/*.json", "tokenizer*/*"]  # all but the weights


def read(kind: type[DiffusionPipeline], spec: ModelSpec, **options: Any) -> Any:
    """The diffusers pipeline of a spec, on the CPU. Raises ModelUnavailable with a remedy."""
    is_folder = Path(spec.source).is_dir()
    try:
        pipe = _loaded(kind, spec, variant=spec.variant or None, local_files_only=is_folder, **options)
    except (OSError, ValueError) as error:
        try:  # what is here may be the weights without a variant
            pipe = _loaded(kind, spec, local_files_only=True, **options) if spec.variant else None
        except (OSError, ValueError):
            pipe = None
        if pipe is None:
            raise ModelUnavailable(why_not(spec, error)) from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _loaded(kind: type[DiffusionPipeline], spec: ModelSpec, **options: Any) -> Any:
    return kind.from_pretrained(spec.source, dtype=getattr(torch, spec.dtype), **options)


def fetch(spec: ModelSpec) -> None:
    """Download all that drawing with a model needs, with progress on the terminal. Raises ModelUnavailable."""
    try:
        if spec.single_file:
            file_of(spec)
            small_files(spec.source)
        elif not Path(spec.source).is_dir():
            DiffusionPipeline.download(spec.source, variant=spec.variant or None)
        if spec.preview_vae and not Path(spec.preview_vae).is_dir():
            snapshot_download(spec.preview_vae, allow_patterns=["config.json", "*.safetensors"])
        if spec.encoder and not Path(ENCODERS[spec.encoder]).is_dir():
            snapshot_download(ENCODERS[spec.encoder], ignore_patterns=["*.bin", "*.h5", "*.msgpack"])
    except (OSError, ValueError) as error:
        raise ModelUnavailable(why_not(spec, error)) from error


def small_files(base: str) -> Path:
    """The folder of a model without its weights: configurations, tokenizers, scheduler. Raises ModelUnavailable."""
    try:
        return Path(base) if Path(base).is_dir() else Path(snapshot_download(base, allow_patterns=SMALL_FILES))
    except (OSError, ValueError) as error:
        raise ModelUnavailable(
            f"The configuration of {base} could not be fetched: check the name, the network connection and, if it is "
            "gated, that HF_TOKEN is of an account that accepted its licence, and try again."
        ) from error


def file_of(spec: ModelSpec) -> Path:
    """The spec's single file, fetched if need be: a path, or owner/name/file of a repository.

    The file may be a pattern (owner/name/*.safetensors) that fits one file. Raises ModelUnavailable with a remedy.
    """
    if Path(spec.single_file).is_file():
        return Path(spec.single_file)
    owner, name, pattern = (*spec.single_file.split("/", 2), "", "")[:3]
    repository = replace(spec, source=f"{owner}/{name}")
    try:
        found = sorted(Path(snapshot_download(repository.source, allow_patterns=[pattern])).glob(pattern or "*"))
    except (OSError, ValueError) as error:
        raise ModelUnavailable(why_not(repository, error)) from error
    if len(found) != 1:
        raise ModelUnavailable(
            f"{spec.label} could not be loaded: {len(found)} files of {repository.source} fit “{pattern}”: name one."
        )
    return found[0]


def why_not(spec: ModelSpec, error: BaseException) -> str:
    """One sentence with a remedy. diffusers and transformers hide what the hub said behind a plain OSError."""
    name = f"{spec.label} could not be loaded"
    causes = list(_causes(error))
    if any(isinstance(cause, GatedRepoError) for cause in causes):
        return (
            f"{name}: its repository is gated. Accept the licence at {constants.ENDPOINT}/{spec.source}, put a token "
            "of that account into HF_TOKEN in .env, restart, and try again."
        )
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return (
            f"{name}: there is no repository {spec.source}, or it is private. Correct its name, or put a token "
            "that may read it into HF_TOKEN in .env."
        )
    if any(isinstance(cause, LocalEntryNotFoundError | OfflineModeIsEnabled | ConnectionError) for cause in causes):
        return (
            f"{name}: {spec.source} is not on this machine, and the network cannot be reached. Connect the machine and "
            "try again, or name a folder that has the weights."
        )
    return (
        f"{name} from {spec.source}: check the folder, or the network connection and the Hugging Face token, "
        "and try again."
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and all that it came from."""
    known: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in known:
            known.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__]
