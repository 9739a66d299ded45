"""Thin: a job in, one function called. And what a worker does when it starts."""

from functools import cache
from typing import Any

from celery import shared_task
from celery.signals import worker_process_init
from django.conf import settings
from django.db import DatabaseError, connection

from generation.errors import OutOfMemory
from generation.manager import ModelManager
from preferences.drawing import run
from preferences.jobs import leases, worker
from preferences.jobs import services as jobs
from preferences.jobs.leases import Lease
from preferences.sessions.selectors import last_started
from preferences.sessions.services import DRAW_BATCH
from preferences.tuning import trials
from preferences.tuning.services import MAKE_TRIAL


@shared_task(name=jobs.WORK, bind=True)
def work(self: Any, queue: str, passed_on: int = 0) -> None:
    """A message: there may be work in a queue."""
    worker.work(queue, self.request.hostname, model_manager().loaded if queue == "gpu" else "", passed_on)


@shared_task(name=DRAW_BATCH)
def draw_batch(lease: Lease) -> None:
    try:
        run.draw_batch(lease, model_manager())
    except OutOfMemory as error:
        # What memory is lost in pieces comes back with the end of this process only; the pool starts another one.
        raise SystemExit(1) from error


@shared_task(name=MAKE_TRIAL)
def make_trial(lease: Lease) -> None:
    trials.make_trial(lease)


@shared_task
def sweep() -> None:
    leases.sweep()
    jobs.wake_for_what_waits()


@cache
def model_manager() -> ModelManager:
    """The model slot of this worker process."""
    # Without an address of its own the token is sent nowhere: whatever listens at the default one may be a stranger.
    known = {settings.IPO_GENERATION_SERVER: settings.IPO_GENERATION_TOKEN} if settings.IPO_GENERATION_SERVER else {}
    return ModelManager(known, settings.IPO_SPEEDUPS)


@worker_process_init.connect
def _start_worker(sender: str = "", **_: Any) -> None:
    """In the child, not its parent: one that touches CUDA breaks its children."""
    if sender.startswith("gpu@"):
        manager = model_manager()  # made before there is a second thread: there must be one slot
        worker.take_over(sender)
        worker.start_reporting(sender, manager, wanted_next)
    elif sender.startswith("cpu@"):
        worker.take_over(sender)


def wanted_next() -> tuple[str, str]:
    """The key of the model that this worker most likely needs next, and the URL of the server that has it, if one."""
    try:
        last = last_started()
    except DatabaseError:
        connection.close()
        last = None
    if last is not None and last.is_model_known and (last.server or _may_load(last.model)):
        return last.model, last.server
    if _may_load(settings.IPO_DEFAULT_MODEL) or settings.IPO_GENERATION_SERVER:
        return settings.IPO_DEFAULT_MODEL, settings.IPO_GENERATION_SERVER
    return settings.IPO_WORKER_MODELS[0], ""


def _may_load(model: str) -> bool:
    return not settings.IPO_WORKER_MODELS or model in settings.IPO_WORKER_MODELS
