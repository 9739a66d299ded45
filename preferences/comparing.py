"""What a person says of two pictures of a batch beside each other."""

import uuid

from django.db import transaction
from django.utils import timezone

from preferences import counts
from preferences.models import Batch, RatedCandidate, Rating
from preferences.services import NotAllowed, refuse_unseen


@transaction.atomic
def compare(batch: Batch, first: int, second: int, answer: str, form_token: uuid.UUID) -> None:
    """Say one of Rating.ANSWERS of two candidates (ids) of a batch; of the same two the last word stands.

    The same form token twice is one event, if it says the same. Raises NotAllowed for pictures that are not there.
    """
    Batch.objects.select_for_update().get(pk=batch.pk)
    both = batch.shown().filter(pk__in=(first, second)).only("image", "thumbnail")
    if len(both) < 2:
        raise NotAllowed("These two pictures are not both in this batch: reload the page.")
    refuse_unseen(*both)
    kind, of_first, of_second = Rating.ANSWERS[answer]
    sent = Rating.objects.filter(form_token=form_token)
    if sent.exists():
        of_one = sent.filter(kind=kind, items__candidate=first, items__value=of_first)
        if of_one.filter(pk__in=sent.filter(items__candidate=second, items__value=of_second)).exists():
            return
        form_token = uuid.uuid4()  # a page from before: its form was used, and says something else now
    of_both = Rating.objects.filter(kind__in=Rating.OF_TWO_PICTURES, undone_at__isnull=True)
    earlier = of_both.filter(items__candidate=first).filter(items__candidate=second)
    with counts.kept(batch.session_id, (first, second)):
        Rating.objects.filter(pk__in=earlier.values("pk")).update(undone_at=timezone.now())
        rating = Rating.objects.create(
            session_id=batch.session_id, kind=kind, form_token=form_token, shown_at=batch.finished_at
        )
        RatedCandidate.objects.create(rating=rating, candidate_id=first, value=of_first)
        RatedCandidate.objects.create(rating=rating, candidate_id=second, value=of_second)


@transaction.atomic
def undo_compare(batch: Batch) -> None:
    """Take back the last answer about a pair of this batch, if there is one."""
    Batch.objects.select_for_update().get(pk=batch.pk)
    shown = list(batch.shown().values_list("pk", flat=True))
    answers = Rating.objects.filter(kind__in=Rating.OF_TWO_PICTURES, items__candidate__in=shown)
    last = answers.filter(undone_at__isnull=True).order_by("-pk").first()
    if last is not None:
        with counts.kept(batch.session_id, last.items.values_list("candidate_id", flat=True)):
            Rating.objects.filter(pk=last.pk).update(undone_at=timezone.now())
