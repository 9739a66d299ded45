"""Which two pictures of a batch are compared next."""

import uuid
from dataclasses import dataclass

from preferences.library import files
from preferences.models import Batch, Candidate, RatedCandidate, Rating


@dataclass(frozen=True)
class Pair:
    """Two pictures to compare, and how far the comparing has come."""

    first: Candidate
    second: Candidate
    answered: int
    total: int
    form_token: uuid.UUID


def next_pair(batch: Batch) -> tuple[Pair | None, int]:
    """The next two pictures of a batch to compare, or None; and how many pairs have been answered.

    A knock-out: neighbours first, then those that were preferred, until one is left. After a tie the first goes on;
    after “both bad” and a skipped pair neither does.
    """
    shown = batch.shown().order_by("slot").defer("vector", "alternatives")
    left = [one for one in shown if not files.problem_of(one)]
    items = RatedCandidate.objects.filter(
        rating__kind__in=Rating.OF_TWO_PICTURES,
        rating__undone_at__isnull=True,
        candidate__in=[one.pk for one in left],
    )
    answers: dict[int, dict[int, float]] = {}
    rows = items.order_by("rating_id").values_list("rating_id", "rating__kind", "candidate_id", "value")
    for rating, kind, candidate, value in rows:
        answers.setdefault(rating, {})[candidate] = -1.0 if kind == Rating.Kind.SKIP else value
    by_pair = {frozenset(said): said for said in answers.values()}
    answered, most = len(by_pair), len(left) - 1  # each answer leaves one picture less, or two
    while len(left) > 1:
        winners = []
        for i in range(0, len(left), 2):
            two = left[i : i + 2]
            said = by_pair.get(frozenset(one.pk for one in two))
            if len(two) == 1:
                winners += two
            elif said is None:
                return Pair(two[0], two[1], answered, answered + most, uuid.uuid4()), answered
            else:
                most -= 1
                winners += [max(two, key=lambda one: said[one.pk])] if max(said.values()) >= 0 else []
        left = winners
    return None, answered
