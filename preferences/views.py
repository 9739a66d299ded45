"""Thin: read the request, call a selector or a service, answer with a page or its fragment."""

import json
import os
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods, require_safe

from generation import installed
from preferences import comparing, files, paging, redrawing, selectors, services, stopping, tasks
from preferences.forms import BatchRatingsForm, CompareForm, ControlsForm, RatingForm, SessionForm
from preferences.models import Batch, Candidate, Session


def post_or_back(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A refusal stands at the address of the form: read again, or typed, it leads to the page that has the form."""

    @require_http_methods(["GET", "HEAD", "POST"])
    @wraps(view)
    def answer(request: HttpRequest, **place: Any) -> HttpResponse:
        if request.method == "POST":
            return view(request, **place)
        if "candidate_id" in place:
            candidate = _candidate(request, place["candidate_id"])
            return redirect(_batch_url(candidate.batch) + f"#tile-{candidate.slot}")
        page: HttpResponse = redirect("batch" if "number" in place else "session", **place)
        return page

    return answer


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """The sessions, and the form that starts one."""
    if request.method == "POST":
        form = SessionForm(request.POST)
        if form.is_valid():
            fields = dict(form.cleaned_data)
            session = services.start_session(_user(request), fields.pop("id"), fields)
            _enqueue_first(session)
            return redirect("session", session.pk)
        return render(request, "preferences/index.html", _index(request, form), status=400)
    copied = _session(request, request.GET["copy"]) if "copy" in request.GET else None
    form = SessionForm(initial={"id": uuid.uuid4()}, copied=copied)
    return render(request, "preferences/index.html", _index(request, form) | {"copied": copied})


def _index(request: HttpRequest, form: SessionForm) -> dict[str, Any]:
    return {"form": form, "page": paging.session_page(request.user.pk, request.GET.get("older", ""))}


def _session(request: HttpRequest, session_id: str) -> Session:
    try:
        return selectors.session_of(request.user, uuid.UUID(session_id))
    except (ValueError, Session.DoesNotExist) as error:
        raise Http404("There is no such session to copy; the list shows yours.") from error


def _enqueue_first(session: Session) -> None:
    first = session.batches.filter(number=1, state=Batch.State.QUEUED).first()
    if first is not None:
        tasks.enqueue(first.pk)


@require_safe
def session(request: HttpRequest, session_id: uuid.UUID, number: int | None = None) -> HttpResponse:
    """A session at its newest batch, or at an earlier one."""
    view = _batch_view(request, session_id, number)
    return render(request, "preferences/session.html", _session_page(request, view))


def _session_page(
    request: HttpRequest, view: selectors.BatchView, controls: ControlsForm | None = None
) -> dict[str, Any]:
    return {
        "view": view,
        "session": view.session,
        "controls": controls or ControlsForm(instance=view.session),
        "learned": view.learned,
        "search": selectors.last_search(view.session),
        "batch_numbers": paging.batch_numbers(view.batch.number, view.newest),
    }


@require_safe
def progress(request: HttpRequest, session_id: uuid.UUID, number: int) -> HttpResponse:
    """The polled fragment: the progress node, and out of band the tiles drawn since the last poll."""
    if not getattr(request, "htmx", False):
        return redirect("batch", session_id, number)
    view = _batch_view(request, session_id, number)
    news = _news(view, request.GET.get("after", ""))
    if not view.batch.is_active:  # the last poll: what this batch was proposed from takes the place of what was known
        news["learned"] = view.learned
    return _dated(render(request, "preferences/progress.html", news), view)


def _dated(response: HttpResponse, view: selectors.BatchView) -> HttpResponse:
    """Answers may overtake each other: the page takes none that was read before what it shows (microseconds)."""
    response["X-Read-At"] = str(int(view.read_at.timestamp() * 1e6))
    return response


def _news(view: selectors.BatchView, after: str) -> dict[str, Any]:
    """What a page that shows the tiles up to the moment `after` (see BatchView.cursor) does not show yet."""
    try:
        moment = parse_datetime(after)
    except ValueError:
        moment = None
    if moment is not None and timezone.is_naive(moment):
        moment = None  # not one that a page of ours has said
    return {"view": view, "session": view.session, "tiles": view.drawn_after(moment) + view.previewed}


@post_or_back
def rate(request: HttpRequest, candidate_id: int) -> HttpResponse:
    """Good, bad, or neither. With script the tile knows its state already; only places in a ranking are told."""
    candidate = _candidate(request, candidate_id)
    batch = candidate.batch
    form = RatingForm(request.POST)
    if not form.is_valid():
        return _refuse(request, "This rating could not be read: reload the page and try again.")
    try:
        redrawn = services.rate(candidate, **form.cleaned_data)
    except services.NotAllowed as error:
        return _refuse(request, str(error), status=409)
    if redrawn is not None:
        tasks.enqueue(redrawn.pk)
        if redrawn.pk != batch.pk:  # the best or the last place was chosen, and that was all this batch was for
            if getattr(request, "htmx", False):
                return HttpResponse(headers={"HX-Redirect": _batch_url(redrawn)})
            return redirect(_batch_url(redrawn))
    if not getattr(request, "htmx", False):
        return redirect(_batch_url(batch) + f"#tile-{candidate.slot}")
    view = _batch_view(request, batch.session_id, batch.number)
    # The page says up to when it shows the tiles, so that what was drawn meanwhile comes along and is not skipped.
    news = _news(view, request.POST.get("after", "")) | {"is_rating": True}
    response = _dated(render(request, "preferences/progress.html", news), view)
    labels = {tile.candidate.pk: button.label for tile in view.tiles for button in tile.asked if button.word == "next"}
    if labels:
        response["HX-Trigger"] = json.dumps({"placed": labels})
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def pairs(request: HttpRequest, session_id: uuid.UUID, number: int) -> HttpResponse:
    """Two pictures of a batch at a time: which is better?"""
    view = _batch_view(request, session_id, number)
    if request.method == "POST":
        form = CompareForm(request.POST)
        if not form.is_valid():
            return _refuse(request, "This answer could not be read: reload the page and try again.")
        try:
            comparing.compare(view.batch, **form.cleaned_data)
        except services.NotAllowed as error:
            return _refuse(request, str(error), status=409)
        return redirect("pairs", session_id, number)
    pair, answered = selectors.next_pair(view.batch)
    page = {"view": view, "session": view.session, "pair": pair, "answered": answered}
    return render(request, "preferences/pairs.html", page)


@post_or_back
def undo_pair(request: HttpRequest, session_id: uuid.UUID, number: int) -> HttpResponse:
    comparing.undo_compare(_batch_view(request, session_id, number).batch)
    return redirect("pairs", session_id, number)


@post_or_back
def submit(request: HttpRequest, session_id: uuid.UUID, number: int) -> HttpResponse:
    """Close the batch, with the ratings of the whole-batch form if there are any, and go on to the next."""
    view = _batch_view(request, session_id, number)
    form = BatchRatingsForm(request.POST, candidate_ids=[tile.candidate.pk for tile in view.tiles])
    if not form.is_valid():
        return _refuse(request, " ".join(str(text) for errors in form.errors.values() for text in errors))
    try:
        following = services.submit_batch(view.session, number, form.cleaned_data["good"], form.cleaned_data["bad"])
    except services.NotAllowed as error:
        return _refuse(request, str(error), status=409)
    tasks.enqueue(following.pk)
    return redirect(reverse("session", args=[session_id]) + "#tile-1")  # where the eye goes, the focus goes


@post_or_back
def retry(request: HttpRequest, session_id: uuid.UUID, number: int) -> HttpResponse:
    view = _batch_view(request, session_id, number)
    try:
        tasks.enqueue(redrawing.retry_batch(view.session, number).pk)
    except services.NotAllowed as error:
        return _refuse(request, str(error), status=409)
    return redirect("batch", session_id, number)


@post_or_back
def stop(request: HttpRequest, session_id: uuid.UUID, number: int) -> HttpResponse:
    """Wait no longer for a batch: for its turn, its model or its pictures."""
    stopping.stop_batch(_batch_view(request, session_id, number).session, number)
    return redirect("batch", session_id, number)


@post_or_back
def draw_again(request: HttpRequest, candidate_id: int) -> HttpResponse:
    """The same picture once more, from its vector: its file is lost, or looks wrong."""
    candidate = _candidate(request, candidate_id)
    try:
        tasks.enqueue(redrawing.draw_again(candidate).pk)
    except services.NotAllowed as error:
        return _refuse(request, str(error), status=409)
    return redirect(_batch_url(candidate.batch) + f"#tile-{candidate.slot}")


@post_or_back
def controls(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """Change what the next batch will use."""
    view = _batch_view(request, session_id, None)
    form = ControlsForm(request.POST, instance=view.session)
    if not form.is_valid():
        view.session.refresh_from_db()
        return render(request, "preferences/session.html", _session_page(request, view, form), status=400)
    services.update_controls(view.session, form.cleaned_data)
    messages.success(request, "Saved. The next batch will use it.")
    return redirect("session", session_id)


@require_http_methods(["GET", "HEAD", "POST"])
def search(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """Start a search for the settings of XGBoost; or the polled fragment that says how far it is."""
    session = _batch_view(request, session_id, None).session
    if request.method == "POST":
        tasks.enqueue_trial(services.start_search(session).pk)
    if not getattr(request, "htmx", False):
        return redirect(reverse("session", args=[session_id]) + "#search")
    found = selectors.last_search(session)
    response = render(request, "preferences/search.html", {"session": session, "search": found})
    if found is not None and not found.is_running and found.best is not None:
        values = {f"id_{name}": value for name, value in found.best["settings"].items()}
        response["HX-Trigger"] = json.dumps({"found": values})
    return response


@post_or_back
def stop_search(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    services.stop_search(_batch_view(request, session_id, None).session)
    return redirect("search", session_id)


@require_safe
def picture(request: HttpRequest, candidate_id: int, kind: str) -> HttpResponseBase:
    """The PNG, the thumbnail or the preview of one of the user's own candidates.

    An address that says when it was drawn (?v=) stands for one file.
    """
    candidate = _candidate(request, candidate_id)
    found = {"image": candidate.image, "thumbnail": candidate.thumbnail, "preview": candidate.preview}.get(kind)
    if not found:
        raise Http404("There is no such picture.")
    name = found.name or ""
    problem = "" if kind == "preview" else files.problem(name)  # of a preview the next one is never far
    if problem:
        raise Http404(problem)
    try:
        response = FileResponse(default_storage.open(name, "rb"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Http404(files.MISSING) from error
    lasting = {"max_age": 31_536_000, "immutable": True} if "v" in request.GET else {"max_age": 300}
    patch_cache_control(response, private=True, **lasting)
    return response


def _batch_view(request: HttpRequest, session_id: uuid.UUID, number: int | None) -> selectors.BatchView:
    try:
        return selectors.batch_view(request.user, session_id, number)
    except Batch.DoesNotExist as error:
        raise Http404("There is no such session or batch; the list shows yours.") from error


def _candidate(request: HttpRequest, candidate_id: int) -> Candidate:
    try:
        return selectors.candidate_of(request.user, candidate_id)
    except Candidate.DoesNotExist as error:
        raise Http404("There is no such picture.") from error


def _batch_url(batch: Batch) -> str:
    return reverse("batch", args=[batch.session_id, batch.number])


def _refuse(request: HttpRequest, sentence: str, status: int = 400) -> HttpResponse:
    return render(request, "preferences/refused.html", {"sentence": sentence}, status=status)


def _user(request: HttpRequest) -> Any:
    return request.user


def without_cookie(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form came without the token that its page was given."""
    sentence = "This form is from a page that is too old, or the browser keeps no cookies: open the page anew."
    return _refuse(request, sentence, status=403)


def failed(request: HttpRequest) -> HttpResponse:
    """A fault of ours. Whatever else fails, this page asks the database nothing."""
    sentence = "That failed unexpectedly; nothing that was saved is lost. The log of the web server has the details."
    return _refuse(request, sentence, status=500)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    sentence = str(exception.args[0]) if exception.args and isinstance(exception.args[0], str) else ""
    return render(request, "preferences/refused.html", {"sentence": sentence or "There is no such page."}, status=404)


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """What can draw here: the models, and the workers that have them in memory."""
    workers = selectors.workers()
    rows = [
        (spec, installed.look(spec), [worker for worker in workers if worker.model == key])
        for key, spec in settings.IPO_MODELS.items()
    ]
    context = {"rows": rows, "workers": workers, "has_token": bool(os.environ.get("HF_TOKEN"))}
    context["free_gb"] = installed.free_gb()
    return render(request, "preferences/models.html", context)
