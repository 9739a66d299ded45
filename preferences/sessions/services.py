"""What a person writes of sessions and batches. Each function is safe to call twice, and safe to be killed in."""

import secrets
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from preferences.errors import NotAllowed
from preferences.feedback import services as feedback
from preferences.feedback.kinds import BAD, GOOD, LABELS, kind_named
from preferences.feedback.selectors import judged, last_word
from preferences.jobs import services as jobs
from preferences.library import files
from preferences.sessions import counts
from preferences.sessions.models import Batch, Candidate, Session

DRAW_BATCH = "preferences.tasks.draw_batch"


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
    # What was there before may no longer be offered, and is not what is asked about.
    session.full_clean(exclude={field.name for field in session._meta.fields} - values.keys())
    session.save(update_fields=list(values))


def submit_batch(session: Session, number: int, good: Iterable[int], bad: Iterable[int]) -> Batch:
    """Save the ratings of the form of a whole batch, and ask for the next; twice is as once.

    Where another batch is being drawn there is no next one yet, and the ratings are saved all the same.

    `good` and `bad` are candidate ids of this batch. Raises NotAllowed while this batch or another is being drawn, and
    for pictures that are not in it or cannot be seen.
    """
    values = dict.fromkeys(bad, BAD) | dict.fromkeys(good, GOOD)
    with transaction.atomic():
        batch = locked(session=session, number=number)
        if batch.submitted_at is None and batch.is_active:
            raise NotAllowed("This batch is still being drawn: wait for the last picture, then submit it.")
        _say(batch, _newly_said(batch, values))
    with transaction.atomic():
        batch = locked(session=session, number=number)
        if batch.submitted_at is not None:  # by another form, or from a page that did not know
            return session.batches.filter(number__gt=number).earliest("number")
        if batch.session.unrated_is_bad and kind_named(batch.session.asking).unrated_is_bad:
            shown = files.seen(batch.pictures())
            _say(batch, dict.fromkeys(shown - judged(shown), BAD))
        Batch.objects.filter(pk=batch.pk).update(submitted_at=timezone.now())
        return _add_batch(batch.session, number + 1)


def _newly_said(batch: Batch, values: Mapping[int, float]) -> dict[int, float]:
    """Of what a form says of candidates (ids) of a batch, by picture (id), that which was not said before."""
    ready = batch.candidates.filter(state=Candidate.State.READY, pk__in=values)
    named = list(ready.select_related("picture").defer("proposed", "picture__vector").annotate(said=last_word()))
    if len(named) < len(values):
        raise NotAllowed("The form names pictures that are not in this batch: reload the page.")
    refuse_unseen(*named)
    return {one.picture_id: values[one.pk] for one in named if one.picture_id and one.said != values[one.pk]}


def _say(batch: Batch, values: Mapping[int, float]) -> None:
    """That these pictures (ids) of a batch are good or bad."""
    with counts.kept(batch.session_id, values):
        asked = feedback.Asked(batch.session.owner_id, batch.session_id, batch.job.finished_at)
        feedback.add_each(asked, LABELS.event, values)


def refuse_unseen(*candidates: Candidate) -> None:
    """Raises NotAllowed where a person cannot have seen one of these pictures."""
    for candidate in candidates:
        if candidate.picture and (problem := files.problem_of(candidate.picture)):
            raise NotAllowed(f"{problem} What cannot be seen cannot be rated.")


def _add_batch(session: Session, number: int) -> Batch:
    session = only_one_active(session)
    job = jobs.submit(DRAW_BATCH, owner_id=session.owner_id, subject=str(session.pk), **_worker_for(session))
    batch = Batch.objects.create(
        session=session, number=number, job=job, revealed_at=timezone.now(), **session.controls(Batch)
    )
    slots = range(1, batch.curation_size + 1)
    Candidate.objects.bulk_create(Candidate(batch=batch, slot=slot) for slot in slots)
    return batch


def _worker_for(session: Session) -> dict[str, Any]:
    """Whom a batch is drawn by: any worker where a server draws, otherwise one that may load the model."""
    return {"queue": "gpu", "model": "" if session.server else session.model}


def locked(**which: Any) -> Batch:
    """A batch and its job, so that neither a worker nor another request changes them in this transaction."""
    return Batch.objects.select_related("job").select_for_update(of=("self", "job")).get(**which)


def only_one_active(session: Session) -> Session:
    """Call it before a batch is queued: two that ask at once wait for each other. Raises NotAllowed for the second.

    Returns the session as it is now.
    """
    session = Session.objects.select_for_update().get(pk=session.pk)
    active = session.active_batches.values_list("number", flat=True).first()
    if active is not None:
        raise NotAllowed(f"Batch {active} of this session is being drawn: try again when it is done.")
    return session


def queue(batch: Batch, **changes: Any) -> None:
    """Let a batch that is not active be drawn (again), with some of its controls changed. As only_one_active."""
    only_one_active(batch.session)
    if changes:
        Batch.objects.filter(pk=batch.pk).update(**changes)
    batch.refresh_from_db()
    jobs.submit_again(batch.job, **_worker_for(batch.session))
