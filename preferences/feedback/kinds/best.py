"""The one best picture of a batch."""

from collections.abc import Collection

from preferences.feedback.kinds.base import BAD, GOOD, AmongOthers, Button, Chosen


class Best(AmongOthers):
    name = "best"
    label = "The best of the batch"
    buttons = (Button("best", "Best", key="t", tone="good"),)
    events = {"best": "Best of several"}
    is_single = True

    def choose(self, picture: int, others: Collection[int], chosen: Collection[int]) -> Chosen:
        return Chosen({picture: GOOD, **dict.fromkeys(sorted(others), BAD)}, replaces=True, is_last=True)
