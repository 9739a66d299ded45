"""What a person says of pictures, kept as events. Each function is safe to call twice, and safe to be killed in."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from preferences.errors import NotAllowed
from preferences.feedback import counts
from preferences.library import files
from preferences.models import Batch, Candidate, RatedCandidate, Rating, Session

GOOD, BAD = 1.0, -1.0


def refuse_unseen(*candidates: Candidate) -> None:
    """Raises NotAllowed where a person cannot have seen one of these pictures."""
    for candidate in candidates:
        if problem := files.problem_of(candidate):
            raise NotAllowed(f"{problem} What cannot be seen cannot be rated.")


def is_in_turn(batch: Batch, candidate: Candidate, value: str, page: uuid.UUID, turn: int) -> bool:
    """Whether the page has said nothing later of this picture, or as one batch has one best, of those beside it."""
    later = Candidate.objects.filter(batch=batch, heard_page=page, heard_turn__gte=turn)
    if (later if value == "best" else later.filter(pk=candidate.pk)).exists():
        return False
    Candidate.objects.filter(pk=candidate.pk).update(heard_page=page, heard_turn=turn)
    return True


def add_ratings(
    session: Session,
    values: Mapping[int, float],
    shown_at: datetime | None,
    kind: str = Rating.Kind.GOOD_BAD,
    token: uuid.UUID | None = None,
) -> None:
    """A rating for each candidate (id) by itself, in as many queries for many as for one."""
    new = [Rating(session=session, kind=kind, form_token=token or uuid.uuid4(), shown_at=shown_at) for _ in values]
    with counts.kept(session.pk, values):
        Rating.objects.bulk_create(new)
        RatedCandidate.objects.bulk_create(
            RatedCandidate(rating=rating, candidate_id=pk, value=value)
            for rating, (pk, value) in zip(new, sorted(values.items()), strict=True)
        )


def choose(session: Session, batch: Batch, best: Candidate, kind: str, token: uuid.UUID) -> bool:
    """The picture is the best of those that the page shows, in a ranking of those that have no place yet.

    There is one best: an earlier choice in this batch is taken back. Whether that was the last choice to be made here.
    """
    if batch.is_active:
        raise NotAllowed("This batch is still being drawn: choose the best when you have seen all of it.")
    shown = {best.pk, *batch.shown().values_list("pk", flat=True)}
    others = files.seen(batch) - {best.pk}
    earlier = RatedCandidate.objects.filter(
        rating__kind=kind, rating__undone_at__isnull=True, candidate__in=shown, value__gt=0
    )
    placed = set(earlier.values_list("candidate", flat=True))
    if kind == Rating.Kind.RANK:
        if best.pk in placed:
            return False
        others -= placed
    with counts.kept(session.pk, {best.pk, *placed}):
        if kind == Rating.Kind.BEST:
            Rating.objects.filter(pk__in=earlier.values("rating")).update(undone_at=timezone.now())
        rating = Rating.objects.create(session=session, kind=kind, form_token=token, shown_at=batch.finished_at)
        RatedCandidate.objects.bulk_create(
            [
                RatedCandidate(rating=rating, candidate=best, value=GOOD),
                *(RatedCandidate(rating=rating, candidate_id=pk, value=BAD) for pk in sorted(others)),
            ]
        )
    return kind == Rating.Kind.BEST or len(others) <= 1


def take_back(candidate: Candidate) -> None:
    """Take back what was said of this picture; what was said of others beside it stands."""
    of_it = Q(kind__in=Rating.OF_ONE_PICTURE) | Q(kind__in=Rating.OF_ONE_AMONG_OTHERS, items__value__gt=0)
    said = Rating.objects.filter(of_it, items__candidate=candidate, undone_at__isnull=True)
    with counts.kept(candidate.batch.session_id, [candidate.pk]):
        Rating.objects.filter(pk__in=said.values("pk")).update(undone_at=timezone.now())


def rated_ids(candidates: Iterable[int]) -> set[int]:
    """Those of the candidates of which something was said."""
    items = RatedCandidate.objects.filter(candidate__in=candidates, rating__undone_at__isnull=True)
    return set(items.values_list("candidate_id", flat=True))


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
