"""A person does not wait any longer: the drawing of a batch ends, and what was drawn stays."""

from django.db import transaction

from preferences.jobs import services as jobs
from preferences.sessions.candidates import give_up
from preferences.sessions.models import Batch, Candidate
from preferences.sessions.services import locked

NOT_DRAWN = "Not drawn: this batch was stopped."


@transaction.atomic
def stop_batch(batch: Batch) -> None:
    """Close a batch that waits or is drawn; nothing happens to another. Its worker notices within seconds."""
    if jobs.cancel(locked(pk=batch.pk).job):
        give_up(Candidate.objects.filter(batch=batch, state=Candidate.State.PENDING), NOT_DRAWN)
