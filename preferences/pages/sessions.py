"""The list of sessions, and a session at one of its batches."""

import uuid
from datetime import datetime
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods, require_safe

from preferences.feedback.forms import BatchRatingsForm
from preferences.pages.batches import BatchView
from preferences.pages.http import (
    Request,
    owned_batch,
    owned_session,
    post_or_back,
    refuse,
    shown_batch,
    wants_fragment,
)
from preferences.sessions import paging, redrawing, services, stopping
from preferences.sessions.forms import ControlsForm, SessionForm
from preferences.sessions.models import Session
from preferences.tuning.selectors import last_search


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: Request) -> HttpResponse:
    """The sessions, and the form that starts one."""
    if request.method == "POST":
        form = SessionForm(request.POST)
        if form.is_valid():
            fields = dict(form.cleaned_data)
            return redirect("session", services.start_session(request.user, fields.pop("id"), fields).pk)
        return render(request, "preferences/index.html", _index(request, form), status=400)
    copied = _copied(request)
    form = SessionForm(initial={"id": uuid.uuid4()}, copied=copied)
    return render(request, "preferences/index.html", _index(request, form) | {"copied": copied})


def _index(request: Request, form: SessionForm) -> dict[str, Any]:
    return {"form": form, "page": paging.session_page(request.user, request.GET.get("older", ""))}


def _copied(request: Request) -> Session | None:
    """The session that the form begins with, if the address names one."""
    if "copy" not in request.GET:
        return None
    try:
        return owned_session(request, uuid.UUID(request.GET["copy"]))
    except (ValueError, Http404) as error:
        raise Http404("There is no such session to copy; the list shows yours.") from error


@require_safe
def session(request: Request, session_id: uuid.UUID, number: int | None = None) -> HttpResponse:
    """A session at its newest batch, or at an earlier one."""
    return render(request, "preferences/session.html", session_context(shown_batch(request, session_id, number)))


def session_context(view: BatchView, controls: ControlsForm | None = None) -> dict[str, Any]:
    """What the template of a session needs; `controls` as they came back from the person, with their errors."""
    return {
        "view": view,
        "session": view.session,
        "controls": controls or ControlsForm(instance=view.session),
        "learned": view.learned,
        "search": last_search(view.session),
        "batch_numbers": paging.batch_numbers(view.batch.number, view.newest),
    }


@require_safe
def progress(request: Request, session_id: uuid.UUID, number: int) -> HttpResponse:
    """The polled fragment: the progress node, and out of band the tiles drawn since the last poll."""
    if not wants_fragment(request):
        return redirect("batch", session_id, number)
    return news(request, shown_batch(request, session_id, number), request.GET.get("after", ""))


def news(request: Request, view: BatchView, after: str, partial: str = "polled") -> HttpResponse:
    """What a page that shows the tiles up to the moment `after` (see BatchView.cursor) does not show yet."""
    tiles = view.drawn_after(_moment(after)) + view.previewed
    page = {"view": view, "session": view.session, "tiles": tiles}
    response = render(request, f"preferences/session.html#{partial}", page)
    # Answers may overtake each other: the page takes none that was read before what it shows (microseconds).
    response["X-Read-At"] = str(int(view.read_at.timestamp() * 1e6))
    return response


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    # Without a time zone it is not one that a page of ours has said.
    return None if moment is None or timezone.is_naive(moment) else moment


@post_or_back
def submit(request: Request, session_id: uuid.UUID, number: int) -> HttpResponse:
    """Close the batch, with the ratings of the whole-batch form if there are any, and go on to the next."""
    view = shown_batch(request, session_id, number)
    form = BatchRatingsForm(request.POST, candidate_ids=[tile.candidate.pk for tile in view.tiles])
    if not form.is_valid():
        return refuse(request, " ".join(str(text) for errors in form.errors.values() for text in errors))
    services.submit_batch(view.session, number, form.cleaned_data["good"], form.cleaned_data["bad"])
    return redirect(reverse("session", args=[session_id]) + "#tile-1")  # where the eye goes, the focus goes


@post_or_back
def retry(request: Request, session_id: uuid.UUID, number: int) -> HttpResponse:
    redrawing.retry_batch(owned_batch(request, session_id, number))
    return redirect("batch", session_id, number)


@post_or_back
def stop(request: Request, session_id: uuid.UUID, number: int) -> HttpResponse:
    """Wait no longer for a batch: for its turn, its model or its pictures."""
    stopping.stop_batch(owned_batch(request, session_id, number))
    return redirect("batch", session_id, number)
