"""Ways through long lists that cost the same however long they are."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Exists, OuterRef, Q, Subquery

from preferences.sessions.models import Batch, Candidate, Session

SESSIONS_SHOWN = 48
# A link to the batch next to this one, and so many further: any of a thousand batches is a few clicks away.
STEPS = (1, 2, 10, 100)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class SessionPage:
    """Some sessions, newest first; older: where the next page begins, empty on the last; is_first: of the newest."""

    sessions: Sequence[Session]
    older: str
    is_first: bool


def session_page(user: AbstractBaseUser | AnonymousUser, older: str = "") -> SessionPage:
    """The user's sessions that are older than a key that an earlier page gave; the newest where it gave none.

    Each has batch_count and cover_id, its cover being a picture of its newest batch that has some.
    """
    newest = Batch.objects.filter(session=OuterRef("pk"), revealed_at__isnull=False).order_by("-number")
    rows = Session.objects.visible_to(user).annotate(
        batch_count=Subquery(newest.values("number")[:1]), cover_id=session_cover()
    )
    key = _read(older)
    if key is not None:
        moment, pk = key
        # The first condition lets the index find the place, the second decides among sessions of one moment.
        rows = rows.filter(Q(created_at__lt=moment) | Q(id__lt=pk), created_at__lte=moment)
    found = list(rows.order_by("-created_at", "-id")[: SESSIONS_SHOWN + 1])
    shown = found[:SESSIONS_SHOWN]
    return SessionPage(shown, _key(shown[-1]) if len(found) > SESSIONS_SHOWN else "", key is None)


def session_cover() -> Subquery:
    """The id of a picture of the newest batch of the outer query's session that has some; none of others is read."""
    ready = Candidate.objects.filter(state=Candidate.State.READY)
    with_some = Batch.objects.filter(Exists(ready.filter(batch=OuterRef("pk"))), session=OuterRef(OuterRef("pk")))
    newest = with_some.order_by("-number").values("pk")[:1]
    return Subquery(ready.filter(batch=Subquery(newest)).order_by("slot").values("pk")[:1])


def _key(session: Session) -> str:
    return f"{(session.created_at - _EPOCH) // timedelta(microseconds=1)}-{session.pk}"


def _read(key: str) -> tuple[datetime, uuid.UUID] | None:
    """The moment and id in a key; None for what is no key."""
    moment, _, pk = key.partition("-")
    try:
        return _EPOCH + timedelta(microseconds=int(moment)), uuid.UUID(pk)
    except (ValueError, OverflowError):
        return None


def batch_numbers(number: int, newest: int) -> list[tuple[int, bool]]:
    """Which batches the page of one links to: the first, some on both sides, and the newest.

    Each with whether it follows right after the one before.
    """
    near = {number} | {number + sign * step for step in STEPS for sign in (-1, 1)}
    shown = sorted({1, newest} | {other for other in near if 1 <= other <= newest})
    return [(this, this - before <= 1) for before, this in zip([0, *shown], shown, strict=False)]
