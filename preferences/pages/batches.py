"""A batch with what its page needs around it."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, Subquery
from django.db.models.functions import JSONObject
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from generation.progress import Progress
from preferences.feedback.kinds import WORDS, Button, Kind, kind_named
from preferences.feedback.selectors import RATED, in_kinds, last_word, said
from preferences.jobs.models import Worker
from preferences.jobs.selectors import heard_lately
from preferences.pages.presenters import MISSING, Tile
from preferences.sessions.models import Batch, Candidate, OptimizerState, Session
from preferences.sessions.stopping import NOT_DRAWN

# Each in one subquery instead of one a column, which Django takes its time to write.
_WORD = JSONObject(event="rating__kind", value="value")
_LEARNED = JSONObject(note="note", metrics="metrics", reason="reason", created_at="created_at")
_REPORT = JSONObject(state="state", error="error", progress="progress", permitted="permitted")  # of a worker


@dataclass
class BatchView:
    """A batch with what the page needs around it."""

    batch: Batch
    tiles: list[Tile]
    worker_state: str  # "offline", "unable", or that of the worker heard of last that may draw it; "" where none need
    worker_error: str
    load: Progress | None  # how far the model of this batch has come, where a worker loads it now
    learned: OptimizerState | None  # note and metrics of the session's last proposal
    newest: int  # number of the session's newest batch
    read_at: datetime  # it shows all that was saved before

    @property
    def is_newest(self) -> bool:
        return self.batch.number == self.newest

    @property
    def session(self) -> Session:
        return self.batch.session

    @property
    def kind(self) -> Kind:
        """The session's way of asking."""
        return kind_named(self.session.asking)

    @cached_property
    def drawn(self) -> int:
        return self._count(Candidate.State.READY)

    @cached_property
    def failed(self) -> int:
        return self._count(Candidate.State.FAILED)

    @cached_property
    def missing(self) -> int:
        return self._count(MISSING)

    def _count(self, state: str) -> int:
        return sum(tile.state == state for tile in self.tiles)

    @cached_property
    def is_stopped(self) -> bool:
        """Whether what is missing was not drawn because a person stopped it, and not because it failed."""
        errors = {tile.candidate.error for tile in self.tiles if tile.state == Candidate.State.FAILED}
        return self.batch.is_stopped or errors == {NOT_DRAWN}

    @property
    def can_be_retried(self) -> bool:
        return not self.batch.is_active and (self.failed > 0 or self.batch.has_ended_early)

    @property
    def total(self) -> int:
        return len(self.tiles)

    @cached_property
    def rated(self) -> int:
        return sum(tile.is_rated for tile in self.tiles)

    @property
    def seconds_left(self) -> int | None:
        """An estimate from the pictures drawn so far; None before the first two forward passes.

        Those that were there before the batch was asked for again say nothing of it: a person looked at them first.
        """
        moments = (tile.candidate.drawn_at for tile in self.tiles)
        times = sorted(moment for moment in moments if moment is not None and moment > self.batch.job.enqueued_at)
        left = self._count(Candidate.State.PENDING)
        if not self.batch.is_active or len(times) < 2 or times[0] == times[-1] or not left:
            return None
        later = [moment for moment in times if moment > times[0]]
        return round((times[-1] - times[0]).total_seconds() / len(later) * left)

    @property
    def cursor(self) -> str:
        """The moment of the last tile shown: the next poll asks for what came after it."""
        times = [tile.candidate.drawn_at for tile in self.tiles if tile.candidate.drawn_at is not None]
        return max(times).isoformat() if times else ""

    @property
    def previewed(self) -> list[Tile]:
        """Those that show what they are going to be."""
        return [t for t in self.tiles if t.candidate.preview and t.candidate.state == Candidate.State.PENDING]

    def drawn_after(self, moment: datetime | None) -> list[Tile]:
        shown = (tile for tile in self.tiles if tile.candidate.drawn_at is not None)
        return [t for t in shown if moment is None or t.candidate.drawn_at > moment]  # type: ignore[operator]


def batch_view(user: AbstractBaseUser | AnonymousUser, session_id: uuid.UUID, number: int | None = None) -> BatchView:
    """A batch, or the newest, with its tiles: two queries, whatever the size of the batch.

    Raises Batch.DoesNotExist, for another's batch as well.
    """
    read_at = timezone.now()
    same = Batch.objects.filter(session=OuterRef("session"), revealed_at__isnull=False).order_by("-number")
    # Of the newest batch that has one, so that none is read of all that went before.
    that_learned = Batch.objects.filter(
        Exists(OptimizerState.objects.filter(batch=OuterRef("pk"))), session=OuterRef(OuterRef("session"))
    ).order_by("-number")
    learned = OptimizerState.objects.filter(batch=Subquery(that_learned.values("pk")[:1])).order_by("-id")
    rows = (
        Batch.objects.visible_to(user)
        .filter(session_id=session_id, revealed_at__isnull=False)
        .select_related("session", "job")
        .annotate(
            heard=ArraySubquery(heard_lately().order_by("-seen_at").values(worker=_REPORT)),
            learned=Subquery(learned.values(row=_LEARNED)[:1]),
            newest=Subquery(same.values("number")[:1]),
        )
    )
    batch = rows.order_by("number").last() if number is None else rows.get(number=number)
    if batch is None:
        raise Batch.DoesNotExist
    state, worker = _worker_of(batch)
    return BatchView(
        batch=batch,
        tiles=_tiles(batch, kind_named(batch.session.asking)),
        worker_state=state,
        worker_error=worker.error if worker else "",
        load=_loading(worker.progress, batch) if worker else None,
        learned=OptimizerState(**batch.learned | {"created_at": parse_datetime(batch.learned["created_at"])})
        if batch.learned
        else None,
        newest=batch.newest,
        read_at=read_at,
    )


def _worker_of(batch: Batch) -> tuple[str, Worker | None]:
    """The worker heard of last that may draw a batch which waits or is drawn, and its state, or why there is none."""
    if not batch.is_active:
        return "", None
    heard = [Worker(**report) for report in batch.heard]  # type: ignore[attr-defined]
    worker = next((one for one in heard if one.may_load(batch.job.model)), None)
    if worker is None:
        return "unable" if heard else "offline", None
    return worker.state, worker


def _loading(progress: dict[str, Any] | None, batch: Batch) -> Progress | None:
    """What a worker reports, if it is the batch's own model and still to come."""
    is_waited_for = batch.is_active and batch.phase in (Batch.Phase.QUEUED, Batch.Phase.LOADING)
    if not progress or not is_waited_for or progress["model"] != batch.session.model:
        return None
    return Progress(**progress)


# What was said last of a picture, as the button that said it.
SAID: dict[tuple[str, float], Button] = {
    (kind.event, kind.value(button.word)): button for kind in WORDS.values() for button in kind.buttons
}


def _tiles(batch: Batch, kind: Kind) -> list[Tile]:
    rows = (
        batch.newest_attempts()
        .select_related("picture")
        .defer("proposed", "picture__vector")
        .annotate(
            word=last_word(_WORD),
            chosen=last_word("rating_id", in_kinds(kind)),
            is_rated=Exists(said(RATED)),
        )
        .order_by("slot")
    )
    order = sorted({row.chosen for row in rows if row.chosen is not None})
    return [
        Tile(
            candidate=row,
            kind=kind,
            last=SAID.get((row.word["event"], row.word["value"])) if row.word else None,
            place=0 if row.chosen is None else 1 + order.index(row.chosen),
            is_rated=row.is_rated,
            form_token=uuid.uuid4(),
        )
        for row in rows
    ]
