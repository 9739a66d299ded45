"""What a person writes of what the learner goes by: forget what was said, or use all of it again."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from preferences.sessions.models import Session
from preferences.tuning import services as tuning_services
from preferences.tuning.models import Search

SEARCH_ENDED = "What the learner goes by has changed: search again."


def forget(session: Session) -> None:
    """From now on the learner goes by what is said after this moment. Every rating is kept."""
    _learn_since(session, timezone.now())


def remember(session: Session) -> None:
    """Let the learner go by all ratings again."""
    _learn_since(session, None)


@transaction.atomic
def _learn_since(session: Session, moment: datetime | None) -> None:
    session.learns_since = moment
    session.save(update_fields=["learns_since"])
    for search in session.searches.filter(state=Search.State.RUNNING):
        tuning_services.fail_search(search.pk, SEARCH_ENDED)  # its trials were made on other ratings
