"""What is said of a picture."""

from django.http import HttpResponse
from django.shortcuts import redirect
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

from preferences.feedback.forms import RatingForm
from preferences.pages.http import Request, batch_url, owned_candidate, post_or_back, refuse, shown_batch, tile_url
from preferences.pages.sessions import news
from preferences.sessions.rating import rate as say


@post_or_back
def rate(request: Request, candidate_id: int) -> HttpResponse:
    """A word of any kind, or none. With script the tile knows its state already; only places in a ranking are told."""
    candidate = owned_candidate(request, candidate_id)
    batch = candidate.batch
    form = RatingForm(request.POST)
    if not form.is_valid():
        return refuse(request, "This rating could not be read: reload the page and try again.")
    queued = say(candidate, **form.cleaned_data)
    if queued is not None and queued.pk != batch.pk:
        # The last that was to be chosen: that was all this batch was for.
        return HttpResponseClientRedirect(batch_url(queued)) if request.htmx else redirect(batch_url(queued))
    if not request.htmx:
        return redirect(tile_url(candidate))
    view = shown_batch(request, batch.session_id, batch.number)
    # The page says up to when it shows the tiles, so that what was drawn meanwhile comes along and is not skipped.
    response = news(request, view, request.POST.get("after", ""), partial="rated")
    labels = {str(tile.candidate.pk): button.label for tile in view.tiles for button in tile.asked if button.has_place}
    return trigger_client_event(response, "placed", labels) if labels else response
