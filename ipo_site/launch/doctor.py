"""Looks at everything that IPO needs, and says of each what is there, or what to do. Changes nothing."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import redis
from django.conf import settings
from django.db.utils import DatabaseError
from huggingface_hub import constants

from generation import installed
from generation.manager import ModelManager
from generation.types import Hardware
from ipo_site import env
from ipo_site.launch import checks
from ipo_site.launch.errors import CannotStart
from ipo_site.launch.schema import FROM_ANOTHER_VERSION, Schema
from preferences.jobs import selectors as job_selectors

NOT_RUNNING = "start IPO (make run), and look again"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. What is not needed by everybody may be missing: it is then no problem."""

    about: str
    said: str
    is_problem: bool = False


def findings() -> Iterator[Finding]:
    """All that is looked at."""
    yield Finding("Python", f"{platform.python_version()} ({sys.prefix})")
    yield _disk()
    yield from servers()
    hardware = ModelManager().hardware()
    yield device(hardware)
    if settings.IPO_WORKER_MODELS and settings.IPO_DEFAULT_MODEL not in settings.IPO_WORKER_MODELS:
        said = f"{settings.IPO_DEFAULT_MODEL}, which no worker here may load"
        yield Finding(
            "New sessions begin with", f"{said}: correct IPO_DEFAULT_MODEL or IPO_WORKER_MODELS", is_problem=True
        )
    token = "set" if os.environ.get("HF_TOKEN") else "not set: only gated models need one (HF_TOKEN in .env)"
    yield Finding("Hugging Face token", token)
    yield Finding("Downloads lie in", constants.HF_HOME)
    for spec in settings.IPO_MODELS.values():
        yield Finding(f"Model {spec.key}", ", ".join(of_model(installed.look(spec), hardware)))


def _disk() -> Finding:
    try:
        checks.check_disk(env.DATA_DIR)
    except (CannotStart, OSError) as error:
        return Finding("Disk", str(error), is_problem=True)
    return Finding("Disk", f"{shutil.disk_usage(env.DATA_DIR).free / 1e9:.0f} GB free for {env.DATA_DIR}")


def device(hardware: Hardware) -> Finding:
    """What pictures are drawn on."""
    said = f"{hardware.name}, {hardware.gigabytes:.0f} GB"
    if hardware.is_gpu:
        return Finding("Draws on", said)
    if shutil.which("nvidia-smi"):
        said += "; there is an NVIDIA driver, but torch cannot use it: update the driver, or reinstall torch for CUDA"
        return Finding("Draws on", said, is_problem=True)
    return Finding("Draws on", f"{said}; no NVIDIA GPU")


def servers() -> Iterator[Finding]:
    """Postgres, the workers and Redis."""
    try:
        schema = Schema()
        is_behind = schema.is_from_another_version or schema.missing
        workers = [] if is_behind else job_selectors.workers()
    except DatabaseError as error:
        why = " ".join(str(error).split())
        yield Finding("Postgres", f"does not answer ({why}): {NOT_RUNNING}", is_problem=True)
    else:
        yield Finding("Postgres", "answers")
        if schema.is_from_another_version:
            yield Finding("Database", FROM_ANOTHER_VERSION, is_problem=True)
        elif schema.missing:
            yield Finding("Database", f"lacks {schema.missing} migrations: {NOT_RUNNING}", is_problem=True)
        elif not workers:
            yield Finding("Workers", f"none was heard of lately: {NOT_RUNNING}", is_problem=True)
        for worker in workers:
            about = f"{worker.get_state_display()}{f' ({worker.model})' if worker.model else ''}"
            yield Finding(f"Worker {worker.name}", worker.error or about, is_problem=bool(worker.error))
    try:
        redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=5, socket_timeout=5).ping()
    except (redis.RedisError, OSError, ValueError) as error:
        yield Finding("Redis", f"does not answer ({error}): {NOT_RUNNING}", is_problem=True)
    else:
        yield Finding("Redis", "answers")


def of_model(found: installed.Installed, hardware: Hardware) -> Iterator[str]:
    """What there is of a model, and what it lacks."""
    spec = found.spec
    if found.place is not None:
        yield f"installed, {found.gigabytes:.2f} GB in {found.place}"
        if found.without:
            yield f"so far without {found.without} (manage.py fetch_models {spec.key})"
    else:
        yield f"not downloaded (manage.py fetch_models {spec.key})"
        if found.needed_gb > installed.free_gb():
            yield f"needs {found.needed_gb:.0f} GB of disk, more than is free for {constants.HF_HOME}"
        if spec.is_gated:
            yield f"gated: accept its licence at {constants.ENDPOINT}/{spec.source}"
    if spec.needs_cuda and not hardware.is_gpu:
        yield "needs an NVIDIA GPU"
    elif spec.memory_gb > hardware.gigabytes:
        yield f"needs about {spec.memory_gb:.0f} GB of memory, more than there is"
