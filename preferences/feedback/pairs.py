"""Which two pictures are compared next."""

from collections.abc import Sequence
from dataclasses import dataclass

from preferences.feedback.kinds import Pairs
from preferences.feedback.models import RatedPicture


@dataclass(frozen=True)
class Comparing:
    """How far the comparing of some pictures has come: the next two (ids), None at the end; `total` at most."""

    pair: tuple[int, int] | None
    answered: int
    total: int


def compared(pictures: Sequence[int]) -> Comparing:
    """A knock-out: neighbours first, then those that were preferred, until one is left.

    After a tie the first goes on; after “both bad” and a skipped pair neither does.
    """
    items = RatedPicture.objects.filter(
        rating__kind__in=Pairs.events, rating__undone_at__isnull=True, picture__in=pictures
    )
    answers: dict[int, dict[int, float]] = {}
    rows = items.order_by("rating_id").values_list("rating_id", "rating__kind", "picture_id", "value")
    for rating, kind, picture, value in rows:
        answers.setdefault(rating, {})[picture] = -1.0 if kind in Pairs.unheard else value
    by_pair = {frozenset(said): said for said in answers.values()}
    left = list(pictures)
    answered, most = len(by_pair), len(left) - 1  # each answer leaves one picture less, or two
    while len(left) > 1:
        winners = []
        for i in range(0, len(left), 2):
            two = left[i : i + 2]
            said = by_pair.get(frozenset(two))
            if len(two) == 1:
                winners += two
            elif said is None:
                return Comparing((two[0], two[1]), answered, answered + most)
            else:
                most -= 1
                winners += [max(two, key=lambda one: said[one])] if max(said.values()) >= 0 else []
        left = winners
    return Comparing(None, answered, answered)
