"""The files of pictures, and one of them once more."""

from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from preferences.library import files
from preferences.pages.http import Request, owned_candidate, post_or_back, tile_url
from preferences.sessions import redrawing


@require_safe
def picture(request: Request, candidate_id: int, kind: str) -> HttpResponseBase:
    """The PNG, the thumbnail or the preview of one of the user's own candidates.

    An address that says when it was drawn (?v=) stands for one file.
    """
    candidate = owned_candidate(request, candidate_id)
    files_of = {"preview": candidate.preview}
    if candidate.picture is not None:
        files_of |= {"image": candidate.picture.image, "thumbnail": candidate.picture.thumbnail}
    found = files_of.get(kind)
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


@post_or_back
def draw_again(request: Request, candidate_id: int) -> HttpResponse:
    """The same picture once more, from its vector: its file is lost, or looks wrong."""
    candidate = owned_candidate(request, candidate_id)
    redrawing.draw_again(candidate)
    return redirect(tile_url(candidate))
