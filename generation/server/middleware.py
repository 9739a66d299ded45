"""What keeps pages of other sites from drawing with a service that asks for no token."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase, JsonResponse


def only_json(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Refuse bodies of another kind: a browser sends JSON to another site only if that allows it, which we do not.

    The name under which the service is reached must be one of ALLOWED_HOSTS, against names that are bound anew.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request.get_host()  # raises DisallowedHost, which Django answers with 400
        if request.method == "POST" and request.content_type != "application/json":
            return JsonResponse({"detail": "Send JSON, with Content-Type: application/json."}, status=415)
        return get_response(request)

    return middleware
