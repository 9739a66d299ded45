"""What a person writes of sessions and batches. Each function is safe to call twice, and safe to be killed in."""

import secrets
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from preferences.errors import NotAllowed
from preferences.feedback import counts
from preferences.feedback.services import (
    BAD,
    GOOD,
    add_ratings,
    choose,
    is_in_turn,
    rated_ids,
    refuse_unseen,
    take_back,
)
from preferences.jobs.waking import DRAW_BATCH, wake_on_commit
from preferences.library import files
from preferences.models import Batch, Candidate, RatedCandidate, Rating, Session
from preferences.sessions.controls import Asking


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
        add_ratings(session, {pk: v for pk, v in wanted.items() if said[pk] != v}, batch.finished_at)
        return following
    if session.unrated_is_bad and session.asking in (Asking.GOOD_BAD, Asking.STARS):
        shown = files.seen(batch)
        wanted = dict.fromkeys(shown - rated_ids(shown), BAD) | wanted
    add_ratings(session, wanted, batch.finished_at)
    return _add_batch(session, number + 1)


def _add_batch(session: Session, number: int) -> Batch:
    only_one_active(session)
    batch = Batch.objects.create(session=session, number=number, **session.controls())
    slots = range(1, batch.curation_size + 1)
    Candidate.objects.bulk_create(Candidate(batch=batch, slot=slot) for slot in slots)
    wake_on_commit(DRAW_BATCH, batch.pk)
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
    wake_on_commit(DRAW_BATCH, batch.pk)


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
    if page is not None and not is_in_turn(batch, candidate, value, page, turn):
        return None
    if value == "none":
        take_back(candidate)
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
        is_complete = choose(session, batch, candidate, kind, form_token)
        return submit_batch(session, batch.number, [], []) if is_complete and moves_on else None
    words = RatedCandidate.objects.filter(counts.OF_ITSELF, candidate=candidate, rating__undone_at__isnull=True)
    if words.order_by("-rating_id").values_list("rating__kind", "value").first() != (kind, number):
        add_ratings(session, {candidate.pk: number}, candidate.drawn_at, kind, form_token)
    if batch.has_ended_early or not moves_on:
        return None
    return _redraw(session, batch, candidate)


def _redraw(session: Session, batch: Batch, candidate: Candidate) -> Batch | None:
    """A new attempt in the slot of a voted picture, or in all unrated slots too with Regen All."""
    newest = Candidate.objects.filter(batch=batch, slot=candidate.slot).order_by("-attempt")[:1].get()
    if newest.pk != candidate.pk:
        return None  # an older attempt was voted on again: its slot has its new picture already
    slots = [(candidate.slot, candidate.attempt)]
    if session.regenerate_all:
        shown = list(batch.shown().only("slot", "attempt"))
        rated = rated_ids(row.pk for row in shown) - {candidate.pk}
        slots = [(row.slot, row.attempt) for row in shown if row.pk not in rated]
    Candidate.objects.bulk_create(Candidate(batch=batch, slot=slot, attempt=n + 1) for slot, n in slots)
    Batch.objects.filter(pk=batch.pk).update(**session.controls())
    if batch.state != Batch.State.READY:
        return None  # the worker that draws this batch will find the new attempts
    queue(batch)
    return batch
