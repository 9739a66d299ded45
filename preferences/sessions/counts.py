"""How many pictures of a session are good, bad and rated: kept with each rating, so that no page counts them anew."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, F, Q

from preferences.feedback.selectors import RATED, last_word, said
from preferences.sessions.models import Candidate, Session


@contextmanager
def kept(session_id: Any, pictures: Iterable[int]) -> Iterator[None]:
    """Around what changes the ratings of these pictures (ids) of a session: its counts change by as much.

    Call it in a transaction that has locked their batch: nobody else says anything of them meanwhile. Never one
    within another: the difference would count twice.
    """
    ids = list(pictures)
    before = _count(picture__in=ids)
    yield
    after = _count(picture__in=ids)
    changes = {name: F(name) + after[name] - before[name] for name in after if after[name] != before[name]}
    if changes:
        Session.objects.filter(pk=session_id).update(**changes)


def recount(session_id: Any) -> dict[str, int]:
    """Count the ratings of a session anew, for rows that came another way than through the services."""
    with transaction.atomic():
        Session.objects.select_for_update().get(pk=session_id)
        found = _count(batch__session=session_id)
        Session.objects.filter(pk=session_id).update(**found)
    return found


def _count(**which: Any) -> dict[str, int]:
    rows = Candidate.objects.filter(**which).annotate(word=last_word(), is_rated=Exists(said(RATED)))
    found: dict[str, int] = rows.aggregate(
        good_count=Count("pk", filter=Q(word__gt=0)),
        bad_count=Count("pk", filter=Q(word__lt=0)),
        rated_count=Count("pk", filter=Q(is_rated=True)),
    )
    return found
