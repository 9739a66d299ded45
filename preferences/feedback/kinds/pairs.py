"""The better of two, on a page that shows no more than these."""

from preferences.feedback.kinds.base import BAD, GOOD, Button, OfTwo, Said
from preferences.learning.judgments import Choice, Judgment, Label, Tie


class Pairs(OfTwo):
    name = "pairs"
    label = "The better of two"
    sides = (
        Button("first", "The left one", key="ArrowLeft"),
        Button("second", "The right one", key="ArrowRight"),
    )
    verdicts = (
        Button("tie", "Equally good", key="ArrowDown"),
        Button("both_bad", "Both bad", key="ArrowUp"),
        Button("skip", "Skip", key="s"),
    )
    buttons = (*sides, *verdicts)
    events = {"pair": "Better of two", "skip": "Two skipped"}
    unheard = frozenset({"skip"})
    page = "pairs"
    invitation = "Compare pairs"
    answers = {
        "first": ("pair", GOOD, BAD),
        "second": ("pair", BAD, GOOD),
        "tie": ("pair", 0.0, 0.0),
        "both_bad": ("pair", BAD, BAD),
        "skip": ("skip", 0.0, 0.0),
    }

    def judgments(self, said: Said) -> list[Judgment]:
        number = said.batch_number
        if len(said.rows) < 2:  # the other one is not among what is learned from
            return []
        better, other = said.rows
        if said.values[0] < 0:
            return [Label(better, False, number), Label(other, False, number)]
        return [Tie(better, other, number) if said.values[0] == 0 else Choice(better, (other,), number)]
