"""Every read. All that a user can see goes through a function that takes the user."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from preferences.models import Batch, Candidate, OptimizerState, RatedCandidate, Session, Worker

User = AbstractBaseUser | AnonymousUser
# A worker reports every few seconds; one that has been silent for longer than this is gone.
WORKER_SILENCE = timedelta(seconds=15)


def sessions_of(user: User) -> QuerySet[Session]:
    """The user's sessions, newest first, with the number of batches and ratings and a cover picture."""
    cover = Candidate.objects.filter(batch__session=OuterRef("pk"), state=Candidate.State.READY)
    return Session.objects.filter(owner=user.pk).annotate(
        batch_count=Count("batches", distinct=True),
        rating_count=Count("ratings", filter=Q(ratings__undone_at__isnull=True), distinct=True),
        cover_id=Subquery(cover.order_by("-drawn_at").values("pk")[:1]),
    )


def session_of(user: User, session_id: uuid.UUID) -> Session:
    """Raises Session.DoesNotExist, for another's session as well."""
    return Session.objects.get(owner=user.pk, id=session_id)


def candidate_of(user: User, candidate_id: int) -> Candidate:
    """Raises Candidate.DoesNotExist, for another's picture as well."""
    rows = Candidate.objects.select_related("batch__session")
    return rows.get(pk=candidate_id, batch__session__owner=user.pk)


@dataclass
class Tile:
    """A slot as the page shows it: its newest candidate and what was said of it."""

    candidate: Candidate
    rating: str  # "good", "bad" or ""
    form_token: uuid.UUID

    @property
    def slot(self) -> int:
        return self.candidate.slot

    @property
    def is_good(self) -> bool:
        return self.rating == "good"

    @property
    def is_bad(self) -> bool:
        return self.rating == "bad"


@dataclass
class BatchView:
    """A batch with what the page needs around it."""

    batch: Batch
    tiles: list[Tile]
    worker_state: str  # "offline", or the state of the worker heard of last
    worker_error: str

    @property
    def session(self) -> Session:
        return self.batch.session

    @cached_property
    def drawn(self) -> int:
        return sum(tile.candidate.state == Candidate.State.READY for tile in self.tiles)

    @cached_property
    def failed(self) -> int:
        return sum(tile.candidate.state == Candidate.State.FAILED for tile in self.tiles)

    @property
    def total(self) -> int:
        return len(self.tiles)

    @cached_property
    def rated(self) -> int:
        return sum(bool(tile.rating) for tile in self.tiles)

    @property
    def is_worker_offline(self) -> bool:
        return self.worker_state == "offline"

    @property
    def seconds_left(self) -> int | None:
        """An estimate from the pictures drawn so far; None before the first two forward passes."""
        times = sorted(t.candidate.drawn_at for t in self.tiles if t.candidate.drawn_at is not None)
        left = self.total - self.drawn - self.failed
        if not self.batch.is_active or len(times) < 2 or times[0] == times[-1] or not left:
            return None
        later = [moment for moment in times if moment > times[0]]
        return round((times[-1] - times[0]).total_seconds() / len(later) * left)

    @property
    def cursor(self) -> str:
        """The moment of the last tile shown: the next poll asks for what came after it."""
        times = [tile.candidate.drawn_at for tile in self.tiles if tile.candidate.drawn_at is not None]
        return max(times).isoformat() if times else ""

    def drawn_after(self, moment: datetime | None) -> list[Tile]:
        shown = (tile for tile in self.tiles if tile.candidate.drawn_at is not None)
        return [t for t in shown if moment is None or t.candidate.drawn_at > moment]  # type: ignore[operator]


def batch_view(user: User, session_id: uuid.UUID, number: int | None = None) -> BatchView:
    """A batch, or the newest, with its tiles: two queries, whatever the size of the batch.

    Raises Batch.DoesNotExist, for another's batch as well.
    """
    worker = Worker.objects.order_by("-seen_at")
    rows = (
        Batch.objects.filter(session__owner=user.pk, session_id=session_id)
        .select_related("session")
        .annotate(
            worker_seen=Subquery(worker.values("seen_at")[:1]),
            worker_state=Subquery(worker.values("state")[:1]),
            worker_error=Subquery(worker.values("error")[:1]),
        )
    )
    batch = rows.order_by("number").last() if number is None else rows.get(number=number)
    if batch is None:
        raise Batch.DoesNotExist
    heard = batch.worker_seen is not None and timezone.now() - batch.worker_seen < WORKER_SILENCE
    return BatchView(
        batch=batch,
        tiles=_tiles(batch),
        worker_state=batch.worker_state if heard else "offline",
        worker_error=batch.worker_error or "" if heard else "",
    )


def _last_word() -> Subquery:
    """What was said last of a candidate and not taken back: +1, -1 or null."""
    said = RatedCandidate.objects.filter(candidate=OuterRef("pk"), rating__undone_at__isnull=True)
    return Subquery(said.order_by("-rating_id").values("value")[:1])


def _tiles(batch: Batch) -> list[Tile]:
    rows = (
        Candidate.objects.filter(batch=batch)
        .defer("vector")
        .annotate(said=_last_word())
        .order_by("slot", "-attempt")
        .distinct("slot")
    )
    names = {1.0: "good", -1.0: "bad"}
    return [Tile(row, names.get(row.said, ""), uuid.uuid4()) for row in rows]


@dataclass(frozen=True)
class TrainingSet:
    """X: float32 [rows, d], vectors (not yet relative to the anchor); y: float64 [rows] in {+1, -1}.

    moments [rows]: the number of the batch in which each was shown.
    """

    X: npt.NDArray[np.float32]
    y: npt.NDArray[np.float64]
    moments: list[int]


def training_set(session: Session, dimension: int) -> TrainingSet:
    """Every picture of the session that was rated, with the last word on it, in the order of drawing."""
    rows = list(
        Candidate.objects.filter(batch__session=session, state=Candidate.State.READY)
        .annotate(said=_last_word())
        .filter(said__isnull=False)
        .order_by("pk")
        .values_list("vector", "said", "batch__number")
    )
    vectors = [np.frombuffer(bytes(vector or b""), "<f4") for vector, _, _ in rows]
    X = np.stack(vectors) if vectors else np.empty((0, dimension), np.float32)
    y = np.array([value for _, value, _ in rows], np.float64)
    return TrainingSet(X.astype(np.float32), y, [number for _, _, number in rows])


def pending_candidates(batch_id: int) -> list[Candidate]:
    return list(Candidate.objects.filter(batch_id=batch_id, state=Candidate.State.PENDING).order_by("slot"))


def rating_counts(session: Session) -> tuple[int, int]:
    """How many pictures of the session are good, how many bad."""
    rows = Candidate.objects.filter(batch__session=session).annotate(said=_last_word())
    counts = rows.aggregate(good=Count("pk", filter=Q(said__gt=0)), bad=Count("pk", filter=Q(said__lt=0)))
    return counts["good"], counts["bad"]


def last_parameters(session: Session, value_model: str) -> bytes | None:
    """The saved state of the session's last fitted model, if it was of this kind."""
    states = OptimizerState.objects.filter(batch__session=session, value_model=value_model, parameters__isnull=False)
    saved = states.values_list("parameters", flat=True).first()
    return None if saved is None else bytes(saved)


def last_learned(session: Session) -> OptimizerState | None:
    return OptimizerState.objects.filter(batch__session=session).defer("parameters").first()


def model_wanted() -> str:
    """The model of the newest session: a worker that starts will most likely need it next. Empty without one."""
    return Session.objects.order_by("-created_at").values_list("model", flat=True).first() or ""
