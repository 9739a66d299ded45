"""What a person says of the pictures of a session, and what follows: a slot is drawn anew, a batch closed."""

import uuid
from collections.abc import Mapping

from django.db import transaction

from preferences.errors import NotAllowed
from preferences.feedback import services as feedback
from preferences.feedback.kinds import ANSWERS, WORDS, AmongOthers, OfTiles, kind_named
from preferences.feedback.models import Rating
from preferences.feedback.selectors import judged, last_word
from preferences.feedback.services import Asked
from preferences.jobs.models import Job
from preferences.library import files
from preferences.sessions import counts
from preferences.sessions.models import Batch, Candidate, Session
from preferences.sessions.services import locked, queue, refuse_unseen, submit_batch


@transaction.atomic
def rate(
    candidate: Candidate,
    value: str,
    form_token: uuid.UUID,
    page: uuid.UUID | None = None,
    turn: int = 0,
    asking: str = "",
) -> Batch | None:
    """Say one of WORDS of one picture, or “none” (take it back). What is said already is not said again.

    asking: the way in which the page asks, if that is not the session's by now; what was said in others stands.

    With Form Submit off the rated slot is drawn anew, or after the last that is to be chosen the next batch: the batch
    that was queued is returned, otherwise None. The same form token twice is one event. A page with script numbers what
    it says (`turn`): what arrives after something later from the same page is too late. Raises NotAllowed for a picture
    that is not there.
    """
    batch = locked(pk=candidate.batch_id)
    session = batch.session
    # As it is now: it may have been drawn again while this waited.
    candidate = batch.candidates.select_related("picture").defer("proposed", "picture__vector").get(pk=candidate.pk)
    picture = candidate.picture_id
    if candidate.state != Candidate.State.READY or picture is None:
        raise NotAllowed("This picture is not there yet: rate it when it has been drawn.")
    kind = None if value == "none" else WORDS[value]
    if page is not None and not _is_in_turn(batch, candidate, kind, page, turn):
        return None
    if kind is None:
        with counts.kept(session.pk, [picture]):
            feedback.take_back(picture, kind_named(asking or session.asking))
        return None
    refuse_unseen(candidate)
    number = kind.value(value)
    token = feedback.fresh_token(form_token, kind.event, {picture: number})
    if token is None:
        return None
    moves_on = not session.form_submit and _can_move_on(batch)
    if isinstance(kind, AmongOthers):
        is_last = _choose(batch, picture, kind, token)
        return submit_batch(session, batch.number, [], []) if is_last and moves_on else None
    words = Candidate.objects.filter(pk=candidate.pk).annotate(kind=last_word("rating__kind"), said=last_word())
    if words.values_list("kind", "said").get() != (kind.event, number):
        with counts.kept(session.pk, [picture]):
            asked = Asked(session.owner_id, session.pk, candidate.drawn_at)
            feedback.add_each(asked, kind.event, {picture: number}, token)
    if batch.has_ended_early or not moves_on:
        return None
    return _redraw(session, batch, candidate)


def _can_move_on(batch: Batch) -> bool:
    """Whether a word may change what is drawn: in an old batch, or while another is drawn, it is just saved."""
    if batch.submitted_at is not None:
        return False
    session = Session.objects.select_for_update().get(pk=batch.session_id)
    return not session.active_batches.exclude(pk=batch.pk).exists()


def _is_in_turn(batch: Batch, candidate: Candidate, kind: OfTiles | None, page: uuid.UUID, turn: int) -> bool:
    """Whether the page has said nothing later of this picture, or as one batch has one best, of those beside it."""
    later = Candidate.objects.filter(batch=batch, heard_page=page, heard_turn__gte=turn)
    if (later if kind and kind.is_single else later.filter(pk=candidate.pk)).exists():
        return False
    Candidate.objects.filter(pk=candidate.pk).update(heard_page=page, heard_turn=turn)
    return True


def _choose(batch: Batch, picture: int, kind: AmongOthers, token: uuid.UUID) -> bool:
    """Choose a picture (id) among those that the page shows. Whether that was the last choice to be made here."""
    if batch.is_active:
        raise NotAllowed("This batch is still being drawn: choose the best when you have seen all of it.")
    pictures = list(batch.pictures())
    earlier = feedback.choices(kind.event, {picture, *(one.pk for one in pictures)})
    before = feedback.chosen(earlier)
    chosen = kind.choose(picture, files.seen(pictures) - {picture}, before)
    if chosen is None:
        return False
    with counts.kept(batch.session_id, {picture, *before}):
        if chosen.replaces:
            feedback.undo(earlier)
        asked = Asked(batch.session.owner_id, batch.session_id, batch.job.finished_at)
        feedback.add_one(asked, kind.event, chosen.values, token)
    return chosen.is_last


def _redraw(session: Session, batch: Batch, candidate: Candidate) -> Batch | None:
    """A new attempt in the slot of a voted picture, or in all unrated slots too with Regen All."""
    newest = Candidate.objects.filter(batch=batch, slot=candidate.slot).order_by("-attempt")[:1].get()
    if newest.pk != candidate.pk:
        return None  # an older attempt was voted on again: its slot has its new picture already
    slots = [(candidate.slot, candidate.attempt)]
    if session.regenerate_all:
        shown = list(batch.shown().only("slot", "attempt", "picture"))
        known = judged(row.picture_id for row in shown if row.picture_id) - {candidate.picture_id}
        slots = [(row.slot, row.attempt) for row in shown if row.picture_id not in known]
    Candidate.objects.bulk_create(Candidate(batch=batch, slot=slot, attempt=n + 1) for slot, n in slots)
    Batch.objects.filter(pk=batch.pk).update(**session.controls(Batch))
    if batch.job.state != Job.State.DONE:
        return None  # the worker that draws this batch will find the new attempts
    queue(batch)
    return batch


@transaction.atomic
def compare(batch: Batch, first: int, second: int, answer: str, form_token: uuid.UUID) -> None:
    """Say one of ANSWERS of two candidates (ids) of a batch; of the same two the last word stands.

    The same form token twice is one event, if it says the same. Raises NotAllowed for pictures that are not there.
    """
    batch = locked(pk=batch.pk)
    shown = batch.shown().filter(pk__in=(first, second)).select_related("picture").defer("proposed", "picture__vector")
    both = {one.pk: one.picture_id for one in shown if one.picture_id}
    if len(both) < 2:
        raise NotAllowed("These two pictures are not both in this batch: reload the page.")
    refuse_unseen(*shown)
    event, of_first, of_second = ANSWERS[answer].answers[answer]
    values: Mapping[int, float] = {both[first]: of_first, both[second]: of_second}
    token = feedback.fresh_token(form_token, event, values)
    if token is None:
        return
    with counts.kept(batch.session_id, values):
        feedback.undo(feedback.of_pair(*values))
        feedback.add_one(Asked(batch.session.owner_id, batch.session_id, batch.job.finished_at), event, values, token)


@transaction.atomic
def undo_compare(batch: Batch) -> None:
    """Take back the last answer about a pair of this batch, if there is one."""
    batch = locked(pk=batch.pk)
    last = feedback.last_of_pairs(list(batch.pictures().values_list("pk", flat=True)))
    if last is not None:
        with counts.kept(batch.session_id, last.items.values_list("picture_id", flat=True)):
            feedback.undo(Rating.objects.filter(pk=last.pk))
