"""Who does a job: claim it, keep it, finish it, give it back. It knows nothing of what the jobs are about."""

import logging
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Case, Q, QuerySet, Value, When
from django.utils import timezone

from preferences.jobs.models import NO_LEASE, Job
from preferences.jobs.services import end, wake

log = logging.getLogger(__name__)
SECONDS_BETWEEN_TRIES = 0.5
PATIENCE = timedelta(seconds=60)  # so long others go before a job whose model would have to be loaded first


@dataclass(frozen=True)
class Lease:
    """The right to do a job, as long as the token is the job's own: one that has expired is soon taken away."""

    job_id: int
    kind: str
    queue: str
    token: uuid.UUID

    def rows(self) -> "QuerySet[Job]":
        return Job.objects.filter(pk=self.job_id, lease_token=self.token, state=Job.State.RUNNING)

    @contextmanager
    def held(self) -> Iterator[bool]:
        """A transaction in which nobody else gets the lease; False where it is lost, and nothing may be written."""
        with transaction.atomic():
            yield self.rows().select_for_update().exists()


def claim(queue: str, worker: str, loaded: str = "", models: Collection[str] = ()) -> Lease | None:
    """Take the most urgent job of a queue that nobody does; None where there is none.

    Of equals the one whose model is `loaded` already, then the one that waits longest; who has waited for PATIENCE
    is not kept waiting for a model. models: that this worker may load, all if empty.
    """
    waited = When(enqueued_at__lt=timezone.now() - PATIENCE, then=Value(0))
    turn = Case(waited, When(model__in=["", loaded], then=Value(1)), default=Value(2))
    rows = Job.objects.filter(queue=queue)
    if models:
        rows = rows.filter(model__in=["", *models])
    return _take(rows.order_by("priority", turn, "enqueued_at", "pk"), worker)


def is_for_others(queue: str, models: Collection[str]) -> bool:
    """Whether something waits that a worker which may load these models only (all if empty) cannot do."""
    waiting = Job.objects.filter(queue=queue, state=Job.State.QUEUED)
    return bool(models) and waiting.exclude(model__in=["", *models]).exists()


def claim_job(job_id: int, worker: str) -> Lease | None:
    """Take just this one; None where somebody does it, or it has ended."""
    return _take(Job.objects.filter(pk=job_id), worker)


def _take(rows: "QuerySet[Job]", worker: str) -> Lease | None:
    free = Q(state=Job.State.QUEUED) | Q(state=Job.State.RUNNING, lease_expires_at__lt=timezone.now())
    with transaction.atomic():
        job = rows.filter(free).select_for_update(skip_locked=True).first()
        if job is None:
            return None
        lease = Lease(job.pk, job.kind, job.queue, uuid.uuid4())
        Job.objects.filter(pk=job.pk).update(
            state=Job.State.RUNNING, lease_token=lease.token, lease_expires_at=_expiry(), leased_by=worker
        )
    return lease


def _expiry() -> datetime:
    return timezone.now() + timedelta(seconds=settings.IPO_LEASE_SECONDS)


def renew(lease: Lease, **changes: Any) -> bool:
    """Push the expiry back, and say how far it is (phase, done, total); False when the lease was lost: stop."""
    return bool(lease.rows().update(lease_expires_at=_expiry(), **changes))


def finish(lease: Lease, **changes: Any) -> bool:
    return end(lease.rows(), Job.State.DONE, **changes)


def fail(lease: Lease, error: str) -> bool:
    """With a sentence for the user."""
    return end(lease.rows(), Job.State.FAILED, error=error)


def pause(lease: Lease, **changes: Any) -> bool:
    """Give others their turn: the job goes to the end of its queue, with what was done so far."""
    transaction.on_commit(partial(wake, lease.queue), robust=True)
    return _requeue(lease.rows(), enqueued_at=timezone.now(), **changes)


@contextmanager
def survives_the_database(lease: Lease) -> Iterator[None]:
    """Around the body of a job: where the database goes away, the job is queued again and its worker goes on.

    As soon as the database answers; after PATIENCE the sweep does it.
    """
    try:
        yield
    except DatabaseError as error:
        if not _is_connection_lost(error):
            raise
        log.warning("Job %s lost the database: %s", lease.job_id, error)
        patience_ends = time.monotonic() + PATIENCE.total_seconds()
        while not _could_give_back(lease) and time.monotonic() < patience_ends:
            time.sleep(SECONDS_BETWEEN_TRIES)


def _is_connection_lost(error: DatabaseError) -> bool:
    """Whether the database went away, and not something was wrong with what it was asked."""
    cause = error.__cause__
    if not isinstance(cause, psycopg.OperationalError):
        return False
    # Connection exceptions, and operator intervention: the server is being shut down, or started.
    return cause.sqlstate is None or cause.sqlstate.startswith(("08", "57P"))


def _could_give_back(lease: Lease) -> bool:
    """False where the database does not answer yet."""
    connection.close()
    try:
        _give_back(lease.rows())
    except DatabaseError:
        return False
    return True


def _requeue(rows: "QuerySet[Job]", **changes: Any) -> bool:
    now = timezone.now()
    return bool(rows.update(state=Job.State.QUEUED, phase="", woken_at=now, **NO_LEASE, **changes))


def release_all_of(worker: str) -> list[int]:
    """A worker that starts does nothing: what its dead predecessor did is queued again. Ids of these jobs."""
    return _give_back(Job.objects.filter(state=Job.State.RUNNING, leased_by=worker))


def sweep() -> list[int]:
    """Queue again what has lost its worker. Ids of these jobs."""
    return _give_back(Job.objects.filter(state=Job.State.RUNNING, lease_expires_at__lt=timezone.now()))


def _give_back(jobs: "QuerySet[Job]") -> list[int]:
    ids = []
    for pk, token, queue in jobs.values_list("pk", "lease_token", "queue"):
        if _requeue(Job.objects.filter(pk=pk, lease_token=token, state=Job.State.RUNNING)):
            ids.append(pk)
            log.warning("Job %s lost its worker and is queued again.", pk)
            wake(queue)
    return ids
