"""What becomes of candidates that are not drawn (any further)."""

from functools import partial

from django.db import transaction
from django.db.models import Case, QuerySet, Value, When
from django.utils import timezone

from preferences.library.files import delete_files
from preferences.sessions.models import Candidate


def delete_previews(candidates: QuerySet[Candidate]) -> None:
    """The files, once this transaction is committed: until then pages show them."""
    names = list(candidates.exclude(preview="").values_list("preview", flat=True))
    if names:
        transaction.on_commit(partial(delete_files, names), robust=True)


def give_up(pending: QuerySet[Candidate], error: str) -> None:
    """Say of these why they were not drawn. What was to be drawn again stays the picture that it was."""
    delete_previews(pending)
    was_drawn = Case(
        When(picture__isnull=True, then=Value(Candidate.State.FAILED)), default=Value(Candidate.State.READY)
    )
    pending.update(state=was_drawn, error=error, drawn_at=timezone.now(), preview="")
