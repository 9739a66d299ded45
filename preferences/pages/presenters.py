"""What templates need of a picture and of what was said of it."""

import uuid
from dataclasses import dataclass
from functools import cached_property

from django.contrib.humanize.templatetags.humanize import ordinal

from preferences.library import files
from preferences.sessions.controls import Asking
from preferences.sessions.models import Candidate

MISSING = "missing"
BUTTONS: dict[str, tuple[str, ...]] = {
    Asking.GOOD_BAD: ("good", "bad"),
    Asking.STARS: ("1", "2", "3", "4", "5"),
    Asking.BEST: ("best",),
    Asking.RANKING: ("next",),
    Asking.PAIRS: (),  # they have a page of their own
}


@dataclass(frozen=True)
class Button:
    """One thing that can be said of a tile."""

    word: str
    is_pressed: bool
    place: int = 0  # in a ranking, from 1

    @property
    def label(self) -> str:
        if self.word == "next":
            return str(ordinal(self.place)) if self.is_pressed else "Next best"
        return "★" if self.word.isdigit() else self.word.capitalize()

    @property
    def name(self) -> str:
        return f"{self.word} star{'s' * (self.word != '1')}" if self.word.isdigit() else self.label


@dataclass
class Tile:
    """A slot as the page shows it: its newest candidate and what was said of it."""

    candidate: Candidate
    rating: str  # the last of Rating.WORDS that was said, or ""
    form_token: uuid.UUID
    asking: str  # a value of Asking
    place: int = 0  # in the ranking of its batch, from 1; 0 without one

    @property
    def slot(self) -> int:
        return self.candidate.slot

    @cached_property
    def state(self) -> str:
        """The candidate's, or “missing” where a picture was drawn and its files are gone."""
        picture = self.candidate.picture
        is_lost = self.candidate.state == Candidate.State.READY and picture and not files.are_there(picture)
        return MISSING if is_lost else self.candidate.state

    @property
    def is_rated(self) -> bool:
        return any(button.is_pressed for button in self.asked)

    @property
    def asked(self) -> list[Button]:
        """The buttons of the session's way of asking."""
        return [
            Button(word, self.place > 0 if word == "next" else word == self.rating, self.place)
            for word in BUTTONS[self.asking]
        ]
