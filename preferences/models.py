"""The tables. What must always hold is a constraint here, not a hope elsewhere."""

import uuid
from collections.abc import Collection
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import CheckConstraint, F, OuterRef, Q, QuerySet, Subquery, UniqueConstraint
from pgvector.django import VectorField

from generation.progress import Progress
from preferences.controls import PROMPT_LIMIT, RANGES, Controls
from preferences.text import is_visible


class Session(Controls):
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

    class Meta(Controls.Meta):
        ordering = ("-created_at",)
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="session_of_owner_newest"),
            models.Index(fields=["-created_at", "-id"], name="session_newest"),
        ]
        constraints = [
            *Controls.Meta.constraints,
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
    def is_model_known(self) -> bool:
        """False once its model's entry has gone; then it shows what it has, and draws nothing more."""
        return self.model in settings.IPO_MODELS


class Batch(Controls):
    """One round: its candidates, and the controls as they were when it was asked for."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    class Phase(models.TextChoices):
        QUEUED = "queued", "Waiting for the worker"
        LOADING = "loading", "Loading the model"
        LEARNING = "learning", "Learning from your ratings"
        GENERATING = "generating", "Drawing"
        DONE = "done", "Done"

    ACTIVE = (State.QUEUED, State.RUNNING)

    session = models.ForeignKey(Session, models.CASCADE, related_name="batches")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    phase = models.CharField(max_length=12, choices=Phase.choices, default=Phase.QUEUED)
    error = models.TextField(blank=True)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    leased_by = models.CharField(max_length=200, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    enqueued_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta(Controls.Meta):
        ordering = ("session", "number")
        verbose_name_plural = "batches"
        constraints = [
            *Controls.Meta.constraints,
            UniqueConstraint(name="batch_number_once", fields=["session", "number"]),
            UniqueConstraint(
                name="batch_one_active_per_session",
                fields=["session"],
                condition=Q(state__in=["queued", "running"]),
            ),
            CheckConstraint(
                name="batch_state",
                condition=Q(state__in=["queued", "running", "ready", "failed", "cancelled"]),
            ),
            CheckConstraint(
                name="batch_lease_iff_running",
                condition=Q(state="running", lease_token__isnull=False, lease_expires_at__isnull=False)
                | (~Q(state="running") & Q(lease_token__isnull=True, lease_expires_at__isnull=True)),
            ),
        ]
        indexes = [
            models.Index(fields=["lease_expires_at"], condition=Q(state="running"), name="batch_running_lease"),
            models.Index(fields=["enqueued_at"], condition=Q(state="queued"), name="batch_queued_since"),
            models.Index(fields=["state", "-id"], name="batch_newest_in_state"),
        ]

    def __str__(self) -> str:
        return f"batch {self.number}"

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE

    @property
    def has_ended_early(self) -> bool:
        return self.state in (self.State.FAILED, self.State.CANCELLED)

    @property
    def is_stopped(self) -> bool:
        return self.state == self.State.CANCELLED

    def newest_attempts(self) -> "QuerySet[Candidate]":
        """One candidate for each slot. However often they were drawn anew, no earlier attempt is read."""
        in_slot = Candidate.objects.filter(batch=OuterRef("batch"), slot=OuterRef("slot")).order_by("-attempt")
        first = Candidate.objects.filter(batch=self, attempt=1).order_by("slot")
        newest = first.values(newest=Subquery(in_slot.values("pk")[:1]))
        # There are no more slots than that; told so, Postgres looks each up and does not read the whole table.
        return Candidate.objects.filter(pk__in=newest[: int(RANGES["curation_size"][1])])

    def shown(self) -> "QuerySet[Candidate]":
        """The pictures that its page shows: the last attempt in each slot, if it is drawn."""
        return self.newest_attempts().filter(state=Candidate.State.READY)


class Candidate(models.Model):
    """One picture of a batch. A slot that is drawn anew gets the next attempt; the rated row stays."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="candidates")
    slot = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    vector = models.BinaryField(null=True, help_text="The steering vector, float32, little-endian.")
    alternatives = models.BinaryField(
        null=True, help_text="Further vectors that are drawn for the slot, until the best of all is chosen: as above."
    )
    score = models.FloatField(null=True, blank=True, help_text="What the learner expected of it.")
    distance = models.FloatField(null=True, blank=True, help_text="From the prompt's anchor.")
    image = models.FileField(blank=True, max_length=255)
    thumbnail = models.FileField(blank=True, max_length=255)
    preview = models.FileField(blank=True, max_length=255, help_text="How it looks by now, while it is drawn.")
    previewed_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    drawn_at = models.DateTimeField(null=True, blank=True)
    # Requests may overtake each other: a page numbers what it says, and the last that was heard of here is kept.
    heard_page = models.UUIDField(null=True, editable=False)
    heard_turn = models.BigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ("batch", "slot", "attempt")
        constraints = [
            UniqueConstraint(name="candidate_attempt_once", fields=["batch", "slot", "attempt"]),
            CheckConstraint(name="candidate_state", condition=Q(state__in=["pending", "ready", "failed"])),
            CheckConstraint(name="candidate_slot_from_one", condition=Q(slot__gte=1, attempt__gte=1)),
            CheckConstraint(
                name="candidate_ready_has_image",
                condition=~Q(state="ready") | (~Q(image="") & Q(vector__isnull=False, drawn_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(fields=["batch", "slot"], condition=Q(attempt=1), name="candidate_slots"),
            models.Index(fields=["batch", "slot"], condition=Q(state="ready"), name="candidate_ready"),
            models.Index(fields=["state", "-id"], name="candidate_newest_in_state"),
        ]

    def __str__(self) -> str:
        return f"candidate {self.slot}.{self.attempt}"


class Embedding(models.Model):
    """What an image encoder sees in a candidate (SigLIP base: 768 numbers), or one of its visual descriptors."""

    candidate = models.ForeignKey(Candidate, models.CASCADE, related_name="embeddings")
    encoder = models.CharField(max_length=100, help_text="Or the name of the descriptor.")
    vector = VectorField()

    class Meta:
        constraints = [UniqueConstraint(name="embedding_once", fields=["candidate", "encoder"])]

    def __str__(self) -> str:
        return f"{self.encoder} of {self.candidate_id}"


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

    session = models.ForeignKey(Session, models.CASCADE, related_name="ratings", db_index=False)
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.GOOD_BAD)
    candidates = models.ManyToManyField(Candidate, through="RatedCandidate", related_name="ratings")
    form_token = models.UUIDField(unique=True, default=uuid.uuid4, help_text="The same form sent twice is one event.")
    shown_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True, blank=True)

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


class RatedCandidate(models.Model):
    """What a rating says of one candidate: from good (five stars) +1 to bad (one) -1; or best +1, and the others -1."""

    rating = models.ForeignKey(Rating, models.CASCADE, related_name="items")
    candidate = models.ForeignKey(Candidate, models.CASCADE, related_name="rated", db_index=False)
    value = models.FloatField()

    class Meta:
        constraints = [
            UniqueConstraint(name="rated_once_per_event", fields=["rating", "candidate"]),
            CheckConstraint(name="rated_value_range", condition=Q(value__gte=-1, value__lte=1)),
        ]
        indexes = [models.Index(fields=["candidate", "-rating"], name="rated_last_word")]

    def __str__(self) -> str:
        return f"{self.candidate_id}: {self.value:+g}"


class OptimizerState(models.Model):
    """What the learner knew when it proposed candidates of a batch: parameters, metrics, random state."""

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
    rng_state = models.JSONField(help_text="The generator's state before the proposal.")
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


class Search(models.Model):
    """Looks for the settings of XGBoost that suit a session's ratings as they were when it was asked for.

    One task makes one trial and asks for the next, so that a kill costs one trial and drawing is not held up.
    """

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        STOPPED = "stopped", "Stopped"
        FAILED = "failed", "Failed"

    session = models.ForeignKey(Session, models.CASCADE, related_name="searches", db_index=False)
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
