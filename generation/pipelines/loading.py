"""Reading a pipeline's weights, and saying in one sentence why they could not be read."""

import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import torch
from diffusers import DiffusionPipeline
from huggingface_hub import constants, set_client_factory
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils._http import default_client_factory
from safetensors import SafetensorError

from generation.errors import ModelUnavailable
from generation.installed import folder_of, free_gb, kept_folder, missing, needed_gb, written_gb
from generation.pipelines import fetching
from generation.progress import Report, Stage
from generation.registry import ENCODERS
from generation.types import ModelSpec

T = TypeVar("T")
# What reading and fetching raise besides; of what is silent, the hub's own client would wait for ever.
FAILURES = (OSError, ValueError, httpx2.HTTPError, SafetensorError)
OFFLINE = (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError, httpx2.TransportError)
SILENCE = 30.0  # seconds
MAKE_ROOM = (
    "Free some space there, or set HF_HOME to a folder on a larger disk, and try again: what was fetched so far is "
    "kept."
)
# All but the weights.
SMALL_FILES = ["model_index.json", "*/config.json", "scheduler/*.json", "tokenizer*/*", "feature_extractor/*.json"]


def _client() -> httpx2.Client:
    client = default_client_factory()
    client.timeout = httpx2.Timeout(SILENCE)
    return client


set_client_factory(_client)


def read(
    kind: type[DiffusionPipeline],
    spec: ModelSpec,
    report: Report,
    begin: Callable[[], None] | None = None,
    **options: Any,
) -> Any:
    """The diffusers pipeline of a spec, on the CPU; fetched if it is not here. Raises ModelUnavailable with a remedy.

    What is here is read without a look at the hub, which may be slow, or silent. `begin` reports that reading begins.
    """

    def pipe() -> Any:
        (begin or partial(report.tell, Stage.READING))()
        return from_here(kind, spec, **options)

    found = fetched_if_missing(spec, report, pipe)
    found.set_progress_bar_config(disable=True)
    return found


def fetched_if_missing(spec: ModelSpec, report: Report, work: Callable[[], T]) -> T:
    """What is read of a pipeline that is here, or is fetched for it. Raises ModelUnavailable with a remedy."""
    try:
        return work()
    except FAILURES as error:
        if Path(spec.source).is_dir():
            raise ModelUnavailable(why_not(spec, error)) from error
    fetch_pipeline(spec, report)
    try:
        return work()
    except FAILURES as second:
        raise ModelUnavailable(why_not(spec, second)) from second


def from_here(kind: Any, spec: ModelSpec, **options: Any) -> Any:
    """A pipeline or a part of one, with the spec's variant, or else without. Raises one of FAILURES."""
    options |= {"dtype": getattr(torch, spec.dtype), "local_files_only": True}
    if spec.variant:
        try:
            return kind.from_pretrained(spec.source, variant=spec.variant, **options)
        except FAILURES:
            pass
    return kind.from_pretrained(spec.source, **options)


def require_room(spec: ModelSpec, to_fetch: float | None = None) -> None:
    """Before gigabytes are fetched or written: see that the disk has room for them. Raises ModelUnavailable.

    `to_fetch`: GB that are still to come, where the hub was asked; otherwise the spec's entry says so.
    """
    needed, free = needed_gb(spec) if to_fetch is None else to_fetch + written_gb(spec), free_gb()
    if needed > free:
        raise ModelUnavailable(
            f"{spec.label} needs {needed:.0f} GB more on the disk of {constants.HF_HOME}, which has {free:.0f} GB "
            "free: free some, or set HF_HOME to a folder on a larger disk, and try again."
        )


def fetch(spec: ModelSpec, report: Report) -> None:
    """Download all that drawing with a model needs. Raises ModelUnavailable, and Cancelled."""
    if not kept_folder(spec).is_dir():  # else what it was made from is not needed any longer
        if spec.single_file:
            small_files(spec)
            file_of(spec, report)
        elif not Path(spec.source).is_dir():
            fetch_pipeline(spec, report)
    encoder = ENCODERS.get(spec.encoder)
    for source in (spec.preview_vae, encoder.source if encoder else ""):
        if source and not Path(source).is_dir():
            fetch_companion(spec, source, report)


def fetch_companion(spec: ModelSpec, source: str, report: Report) -> None:
    """Download what is no part of the pipeline, such as an image encoder. Raises ModelUnavailable, and Cancelled."""
    _downloaded(
        replace(spec, source=source, quantization="", single_file=""),
        report,
        ignore_patterns=["*.bin", "*.h5", "*.msgpack", "*.ckpt"],
    )


def fetch_pipeline(spec: ModelSpec, report: Report) -> None:
    """Download what a pipeline is made of. Raises ModelUnavailable, and Cancelled."""
    small_files(spec)
    try:
        with fetching.for_diffusers(report, partial(require_room, spec)):
            DiffusionPipeline.download(spec.source, variant=spec.variant or None)
    except (*FAILURES, RuntimeError) as error:  # the last is what hf_xet raises
        raise ModelUnavailable(why_not(spec, error)) from error


def small_files(spec: ModelSpec) -> Path:
    """The folder of the spec's source without its weights: configurations, tokenizers, scheduler.

    To be asked for before gigabytes are: what is gated, misspelt or incomplete shows here. Raises ModelUnavailable.
    """
    folder = folder_of(spec.source)  # without a look at the hub, as everywhere
    if folder is None or (missing(folder, weights=False) and not Path(spec.source).is_dir()):
        folder = _downloaded(spec, Report(spec), allow_patterns=SMALL_FILES)
    if lacking := missing(folder, weights=False):
        raise ModelUnavailable(
            f"{spec.label} could not be loaded: {spec.source} has no {lacking}, or not all of it: name a folder or "
            "repository in diffusers' layout."
        )
    return folder


def file_of(spec: ModelSpec, report: Report) -> Path:
    """The spec's single file, fetched if need be: a path, or owner/name/file of a repository.

    The file may be a pattern (owner/name/*.safetensors) that fits one file. Raises ModelUnavailable, and Cancelled.
    """
    path = Path(spec.single_file)
    if path.is_file():
        return path
    source, pattern = spec.single_file_parts
    if path.is_absolute() or not pattern:
        raise ModelUnavailable(f"{spec.label} could not be loaded: there is no file {path}. Correct its name.")
    found = sorted(_downloaded(replace(spec, source=source), report, allow_patterns=[pattern]).glob(pattern))
    if len(found) != 1:
        raise ModelUnavailable(
            f"{spec.label} could not be loaded: {len(found)} files of {source} fit “{pattern}”: name one."
        )
    return found[0]


def _downloaded(spec: ModelSpec, report: Report, **patterns: Any) -> Path:
    """The folder of these files of the spec's repository. Raises ModelUnavailable, and Cancelled."""
    try:
        return fetching.snapshot(spec.source, report, partial(require_room, spec), **patterns)
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
    if is_full(error):
        return f"{name}: the disk of {constants.HF_HOME} is full. {MAKE_ROOM}"
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
    """Whether it comes from a full disk: told by a number, or in words where other languages' libraries pass it on."""

    def says_so(cause: BaseException) -> bool:
        number = cause.errno if isinstance(cause, OSError) else None
        return number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in str(cause)

    return any(says_so(cause) for cause in _causes(error))


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
