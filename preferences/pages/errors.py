"""The pages of what went wrong, or is not there."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from preferences.pages.http import refuse


def without_cookie(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form came without the token that its page was given."""
    sentence = "This form is from a page that is too old, or the browser keeps no cookies: open the page anew."
    return refuse(request, sentence, status=403)


def failed(request: HttpRequest) -> HttpResponse:
    """A fault of ours. Whatever else fails, this page asks the database nothing."""
    sentence = "That failed unexpectedly; nothing that was saved is lost. The log of the web server has the details."
    return refuse(request, sentence, status=500)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    sentence = str(exception.args[0]) if exception.args and isinstance(exception.args[0], str) else ""
    return render(request, "preferences/refused.html", {"sentence": sentence or "There is no such page."}, status=404)
