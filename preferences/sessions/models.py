"""Tables of steering: a session, its batches, their candidates, what the learner knew at each proposal."""

import uuid
from collections.abc import Collection
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.db.models import CheckConstraint, OuterRef, Q, QuerySet, Subquery, UniqueConstraint
from django.db.models.signals import pre_delete
from django.dispatch import receiver

from generation.types import bounds
from preferences.jobs.models import Job
from preferences.library.files import delete_files, delete_folder
from preferences.library.models import Float32Field, Picture
from preferences.sessions.controls import PROMPT_LIMIT, DrawingControls, LearningControls, PageControls
from preferences.sessions.text import is_visible
from preferences.visible import OfBatch, OfSession, Visible


class Session(DrawingControls, LearningControls, PageControls):
    """One prompt, one model, one space: an experiment in taste. Model, space and size never change."""

    class Space(models.TextChoices):
        LATENT = "latent", "Latent"
        POOLED_EMBED = "pooled_embed", "PooledEmbed"
        PROMPT_EMBED = "prompt_embed", "PromptEmbed"

    # Made of the form's id and what it said, so that a form sent twice makes one session.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="preference_sessions")
    slot = models.CharField("Slot", max_length=100, blank=True, help_text="Keeps experiments on one prompt apart.")
    prompt = models.TextField("Prompt", max_length=PROMPT_LIMIT)
    negative_prompt = models.TextField("Negative prompt", max_length=PROMPT_LIMIT, blank=True)
    model = models.CharField("Model", max_length=100)
    space = models.CharField("Space", max_length=20, choices=Space.choices, default=Space.LATENT)
    width = models.PositiveIntegerField("Width", validators=[MinValueValidator(8)])
    height = models.PositiveIntegerField("Height", validators=[MinValueValidator(8)])
    seed = models.BigIntegerField(editable=False, help_text="Seeds every random draw of the learner.")
    created_at = models.DateTimeField(auto_now_add=True)
    # Kept by counts.py with each rating, so that no page counts what was ever said.
    good_count = models.IntegerField(default=0, editable=False)
    bad_count = models.IntegerField(default=0, editable=False)
    rated_count = models.IntegerField(default=0, editable=False, help_text="Pictures of which something was said.")
    learns_since = models.DateTimeField(
        null=True, editable=False, help_text="What was said up to then is kept, and not learned from."
    )

    objects = Visible.as_manager()

    class Meta:
        ordering = ("-created_at",)
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="session_of_owner_newest"),
            models.Index(fields=["-created_at", "-id"], name="session_newest"),
        ]
        constraints = [
            *DrawingControls.control_constraints(),
            *LearningControls.control_constraints(),
            *PageControls.control_constraints(),
            CheckConstraint(name="session_prompt_not_empty", condition=~Q(prompt="")),
            CheckConstraint(name="session_space", condition=Q(space__in=["latent", "pooled_embed", "prompt_embed"])),
            CheckConstraint(name="session_size_positive", condition=Q(width__gte=8, height__gte=8)),
        ]

    def __str__(self) -> str:
        return f"{self.title[:60]} ({self.slot})" if self.slot else self.title[:60]

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """Left out: 30 checks would be 30 queries, and the fields' choices and validators say the same."""

    @property
    def title(self) -> str:
        """The prompt, or where nothing of it can be seen, words that say so: a link needs a name."""
        return self.prompt if is_visible(self.prompt) else "A prompt of invisible characters"

    @property
    def active_batches(self) -> "QuerySet[Batch]":
        """Those that wait or are drawn."""
        return self.batches.filter(job__state__in=Job.ACTIVE)

    @property
    def is_model_known(self) -> bool:
        """False once its model's entry has gone; then it shows what it has, and draws nothing more."""
        return self.model in settings.IPO_MODELS


class Batch(DrawingControls, LearningControls):
    """One round: its candidates, and the controls by which they were drawn, as they were when it was asked for."""

    class Phase(models.TextChoices):
        QUEUED = "", "Waiting for the worker"
        LOADING = "loading", "Loading the model"
        LEARNING = "learning", "Learning from your ratings"
        GENERATING = "generating", "Drawing"

    session = models.ForeignKey(Session, models.CASCADE, related_name="batches")
    number = models.PositiveIntegerField()
    # It draws the batch, and what is drawn again of it. Nothing happens, as with Candidate.picture.
    job = models.OneToOneField(Job, models.DO_NOTHING, related_name="batch", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    revealed_at = models.DateTimeField(null=True, editable=False, help_text="Since when a person sees it.")
    submitted_at = models.DateTimeField(null=True, editable=False, help_text="When the person went on to the next.")
    last_rating = models.BigIntegerField(
        null=True, editable=False, help_text="The id of the last rating that its candidates were proposed by."
    )

    objects = OfSession.as_manager()

    class Meta:
        ordering = ("session", "number")
        verbose_name_plural = "batches"
        constraints = [
            *DrawingControls.control_constraints(),
            *LearningControls.control_constraints(),
            UniqueConstraint(name="batch_number_once", fields=["session", "number"]),
            CheckConstraint(
                name="batch_submitted_was_revealed",
                condition=Q(submitted_at__isnull=True) | Q(revealed_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"batch {self.number}"

    @property
    def is_active(self) -> bool:
        return self.job.is_active

    @property
    def has_ended_early(self) -> bool:
        return self.job.state in (Job.State.FAILED, Job.State.CANCELLED)

    @property
    def is_stopped(self) -> bool:
        return self.job.state == Job.State.CANCELLED

    @property
    def phase(self) -> "Batch.Phase":
        """What is done for it, while it is active."""
        return self.Phase(self.job.phase)

    def pictures(self) -> "QuerySet[Picture]":
        """Those that its page shows, without their vectors."""
        return Picture.objects.filter(candidate__in=self.shown().values("pk")).defer("vector")

    def newest_attempts(self) -> "QuerySet[Candidate]":
        """One candidate for each slot. However often they were drawn anew, no earlier attempt is read."""
        in_slot = Candidate.objects.filter(batch=OuterRef("batch"), slot=OuterRef("slot")).order_by("-attempt")
        first = Candidate.objects.filter(batch=self, attempt=1).order_by("slot")
        newest = first.values(newest=Subquery(in_slot.values("pk")[:1]))
        # There are no more slots than that; told so, Postgres looks each up and does not read the whole table.
        return Candidate.objects.filter(pk__in=newest[: int(bounds("curation_size")[1])])

    def shown(self) -> "QuerySet[Candidate]":
        """The pictures that its page shows: the last attempt in each slot, if it is drawn."""
        return self.newest_attempts().filter(state=Candidate.State.READY)


class Candidate(models.Model):
    """A place in a batch, and its picture once drawn. A slot drawn anew gets the next attempt; the row stays."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="candidates")
    slot = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    proposed = Float32Field(
        null=True, help_text="The vectors that are drawn for the slot, one after the other, until the best is chosen."
    )
    score = models.FloatField(null=True, blank=True, help_text="What the learner expected of it.")
    distance = models.FloatField(null=True, blank=True, help_text="From the prompt's anchor.")
    # Nothing happens: batch, candidates and pictures go in one transaction, a picture alone is refused at its end.
    picture = models.OneToOneField(Picture, models.DO_NOTHING, null=True, related_name="candidate")
    preview = models.FileField(blank=True, max_length=255, help_text="How it looks by now, while it is drawn.")
    previewed_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    drawn_at = models.DateTimeField(null=True, blank=True)
    # Requests may overtake each other: a page numbers what it says, and the last that was heard of here is kept.
    heard_page = models.UUIDField(null=True, editable=False)
    heard_turn = models.BigIntegerField(default=0, editable=False)

    objects = OfBatch.as_manager()

    class Meta:
        ordering = ("batch", "slot", "attempt")
        constraints = [
            UniqueConstraint(name="candidate_attempt_once", fields=["batch", "slot", "attempt"]),
            CheckConstraint(name="candidate_state", condition=Q(state__in=["pending", "ready", "failed"])),
            CheckConstraint(name="candidate_slot_from_one", condition=Q(slot__gte=1, attempt__gte=1)),
            CheckConstraint(
                name="candidate_ready_has_image",
                condition=~Q(state="ready") | Q(picture__isnull=False, drawn_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["batch", "slot"], condition=Q(attempt=1), name="candidate_slots"),
            models.Index(fields=["batch", "slot"], condition=Q(state="ready"), name="candidate_ready"),
            models.Index(fields=["state", "-id"], name="candidate_newest_in_state"),
        ]

    def __str__(self) -> str:
        return f"candidate {self.slot}.{self.attempt}"


class OptimizerState(models.Model):
    """What the learner knew when it proposed candidates of a batch: its parameters and metrics."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="optimizer_states")
    value_model = models.CharField(max_length=20)
    parameters = models.BinaryField(null=True, help_text="An .npz archive; empty while exploring.")
    # Kept as long as the parameters are: they may be gone on from while all of these stand.
    ratings = ArrayField(
        models.BigIntegerField(), default=list, blank=True, help_text="Ids of those that the parameters were fitted to."
    )
    metrics = models.JSONField(default=dict)
    note = models.TextField(blank=True)
    reason = models.CharField(
        max_length=30,
        blank=True,
        help_text="Why the candidates differ as those of a first batch do.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.value_model} for {self.batch_id}"

    @property
    def held_out_percent(self) -> int | None:
        """How often, in 100, it told the better of two pictures before they were rated; None if unknown."""
        return self._percent("held_out_accuracy")

    @property
    def looks_held_out_percent(self) -> int | None:
        """The same of the model that chooses by what is seen in the pictures."""
        return self._percent("looks_held_out_accuracy")

    def _percent(self, name: str) -> int | None:
        share = self.metrics.get(name)
        return None if share is None else round(100 * share)


@receiver(pre_delete, sender=Batch)
def _batch_goes(sender: type[Batch], instance: Batch, **_: Any) -> None:
    """Its pictures go with it, and their files. Listening to candidates, Django would load each with its vectors."""
    Batch.objects.select_for_update().filter(pk=instance.pk).first()  # before its job, as everywhere
    folder = f"batches/{instance.pk}"
    names = Picture.objects.filter(candidate__batch=instance).values_list("image", "thumbnail")
    Job.objects.filter(batch=instance).delete()
    elsewhere = {name for row in names for name in row if not name.startswith(f"{folder}/")}
    Picture.objects.filter(candidate__batch=instance).only("pk").delete()
    transaction.on_commit(partial(delete_files, elsewhere), robust=True)
    transaction.on_commit(partial(delete_folder, folder), robust=True)
