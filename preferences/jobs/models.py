"""Tables of long work, and of those who do it."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint

from generation.progress import Progress
from preferences.visible import Visible

NO_LEASE: dict[str, Any] = {"lease_token": None, "lease_expires_at": None, "leased_by": ""}  # columns of Job


class Job(models.Model):
    """Long work that survives anything: a row decides what is done, messages only wake workers."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    class Priority(models.IntegerChoices):
        """Who waits for it: the smaller comes first."""

        WAITED_FOR = 0, "A person waits"
        AHEAD = 10, "Drawn ahead"
        BACKGROUND = 20, "Background"

    ACTIVE = (State.QUEUED, State.RUNNING)

    kind = models.CharField(max_length=100, help_text="The name of the Celery task that does it.")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="jobs", db_index=False)
    subject = models.CharField(max_length=100, help_text="What it is about: one job of a kind at a time.")
    queue = models.CharField(max_length=20)
    model = models.CharField(max_length=100, blank=True, help_text="That its worker must have in memory, if any.")
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.WAITED_FOR)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    phase = models.CharField(max_length=20, blank=True)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    leased_by = models.CharField(max_length=200, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    enqueued_at = models.DateTimeField(auto_now_add=True)
    woken_at = models.DateTimeField(auto_now_add=True, help_text="When a worker was last woken for it.")
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = Visible.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = [
            UniqueConstraint(
                name="job_one_active", fields=["kind", "subject"], condition=Q(state__in=["queued", "running"])
            ),
            CheckConstraint(
                name="job_state", condition=Q(state__in=["queued", "running", "done", "failed", "cancelled"])
            ),
            CheckConstraint(
                name="job_lease_iff_running",
                condition=Q(state="running", lease_token__isnull=False, lease_expires_at__isnull=False)
                | (~Q(state="running") & Q(lease_token__isnull=True, lease_expires_at__isnull=True)),
            ),
            CheckConstraint(
                name="job_finished_iff_not_active",
                condition=Q(state__in=["queued", "running"], finished_at__isnull=True)
                | (~Q(state__in=["queued", "running"]) & Q(finished_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(
                fields=["queue", "priority", "enqueued_at"], condition=Q(state="queued"), name="job_queued_in_order"
            ),
            models.Index(fields=["lease_expires_at"], condition=Q(state="running"), name="job_running_lease"),
            models.Index(fields=["owner", "-id"], name="job_newest_of_owner"),
            models.Index(fields=["state", "-id"], name="job_newest_in_state"),
        ]

    def __str__(self) -> str:
        return f"{self.kind.rpartition('.')[2]} {self.pk}"

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE


class Worker(models.Model):
    """A process that draws, as it last reported. Told from its age, not from Redis, which may be emptied."""

    class State(models.TextChoices):
        LOADING = "loading", "Loading the model"
        READY = "ready", "Ready"
        FAILED = "failed", "The model could not be loaded"

    name = models.CharField(max_length=200, unique=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.LOADING)
    model = models.CharField(max_length=100, blank=True, help_text="In its memory, or being loaded.")
    permitted = models.JSONField(default=list, help_text="The models that it may load; all, if empty.")
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

    def may_load(self, model: str) -> bool:
        """Whether it does jobs that need this model; "": none of its own."""
        return not model or not self.permitted or model in self.permitted

    @property
    def load(self) -> Progress | None:
        return Progress(**self.progress) if self.progress else None
