"""What was not drawn, or was lost, is drawn again."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from preferences.errors import NotAllowed
from preferences.sessions.controls import DrawingControls
from preferences.sessions.models import Batch, Candidate, Session
from preferences.sessions.services import locked, queue


@transaction.atomic
def retry_batch(batch: Batch) -> Batch:
    """Queue what failed in a batch; nothing happens where nothing did. Raises NotAllowed while another is drawn.

    Where and how many at once is as the session says by now: what failed may have been just that.
    """
    batch = locked(pk=batch.pk)
    again = batch.newest_attempts().filter(state=Candidate.State.READY).exclude(error="")
    others = batch.newest_attempts().filter(state=Candidate.State.FAILED)
    if not batch.is_active and (batch.has_ended_early or others.exists()):
        _let_draw(again)
        # Nobody has seen these: they may be drawn from other vectors, which do not fail.
        others.update(state=Candidate.State.PENDING, error="", proposed=None, drawn_at=None)
        queue(batch, **_where(batch.session))
    return batch


@transaction.atomic
def draw_again(candidate: Candidate) -> Batch:
    """Let a picture be drawn once more, from its vector and as its batch says, into the same place.

    What was said of it stands. Asked twice it is drawn once. Raises NotAllowed where it was never drawn, has been
    replaced, or another batch of the session is being drawn.
    """
    batch = locked(pk=candidate.batch_id)
    newest = batch.newest_attempts().filter(pk=candidate.pk)
    if not newest.exists():
        raise NotAllowed("Another picture has taken the place of this one: reload the page.")
    if newest.filter(picture__isnull=True).exists():
        raise NotAllowed("This picture has never been drawn: wait for it, or try the failed ones of its batch again.")
    if newest.filter(state=Candidate.State.READY).exists():
        _let_draw(newest)
        if not batch.is_active:  # otherwise the worker that draws it will find one more
            queue(batch, **_where(batch.session))
    return batch


def _let_draw(drawn: QuerySet[Candidate]) -> None:
    drawn.update(state=Candidate.State.PENDING, error="", drawn_at=None)


def _where(session: Session) -> dict[str, Any]:
    return {name: getattr(session, name) for name in DrawingControls.WHERE}
