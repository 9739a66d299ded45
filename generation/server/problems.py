"""What the service says where it has no route for a request, or something went wrong in it: JSON, as all it says."""

from django.http import HttpRequest, JsonResponse


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    return JsonResponse(
        {"detail": "The request cannot be read, or names this machine otherwise than it may."}, status=400
    )


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    return JsonResponse({"detail": "There is nothing here: /docs describes the routes."}, status=404)


def failed(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"detail": "The service failed unexpectedly; its log has the details."}, status=500)
