"""What a page asks of the learner: its controls, a search for its settings, to forget."""

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from django_htmx.http import trigger_client_event

from preferences.jobs.models import Job
from preferences.pages.http import Request, owned_session, post_or_back, shown_batch, wants_fragment
from preferences.pages.sessions import session_context
from preferences.sessions import forgetting
from preferences.sessions.controls import Optimiser, ValueModel
from preferences.sessions.forms import ControlsForm
from preferences.sessions.services import update_controls
from preferences.tuning import services as tuning
from preferences.tuning.selectors import last_search


@post_or_back
def controls(request: Request, session_id: uuid.UUID) -> HttpResponse:
    """Change what the next batch will use."""
    session = owned_session(request, session_id)
    form = ControlsForm(request.POST, instance=session)
    if not form.is_valid():
        page = session_context(shown_batch(request, session_id, None), form)
        return render(request, "preferences/session.html", page, status=400)
    update_controls(session, form.cleaned_data)
    messages.success(request, "Saved. The next batch will use it.")
    return redirect("session", session_id)


@require_http_methods(["GET", "HEAD", "POST"])
def search(request: Request, session_id: uuid.UUID) -> HttpResponse:
    """Start a search for the settings of XGBoost; or the polled fragment that says how far it is."""
    session = owned_session(request, session_id)
    if request.method == "POST":
        tuning.start_search(session)
    if not wants_fragment(request):
        return redirect(reverse("session", args=[session_id]) + "#search")
    found = last_search(session)
    response = render(request, "preferences/search.html", {"session": session, "search": found})
    if found is not None and found.job.state in (Job.State.DONE, Job.State.CANCELLED) and found.best is not None:
        values = {f"id_{name}": value for name, value in found.best["settings"].items()}
        trigger_client_event(response, "found", values)
    return response


@post_or_back
def stop_search(request: Request, session_id: uuid.UUID) -> HttpResponse:
    tuning.stop_search(owned_session(request, session_id))
    return redirect("search", session_id)


@post_or_back
def forget(request: Request, session_id: uuid.UUID) -> HttpResponse:
    forgetting.forget(owned_session(request, session_id))
    messages.success(request, "Forgotten. The next batch begins anew; your ratings are kept.")
    return redirect("session", session_id)


@post_or_back
def remember(request: Request, session_id: uuid.UUID) -> HttpResponse:
    forgetting.remember(owned_session(request, session_id))
    messages.success(request, "The next batch will use all of your ratings again.")
    return redirect("session", session_id)


@post_or_back
def use_xgboost(request: Request, session_id: uuid.UUID) -> HttpResponse:
    update_controls(owned_session(request, session_id), {"value_model": ValueModel.XGBOOST, "optimiser": Optimiser.OWN})
    messages.success(request, "The next batch will use XGBoost.")
    return redirect("session", session_id)
