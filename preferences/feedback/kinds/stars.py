"""One to five stars."""

from preferences.feedback.kinds.base import Button, OfOne, Said
from preferences.learning.judgments import MOST_STARS, Judgment, Stars

NUMBERS = range(1, MOST_STARS + 1)


class OneToFive(OfOne):
    name = "stars"
    label = "1 to 5 stars"
    buttons = tuple(Button(str(n), "★", key=str(n), name=f"{n} star{'s' * (n != 1)}") for n in NUMBERS)
    events = {"stars": "Stars"}
    is_scale = True
    values = {str(n): (n - 3) / 2 for n in NUMBERS}

    def judgments(self, said: Said) -> list[Judgment]:
        return [Stars(said.rows[0], round(3 + 2 * said.values[0]), said.batch_number)]
