"""What people say of pictures, kept as events. It only records: what follows from an event is decided in `sessions`."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from preferences.feedback.kinds import KIND_OF, Kind, OfTwo
from preferences.feedback.models import RatedPicture, Rating
from preferences.feedback.selectors import OF_ITSELF, in_kinds

OF_TWO = [event for event, kind in KIND_OF.items() if isinstance(kind, OfTwo)]


@dataclass(frozen=True)
class Asked:
    """Who was asked, where, and since when they see the pictures."""

    owner_id: int
    session_id: uuid.UUID | None
    shown_at: datetime | None


def fresh_token(token: uuid.UUID, kind: str, values: Mapping[int, float]) -> uuid.UUID | None:
    """The token for an event that says these values of pictures (ids); None where that form has said just this.

    A form that was used to say something else is of a page from before: what it says now gets a token of its own.
    """
    sent = Rating.objects.filter(form_token=token)
    if not sent.exists():
        return token
    same = sent.filter(kind=kind)
    for picture, value in values.items():
        same = same.filter(items__picture=picture, items__value=value)
    return None if same.exists() else uuid.uuid4()


def add_each(asked: Asked, kind: str, values: Mapping[int, float], token: uuid.UUID | None = None) -> None:
    """An event for each picture (id) by itself, in as many queries for many as for one. A token is for one picture."""
    new = [_event(asked, kind, token or uuid.uuid4()) for _ in values]
    Rating.objects.bulk_create(new)
    RatedPicture.objects.bulk_create(
        RatedPicture(rating=rating, picture_id=pk, value=value)
        for rating, (pk, value) in zip(new, sorted(values.items()), strict=True)
    )


def add_one(asked: Asked, kind: str, values: Mapping[int, float], token: uuid.UUID) -> None:
    """One event about several pictures (ids), in the order given."""
    rating = _event(asked, kind, token)
    rating.save()
    RatedPicture.objects.bulk_create(
        RatedPicture(rating=rating, picture_id=pk, value=value) for pk, value in values.items()
    )


def _event(asked: Asked, kind: str, token: uuid.UUID) -> Rating:
    return Rating(
        owner_id=asked.owner_id, session_id=asked.session_id, kind=kind, form_token=token, shown_at=asked.shown_at
    )


def choices(event: str, pictures: Iterable[int]) -> QuerySet[Rating]:
    """The events that chose one of the pictures (ids) before others, and stand."""
    chosen = RatedPicture.objects.filter(picture__in=list(pictures), value__gt=0)
    return Rating.objects.filter(kind=event, undone_at__isnull=True, items__in=chosen).distinct()


def chosen(ratings: QuerySet[Rating]) -> set[int]:
    """The pictures (ids) that these events chose before others."""
    return set(RatedPicture.objects.filter(rating__in=ratings, value__gt=0).values_list("picture_id", flat=True))


def take_back(picture: int, kind: Kind) -> None:
    """Take back what a page that asks in this way shows to be said of a picture (id) itself.

    Of others that were chosen with it, what was said stays theirs; so does what was said in another way.
    """
    of = in_kinds(kind) if kind.stands_beside else OF_ITSELF
    items = RatedPicture.objects.filter(of, picture=picture, rating__undone_at__isnull=True)
    said = Rating.objects.filter(items__in=items)
    standing = list(said.prefetch_related("items"))
    undo(said)
    for rating in standing:
        rest = KIND_OF[rating.kind].without(picture, {item.picture_id: item.value for item in rating.items.all()})
        if rest is not None:
            add_one(Asked(rating.owner_id, rating.session_id, rating.shown_at), rating.kind, rest, uuid.uuid4())


def of_pair(first: int, second: int) -> QuerySet[Rating]:
    """What was said of two pictures beside each other, and stands."""
    of_two = Rating.objects.filter(kind__in=OF_TWO, undone_at__isnull=True)
    return of_two.filter(items__picture=first).filter(items__picture=second)


def last_of_pairs(pictures: Collection[int]) -> Rating | None:
    """The last answer about any two of the pictures that stands."""
    answers = Rating.objects.filter(kind__in=OF_TWO, items__picture__in=pictures)
    return answers.filter(undone_at__isnull=True).order_by("-pk").first()


def undo(ratings: Any) -> None:
    """Take events back (a query of their rows); they are kept."""
    Rating.objects.filter(pk__in=ratings.values("pk")).update(undone_at=timezone.now())
