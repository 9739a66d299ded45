"""The three best pictures of a batch, in no order."""

from collections.abc import Collection, Mapping

from preferences.errors import NotAllowed
from preferences.feedback.kinds.base import BAD, GOOD, AmongOthers, Button, Chosen

MOST = 3


class TopThree(AmongOthers):
    """One event holds all that are chosen, so that none of them is compared with another.

    It is made anew with each choice, and without one that is taken back, which then was left like the others.
    """

    name = "top_three"
    label = "The three best"
    buttons = (Button("top", "Top three", key="t", tone="good"),)
    events = {"top_three": "The three best of several"}
    stands_beside = True

    def choose(self, picture: int, others: Collection[int], chosen: Collection[int]) -> Chosen | None:
        if picture in chosen:
            return None
        # One whose file is gone, or whose place was drawn anew, has no button that would take it back.
        shown = set(chosen) & set(others)
        if len(shown) >= MOST:
            raise NotAllowed("Three pictures are chosen already: take one of them back first.")
        left = sorted(set(others) - shown)
        values = {**dict.fromkeys(sorted({picture, *chosen}), GOOD), **dict.fromkeys(left, BAD)}
        return Chosen(values, replaces=True, is_last=len(shown) + 1 == MOST or len(left) <= 1)

    def without(self, picture: int, values: Mapping[int, float]) -> Mapping[int, float] | None:
        rest = {**values, picture: BAD}
        return rest if GOOD in rest.values() else None
