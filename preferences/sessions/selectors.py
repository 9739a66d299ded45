"""What a worker reads of sessions."""

from django.db.models import Exists, OuterRef

from preferences.jobs.models import Job
from preferences.sessions.models import Batch, Candidate, Session


def pending_candidates(batch_id: int) -> list[Candidate]:
    """In the order of their slots; with its picture and vector, what is drawn once more."""
    rows = Candidate.objects.filter(batch_id=batch_id, state=Candidate.State.PENDING).select_related("picture")
    return list(rows.order_by("slot"))


def last_started() -> Session | None:
    """The newest session whose drawing nobody stopped: a worker that starts will most likely need its model next."""
    stopped = Batch.objects.filter(session=OuterRef("pk"), job__state=Job.State.CANCELLED)
    return Session.objects.exclude(Exists(stopped)).order_by("-created_at").first()
