"""Two pictures at a time: which is better?"""

import uuid
from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from preferences.feedback.forms import CompareForm
from preferences.feedback.kinds import Pairs
from preferences.feedback.pairs import compared
from preferences.library import files
from preferences.pages.http import Request, owned_batch, post_or_back, refuse, shown_batch
from preferences.pages.presenters import Button
from preferences.sessions.models import Batch, Candidate
from preferences.sessions.rating import compare, undo_compare


@dataclass(frozen=True)
class Pair:
    """Two pictures to compare, and how far the comparing has come."""

    first: Candidate
    second: Candidate
    answered: int
    total: int
    form_token: uuid.UUID

    @property
    def sides(self) -> list[tuple[Button, Candidate]]:
        """What says that one of them is better, and which."""
        return list(zip(map(Button, Pairs.sides), (self.first, self.second), strict=True))

    @property
    def verdicts(self) -> list[Button]:
        return list(map(Button, Pairs.verdicts))


def next_pair(batch: Batch) -> tuple[Pair | None, int]:
    """The next two pictures of a batch to compare, or None; and how many pairs have been answered."""
    shown = batch.shown().order_by("slot").select_related("picture").defer("proposed", "picture__vector")
    of_picture = {one.picture.pk: one for one in shown if one.picture and not files.problem_of(one.picture)}
    state = compared(list(of_picture))
    if state.pair is None:
        return None, state.answered
    first, second = (of_picture[pk] for pk in state.pair)
    return Pair(first, second, state.answered, state.total, uuid.uuid4()), state.answered


@require_http_methods(["GET", "HEAD", "POST"])
def pairs(request: Request, session_id: uuid.UUID, number: int) -> HttpResponse:
    """Two pictures of a batch at a time."""
    if request.method == "POST":
        form = CompareForm(request.POST)
        batch = owned_batch(request, session_id, number)
        if not form.is_valid():
            return refuse(request, "This answer could not be read: reload the page and try again.")
        compare(batch, **form.cleaned_data)
        return redirect("pairs", session_id, number)
    view = shown_batch(request, session_id, number)
    pair, answered = next_pair(view.batch)
    page = {"view": view, "session": view.session, "pair": pair, "answered": answered}
    return render(request, "preferences/pairs.html", page)


@post_or_back
def undo_pair(request: Request, session_id: uuid.UUID, number: int) -> HttpResponse:
    undo_compare(owned_batch(request, session_id, number))
    return redirect("pairs", session_id, number)
