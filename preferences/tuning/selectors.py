"""Reads of searches."""

from preferences.sessions.models import Session
from preferences.tuning.models import Search


def last_search(session: Session) -> Search | None:
    return Search.objects.select_related("job").filter(session=session).first()
