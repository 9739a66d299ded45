"""What was said of pictures, and not taken back. Parts of queries over rows that have a `picture`."""

from collections.abc import Iterable
from typing import Any

from django.db.models import OuterRef, Q, Subquery

from preferences.feedback.models import RatedPicture, Rating

# What was said of a picture itself, and not of another that was chosen beside it.
OF_ITSELF = Q(rating__kind__in=Rating.OF_ONE_PICTURE) | Q(rating__kind=Rating.Kind.BEST, value__gt=0)
PLACED = Q(rating__kind=Rating.Kind.RANK, value__gt=0)
RATED = OF_ITSELF | PLACED | Q(rating__kind=Rating.Kind.PAIR)


def said(of: Q) -> Any:
    """What was said of the outer row's picture and not taken back."""
    return RatedPicture.objects.filter(of, picture=OuterRef("picture"), rating__undone_at__isnull=True)


def last_word(field: str = "value", of: Q = OF_ITSELF) -> Subquery:
    """What was said last of the outer row's picture (its value, or another field), or null."""
    return Subquery(said(of).order_by("-rating_id").values(field)[:1])


def rated(pictures: Iterable[int]) -> set[int]:
    """Those of the pictures (ids) of which something was said."""
    items = RatedPicture.objects.filter(picture__in=list(pictures), rating__undone_at__isnull=True)
    return set(items.values_list("picture_id", flat=True))
