"""Good or bad."""

from preferences.feedback.kinds.base import BAD, GOOD, Button, OfOne, Said
from preferences.learning.judgments import Judgment, Label


class GoodBad(OfOne):
    name = "good_bad"
    label = "Good or bad"
    buttons = (
        Button("good", "Good", key="g", tone="good"),
        Button("bad", "Bad", key="b", tone="bad"),
    )
    events = {"good_bad": "Good or bad"}
    values = {"good": GOOD, "bad": BAD}
    ticks = "good"

    def judgments(self, said: Said) -> list[Judgment]:
        return [Label(said.rows[0], said.values[0] > 0, said.batch_number)]
