"""Who may send anything to the service."""

import secrets

from django.conf import settings


def knows_token(authorization: str) -> bool:
    """Whether an Authorization header carries the token; anybody does where none is set."""
    kind, _, token = authorization.partition(" ")
    wanted = settings.IPO_GENERATION_TOKEN
    return not wanted or (kind.lower() == "bearer" and secrets.compare_digest(token.encode(), wanted.encode()))


def refusal(path: str, headers: dict[str, str]) -> tuple[int, str] | None:
    """Why a request is answered before its body is read: status and sentence; None where it is read.

    `headers` are by their names in capitals, as the web server has them.
    """
    if knows_token(headers.get("AUTHORIZATION", "")):
        return None
    return 401, "Unauthorized"
