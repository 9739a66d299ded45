"""The table of searches for the settings of XGBoost."""

from typing import Any

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint


class Search(models.Model):
    """Looks for the settings of XGBoost that suit a session's ratings as they were when it was asked for.

    One task makes one trial and asks for the next, so that a kill costs one trial and drawing is not held up.
    """

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Failed"

    session = models.ForeignKey("preferences.Session", models.CASCADE, related_name="searches", db_index=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    wanted = models.PositiveIntegerField(default=100, help_text="How many trials it makes.")
    trials = models.JSONField(default=list, help_text="The settings and the loss of each; the first has the old ones.")
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    enqueued_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "searches"
        indexes = [models.Index(fields=["session", "-id"], name="search_newest_of_session")]
        constraints = [
            UniqueConstraint(name="search_one_running_per_session", fields=["session"], condition=Q(state="running")),
            CheckConstraint(name="search_state", condition=Q(state__in=["running", "done", "stopped", "failed"])),
            CheckConstraint(
                name="search_finished_iff_not_running",
                condition=Q(state="running", finished_at__isnull=True)
                | (~Q(state="running") & Q(finished_at__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"search {self.pk}"

    @property
    def is_running(self) -> bool:
        return self.state == self.State.RUNNING

    @property
    def best(self) -> dict[str, Any] | None:
        """The trial with the least loss, the earliest of equals; None before the first."""
        return min(self.trials, key=lambda trial: float(trial["loss"]), default=None)
