"""A person does not wait any longer: the drawing of a batch ends, and what was drawn stays."""

from django.db import transaction

from preferences import leases
from preferences.models import Batch, Session

NOT_DRAWN = "Not drawn: this batch was stopped."


@transaction.atomic
def stop_batch(session: Session, number: int) -> Batch:
    """Close a batch that waits or is drawn; nothing happens to another. Its worker notices within seconds."""
    batch = Batch.objects.select_for_update().get(session=session, number=number)
    active = Batch.objects.filter(pk=batch.pk, state__in=Batch.ACTIVE)
    leases.close_batch(active, batch.pk, Batch.State.CANCELLED, NOT_DRAWN)
    batch.refresh_from_db()
    return batch
