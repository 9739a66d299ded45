"""The worker's half of the writes: claim a batch, keep it, finish it, give it back."""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Case, Q, Value, When
from django.utils import timezone

from generation.errors import NotSaved
from preferences.models import Batch, Candidate, Embedding, OptimizerState, Worker

log = logging.getLogger(__name__)
NONE_DRAWN = "None of these pictures could be drawn, and each says why. “Try again” draws others in their places."


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


def store_proposal(
    lease: Lease,
    candidates: list[Candidate],
    vectors: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float64] | None,
    distances: npt.NDArray[np.float64],
    state: OptimizerState,
) -> bool:
    """Keep the vectors before anything is drawn, so that a restart draws the same pictures.

    vectors [n * draws, d], scores and distances [n * draws]: `draws` in a row for each of the n candidates.
    """
    draws = len(vectors) // len(candidates)
    with transaction.atomic():
        if not lease.rows().select_for_update().exists():
            return False
        # Parameters grow with the ratings, and the ratings are kept: only the newest are worth their room.
        older = OptimizerState.objects.filter(batch__session=state.batch.session_id, parameters__isnull=False)
        older.update(parameters=None, ratings=[])
        state.save()
        for number, candidate in enumerate(candidates):
            row = number * draws
            candidate.vector = vectors[row].astype("<f4").tobytes()
            others = vectors[row + 1 : row + draws]
            candidate.alternatives = others.astype("<f4").tobytes() if len(others) else None
            candidate.score = None if scores is None else float(scores[row])
            candidate.distance = float(distances[row])
        Candidate.objects.bulk_update(candidates, ["vector", "alternatives", "score", "distance"])
    return True


def add_to_note(lease: Lease, sentences: str) -> None:
    """Add to what the page says of the batch's latest proposal, once; nothing happens where the lease was lost."""
    with transaction.atomic():
        if lease.rows().select_for_update().exists():
            state = OptimizerState.objects.filter(batch_id=lease.batch_id).last()
            if state is not None and sentences not in state.note:
                state.note = f"{state.note} {sentences}".strip()
                state.save(update_fields=["note"])


@dataclass(frozen=True)
class Drawn:
    """A candidate, whose vector is the chosen one, and its files; or the sentence that says why there are none.

    looks: what is seen in the picture [k], by the name of the encoder or descriptor.
    """

    candidate: Candidate
    png: bytes = b""
    thumbnail: bytes = b""
    error: str = ""
    looks: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)


def preview_candidates(lease: Lease, shown: Mapping[int, bytes]) -> None:
    """Keep how pictures look by now, as image files by the candidates' ids; nothing where the lease was lost."""
    pending = Candidate.objects.filter(pk__in=shown, batch__in=lease.rows(), state=Candidate.State.PENDING)
    for candidate in pending:
        name = _preview_name(candidate)
        _write(name, shown[candidate.pk])
        pending.filter(pk=candidate.pk).update(preview=name, previewed_at=timezone.now())


def finish_candidates(lease: Lease, drawn: list[Drawn]) -> bool:
    """Save pictures with their files. False, and nothing changed, when the lease was lost."""
    with transaction.atomic():
        # Locked before a file is written: it would take the place of one that the next owner drew.
        if not lease.rows().select_for_update().exists():
            return False
        now = timezone.now()
        _delete_previews(Candidate.objects.filter(pk__in=[item.candidate.pk for item in drawn]))
        for item in drawn:
            pending = Candidate.objects.filter(pk=item.candidate.pk, state=Candidate.State.PENDING)
            if item.error:
                _fail(pending, item.error)
                continue
            _store(item)
            image, thumbnail = _file_names(item.candidate)
            chosen = {name: getattr(item.candidate, name) for name in ("vector", "score", "distance")}
            files = {"image": image, "thumbnail": thumbnail, "preview": ""}
            pending.update(state=Candidate.State.READY, error="", drawn_at=now, alternatives=None, **chosen, **files)
        seen = [
            Embedding(candidate=item.candidate, encoder=view, vector=vector)
            for item in drawn
            for view, vector in item.looks.items()
        ]
        Embedding.objects.bulk_create(
            seen, update_conflicts=True, unique_fields=["candidate", "encoder"], update_fields=["vector"]
        )
    return True


def _file_names(candidate: Candidate) -> tuple[str, str]:
    # Known beforehand, so that a picture drawn twice overwrites itself instead of leaving an orphan.
    stem = f"batches/{candidate.batch_id}/{candidate.slot:03d}-{candidate.attempt}"
    return f"{stem}.png", f"{stem}.webp"


def _preview_name(candidate: Candidate) -> str:
    return f"batches/{candidate.batch_id}/{candidate.slot:03d}-{candidate.attempt}-preview.webp"


def _delete_previews(candidates: Any) -> None:
    """The files, once this transaction is committed: until then pages show them."""
    for name in candidates.exclude(preview="").values_list("preview", flat=True):
        transaction.on_commit(partial(default_storage.delete, name))


def _store(item: Drawn) -> None:
    image, thumbnail = _file_names(item.candidate)
    _write(image, item.png)
    _write(thumbnail, item.thumbnail)


def _write(name: str, data: bytes) -> None:
    """Raises NotSaved: a disk that is full, a folder that may not be written, or something else in the file's place."""
    try:
        default_storage.save(name, ContentFile(data))
    except OSError as error:
        raise NotSaved(
            f"The pictures could not be saved ({default_storage.path(name)}: {error.strerror or error}): mend that, "
            "and try again."
        ) from error


def _fail(pending: Any, error: str) -> None:
    """Say of these candidates why they were not drawn. What was to be drawn again stays the picture that it was."""
    was_drawn = Case(When(image="", then=Value(Candidate.State.FAILED)), default=Value(Candidate.State.READY))
    pending.update(state=was_drawn, error=error, drawn_at=timezone.now(), alternatives=None, preview="")


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
            pending = Candidate.objects.filter(batch_id=batch_id, state=Candidate.State.PENDING)
            _delete_previews(pending)
            _fail(pending, why_not_drawn)


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
