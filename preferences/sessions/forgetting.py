"""What a person writes of what the learner goes by: forget what was said, or use all of it again."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from preferences.jobs import services as jobs
from preferences.sessions.models import Session

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
    jobs.end_background(str(session.pk), SEARCH_ENDED)  # the trials of a search were made on other ratings
