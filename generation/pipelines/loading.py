"""Reading a pipeline's weights, and saying in one sentence why they could not be read."""

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import torch
from diffusers import DiffusionPipeline
from huggingface_hub import constants, set_client_factory, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils._http import default_client_factory
from safetensors import SafetensorError

from generation.errors import ModelUnavailable
from generation.installed import folder_of, free_gb, kept_folder, missing, needed_gb
from generation.registry import ENCODERS
from generation.types import ModelSpec

# What reading and fetching raise besides; of what is silent, the hub's own client would wait for ever.
FAILURES = (OSError, ValueError, httpx2.HTTPError, SafetensorError)
OFFLINE = (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError, httpx2.TransportError)
SILENCE = 30.0  # seconds
# All but the weights.
SMALL_FILES = ["model_index.json", "*/config.json", "scheduler/*.json", "tokenizer*/*", "feature_extractor/*.json"]


def _client() -> httpx2.Client:
    client = default_client_factory()
    client.timeout = httpx2.Timeout(SILENCE)
    return client


set_client_factory(_client)


def read(kind: type[DiffusionPipeline], spec: ModelSpec, **options: Any) -> Any:
    """The diffusers pipeline of a spec, on the CPU; fetched if it is not here. Raises ModelUnavailable with a remedy.

    What is here is read without a look at the hub, which may be slow, or silent.
    """
    try:
        pipe = _from_here(kind, spec, **options)
    except FAILURES as error:
        if Path(spec.source).is_dir():
            raise ModelUnavailable(why_not(spec, error)) from error
        fetch_pipeline(spec)
        try:
            pipe = _from_here(kind, spec, **options)
        except FAILURES as second:
            raise ModelUnavailable(why_not(spec, second)) from second
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _from_here(kind: type[DiffusionPipeline], spec: ModelSpec, **options: Any) -> Any:
    """With the spec's variant, or else without."""
    options |= {"dtype": getattr(torch, spec.dtype), "local_files_only": True}
    if spec.variant:
        try:
            return kind.from_pretrained(spec.source, variant=spec.variant, **options)
        except FAILURES:
            pass
    return kind.from_pretrained(spec.source, **options)


def require_room(spec: ModelSpec) -> None:
    """Before gigabytes are fetched or written: see that the disk has room for them. Raises ModelUnavailable."""
    needed, free = needed_gb(spec), free_gb()
    if needed > free:
        raise ModelUnavailable(
            f"{spec.label} needs {needed:.0f} GB more on the disk of {constants.HF_HOME}, which has {free:.0f} GB "
            "free: free some, or set HF_HOME to a folder on a larger disk, and try again."
        )


def fetch(spec: ModelSpec) -> None:
    """Download all that drawing with a model needs, with progress on the terminal. Raises ModelUnavailable."""
    if not kept_folder(spec).is_dir():  # else what it was made from is not needed any longer
        if spec.single_file:
            small_files(spec)
            file_of(spec)
        elif not Path(spec.source).is_dir():
            fetch_pipeline(spec)
    for source in (spec.preview_vae, ENCODERS.get(spec.encoder, "")):
        if source and not Path(source).is_dir():
            _downloaded(replace(spec, source=source), ignore_patterns=["*.bin", "*.h5", "*.msgpack", "*.ckpt"])


def fetch_pipeline(spec: ModelSpec) -> None:
    """Download what a pipeline is made of. Raises ModelUnavailable."""
    small_files(spec)
    require_room(spec)
    try:
        DiffusionPipeline.download(spec.source, variant=spec.variant or None)
    except (*FAILURES, RuntimeError) as error:  # the last is what hf_xet raises
        raise ModelUnavailable(why_not(spec, error)) from error


def small_files(spec: ModelSpec) -> Path:
    """The folder of the spec's source without its weights: configurations, tokenizers, scheduler.

    To be asked for before gigabytes are: what is gated, misspelt or incomplete shows here. Raises ModelUnavailable.
    """
    folder = folder_of(spec.source)  # without a look at the hub, as everywhere
    if folder is None or (missing(folder, weights=False) and not Path(spec.source).is_dir()):
        folder = _downloaded(spec, allow_patterns=SMALL_FILES)
    if lacking := missing(folder, weights=False):
        raise ModelUnavailable(
            f"{spec.label} could not be loaded: {spec.source} has no {lacking}, or not all of it: name a folder or "
            "repository in diffusers' layout."
        )
    return folder


def file_of(spec: ModelSpec) -> Path:
    """The spec's single file, fetched if need be: a path, or owner/name/file of a repository.

    The file may be a pattern (owner/name/*.safetensors) that fits one file. Raises ModelUnavailable with a remedy.
    """
    path = Path(spec.single_file)
    if path.is_file():
        return path
    source, pattern = spec.single_file_parts
    if path.is_absolute() or not pattern:
        raise ModelUnavailable(f"{spec.label} could not be loaded: there is no file {path}. Correct its name.")
    require_room(spec)
    found = sorted(_downloaded(replace(spec, source=source), allow_patterns=[pattern]).glob(pattern))
    if len(found) != 1:
        raise ModelUnavailable(
            f"{spec.label} could not be loaded: {len(found)} files of {source} fit “{pattern}”: name one."
        )
    return found[0]


def _downloaded(spec: ModelSpec, **patterns: Any) -> Path:
    """The folder of these files of the spec's repository. Raises ModelUnavailable."""
    try:
        return Path(snapshot_download(spec.source, **patterns))
    except (*FAILURES, RuntimeError) as error:
        raise ModelUnavailable(why_not(spec, error)) from error


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
    if any(is_full(cause) for cause in causes):
        return (
            f"{name}: the disk of {constants.HF_HOME} is full. Free some space there, or set HF_HOME to a folder on a "
            "larger disk, and try again: what was fetched so far is kept."
        )
    if any(isinstance(cause, OFFLINE) for cause in causes):
        return (
            f"{name}: {spec.source} is not on this machine, and the network cannot be reached. Connect the machine and "
            "try again, or name a folder that has the weights."
        )
    return (
        f"{name} from {spec.source}: check the folder, or the network connection and the Hugging Face token, "
        "and try again."
    )


def is_full(error: BaseException) -> bool:
    """Whether it says that a disk is full: by its number, or in words where libraries in other languages pass it on."""
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(error)


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
