"""Tables of what people said."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

from preferences.library.models import Picture
from preferences.visible import Visible


class Rating(models.Model):
    """One human action. Append-only: a change of mind is a new event, an undone one keeps its row."""

    class Kind(models.TextChoices):
        GOOD_BAD = "good_bad", "Good or bad"
        STARS = "stars", "Stars"
        BEST = "best", "Best of several"
        RANK = "rank", "Next in a ranking"
        PAIR = "pair", "Better of two"
        SKIP = "skip", "Two skipped"

    # Of these a picture has one at a time: the last word counts. A choice stands beside others.
    OF_ONE_PICTURE = (Kind.GOOD_BAD, Kind.STARS)
    # One picture is chosen, and others were left: its value is above 0, theirs below. A ranking is a row of these.
    OF_ONE_AMONG_OTHERS = (Kind.BEST, Kind.RANK)
    OF_TWO_PICTURES = (Kind.PAIR, Kind.SKIP)
    # What a person can say of a picture, as the kind of rating and its value.
    WORDS: ClassVar[dict[str, tuple[str, float]]] = {
        "good": (Kind.GOOD_BAD, 1.0),
        "bad": (Kind.GOOD_BAD, -1.0),
        "1": (Kind.STARS, -1.0),
        "2": (Kind.STARS, -0.5),
        "3": (Kind.STARS, 0.0),
        "4": (Kind.STARS, 0.5),
        "5": (Kind.STARS, 1.0),
        "best": (Kind.BEST, 1.0),
        "next": (Kind.RANK, 1.0),
    }
    # What a person can say of two pictures, as the kind of rating and the values of the first and the second.
    ANSWERS: ClassVar[dict[str, tuple[str, float, float]]] = {
        "first": (Kind.PAIR, 1.0, -1.0),
        "second": (Kind.PAIR, -1.0, 1.0),
        "tie": (Kind.PAIR, 0.0, 0.0),
        "both_bad": (Kind.PAIR, -1.0, -1.0),
        "skip": (Kind.SKIP, 0.0, 0.0),
    }

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="ratings")
    session = models.ForeignKey(
        "preferences.Session",
        models.CASCADE,
        null=True,
        related_name="ratings",
        db_index=False,
        help_text="Where it was said, if in one.",
    )
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.GOOD_BAD)
    pictures = models.ManyToManyField(Picture, through="RatedPicture", related_name="ratings")
    form_token = models.UUIDField(unique=True, default=uuid.uuid4, help_text="The same form sent twice is one event.")
    shown_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    objects = Visible.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = [
            CheckConstraint(
                name="rating_kind",
                condition=Q(kind__in=["good_bad", "stars", "best", "rank", "pair", "skip"]),
            ),
            CheckConstraint(
                name="rating_undone_after_answer",
                condition=Q(undone_at__isnull=True) | Q(undone_at__gte=F("answered_at")),
            ),
        ]
        indexes = [
            models.Index(fields=["session", "-id"], name="rating_newest_of_session"),
            models.Index(fields=["kind", "-id"], name="rating_newest_of_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class RatedPicture(models.Model):
    """What a rating says of one picture: from good (five stars) +1 to bad (one) -1; or best +1, and the others -1."""

    rating = models.ForeignKey(Rating, models.CASCADE, related_name="items")
    picture = models.ForeignKey(Picture, models.CASCADE, related_name="rated", db_index=False)
    value = models.FloatField()

    class Meta:
        constraints = [
            UniqueConstraint(name="rated_once_per_event", fields=["rating", "picture"]),
            CheckConstraint(name="rated_value_range", condition=Q(value__gte=-1, value__lte=1)),
        ]
        indexes = [models.Index(fields=["picture", "-rating"], name="rated_last_word")]

    def __str__(self) -> str:
        return f"{self.picture_id}: {self.value:+g}"
