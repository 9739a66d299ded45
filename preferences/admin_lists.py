"""Tables of the admin that cost the same however many rows they have, and cannot be broken by who looks at them."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.db.models.expressions import Combinable
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

# A list shows its newest rows, so many at most; older ones are found by a filter or from what they belong to.
DEPTH = 2000


class Beyond(int):
    """A number of rows of which no more were counted."""

    def __str__(self) -> str:
        return f"more than {int(self):,}"


class BoundedPaginator(Paginator[Any]):
    """Counts no further than DEPTH, and so leads no further."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        found: int = rows.order_by().values("pk")[: DEPTH + 1].count()
        return found if found <= DEPTH else Beyond(DEPTH)


class BoundedChangeList(ChangeList):
    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str | Combinable]:
        """Only the admin's own, which an index gives: any other would sort the whole table."""
        return list(self.model_admin.ordering or ())


class BoundedAdmin(admin.ModelAdmin[Any]):
    """Newest first; every list reads a page, whatever the table holds."""

    ordering: ClassVar[list[str | Combinable] | tuple[str | Combinable, ...] | None] = ("-pk",)
    sortable_by = ()
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    unread: ClassVar[Sequence[str]] = ()  # large columns that no page of the admin shows

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer(*self.unread)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what a filter or a link from another table asks, for which there is an index."""
        name, _, how = lookup.partition("__")
        filters = {getattr(one, "parameter_name", one) for one in self.list_filter}
        links = {field.name for field in self.model._meta.concrete_fields if field.many_to_one}
        return name in filters | links and how in {"", "exact"}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if any("\x00" in value for values in request.GET.lists() for value in values[1]):
            return redirect(request.path)  # no text in Postgres can have that character: nothing could be found
        return super().changelist_view(request, extra_context)


class ReadOnlyAdmin(BoundedAdmin):
    """What the program keeps for itself: to look at. Changed by hand, a state and its lease no longer fit together."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class WholeDeletion:
    """A page that asks before deleting names what goes, and does not list each of a hundred thousand rows."""

    goes_along = ""

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        count = objs.count() if isinstance(objs, QuerySet) else len(objs)
        names: list[Any] = [f"{one._meta.verbose_name.capitalize()}: {one}" for one in objs[:100]]
        options = objs[0]._meta if count else None
        if count > 100:
            names.append(f"and {count - 100} more")
        plural = str(options.verbose_name_plural) if options else ""
        return [*names, self.goes_along], {plural: count}, set(), []


def thumbnail(candidate_id: int | None, alt: object) -> SafeString | str:
    if candidate_id is None:
        return "-"
    url = reverse("picture", args=[candidate_id, "thumbnail"])
    return format_html('<img src="{}" alt="{}" width="64" height="64" loading="lazy">', url, alt)


def rows_link(name: str, label: str, **where: object) -> SafeString:
    """To the rows of another table that belong to this one."""
    query = "&".join(f"{field}__exact={value}" for field, value in where.items())
    return format_html('<a href="{}?{}">{}</a>', reverse(f"admin:preferences_{name}_changelist"), query, label)


def side_by_side(pieces: Iterable[SafeString | str]) -> SafeString:
    return format_html_join(" ", "{}", ((piece,) for piece in pieces))
