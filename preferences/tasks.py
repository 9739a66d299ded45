"""Thin: an id in, one function called. And the life of a worker that draws: load early, report, take over."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from functools import cache, partial
from typing import Any

from celery import shared_task
from celery.signals import worker_process_init
from django.conf import settings
from django.db import DatabaseError, connection, connections

from generation import registry
from generation.errors import Cancelled, GenerationError, OutOfMemory
from generation.manager import ModelManager
from preferences.drawing import run
from preferences.jobs import leases
from preferences.jobs.models import Worker
from preferences.jobs.waking import DRAW_BATCH, MAKE_TRIAL, wake
from preferences.sessions.selectors import last_started
from preferences.tuning import services as tuning
from preferences.tuning import trials

log = logging.getLogger(__name__)
REPORT_SECONDS = 3.0
LOADING_REPORT_SECONDS = 0.5  # while a model is loaded, of which the page shows how far it is


@shared_task(name=DRAW_BATCH, bind=True)
def draw_batch(self: Any, batch_id: int) -> None:
    try:
        run.draw_batch(batch_id, model_manager(), self.request.hostname)
    except OutOfMemory as error:
        # What memory is lost in pieces comes back with the end of this process only; the pool starts another one.
        raise SystemExit(1) from error


@shared_task(name=MAKE_TRIAL)
def make_trial(search_id: int) -> None:
    if trials.make_trial(search_id):
        wake(MAKE_TRIAL, search_id)


@shared_task
def sweep() -> None:
    for batch_id in leases.sweep():
        wake(DRAW_BATCH, batch_id)
    for search_id in tuning.searches_to_resume():
        wake(MAKE_TRIAL, search_id)


@cache
def model_manager() -> ModelManager:
    """The model slot of this worker process."""
    # Without an address of its own the token is sent nowhere: whatever listens at the default one may be a stranger.
    known = {settings.IPO_GENERATION_SERVER: settings.IPO_GENERATION_TOKEN} if settings.IPO_GENERATION_SERVER else {}
    return ModelManager(known, settings.IPO_SPEEDUPS)


@worker_process_init.connect
def _start_drawing_worker(sender: str = "", **_: Any) -> None:
    """In the child of a gpu worker (a parent that touches CUDA breaks its children): load early, take over."""
    if not sender.startswith("gpu@"):
        return
    model_manager()  # made before there is a second thread: there must be one slot
    _take_over(partial(leases.release_leases_of, sender), partial(wake, DRAW_BATCH))
    threading.Thread(target=_report, args=(sender,), name="report", daemon=True).start()


@worker_process_init.connect
def _start_searching_worker(sender: str = "", **_: Any) -> None:
    """In the child of a cpu worker: go on with the searches that its dead predecessor has left."""
    if sender.startswith("cpu@"):
        # Two make one trial once.
        _take_over(partial(tuning.searches_to_resume, timedelta(0)), partial(wake, MAKE_TRIAL))


def _take_over(left: Callable[[], list[int]], send: Callable[[int], None]) -> None:
    """Send again what a dead predecessor has left."""
    try:
        for one in left():
            send(one)
    except DatabaseError:
        log.warning("The database did not answer: what a dead worker has left goes on when the sweep finds it.")
    # Celery's own handler comes next and closes by its number what is open of this thread, and then once more: a number
    # that a file may have by then which another thread has opened.
    connections.close_all()


def _wanted_next() -> tuple[str, str]:
    """The key of the model that is most likely wanted next, and the URL of the server that has it; empty for none."""
    try:
        last = last_started()
    except DatabaseError:
        connection.close()
        last = None
    if last is not None and last.is_model_known:
        return last.model, last.server
    return settings.IPO_DEFAULT_MODEL, settings.IPO_GENERATION_SERVER


def _report(name: str) -> None:
    """Load the model that is wanted next, and say every few seconds how this worker fares."""
    manager = model_manager()
    model, server = _wanted_next()
    state: dict[str, Any] = {"state": Worker.State.LOADING, "model": model, "error": ""}

    def load() -> None:
        try:
            hardware = manager.hardware()
            state.update(device=hardware.name, memory_gb=hardware.gigabytes)
            manager.preload(registry.get(settings.IPO_MODELS, model), server)
            state.update(state=Worker.State.READY)
        except Cancelled:  # somebody waits for another model, or has stopped waiting for this one
            state.update(state=Worker.State.READY)
        except GenerationError as error:
            state.update(state=Worker.State.FAILED, error=str(error))
        except Exception:
            # The page gets a sentence, the log gets the traceback.
            state.update(state=Worker.State.FAILED, error=f"{model} could not be loaded: see the worker's log.")
            raise

    threading.Thread(target=load, name="load", daemon=True).start()
    while True:
        if manager.has_drawn:  # whatever it could not load at first
            state.update(state=Worker.State.READY, error="")
        if state["state"] != Worker.State.LOADING:
            state.update(model=manager.loaded)  # none where a server draws
        progress = manager.progress
        state.update(progress=None if progress is None else asdict(progress))
        try:
            leases.report_worker(name, **state)
        except DatabaseError:
            log.warning("The database did not answer; reporting again in %s s.", REPORT_SECONDS)
            connection.close()
        is_loading = state["state"] == Worker.State.LOADING or progress is not None
        time.sleep(LOADING_REPORT_SECONDS if is_loading else REPORT_SECONDS)
