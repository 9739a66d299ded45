"""Who is there: on one machine, always the same local user."""

from collections.abc import Callable

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

LOCAL_USER = "local"


def local_user() -> User:
    """The automatic user of single-user mode, made on first use; may use the admin."""
    user, _ = get_user_model().objects.get_or_create(
        username=LOCAL_USER, defaults={"is_staff": True, "is_superuser": True}
    )
    return user


class LocalUserMiddleware:
    """No login: IPO listens on the loopback interface only, and ALLOWED_HOSTS names nothing else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.user = SimpleLazyObject(local_user)  # type: ignore[assignment]
        return self.get_response(request)
