"""The worker's half of the writes: claim a batch, keep it, finish it, give it back."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from preferences.jobs.models import Worker
from preferences.sessions.candidates import give_up
from preferences.sessions.models import Batch, Candidate

log = logging.getLogger(__name__)
NONE_DRAWN = "None of these pictures could be drawn, and each says why. “Try again” draws others in their places."


@dataclass(frozen=True)
class Lease:
    """The right to draw a batch, as long as the token is the batch's own and has not expired."""

    batch_id: int
    token: uuid.UUID

    def rows(self) -> Any:
        return Batch.objects.filter(pk=self.batch_id, lease_token=self.token, state=Batch.State.RUNNING)

    @contextmanager
    def held(self) -> Iterator[bool]:
        """A transaction in which nobody else gets the lease; False where it is lost, and nothing may be written."""
        with transaction.atomic():
            yield self.rows().select_for_update().exists()


def _expiry() -> datetime:
    return timezone.now() + timedelta(seconds=settings.IPO_LEASE_SECONDS)


def claim_batch(batch_id: int, worker: str) -> Lease | None:
    """Take a queued batch, or a running one whose lease ran out; None when another worker has it."""
    free = Q(state=Batch.State.QUEUED) | Q(state=Batch.State.RUNNING, lease_expires_at__lt=timezone.now())
    lease = Lease(batch_id, uuid.uuid4())
    taken = Batch.objects.filter(free, pk=batch_id).update(
        state=Batch.State.RUNNING,
        phase=Batch.Phase.LOADING,
        lease_token=lease.token,
        lease_expires_at=_expiry(),
        leased_by=worker,
    )
    return lease if taken else None


def renew_lease(lease: Lease, phase: str | None = None) -> bool:
    """Push the expiry back; False when the lease was lost, and the work should stop."""
    changes: dict[str, Any] = {"lease_expires_at": _expiry()}
    if phase is not None:
        changes["phase"] = phase
    return bool(lease.rows().update(**changes))


def finish_batch(lease: Lease) -> bool:
    """Close the batch if nothing is left to draw; False when something is, or the lease was lost.

    A batch of which no picture can be shown has failed.
    """
    with transaction.atomic():
        # The lock keeps a vote from adding an attempt between the look and the update.
        batch = lease.rows().select_for_update().first()
        if batch is None or batch.candidates.filter(state=Candidate.State.PENDING).exists():
            return False
        if batch.shown().exists():
            return bool(_release(lease.rows(), Batch.State.READY, phase=Batch.Phase.DONE))
        return bool(_release(lease.rows(), Batch.State.FAILED, phase=Batch.Phase.DONE, error=NONE_DRAWN))


def fail_batch(lease: Lease, error: str) -> None:
    """Close the batch with a sentence for the user; what was drawn stays."""
    close_batch(lease.rows(), lease.batch_id, Batch.State.FAILED, error, error=error)


def close_batch(rows: Any, batch_id: int, state: str, why_not_drawn: str, **changes: Any) -> None:
    """If the batch is still one of these rows: close it, and say so of each picture that is not drawn."""
    with transaction.atomic():
        if _release(rows, state, phase=Batch.Phase.DONE, **changes):
            give_up(Candidate.objects.filter(batch_id=batch_id, state=Candidate.State.PENDING), why_not_drawn)


def _release(rows: Any, state: str, **changes: Any) -> int:
    count: int = rows.update(
        state=state,
        lease_token=None,
        lease_expires_at=None,
        leased_by="",
        finished_at=timezone.now(),
        **changes,
    )
    return count


def release_leases_of(worker: str) -> list[int]:
    """A worker that starts holds nothing: what its dead predecessor held is queued again."""
    return _requeue(Batch.objects.filter(state=Batch.State.RUNNING, leased_by=worker))


def sweep() -> list[int]:
    """Ids of the batches to enqueue (again): those with expired leases, and those long in the queue."""
    expired = Batch.objects.filter(state=Batch.State.RUNNING, lease_expires_at__lt=timezone.now())
    ids = _requeue(expired)
    # A message can be lost with Redis. Sending one more is harmless: only one claim succeeds.
    waiting = timezone.now() - timedelta(seconds=settings.IPO_SWEEP_SECONDS)
    lost = Batch.objects.filter(state=Batch.State.QUEUED, enqueued_at__lt=waiting).exclude(pk__in=ids)
    for pk in lost.values_list("pk", flat=True):
        if Batch.objects.filter(pk=pk, state=Batch.State.QUEUED).update(enqueued_at=timezone.now()):
            ids.append(pk)
    return ids


def _requeue(batches: Any) -> list[int]:
    ids = []
    for pk, token in batches.values_list("pk", "lease_token"):
        same = Batch.objects.filter(pk=pk, lease_token=token, state=Batch.State.RUNNING)
        if _release(same, Batch.State.QUEUED, phase=Batch.Phase.QUEUED, enqueued_at=timezone.now()):
            ids.append(pk)
            log.warning("Batch %s lost its worker and is queued again.", pk)
    Batch.objects.filter(pk__in=ids).update(finished_at=None)
    return ids


def report_worker(name: str, **changes: Any) -> None:
    """A sign of life of a worker that draws, with what it has to say of itself: fields of Worker."""
    Worker.objects.update_or_create(name=name, defaults={**changes, "seen_at": timezone.now()})
