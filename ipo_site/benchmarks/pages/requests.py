"""Every page of ours and of the admin, as requests to measure.

The pages are those of the URL conf and of the registry of the admin: a new one gets its rows by itself, or says that it
needs a line in FORMS or ARGUMENTS.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.contrib import admin
from django.http import HttpResponseBase
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from ipo_site.benchmarks.pages import history
from ipo_site.middleware import local_user
from preferences.models import Batch, Candidate, Session
from preferences.pages import pairs
from preferences.sessions import paging

# Seconds at the server.
OURS, ADMIN = 0.1, 0.3
HTMX = {"HX-Request": "true"}


class NoRow(Exception):
    """A page that cannot be measured yet; the text says what to write where."""


@dataclass(frozen=True)
class Place:
    """Where in the data a page is looked at."""

    name: str
    batch: Batch
    candidate: Candidate


@dataclass(frozen=True)
class Row:
    """One request. `form` is what is posted, None a GET; undone afterwards."""

    page: str
    place: str
    url: str
    limit: float
    form: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


# What stands in an address, by the name it has there.
ARGUMENTS: dict[str, Callable[[Place], Any]] = {
    "session_id": lambda place: place.batch.session_id,
    "number": lambda place: place.batch.number,
    "candidate_id": lambda place: place.candidate.pk,
    "kind": lambda place: "thumbnail",
}


def _start(place: Place) -> dict[str, Any]:
    session = place.batch.session
    return {"id": uuid.uuid4(), "prompt": "another", "model": session.model, "space": "latent", **_controls(place)}


def _controls(place: Place) -> dict[str, Any]:
    return {name: value for name, value in place.batch.session.controls().items() if value is not False}


def _rating(place: Place) -> dict[str, Any]:
    return {"value": "bad", "form_token": uuid.uuid4(), "after": ""}


def _pair(place: Place) -> dict[str, Any]:
    pair, _ = pairs.next_pair(place.batch)
    if pair is None:
        raise NoRow("There is no pair to compare: see ipo_site/benchmarks/pages/history.py.")
    return {"first": pair.first.pk, "second": pair.second.pk, "answer": "first", "form_token": pair.form_token}


# What is posted to a page, by the name of its URL.
FORMS: dict[str, Callable[[Place], dict[str, Any]]] = {
    "index": _start,
    "controls": _controls,
    "search": lambda place: {},
    "stop_search": lambda place: {},
    "submit": lambda place: {"good": [place.candidate.pk]},
    "pairs": _pair,
    "undo_pair": lambda place: {},
    "retry": lambda place: {},
    "stop": lambda place: {},
    "rate": _rating,
    "draw_again": lambda place: {},
    "forget": lambda place: {},
    "remember": lambda place: {},
    "use_xgboost": lambda place: {},
}


def rows() -> Iterator[Row]:
    """Every page of ours and of the admin, on what is in the database."""
    places = list(_places())
    for pattern in patterns(get_resolver()):
        yield from _of_ours(pattern, places)
    yield from _of_admin()


def _places() -> Iterator[Place]:
    newest = Session.objects.exclude(prompt=history.REDRAWN).order_by("-created_at")[:1].get()
    batches = list(newest.batches.select_related("session"))
    redrawn = Batch.objects.select_related("session").get(session__prompt=history.REDRAWN)
    for name, batch in (
        ("newest batch", batches[-1]),
        ("old batch", batches[len(batches) // 2 - 1]),
        ("drawn anew often", redrawn),
    ):
        candidate = batch.shown().order_by("slot").first()
        assert candidate is not None
        yield Place(name, batch, candidate)


def patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    """Those of the URL conf, without the admin's."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            yield pattern
        elif pattern.namespace != "admin":
            yield from patterns(pattern)


def _of_ours(pattern: URLPattern, places: list[Place]) -> Iterator[Row]:
    if not pattern.name:
        raise NoRow(f"The URL {pattern.pattern} has no name: give it one, so that its page is measured.")
    wanted = pattern.pattern.regex.groupindex
    unknown = wanted.keys() - ARGUMENTS.keys()
    if unknown:
        raise NoRow(f"The URL {pattern.name} has an argument {min(unknown)}: add it to ARGUMENTS in {__name__}.")
    for place in places if wanted else places[:1]:
        url = reverse(pattern.name, kwargs={name: ARGUMENTS[name](place) for name in wanted})
        name = place.name if wanted else ""
        answer = ask(url)
        if answer.status_code < 300:
            yield Row(pattern.name, name, url, OURS)
        elif answer.status_code == 302:  # a fragment of a page, that the script asks for
            yield Row(pattern.name, name, url, OURS, headers=HTMX)
        if pattern.name not in FORMS and (answer.status_code > 302 or takes_forms(url)):
            raise NoRow(f"{pattern.name} answers {answer.status_code}: add what it is sent to FORMS in {__name__}.")
        if pattern.name in FORMS:
            form = FORMS[pattern.name](place)
            yield Row(f"{pattern.name}, sent", name, url, OURS, form)
            yield Row(f"{pattern.name}, sent by script", name, url, OURS, form, HTMX)
    if pattern.name == "index":
        older = f"{url}?older={paging.session_page(local_user()).older}"
        yield Row("index", "second page", older, OURS)


def takes_forms(url: str) -> bool:
    """Whether a page is one to post to: it says so when it refuses a method that none of ours takes."""
    return "POST" in client().put(url).headers.get("Allow", "")


def _of_admin() -> Iterator[Row]:
    yield Row("admin", "", reverse("admin:index"), ADMIN)
    request = RequestFactory().get("/")
    request.user = local_user()
    for model, table in admin.site._registry.items():
        options = model._meta
        page = f"admin: {options.verbose_name_plural}"
        name = f"admin:{options.app_label}_{options.model_name}"
        url = reverse(f"{name}_changelist")
        yield Row(page, "", url, ADMIN)
        changelist: Any = table.get_changelist_instance(request)
        if changelist.multi_page:
            yield Row(page, "last page", f"{url}?p={changelist.paginator.num_pages}", ADMIN)
        for spec in changelist.filter_specs:
            for choice in spec.choices(changelist):
                if not choice["selected"]:
                    yield Row(page, f"{spec.title} {choice['display']}", url + choice["query_string"], ADMIN)
        for foreign in options.concrete_fields:
            of: Any = foreign.related_model
            if foreign.many_to_one and of._meta.app_label == options.app_label:
                first = model._base_manager.order_by("pk").values_list(foreign.attname, flat=True).first()
                yield Row(page, f"of one {foreign.name}", f"{url}?{foreign.name}__exact={first}", ADMIN)
        if table.search_fields:
            yield Row(page, "search", f"{url}?q=9", ADMIN)
        if table.has_add_permission(request):
            yield Row(f"{page}, add", "", reverse(f"{name}_add"), ADMIN)
        one = table.get_queryset(request).order_by("pk").last()
        if one is None:
            continue
        yield Row(f"{page}, change", "", reverse(f"{name}_change", args=[one.pk]), ADMIN)
        yield Row(f"{page}, history", "", reverse(f"{name}_history", args=[one.pk]), ADMIN)
        if table.has_delete_permission(request):
            yield Row(f"{page}, delete", "", reverse(f"{name}_delete", args=[one.pk]), ADMIN)


@cache
def client() -> Client:
    """One for all requests: each new one would look through all static files first, as a server does when it starts."""
    return Client(SERVER_NAME="127.0.0.1")


def ask(url: str, form: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> HttpResponseBase:
    """A GET, or with a form a POST."""
    browser = client()
    browser.cookies.clear()  # what one page has to say is not shown on the next
    if form is None:
        return browser.get(url, headers=dict(headers or {}))
    return browser.post(url, form, headers=dict(headers or {}))
