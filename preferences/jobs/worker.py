"""The life of a worker: take over what a dead predecessor has left, load early, report, look for work."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection, connections
from django.utils import timezone

from generation import registry
from generation.errors import Cancelled, GenerationError
from generation.manager import ModelManager
from preferences.jobs import leases
from preferences.jobs.models import Worker
from preferences.jobs.services import wake

log = logging.getLogger(__name__)
REPORT_SECONDS = 3.0
# Then the sweep begins anew: a message that nobody can do anything about must not go round for ever.
MOST_PASSED_ON, SECONDS_TO_PASS_ON = 5, 0.5
LOADING_REPORT_SECONDS = 0.5  # while a model is loaded, of which the page shows how far it is


def work(queue: str, name: str, loaded: str = "", passed_on: int = 0) -> None:
    """Do the most urgent job of a queue, if there is one: the Celery task of its kind, in this process.

    A message about work that only others may do goes on to the next worker. passed_on: how often it did.
    """
    models = settings.IPO_WORKER_MODELS
    lease = leases.claim(queue, name, loaded, models)
    if lease is not None:
        current_app.tasks[lease.kind](lease)
    elif passed_on < MOST_PASSED_ON and leases.is_for_others(queue, models):
        time.sleep(SECONDS_TO_PASS_ON)  # so that it is not this worker that waits longest for a message
        wake(queue, passed_on + 1)


def take_over(name: str) -> None:
    """Queue again what a dead predecessor has left."""
    try:
        leases.release_all_of(name)
    except DatabaseError:
        log.warning("The database did not answer: what a dead worker has left goes on when the sweep finds it.")
    # Celery's own handler comes next and closes by its number what is open of this thread, and then once more: a number
    # that a file may have by then which another thread has opened.
    connections.close_all()


def start_reporting(name: str, manager: ModelManager, wanted_next: Callable[[], tuple[str, str]]) -> None:
    """Load the model that is wanted next (its key, and the URL of the server that has it), and report, in threads."""
    threading.Thread(target=report, args=(name, manager, wanted_next), name="report", daemon=True).start()


def report(name: str, manager: ModelManager, wanted_next: Callable[[], tuple[str, str]]) -> None:
    """Load the model that is wanted next, and say every few seconds how this worker fares. Never returns."""
    model, server = wanted_next()
    permitted = list(settings.IPO_WORKER_MODELS)
    state: dict[str, Any] = {"state": Worker.State.LOADING, "model": model, "permitted": permitted, "error": ""}

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
            report_worker(name, **state)
        except DatabaseError:
            log.warning("The database did not answer; reporting again in %s s.", REPORT_SECONDS)
            connection.close()
        is_loading = state["state"] == Worker.State.LOADING or progress is not None
        time.sleep(LOADING_REPORT_SECONDS if is_loading else REPORT_SECONDS)


def report_worker(name: str, **changes: Any) -> None:
    """A sign of life of a worker that draws, with what it has to say of itself: fields of Worker."""
    Worker.objects.update_or_create(name=name, defaults={**changes, "seen_at": timezone.now()})
