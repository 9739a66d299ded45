"""What all pages share: whose thing it is, what is said when something does not fit, the way back to a form."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from django_htmx.middleware import HtmxDetails

from preferences.errors import NotAllowed
from preferences.pages.batches import BatchView, batch_view
from preferences.sessions.models import Batch, Candidate, Session

Row = TypeVar("Row", bound=Model)
GONE = "This session was deleted in the meantime; the list shows those that are there."
NO_BATCH = "There is no such session or batch; the list shows yours."


class Request(HttpRequest):
    """What a view gets: a person who is there, and whether htmx asks."""

    user: User
    htmx: HtmxDetails


def wants_fragment(request: Request) -> bool:
    """Whether a part of the page is asked for; who comes back to its address gets the page."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def owned_session(request: HttpRequest, session_id: uuid.UUID) -> Session:
    """Raises Http404, for another's session as well; so do the others."""
    return _owned(
        Session.objects.visible_to(request.user), "There is no such session; the list shows yours.", pk=session_id
    )


def owned_batch(request: HttpRequest, session_id: uuid.UUID, number: int) -> Batch:
    rows = Batch.objects.visible_to(request.user).select_related("session", "job")
    return _owned(rows, NO_BATCH, session=session_id, number=number)


def owned_candidate(request: HttpRequest, candidate_id: int) -> Candidate:
    rows = Candidate.objects.visible_to(request.user).select_related("batch__session", "batch__job", "picture")
    rows = rows.defer("proposed", "picture__vector")
    return _owned(rows, "There is no such picture.", pk=candidate_id)


def shown_batch(request: HttpRequest, session_id: uuid.UUID, number: int | None) -> BatchView:
    """A batch, or the newest, with all that its page shows."""
    try:
        return batch_view(request.user, session_id, number)
    except Batch.DoesNotExist as error:
        raise Http404(NO_BATCH) from error


def _owned(rows: QuerySet[Row], sentence: str, **which: object) -> Row:
    row = rows.filter(**which).first()
    if row is None:
        raise Http404(sentence)
    return row


def batch_url(batch: Batch) -> str:
    return reverse("batch", args=[batch.session_id, batch.number])


def tile_url(candidate: Candidate) -> str:
    return f"{batch_url(candidate.batch)}#tile-{candidate.slot}"


def post_or_back(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A refusal stands at the address of the form: read again, or typed, it leads to the page that has the form."""

    @require_http_methods(["GET", "HEAD", "POST"])
    @wraps(view)
    def answer(request: HttpRequest, **place: Any) -> HttpResponse:
        if request.method == "POST":
            return view(request, **place)
        if "candidate_id" in place:
            return redirect(tile_url(owned_candidate(request, place["candidate_id"])))
        page: HttpResponse = redirect("batch" if "number" in place else "session", **place)
        return page

    return answer


def refuse(request: HttpRequest, sentence: str, status: int = 400) -> HttpResponse:
    """A page of one sentence."""
    return render(request, "preferences/refused.html", {"sentence": sentence}, status=status)


class Refusals:
    """Middleware: what a service does not allow reaches the person as its sentence, whichever view asked it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, (Session.DoesNotExist, Batch.DoesNotExist, Candidate.DoesNotExist)):
            return refuse(request, GONE, status=404)
        return refuse(request, str(exception), status=409) if isinstance(exception, NotAllowed) else None
