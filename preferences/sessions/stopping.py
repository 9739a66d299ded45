"""A person does not wait any longer: the drawing of a batch ends, and what was drawn stays."""

from preferences.jobs import leases
from preferences.sessions.models import Batch

NOT_DRAWN = "Not drawn: this batch was stopped."


def stop_batch(batch: Batch) -> None:
    """Close a batch that waits or is drawn; nothing happens to another. Its worker notices within seconds."""
    active = Batch.objects.filter(pk=batch.pk, state__in=Batch.ACTIVE)
    leases.close_batch(active, batch.pk, Batch.State.CANCELLED, NOT_DRAWN)
