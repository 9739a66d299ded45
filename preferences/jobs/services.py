"""Long work is asked for, asked for again, and called off. Each in the transaction of whatever it is about."""

import logging
from datetime import timedelta
from functools import partial
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from kombu.exceptions import OperationalError

from preferences.jobs.models import NO_LEASE, Job

log = logging.getLogger(__name__)
WORK = "preferences.tasks.work"


def submit(kind: str, **fields: Any) -> Job:
    """Ask for work; `fields` are columns of Job. Raises IntegrityError for a second of one."""
    job = Job.objects.create(kind=kind, **fields)
    _wake_on_commit(job.queue)
    return job


def submit_again(job: Job, **changes: Any) -> None:
    """Queue a job that has ended once more, with some columns changed."""
    values: dict[str, Any] = {
        "state": Job.State.QUEUED,
        "phase": "",
        "done": 0,
        "error": "",
        "cancel_requested_at": None,
        "enqueued_at": timezone.now(),
        "woken_at": timezone.now(),
        "finished_at": None,
        **changes,
    }
    Job.objects.filter(pk=job.pk).exclude(state__in=Job.ACTIVE).update(**values)
    job.refresh_from_db()
    _wake_on_commit(job.queue)


def cancel(job: Job) -> bool:
    """Call off a job that waits or runs; whether it did. Whoever does it has lost its lease, and soon notices."""
    active = Job.objects.filter(pk=job.pk, state__in=Job.ACTIVE)
    return end(active, Job.State.CANCELLED, cancel_requested_at=timezone.now())


def end_background(subject: str, error: str) -> None:
    """End what goes on in the background about something that has changed, with a sentence for the user."""
    about = Job.objects.filter(subject=subject, priority=Job.Priority.BACKGROUND, state__in=Job.ACTIVE)
    end(about, Job.State.FAILED, error=error)


def end(jobs: "QuerySet[Job]", state: str, **changes: Any) -> bool:
    """Nobody does them any longer; whether there was one."""
    return bool(jobs.update(state=state, finished_at=timezone.now(), **NO_LEASE, **changes))


def _wake_on_commit(queue: str) -> None:
    """As soon as a worker can see the row."""
    transaction.on_commit(partial(wake, queue), robust=True)


def wake(queue: str, passed_on: int = 0) -> None:
    """Let a worker of this queue look for work. If Redis is away, the sweep sends it again when it is back.

    passed_on: how many workers that may not load what is wanted have had this message.
    """
    try:
        current_app.send_task(WORK, args=(queue, passed_on), queue=queue)
    except OperationalError:
        log.warning("Redis did not answer; the workers of %s will be woken when it does.", queue)


def wake_for_what_waits() -> None:
    """A message can be lost with Redis. One more is harmless: it finds nothing to do."""
    silent = timezone.now() - timedelta(seconds=settings.IPO_SWEEP_SECONDS)
    waiting = Job.objects.filter(state=Job.State.QUEUED, woken_at__lt=silent)
    for pk, queue in waiting.values_list("pk", "queue"):
        if Job.objects.filter(pk=pk, state=Job.State.QUEUED).update(woken_at=timezone.now()):
            wake(queue)
