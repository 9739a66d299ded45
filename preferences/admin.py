from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from preferences.models import (
    Batch,
    Candidate,
    Embedding,
    OptimizerState,
    RatedCandidate,
    Rating,
    Search,
    Session,
    Worker,
)


def thumbnail(candidate: Candidate | None) -> SafeString | str:
    if candidate is None or not candidate.thumbnail:
        return "-"
    url = reverse("picture", args=[candidate.pk, "thumbnail"])
    return format_html('<img src="{}" alt="{}" width="64" height="64" loading="lazy">', url, candidate)


@admin.register(Session)
class SessionAdmin(admin.ModelAdmin[Session]):
    list_display = ("cover", "prompt", "slot", "model", "space", "owner", "created_at")
    list_display_links = ("prompt",)
    list_filter = ("model", "space", "value_model")
    search_fields = ("prompt", "slot")
    readonly_fields = ("id", "seed", "created_at")

    @admin.display(description="")
    def cover(self, session: Session) -> SafeString | str:
        rows = Candidate.objects.filter(batch__session=session, state=Candidate.State.READY)
        return thumbnail(rows.order_by("-drawn_at").first())


class CandidateInline(admin.TabularInline[Candidate, Batch]):
    model = Candidate
    fields = ("picture", "slot", "attempt", "state", "score", "distance", "error")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Batch | None = None) -> bool:
        return False

    @admin.display(description="picture")
    def picture(self, candidate: Candidate) -> SafeString | str:
        return thumbnail(candidate)


@admin.register(Batch)
class BatchAdmin(admin.ModelAdmin[Batch]):
    list_display = ("cover", "session", "number", "state", "phase", "created_at", "finished_at")
    list_display_links = ("session", "number")
    list_filter = ("state",)
    readonly_fields = (
        "created_at",
        "enqueued_at",
        "finished_at",
        "lease_token",
        "lease_expires_at",
        "leased_by",
    )
    inlines = (CandidateInline,)
    list_select_related = ("session",)

    @admin.display(description="")
    def cover(self, batch: Batch) -> SafeString | str:
        return thumbnail(batch.candidates.filter(state=Candidate.State.READY).first())


@admin.register(Candidate)
class CandidateAdmin(admin.ModelAdmin[Candidate]):
    list_display = ("picture", "batch", "slot", "attempt", "state", "score", "distance", "drawn_at")
    list_display_links = ("batch", "slot")
    list_filter = ("state",)
    raw_id_fields = ("batch",)
    list_select_related = ("batch",)

    @admin.display(description="picture")
    def picture(self, candidate: Candidate) -> SafeString | str:
        return thumbnail(candidate)


class RatedCandidateInline(admin.TabularInline[RatedCandidate, Rating]):
    model = RatedCandidate
    fields = ("picture", "candidate", "value")
    readonly_fields = ("picture",)
    raw_id_fields = ("candidate",)
    extra = 0

    @admin.display(description="picture")
    def picture(self, item: RatedCandidate) -> SafeString | str:
        return thumbnail(item.candidate)


@admin.register(Rating)
class RatingAdmin(admin.ModelAdmin[Rating]):
    list_display = ("picture", "id", "session", "kind", "answered_at", "undone_at")
    list_display_links = ("id",)
    list_filter = ("kind",)
    raw_id_fields = ("session",)
    readonly_fields = ("answered_at",)
    inlines = (RatedCandidateInline,)

    @admin.display(description="picture")
    def picture(self, rating: Rating) -> SafeString | str:
        return thumbnail(rating.candidates.first())


@admin.register(Embedding)
class EmbeddingAdmin(admin.ModelAdmin[Embedding]):
    list_display = ("picture", "candidate", "encoder")
    list_display_links = ("candidate",)
    list_filter = ("encoder",)
    raw_id_fields = ("candidate",)

    @admin.display(description="picture")
    def picture(self, embedding: Embedding) -> SafeString | str:
        return thumbnail(embedding.candidate)


@admin.register(OptimizerState)
class OptimizerStateAdmin(admin.ModelAdmin[OptimizerState]):
    list_display = ("picture", "batch", "value_model", "note", "created_at")
    list_display_links = ("batch",)
    list_filter = ("value_model",)
    raw_id_fields = ("batch",)
    readonly_fields = ("created_at",)

    @admin.display(description="")
    def picture(self, state: OptimizerState) -> SafeString | str:
        return thumbnail(state.batch.candidates.filter(state=Candidate.State.READY).first())


@admin.register(Search)
class SearchAdmin(admin.ModelAdmin[Search]):
    list_display = ("id", "session", "state", "created_at", "finished_at", "error")
    list_filter = ("state",)
    raw_id_fields = ("session",)
    readonly_fields = ("created_at", "enqueued_at", "finished_at")


@admin.register(Worker)
class WorkerAdmin(admin.ModelAdmin[Worker]):
    list_display = ("name", "state", "model", "seen_at", "error")
