"""A worker's turn, without Celery: at a batch, at a search."""

from generation.manager import ModelManager
from preferences.drawing import run
from preferences.jobs import leases
from preferences.jobs.leases import Lease
from preferences.models import Batch, Job, Search
from preferences.tuning import trials


def claim_batch(batch_id: int, worker: str) -> Lease | None:
    """The job of a batch; None where another worker has it, or there is no such batch."""
    job = Batch.objects.filter(pk=batch_id).values_list("job_id", flat=True).first()
    return None if job is None else leases.claim_job(job, worker)


def draw_batch(batch_id: int, manager: ModelManager, worker: str) -> None:
    """Claim a batch and draw what is pending in it. Harmless when another worker has it, or nobody needs it."""
    lease = claim_batch(batch_id, worker)
    if lease is not None:
        run.draw_batch(lease, manager)


def draw(batch: Batch, manager: ModelManager) -> Batch:
    """The same, with what has become of it."""
    draw_batch(batch.pk, manager, "gpu@test")
    batch.refresh_from_db()
    return batch


def draw_whole(batch: Batch, manager: ModelManager) -> Batch:
    """The same, where nothing may go wrong."""
    draw(batch, manager)
    assert batch.job.state == Job.State.DONE, batch.job.error
    return batch


def make_trial(search: Search) -> bool:
    """A worker's turn: whether another is to follow."""
    lease = leases.claim_job(search.job_id, "cpu@test")
    if lease is not None:
        trials.make_trial(lease)
    return Job.objects.get(pk=search.job_id).is_active
