"""Tables of long work, and of those who do it."""

from django.db import models
from django.db.models import CheckConstraint, Q

from generation.progress import Progress


class Worker(models.Model):
    """A process that draws, as it last reported. Told from its age, not from Redis, which may be emptied."""

    class State(models.TextChoices):
        LOADING = "loading", "Loading the model"
        READY = "ready", "Ready"
        FAILED = "failed", "The model could not be loaded"

    name = models.CharField(max_length=200, unique=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.LOADING)
    model = models.CharField(max_length=100, blank=True, help_text="In its memory, or being loaded.")
    error = models.TextField(blank=True)
    device = models.CharField(max_length=200, blank=True, help_text="What it draws on.")
    memory_gb = models.FloatField(default=0, help_text="Of that device, in GB.")
    progress = models.JSONField(
        null=True, help_text="How far the model that it loads has come: the fields of generation.progress.Progress."
    )
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [CheckConstraint(name="worker_state", condition=Q(state__in=["loading", "ready", "failed"]))]

    def __str__(self) -> str:
        return self.name

    @property
    def load(self) -> Progress | None:
        return Progress(**self.progress) if self.progress else None
