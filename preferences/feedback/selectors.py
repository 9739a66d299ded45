"""What was said of pictures, and not taken back. Parts of queries over rows that have a `picture`."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Expression, F, OuterRef, Q, Subquery

from preferences.feedback.kinds import KINDS, Kind
from preferences.feedback.models import RatedPicture, Rating


def in_kinds(*kinds: Kind) -> Q:
    """What is said of a picture itself in these ways of asking, and not of another that was chosen beside it."""
    words, choices = (
        [event for kind in kinds for event in kind.events if event not in kind.unheard and kind.is_choice == is_choice]
        for is_choice in (False, True)
    )
    return Q(rating__kind__in=words) | Q(rating__kind__in=choices, value__gt=0)


# Of the first a picture has one word at a time; what stands beside other words comes on top.
OF_ITSELF = in_kinds(*(kind for kind in KINDS.values() if not kind.page and not kind.stands_beside))
RATED = in_kinds(*KINDS.values())


def said(of: Q) -> Any:
    """What was said of the outer row's picture and not taken back."""
    return RatedPicture.objects.filter(of, picture=OuterRef("picture"), rating__undone_at__isnull=True)


def last_word(field: str | Expression = "value", of: Q = OF_ITSELF) -> Subquery:
    """What was said last of the outer row's picture (its value, another field, or several as JSON), or null."""
    return Subquery(said(of).order_by("-rating_id").values(found=F(field) if isinstance(field, str) else field)[:1])


def judged(pictures: Iterable[int]) -> set[int]:
    """Those of the pictures (ids) of which the learner hears something: also that another was better."""
    items = RatedPicture.objects.filter(picture__in=list(pictures), rating__undone_at__isnull=True)
    heard = items.exclude(rating__kind__in=[event for kind in KINDS.values() for event in kind.unheard])
    return set(heard.values_list("picture_id", flat=True))


def any_taken_back(ratings: Iterable[int]) -> bool:
    """Whether one of these ratings (ids) does not stand any longer. Another word that came later leaves it standing."""
    return Rating.objects.filter(pk__in=list(ratings), undone_at__isnull=False).exists()
