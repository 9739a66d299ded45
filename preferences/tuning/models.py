"""The table of searches for the settings of XGBoost."""

from typing import Any

from django.db import models
from django.db.models.signals import post_delete
from django.dispatch import receiver

from preferences.jobs.models import Job
from preferences.sessions.models import Session
from preferences.visible import OfSession


class Search(models.Model):
    """Looks for the settings of XGBoost that suit a session's ratings as they were when it was asked for.

    Its job makes one trial and goes to the end of the queue, so that a kill costs one trial and nobody else waits.
    """

    session = models.ForeignKey(Session, models.CASCADE, related_name="searches", db_index=False)
    job = models.OneToOneField(Job, models.CASCADE, related_name="search", editable=False)
    trials = models.JSONField(default=list, help_text="The settings and the loss of each; the first has the old ones.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OfSession.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "searches"
        indexes = [models.Index(fields=["session", "-id"], name="search_newest_of_session")]

    def __str__(self) -> str:
        return f"search {self.pk}"

    @property
    def is_running(self) -> bool:
        return self.job.is_active

    @property
    def best(self) -> dict[str, Any] | None:
        """The trial with the least loss, the earliest of equals; None before the first."""
        return min(self.trials, key=lambda trial: float(trial["loss"]), default=None)


@receiver(post_delete, sender=Search)
def _search_is_gone(sender: type[Search], instance: Search, **_: Any) -> None:
    """Nobody need do its job any longer."""
    Job.objects.filter(pk=instance.job_id).delete()
