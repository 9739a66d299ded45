"""What a person writes: sessions, batches, ratings. The worker's half is in leases.py.

Each function is safe to call twice, and safe to be killed in.
"""

import secrets
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from preferences import counts, files
from preferences.controls import Asking
from preferences.models import Batch, Candidate, RatedCandidate, Rating, Search, Session

GOOD, BAD = 1.0, -1.0
SEARCH_SILENCE = timedelta(minutes=2)


class NotAllowed(Exception):
    """The request does not fit the present state; the text says what to do."""


# --- sessions and batches ---------------------------------------------------------------------------------


@transaction.atomic
def start_session(owner: User, form_id: uuid.UUID, fields: Mapping[str, Any]) -> Session:
    """Make a session with its first batch. A second call with the same form id and fields gives the same session.

    The same form with other fields was filled in again after Back: that makes a session of its own, whatever became
    of the first.
    """
    session_id = uuid.uuid5(form_id, repr((owner.pk, sorted(fields.items()))))
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
    """Save the ratings of the form of a whole batch, and ask for the next; twice is as once.

    `good` and `bad` are candidate ids of this batch. Raises NotAllowed while the batch is being drawn.
    """
    batch = Batch.objects.select_for_update().get(session=session, number=number)
    following = Batch.objects.filter(session=session, number=number + 1).first()
    if following is None and batch.is_active:
        raise NotAllowed("This batch is still being drawn: wait for the last picture, then submit it.")
    wanted = dict.fromkeys(bad, BAD) | dict.fromkeys(good, GOOD)
    named = batch.candidates.filter(state=Candidate.State.READY, pk__in=wanted).only("image", "thumbnail")
    if len(named) < len(wanted):
        raise NotAllowed("The form names pictures that are not in this batch: reload the page.")
    refuse_unseen(*named)
    if following is not None:  # from a page that did not know: what it says counts all the same
        said = dict(named.annotate(said=counts.last_word()).values_list("pk", "said"))
        _add_ratings(session, {pk: v for pk, v in wanted.items() if said[pk] != v}, batch.finished_at)
        return following
    if session.unrated_is_bad and session.asking in (Asking.GOOD_BAD, Asking.STARS):
        shown = files.seen(batch)
        wanted = dict.fromkeys(shown - _rated_ids(shown), BAD) | wanted
    _add_ratings(session, wanted, batch.finished_at)
    return _add_batch(session, number + 1)


def _add_batch(session: Session, number: int) -> Batch:
    only_one_active(session)
    batch = Batch.objects.create(session=session, number=number, **session.controls())
    slots = range(1, batch.curation_size + 1)
    Candidate.objects.bulk_create(Candidate(batch=batch, slot=slot) for slot in slots)
    return batch


def only_one_active(session: Session) -> None:
    """Call it before a batch is queued: two that ask at once wait for each other. Raises NotAllowed for the second."""
    Session.objects.select_for_update().get(pk=session.pk)
    active = session.batches.filter(state__in=Batch.ACTIVE).values_list("number", flat=True).first()
    if active is not None:
        raise NotAllowed(f"Batch {active} of this session is being drawn: try again when it is done.")


def queue(batch: Batch, **changes: Any) -> None:
    """Let a batch that is not active be drawn (again), with some of its controls changed. As only_one_active."""
    only_one_active(batch.session)
    now = timezone.now()
    Batch.objects.filter(pk=batch.pk).update(
        state=Batch.State.QUEUED, phase=Batch.Phase.QUEUED, error="", enqueued_at=now, finished_at=None, **changes
    )
    batch.refresh_from_db()


# --- searches for the settings of XGBoost -----------------------------------------------------------------


@transaction.atomic
def start_search(session: Session) -> Search:
    """Ask for a search, or get the one that runs already."""
    Session.objects.select_for_update().get(pk=session.pk)
    return session.searches.filter(state=Search.State.RUNNING).first() or Search.objects.create(session=session)


@transaction.atomic
def stop_search(session: Session) -> None:
    """End the running search; the session takes the best of what was tried."""
    Session.objects.select_for_update().get(pk=session.pk)  # before its searches, as everywhere
    search = session.searches.select_for_update().filter(state=Search.State.RUNNING).first()
    if search is not None:
        _end_search(search, Search.State.STOPPED)


@transaction.atomic
def add_trial(search_id: int, number: int, settings: Mapping[str, Any], loss: float) -> bool:
    """Keep trial `number` (from 0). True when another is to follow; False when it was the last, or came too late."""
    Session.objects.select_for_update(of=("self",)).filter(searches=search_id).first()  # before its searches
    search = Search.objects.select_for_update().filter(pk=search_id, state=Search.State.RUNNING).first()
    if search is None or len(search.trials) != number:
        return False
    search.trials.append({"settings": dict(settings), "loss": loss})
    search.enqueued_at = timezone.now()
    search.save(update_fields=["trials", "enqueued_at"])
    if len(search.trials) < search.wanted:
        return True
    _end_search(search, Search.State.DONE)
    return False


def fail_search(search_id: int, error: str) -> None:
    """End a search with a sentence for the user; the settings stay as they are."""
    Search.objects.filter(pk=search_id, state=Search.State.RUNNING).update(
        state=Search.State.FAILED, error=error, finished_at=timezone.now()
    )


def searches_to_resume(silence: timedelta = SEARCH_SILENCE) -> list[int]:
    """Ids of running searches of which nothing was heard for so long: their message may be lost."""
    silent = timezone.now() - silence
    lost = Search.objects.filter(state=Search.State.RUNNING, enqueued_at__lt=silent)
    ids = list(lost.values_list("pk", flat=True))
    Search.objects.filter(pk__in=ids).update(enqueued_at=timezone.now())
    return ids


def _end_search(search: Search, state: str) -> None:
    search.state, search.finished_at = state, timezone.now()
    search.save(update_fields=["state", "finished_at"])
    if search.best is not None:
        update_controls(search.session, search.best["settings"])


# --- ratings ----------------------------------------------------------------------------------------------


@transaction.atomic
def rate(
    candidate: Candidate, value: str, form_token: uuid.UUID, page: uuid.UUID | None = None, turn: int = 0
) -> Batch | None:
    """Say one of Rating.WORDS of one picture, or “none” (take it back). What is said already is not said again.

    With Form Submit off the rated slot is drawn anew, or after “best” and the last “next” the next batch: what to
    enqueue is returned, otherwise None. The same form token twice is one event. A page with script numbers what it
    says (`turn`): what arrives after something later from the same page is too late. Raises NotAllowed for a picture
    that is not there.
    """
    batch = Batch.objects.select_for_update().get(pk=candidate.batch_id)
    session = batch.session
    if candidate.state != Candidate.State.READY:
        raise NotAllowed("This picture is not there yet: rate it when it has been drawn.")
    if page is not None and not _is_in_turn(batch, candidate, value, page, turn):
        return None
    if value == "none":
        _undo(candidate)
        return None
    refuse_unseen(candidate)
    kind, number = Rating.WORDS[value]
    said = {"kind": kind, "items__candidate": candidate.pk, "items__value": number}
    sent = Rating.objects.filter(form_token=form_token).first()
    if sent is not None:
        if Rating.objects.filter(pk=sent.pk, **said).exists():
            return None
        form_token = uuid.uuid4()  # a page from before: its form was used, and says something else now
    # With Form Submit off a word moves the newest batch on; in an old one it is just saved.
    moves_on = not session.form_submit and not session.batches.filter(number__gt=batch.number).exists()
    if kind in Rating.OF_ONE_AMONG_OTHERS:
        is_complete = _choose(session, batch, candidate, kind, form_token)
        return submit_batch(session, batch.number, [], []) if is_complete and moves_on else None
    words = RatedCandidate.objects.filter(counts.OF_ITSELF, candidate=candidate, rating__undone_at__isnull=True)
    if words.order_by("-rating_id").values_list("rating__kind", "value").first() != (kind, number):
        _add_ratings(session, {candidate.pk: number}, candidate.drawn_at, kind, form_token)
    if batch.has_ended_early or not moves_on:
        return None
    return _redraw(session, batch, candidate)


def refuse_unseen(*candidates: Candidate) -> None:
    """Raises NotAllowed where a person cannot have seen one of these pictures."""
    for candidate in candidates:
        if problem := files.problem_of(candidate):
            raise NotAllowed(f"{problem} What cannot be seen cannot be rated.")


def _is_in_turn(batch: Batch, candidate: Candidate, value: str, page: uuid.UUID, turn: int) -> bool:
    """Whether the page has said nothing later of this picture, or as one batch has one best, of those beside it."""
    later = Candidate.objects.filter(batch=batch, heard_page=page, heard_turn__gte=turn)
    if (later if value == "best" else later.filter(pk=candidate.pk)).exists():
        return False
    Candidate.objects.filter(pk=candidate.pk).update(heard_page=page, heard_turn=turn)
    return True


def _add_ratings(
    session: Session,
    values: Mapping[int, float],
    shown_at: datetime | None,
    kind: str = Rating.Kind.GOOD_BAD,
    token: uuid.UUID | None = None,
) -> None:
    """A rating for each candidate (id) by itself, in as many queries for many as for one."""
    new = [Rating(session=session, kind=kind, form_token=token or uuid.uuid4(), shown_at=shown_at) for _ in values]
    with counts.kept(session.pk, values):
        Rating.objects.bulk_create(new)
        RatedCandidate.objects.bulk_create(
            RatedCandidate(rating=rating, candidate_id=pk, value=value)
            for rating, (pk, value) in zip(new, sorted(values.items()), strict=True)
        )


def _choose(session: Session, batch: Batch, best: Candidate, kind: str, token: uuid.UUID) -> bool:
    """The picture is the best of those that the page shows, in a ranking of those that have no place yet.

    There is one best: an earlier choice in this batch is taken back. Whether that was the last choice to be made here.
    """
    if batch.is_active:
        raise NotAllowed("This batch is still being drawn: choose the best when you have seen all of it.")
    shown = {best.pk, *batch.shown().values_list("pk", flat=True)}
    others = files.seen(batch) - {best.pk}
    earlier = RatedCandidate.objects.filter(
        rating__kind=kind, rating__undone_at__isnull=True, candidate__in=shown, value__gt=0
    )
    placed = set(earlier.values_list("candidate", flat=True))
    if kind == Rating.Kind.RANK:
        if best.pk in placed:
            return False
        others -= placed
    with counts.kept(session.pk, {best.pk, *placed}):
        if kind == Rating.Kind.BEST:
            Rating.objects.filter(pk__in=earlier.values("rating")).update(undone_at=timezone.now())
        rating = Rating.objects.create(session=session, kind=kind, form_token=token, shown_at=batch.finished_at)
        RatedCandidate.objects.bulk_create(
            [
                RatedCandidate(rating=rating, candidate=best, value=GOOD),
                *(RatedCandidate(rating=rating, candidate_id=pk, value=BAD) for pk in sorted(others)),
            ]
        )
    return kind == Rating.Kind.BEST or len(others) <= 1


def _undo(candidate: Candidate) -> None:
    """Take back what was said of this picture; what was said of others beside it stands."""
    of_it = Q(kind__in=Rating.OF_ONE_PICTURE) | Q(kind__in=Rating.OF_ONE_AMONG_OTHERS, items__value__gt=0)
    said = Rating.objects.filter(of_it, items__candidate=candidate, undone_at__isnull=True)
    with counts.kept(candidate.batch.session_id, [candidate.pk]):
        Rating.objects.filter(pk__in=said.values("pk")).update(undone_at=timezone.now())


def _rated_ids(candidates: Iterable[int]) -> set[int]:
    """Those of the candidates of which something was said."""
    items = RatedCandidate.objects.filter(candidate__in=candidates, rating__undone_at__isnull=True)
    return set(items.values_list("candidate_id", flat=True))


def _redraw(session: Session, batch: Batch, candidate: Candidate) -> Batch | None:
    """A new attempt in the slot of a voted picture, or in all unrated slots too with Regen All."""
    newest = Candidate.objects.filter(batch=batch, slot=candidate.slot).order_by("-attempt")[:1].get()
    if newest.pk != candidate.pk:
        return None  # an older attempt was voted on again: its slot has its new picture already
    slots = [(candidate.slot, candidate.attempt)]
    if session.regenerate_all:
        shown = list(batch.shown().only("slot", "attempt"))
        rated = _rated_ids(row.pk for row in shown) - {candidate.pk}
        slots = [(row.slot, row.attempt) for row in shown if row.pk not in rated]
    Candidate.objects.bulk_create(Candidate(batch=batch, slot=slot, attempt=n + 1) for slot, n in slots)
    Batch.objects.filter(pk=batch.pk).update(**session.controls())
    if batch.state != Batch.State.READY:
        return None  # the worker that draws this batch will find the new attempts
    queue(batch)
    return batch
