"""How many pictures of a session are good, bad and rated: kept with each rating, so that no page counts them anew."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, Subquery

from preferences.models import Candidate, RatedCandidate, Rating, Session

# What was said of a picture itself, and not of another that was chosen beside it.
OF_ITSELF = Q(rating__kind__in=Rating.OF_ONE_PICTURE) | Q(rating__kind=Rating.Kind.BEST, value__gt=0)
PLACED = Q(rating__kind=Rating.Kind.RANK, value__gt=0)
RATED = OF_ITSELF | PLACED | Q(rating__kind=Rating.Kind.PAIR)


def said(of: Q) -> Any:
    """What was said of the outer query's candidate and not taken back."""
    return RatedCandidate.objects.filter(of, candidate=OuterRef("pk"), rating__undone_at__isnull=True)


def last_word(field: str = "value", of: Q = OF_ITSELF) -> Subquery:
    """What was said last of a candidate (its value, or another field), or null."""
    return Subquery(said(of).order_by("-rating_id").values(field)[:1])


@contextmanager
def kept(session_id: Any, candidates: Iterable[int]) -> Iterator[None]:
    """Around what changes the ratings of these candidates of a session: its counts change by as much.

    Call it in a transaction that has locked their batch: nobody else says anything of them meanwhile. Never one
    within another: the difference would count twice.
    """
    ids = list(candidates)
    before = _count(pk__in=ids)
    yield
    after = _count(pk__in=ids)
    changes = {name: F(name) + after[name] - before[name] for name in after if after[name] != before[name]}
    if changes:
        Session.objects.filter(pk=session_id).update(**changes)


def recount(session_id: Any) -> dict[str, int]:
    """Count the ratings of a session anew, for rows that came another way than through services.py."""
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
