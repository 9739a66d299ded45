"""Two pictures at a time: which is better?"""

import uuid

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from preferences.feedback import services
from preferences.feedback.forms import CompareForm
from preferences.feedback.pairs import next_pair
from preferences.pages.http import Request, owned_batch, post_or_back, refuse, shown_batch


@require_http_methods(["GET", "HEAD", "POST"])
def pairs(request: Request, session_id: uuid.UUID, number: int) -> HttpResponse:
    """Two pictures of a batch at a time."""
    if request.method == "POST":
        form = CompareForm(request.POST)
        batch = owned_batch(request, session_id, number)
        if not form.is_valid():
            return refuse(request, "This answer could not be read: reload the page and try again.")
        services.compare(batch, **form.cleaned_data)
        return redirect("pairs", session_id, number)
    view = shown_batch(request, session_id, number)
    pair, answered = next_pair(view.batch)
    page = {"view": view, "session": view.session, "pair": pair, "answered": answered}
    return render(request, "preferences/pairs.html", page)


@post_or_back
def undo_pair(request: Request, session_id: uuid.UUID, number: int) -> HttpResponse:
    services.undo_compare(owned_batch(request, session_id, number))
    return redirect("pairs", session_id, number)
