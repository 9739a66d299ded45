"""All pictures of a batch in order: again and again the best of those that have no place yet."""

from collections.abc import Collection

from preferences.feedback.kinds.base import BAD, GOOD, AmongOthers, Button, Chosen


class Ranking(AmongOthers):
    """Each choice is an event of its own (Plackett 1975): taken back, the later ones move up."""

    name = "ranking"
    label = "All in order, best first"
    buttons = (Button("next", "Next best", key="n", tone="good"),)
    events = {"rank": "Next in a ranking"}
    stands_beside = True
    has_places = True

    def choose(self, picture: int, others: Collection[int], chosen: Collection[int]) -> Chosen | None:
        if picture in chosen:
            return None
        left = sorted(set(others) - set(chosen))
        # With one left its place is known too.
        return Chosen({picture: GOOD, **dict.fromkeys(left, BAD)}, replaces=False, is_last=len(left) <= 1)
