"""Every read. All that a user can see goes through a function that takes the user."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.humanize.templatetags.humanize import ordinal
from django.db.models import Exists, OuterRef, Subquery
from django.utils import timezone

from generation.progress import Progress
from preferences import files
from preferences.controls import Asking
from preferences.counts import PLACED, last_word
from preferences.models import Batch, Candidate, OptimizerState, RatedCandidate, Rating, Search, Session, Worker

User = AbstractBaseUser | AnonymousUser
# A worker reports every few seconds; one that has been silent for longer than this is gone.
WORKER_SILENCE = timedelta(seconds=15)
MISSING = "missing"


def session_of(user: User, session_id: uuid.UUID) -> Session:
    """Raises Session.DoesNotExist, for another's session as well."""
    return Session.objects.get(owner=user.pk, id=session_id)


def candidate_of(user: User, candidate_id: int) -> Candidate:
    """Raises Candidate.DoesNotExist, for another's picture as well."""
    rows = Candidate.objects.select_related("batch__session").defer("vector", "alternatives")
    return rows.get(pk=candidate_id, batch__session__owner=user.pk)


BUTTONS: dict[str, tuple[str, ...]] = {
    Asking.GOOD_BAD: ("good", "bad"),
    Asking.STARS: ("1", "2", "3", "4", "5"),
    Asking.BEST: ("best",),
    Asking.RANKING: ("next",),
    Asking.PAIRS: (),  # they have a page of their own
}


@dataclass(frozen=True)
class Button:
    """One thing that can be said of a tile."""

    word: str
    is_pressed: bool
    place: int = 0  # in a ranking, from 1

    @property
    def label(self) -> str:
        if self.word == "next":
            return str(ordinal(self.place)) if self.is_pressed else "Next best"
        return "★" if self.word.isdigit() else self.word.capitalize()

    @property
    def name(self) -> str:
        return f"{self.word} star{'s' * (self.word != '1')}" if self.word.isdigit() else self.label


@dataclass
class Tile:
    """A slot as the page shows it: its newest candidate and what was said of it."""

    candidate: Candidate
    rating: str  # the last of Rating.WORDS that was said, or ""
    form_token: uuid.UUID
    asking: str  # a value of Asking
    place: int = 0  # in the ranking of its batch, from 1; 0 without one

    @property
    def slot(self) -> int:
        return self.candidate.slot

    @cached_property
    def state(self) -> str:
        """The candidate's, or “missing” where a picture was drawn and its files are gone."""
        is_lost = self.candidate.state == Candidate.State.READY and not files.are_there(self.candidate)
        return MISSING if is_lost else self.candidate.state

    @property
    def is_rated(self) -> bool:
        return any(button.is_pressed for button in self.asked)

    @property
    def asked(self) -> list[Button]:
        """The buttons of the session's way of asking."""
        return [
            Button(word, self.place > 0 if word == "next" else word == self.rating, self.place)
            for word in BUTTONS[self.asking]
        ]


@dataclass
class BatchView:
    """A batch with what the page needs around it."""

    batch: Batch
    tiles: list[Tile]
    worker_state: str  # "offline", or the state of the worker heard of last
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

    @property
    def can_be_retried(self) -> bool:
        return not self.batch.is_active and (self.failed > 0 or self.batch.has_ended_early)

    @property
    def total(self) -> int:
        return len(self.tiles)

    @cached_property
    def rated(self) -> int:
        return sum(bool(tile.rating or tile.place) for tile in self.tiles)

    @property
    def is_worker_offline(self) -> bool:
        return self.worker_state == "offline"

    @property
    def seconds_left(self) -> int | None:
        """An estimate from the pictures drawn so far; None before the first two forward passes.

        Those that were there before the batch was asked for again say nothing of it: a person looked at them first.
        """
        moments = (tile.candidate.drawn_at for tile in self.tiles)
        times = sorted(moment for moment in moments if moment is not None and moment > self.batch.enqueued_at)
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


def batch_view(user: User, session_id: uuid.UUID, number: int | None = None) -> BatchView:
    """A batch, or the newest, with its tiles: two queries, whatever the size of the batch.

    Raises Batch.DoesNotExist, for another's batch as well.
    """
    read_at = timezone.now()
    worker = Worker.objects.order_by("-seen_at")
    same = Batch.objects.filter(session=OuterRef("session")).order_by("-number")
    # Of the newest batch that has one, so that none is read of all that went before.
    that_learned = Batch.objects.filter(
        Exists(OptimizerState.objects.filter(batch=OuterRef("pk"))), session=OuterRef(OuterRef("session"))
    ).order_by("-number")
    learned = OptimizerState.objects.filter(batch=Subquery(that_learned.values("pk")[:1])).order_by("-id")
    rows = (
        Batch.objects.filter(session__owner=user.pk, session_id=session_id)
        .select_related("session")
        .annotate(
            worker_seen=Subquery(worker.values("seen_at")[:1]),
            worker_state=Subquery(worker.values("state")[:1]),
            worker_error=Subquery(worker.values("error")[:1]),
            worker_progress=Subquery(worker.values("progress")[:1]),
            learned_note=Subquery(learned.values("note")[:1]),
            learned_metrics=Subquery(learned.values("metrics")[:1]),
            learned_reason=Subquery(learned.values("reason")[:1]),
            learned_at=Subquery(learned.values("created_at")[:1]),
            newest=Subquery(same.values("number")[:1]),
        )
    )
    batch = rows.order_by("number").last() if number is None else rows.get(number=number)
    if batch is None:
        raise Batch.DoesNotExist
    heard = batch.worker_seen is not None and timezone.now() - batch.worker_seen < WORKER_SILENCE
    return BatchView(
        batch=batch,
        tiles=_tiles(batch, batch.session.asking),
        worker_state=batch.worker_state if heard else "offline",
        worker_error=batch.worker_error or "" if heard else "",
        load=_loading(batch.worker_progress, batch) if heard else None,
        learned=None
        if batch.learned_note is None
        else OptimizerState(
            note=batch.learned_note,
            metrics=batch.learned_metrics,
            reason=batch.learned_reason,
            created_at=batch.learned_at,
        ),
        newest=batch.newest,
        read_at=read_at,
    )


def _loading(progress: dict[str, Any] | None, batch: Batch) -> Progress | None:
    """What a worker reports, if it is the batch's own model and still to come."""
    is_waited_for = batch.is_active and batch.phase in (Batch.Phase.QUEUED, Batch.Phase.LOADING)
    if not progress or not is_waited_for or progress["model"] != batch.session.model:
        return None
    return Progress(**progress)


def _tiles(batch: Batch, asking: str) -> list[Tile]:
    rows = (
        batch.newest_attempts()
        .defer("vector", "alternatives")
        .annotate(said=last_word(), kind=last_word("rating__kind"), placed=last_word("rating_id", PLACED))
        .order_by("slot")
    )
    words = {said: word for word, said in Rating.WORDS.items()}
    order = sorted(row.placed for row in rows if row.placed is not None)
    return [
        Tile(
            row,
            words.get((row.kind, row.said), ""),
            uuid.uuid4(),
            asking,
            0 if row.placed is None else 1 + order.index(row.placed),
        )
        for row in rows
    ]


@dataclass(frozen=True)
class Pair:
    """Two pictures to compare, and how far the comparing has come."""

    first: Candidate
    second: Candidate
    answered: int
    total: int
    form_token: uuid.UUID


def next_pair(batch: Batch) -> tuple[Pair | None, int]:
    """The next two pictures of a batch to compare, or None; and how many pairs have been answered.

    A knock-out: neighbours first, then those that were preferred, until one is left. After a tie the first goes on;
    after “both bad” and a skipped pair neither does.
    """
    shown = batch.shown().order_by("slot").defer("vector", "alternatives")
    left = [one for one in shown if not files.problem_of(one)]
    items = RatedCandidate.objects.filter(
        rating__kind__in=Rating.OF_TWO_PICTURES,
        rating__undone_at__isnull=True,
        candidate__in=[one.pk for one in left],
    )
    answers: dict[int, dict[int, float]] = {}
    rows = items.order_by("rating_id").values_list("rating_id", "rating__kind", "candidate_id", "value")
    for rating, kind, candidate, value in rows:
        answers.setdefault(rating, {})[candidate] = -1.0 if kind == Rating.Kind.SKIP else value
    by_pair = {frozenset(said): said for said in answers.values()}
    answered, most = len(by_pair), len(left) - 1  # each answer leaves one picture less, or two
    while len(left) > 1:
        winners = []
        for i in range(0, len(left), 2):
            two = left[i : i + 2]
            said = by_pair.get(frozenset(one.pk for one in two))
            if len(two) == 1:
                winners += two
            elif said is None:
                return Pair(two[0], two[1], answered, answered + most, uuid.uuid4()), answered
            else:
                most -= 1
                winners += [max(two, key=lambda one: said[one.pk])] if max(said.values()) >= 0 else []
        left = winners
    return None, answered


def pending_candidates(batch_id: int) -> list[Candidate]:
    return list(Candidate.objects.filter(batch_id=batch_id, state=Candidate.State.PENDING).order_by("slot"))


def last_search(session: Session) -> Search | None:
    return Search.objects.filter(session=session).first()


def workers() -> list[Worker]:
    """Those that were heard of lately."""
    return list(Worker.objects.filter(seen_at__gt=timezone.now() - WORKER_SILENCE).order_by("name"))


def last_started() -> Session | None:
    """The newest session whose drawing nobody stopped: a worker that starts will most likely need its model next."""
    stopped = Batch.objects.filter(session=OuterRef("pk"), state=Batch.State.CANCELLED)
    return Session.objects.exclude(Exists(stopped)).order_by("-created_at").first()
