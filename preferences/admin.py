from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from preferences.admin_lists import BoundedAdmin, ReadOnlyAdmin, WholeDeletion, rows_link, side_by_side, thumbnail
from preferences.models import (
    Batch,
    Candidate,
    Descriptor,
    Embedding,
    Job,
    OptimizerState,
    Picture,
    RatedPicture,
    Rating,
    Search,
    Session,
    Worker,
)
from preferences.sessions import paging
from preferences.sessions import services as session_services
from preferences.sessions.forms import ControlsForm

PICTURES_SHOWN = 50


def _cover(batch: str) -> Subquery:
    """The id of a picture of the batch whose id stands in this column of the outer query."""
    ready = Candidate.objects.filter(batch=OuterRef(batch), state=Candidate.State.READY)
    return Subquery(ready.order_by("slot").values("pk")[:1])


class ModelFilter(admin.SimpleListFilter):
    """The models that there are, rather than those in the table, which would be read from end to end."""

    title = "model"
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, spec.label) for key, spec in settings.IPO_MODELS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Session]) -> QuerySet[Session]:
        return queryset.filter(model=self.value()) if self.value() else queryset


class SessionAdminForm(ControlsForm):
    class Meta(ControlsForm.Meta):
        fields = ("slot", *ControlsForm.Meta.fields)


@admin.register(Session)
class SessionAdmin(WholeDeletion, BoundedAdmin):
    """Its name and its controls may change; all else is what its pictures were drawn with."""

    form = SessionAdminForm
    ordering = ("-created_at", "-id")
    list_display = ("cover", "name", "slot", "model", "space", "owner", "created_at")
    list_display_links = ("name",)
    list_filter = (ModelFilter, "space", "value_model")
    list_select_related = ("owner",)
    search_fields = ("prompt", "slot")
    goes_along = "With all batches, pictures, ratings and searches in it, and the files."
    readonly_fields = (
        "rows",
        "prompt",
        "negative_prompt",
        "model",
        "space",
        "width",
        "height",
        "owner",
        "id",
        "seed",
        "created_at",
    )
    fieldsets = (
        (None, {"fields": ("rows", "slot", *readonly_fields[1:])}),
        ("Controls for the next batch", {"fields": tuple(Session.control_fields())}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Session]:
        rows: QuerySet[Session] = super().get_queryset(request).annotate(cover_id=paging.session_cover())
        return rows

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a session begins with its first batch: the start page makes both

    def save_model(self, request: HttpRequest, obj: Session, form: ModelForm[Session], change: bool) -> None:
        session_services.update_controls(obj, form.cleaned_data)

    @admin.display(description="")
    def cover(self, session: Session) -> SafeString | str:
        return thumbnail(session.cover_id, session)  # type: ignore[attr-defined]

    @admin.display(description="prompt")
    def name(self, session: Session) -> str:
        return session.title

    @admin.display(description="see also")
    def rows(self, session: Session) -> SafeString:
        page = format_html('<a href="{}">Its page</a>', reverse("session", args=[session.pk]))
        tables = [("batch", "its batches"), ("rating", "its ratings"), ("search", "its searches")]
        return side_by_side([page, *(rows_link(name, label, session=session.pk) for name, label in tables)])


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = ("cover", "session", "number", "job_state", "created_at", "submitted_at")
    list_display_links = ("session", "number")
    list_select_related = ("session", "job")
    fields = (
        "pictures",
        "session",
        "number",
        "job",
        "created_at",
        "revealed_at",
        "submitted_at",
        *Batch.control_fields(),
    )
    readonly_fields = ("pictures", "job")

    @admin.display(description="state")
    def job_state(self, batch: Batch) -> str:
        return batch.job.get_state_display()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Batch]:
        rows: QuerySet[Batch] = super().get_queryset(request).annotate(cover_id=_cover("pk"))
        return rows

    @admin.display(description="")
    def cover(self, batch: Batch) -> SafeString | str:
        return thumbnail(batch.cover_id, batch)  # type: ignore[attr-defined]

    @admin.display(description="pictures")
    def pictures(self, batch: Batch) -> SafeString:
        shown = batch.shown().order_by("slot").only("slot", "attempt")[:PICTURES_SHOWN]
        every = rows_link("candidate", "all candidates", batch=batch.pk)
        return side_by_side([*(thumbnail(one.pk, one) for one in shown), every])


@admin.register(Candidate)
class CandidateAdmin(ReadOnlyAdmin):
    list_display = ("shown", "batch", "slot", "attempt", "state", "score", "distance", "drawn_at")
    list_display_links = ("batch", "slot")
    list_filter = ("state",)
    list_select_related = ("batch",)
    unread = ("proposed",)

    @admin.display(description="picture")
    def shown(self, candidate: Candidate) -> SafeString | str:
        return thumbnail(candidate.pk if candidate.picture_id else None, candidate)


@admin.register(Rating)
class RatingAdmin(ReadOnlyAdmin):
    list_display = ("shown", "id", "session", "kind", "answered_at", "undone_at")
    list_display_links = ("id",)
    list_filter = ("kind",)
    list_select_related = ("session",)
    fields = ("said", "owner", "session", "kind", "form_token", "shown_at", "answered_at", "undone_at")
    readonly_fields = ("said",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rating]:
        best = RatedPicture.objects.filter(rating=OuterRef("pk")).order_by("-value", "pk")
        rows: QuerySet[Rating] = (
            super().get_queryset(request).annotate(best_id=Subquery(best.values("picture__candidate")[:1]))
        )
        return rows

    @admin.display(description="picture")
    def shown(self, rating: Rating) -> SafeString | str:
        return thumbnail(rating.best_id, rating)  # type: ignore[attr-defined]

    @admin.display(description="pictures")
    def said(self, rating: Rating) -> SafeString:
        items = rating.items.annotate(shown_id=F("picture__candidate")).order_by("-value", "pk")[:PICTURES_SHOWN]
        return side_by_side(format_html("{} {}", thumbnail(one.shown_id, one), f"{one.value:+g}") for one in items)


@admin.register(Picture)
class PictureAdmin(ReadOnlyAdmin):
    list_display = ("shown", "id", "source", "model", "space", "owner", "created_at")
    list_display_links = ("id",)
    list_filter = (ModelFilter, "source")
    list_select_related = ("owner", "candidate")
    unread = ("vector", "candidate__proposed")

    @admin.display(description="picture")
    def shown(self, picture: Picture) -> SafeString | str:
        return thumbnail(picture.candidate.pk if hasattr(picture, "candidate") else None, picture)


class OfPictureAdmin(ReadOnlyAdmin):
    """What is seen in a picture."""

    list_display_links = ("picture",)
    list_select_related = ("picture__candidate",)
    unread = ("vector", "picture__vector", "picture__candidate__proposed")

    @admin.display(description="")
    def shown(self, row: Embedding | Descriptor) -> SafeString | str:
        return thumbnail(row.picture.candidate.pk if hasattr(row.picture, "candidate") else None, row.picture)


@admin.register(Embedding)
class EmbeddingAdmin(OfPictureAdmin):
    list_display = ("shown", "picture", "encoder")
    fields = ("picture", "encoder")


@admin.register(Descriptor)
class DescriptorAdmin(OfPictureAdmin):
    list_display = ("shown", "picture", "name")
    fields = ("picture", "name")


@admin.register(OptimizerState)
class OptimizerStateAdmin(ReadOnlyAdmin):
    list_display = ("picture", "batch", "value_model", "note", "created_at")
    list_display_links = ("batch",)
    list_select_related = ("batch",)
    fields = ("batch", "value_model", "note", "metrics", "created_at")
    unread = ("parameters",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[OptimizerState]:
        rows: QuerySet[OptimizerState] = super().get_queryset(request).annotate(cover_id=_cover("batch"))
        return rows

    @admin.display(description="")
    def picture(self, state: OptimizerState) -> SafeString | str:
        return thumbnail(state.cover_id, state.batch)  # type: ignore[attr-defined]


@admin.register(Search)
class SearchAdmin(ReadOnlyAdmin):
    list_display = ("id", "session", "job", "created_at")
    list_select_related = ("session", "job")
    unread = ("trials",)
    fields = ("session", "job", "created_at", "trials")
    readonly_fields = ("job",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True  # a task that finds none stops


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "owner", "state", "phase", "created_at", "finished_at", "error")
    list_filter = ("state",)
    list_select_related = ("owner",)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("name", "state", "model", "device", "seen_at", "error")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True  # one that lives reports again


admin.site.unregister(User)


@admin.register(User)
class OwnerAdmin(WholeDeletion, UserAdmin[User]):
    goes_along = "With all sessions of theirs, everything in these, and the files."
