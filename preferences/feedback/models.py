"""Tables of what people said."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

from preferences.feedback import kinds
from preferences.library.models import Picture
from preferences.visible import Visible


class Rating(models.Model):
    """One human action. Append-only: a change of mind is a new event, an undone one keeps its row."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="ratings")
    session = models.ForeignKey(
        "preferences.Session",
        models.CASCADE,
        null=True,
        related_name="ratings",
        db_index=False,
        help_text="Where it was said, if in one.",
    )
    kind = models.CharField(max_length=20, choices=kinds.events, help_text="An event of a kind of feedback.")
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
