"""Reads of searches."""

from preferences.models import Search, Session


def last_search(session: Session) -> Search | None:
    return Search.objects.filter(session=session).first()
