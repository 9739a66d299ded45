"""A person does not wait any longer: the drawing of a batch ends, and what was drawn stays."""

from django.db import transaction

from preferences.jobs import services as jobs
from preferences.jobs.models import Job
from preferences.sessions.candidates import give_up
from preferences.sessions.models import Batch, Candidate
from preferences.sessions.services import locked

NOT_DRAWN = "Not drawn: this batch was stopped."


@transaction.atomic
def stop_batch(batch: Batch) -> None:
    """Close a batch that waits or is drawn; nothing happens to another. Its worker notices within seconds."""
    batch = locked(pk=batch.pk)
    if not jobs.cancel(batch.job):
        return
    give_up(Candidate.objects.filter(batch=batch, state=Candidate.State.PENDING), NOT_DRAWN)
    if not batch.newest_attempts().filter(state=Candidate.State.FAILED).exists():
        # Only what was there already was being drawn again: nothing is missing.
        Job.objects.filter(pk=batch.job_id).update(state=Job.State.DONE, cancel_requested_at=None)
