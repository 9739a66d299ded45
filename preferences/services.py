"""Every write. Each function is safe to call twice, and safe to be killed in."""

import logging
import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from preferences.models import Batch, Candidate, OptimizerState, RatedCandidate, Rating, Session, Worker

log = logging.getLogger(__name__)

GOOD, BAD = 1.0, -1.0
VALUES: Mapping[str, float | None] = {"good": GOOD, "bad": BAD, "none": None}


class NotAllowed(Exception):
    """The request does not fit the present state; the text says what to do."""


# --- sessions and batches ---------------------------------------------------------------------------------


@transaction.atomic
def start_session(owner: AbstractBaseUser, session_id: uuid.UUID, fields: Mapping[str, Any]) -> Session:
    """Make a session with its first batch. A second call with the same id changes nothing."""
    session, created = Session.objects.get_or_create(
        id=session_id, owner=owner, defaults={**fields, "seed": secrets.randbits(62)}
    )
    if created:
        _add_batch(session, 1)
    return session


def update_controls(session: Session, values: Mapping[str, Any]) -> None:
    """Set the controls that the next batch will use."""
    for name, value in values.items():
        setattr(session, name, value)
    session.full_clean()
    session.save(update_fields=list(values))


@transaction.atomic
def submit_batch(session: Session, number: int, good: Iterable[int], bad: Iterable[int]) -> Batch:
    """Save the whole-batch form's ratings and ask for the next batch; twice gives the same batch.

    `good` and `bad` are candidate ids of this batch. Raises NotAllowed while the batch is being drawn.
    """
    batch = Batch.objects.select_for_update().get(session=session, number=number)
    following = Batch.objects.filter(session=session, number=number + 1).first()
    if following is not None:
        return following
    if batch.is_active:
        raise NotAllowed("This batch is still being drawn: wait for the last picture, then submit it.")
    rated = _rated_ids(batch)
    ready = dict(batch.candidates.filter(state=Candidate.State.READY).values_list("id", "slot"))
    wanted = dict.fromkeys(bad, BAD) | dict.fromkeys(good, GOOD)
    if session.unrated_is_bad:
        wanted = {pk: BAD for pk in ready if pk not in rated} | wanted
    strangers = wanted.keys() - ready.keys()
    if strangers:
        raise NotAllowed("The form names pictures that are not in this batch: reload the page.")
    for pk in sorted(wanted):
        _add_rating(session, pk, wanted[pk], uuid.uuid4(), batch.finished_at)
    return _add_batch(session, number + 1)


@transaction.atomic
def retry_batch(session: Session, number: int) -> Batch:
    """Queue a failed batch again, its failed candidates included."""
    batch = Batch.objects.select_for_update().get(session=session, number=number)
    if batch.state == Batch.State.FAILED:
        failed = batch.candidates.filter(state=Candidate.State.FAILED)
        failed.update(state=Candidate.State.PENDING, error="", vector=None)
        _queue(batch)
    return batch


def _add_batch(session: Session, number: int) -> Batch:
    batch = Batch.objects.create(session=session, number=number, **session.controls())
    slots = range(1, batch.curation_size + 1)
    Candidate.objects.bulk_create(Candidate(batch=batch, slot=slot) for slot in slots)
    return batch


def _queue(batch: Batch) -> None:
    now = timezone.now()
    Batch.objects.filter(pk=batch.pk).update(
        state=Batch.State.QUEUED, phase=Batch.Phase.QUEUED, error="", enqueued_at=now, finished_at=None
    )
    batch.refresh_from_db()


# --- ratings ----------------------------------------------------------------------------------------------


@transaction.atomic
def rate(candidate: Candidate, value: str, form_token: uuid.UUID) -> Batch | None:
    """Say “good”, “bad” or “none” (take it back) of one picture.

    With Form Submit off the rated slot is drawn anew: the batch to enqueue is returned, otherwise None.
    The same form token twice is one event. Raises NotAllowed for a picture that is not there.
    """
    batch = Batch.objects.select_for_update().get(pk=candidate.batch_id)
    session = batch.session
    if candidate.state != Candidate.State.READY:
        raise NotAllowed("This picture is not there yet: rate it when it has been drawn.")
    if Rating.objects.filter(form_token=form_token).exists():
        return None
    number = VALUES[value]
    if number is None:
        _undo(candidate)
        return None
    _add_rating(session, candidate.pk, number, form_token, candidate.drawn_at)
    if session.form_submit or batch.state == Batch.State.FAILED:
        return None
    return _redraw(session, batch, candidate)


def _add_rating(session: Session, candidate_id: int, value: float, token: uuid.UUID, shown_at: datetime | None) -> None:
    rating = Rating.objects.create(session=session, form_token=token, shown_at=shown_at)
    RatedCandidate.objects.create(rating=rating, candidate_id=candidate_id, value=value)


def _undo(candidate: Candidate) -> None:
    Rating.objects.filter(items__candidate=candidate, undone_at__isnull=True).update(undone_at=timezone.now())


def _rated_ids(batch: Batch) -> set[int]:
    items = RatedCandidate.objects.filter(candidate__batch=batch, rating__undone_at__isnull=True)
    return set(items.values_list("candidate_id", flat=True))


def _redraw(session: Session, batch: Batch, candidate: Candidate) -> Batch | None:
    """A new attempt in the slot of a voted picture, or in all unrated slots too with Regen All."""
    newest = Candidate.objects.filter(batch=batch, slot=candidate.slot).order_by("-attempt")[:1].get()
    if newest.pk != candidate.pk:
        return None  # an older attempt was voted on again: its slot has its new picture already
    slots = [(candidate.slot, candidate.attempt)]
    if session.regenerate_all:
        rated = _rated_ids(batch)
        later = Candidate.objects.filter(batch=batch, slot=OuterRef("slot"), attempt__gt=OuterRef("attempt"))
        current = batch.candidates.filter(~Exists(later), state=Candidate.State.READY)
        slots = [(row.slot, row.attempt) for row in current if row.pk == candidate.pk or row.pk not in rated]
    Candidate.objects.bulk_create(Candidate(batch=batch, slot=slot, attempt=n + 1) for slot, n in slots)
    Batch.objects.filter(pk=batch.pk).update(**session.controls())
    if batch.state != Batch.State.READY:
        return None  # the worker that draws this batch will find the new attempts
    _queue(batch)
    return batch


# --- the worker's side ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lease:
    """The right to draw a batch, as long as the token is the batch's own and has not expired."""

    batch_id: int
    token: uuid.UUID

    def rows(self) -> Any:
        return Batch.objects.filter(pk=self.batch_id, lease_token=self.token, state=Batch.State.RUNNING)


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


def store_proposal(  # noqa: PLR0917 - one proposal, all of it needed
    lease: Lease,
    candidates: list[Candidate],
    vectors: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float64] | None,
    distances: npt.NDArray[np.float64],
    state: OptimizerState,
) -> bool:
    """Keep the vectors before anything is drawn, so that a restart draws the same pictures."""
    with transaction.atomic():
        if not lease.rows().select_for_update().exists():
            return False
        state.save()
        for row, candidate in enumerate(candidates):
            candidate.vector = vectors[row].astype("<f4").tobytes()
            candidate.score = None if scores is None else float(scores[row])
            candidate.distance = float(distances[row])
        Candidate.objects.bulk_update(candidates, ["vector", "score", "distance"])
    return True


@dataclass(frozen=True)
class Drawn:
    """A candidate and its files, or the sentence that says why there are none."""

    candidate: Candidate
    png: bytes = b""
    thumbnail: bytes = b""
    error: str = ""


def finish_candidates(lease: Lease, drawn: list[Drawn]) -> bool:
    """Save the pictures of one forward pass. False, and nothing changed, when the lease was lost."""
    for item in drawn:
        if not item.error:
            _store(item)
    with transaction.atomic():
        if not lease.rows().select_for_update().exists():
            return False
        now = timezone.now()
        for item in drawn:
            if item.error:
                changes: dict[str, Any] = {"state": Candidate.State.FAILED, "error": item.error}
            else:
                image, thumbnail = _file_names(item.candidate)
                changes = {"state": Candidate.State.READY, "image": image, "thumbnail": thumbnail}
            Candidate.objects.filter(pk=item.candidate.pk, state=Candidate.State.PENDING).update(
                drawn_at=now, **changes
            )
    return True


def _file_names(candidate: Candidate) -> tuple[str, str]:
    # Known beforehand, so that a picture drawn twice overwrites itself instead of leaving an orphan.
    stem = f"batches/{candidate.batch_id}/{candidate.slot:03d}-{candidate.attempt}"
    return f"{stem}.png", f"{stem}.webp"


def _store(item: Drawn) -> None:
    image, thumbnail = _file_names(item.candidate)
    default_storage.save(image, ContentFile(item.png))
    default_storage.save(thumbnail, ContentFile(item.thumbnail))


def finish_batch(lease: Lease) -> bool:
    """Close the batch if nothing is left to draw; False when something is, or the lease was lost."""
    pending = Candidate.objects.filter(batch=OuterRef("pk"), state=Candidate.State.PENDING)
    with transaction.atomic():
        # The lock keeps a vote from adding an attempt between the look and the update.
        if not lease.rows().select_for_update().exists():
            return False
        return bool(_release(lease.rows().filter(~Exists(pending)), Batch.State.READY, phase=Batch.Phase.DONE))


def fail_batch(lease: Lease, error: str) -> None:
    """Close the batch with a sentence for the user; what was drawn stays."""
    with transaction.atomic():
        if _release(lease.rows(), Batch.State.FAILED, phase=Batch.Phase.DONE, error=error):
            pending = Candidate.objects.filter(batch_id=lease.batch_id, state=Candidate.State.PENDING)
            pending.update(state=Candidate.State.FAILED, error=error, drawn_at=timezone.now())


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


def report_worker(name: str, state: str, model: str = "", error: str = "") -> None:
    """A sign of life of a worker that draws."""
    Worker.objects.update_or_create(
        name=name, defaults={"state": state, "model": model, "error": error, "seen_at": timezone.now()}
    )
