"""What templates need of a picture and of what was said of it."""

import uuid
from dataclasses import dataclass
from functools import cached_property

from django.contrib.humanize.templatetags.humanize import ordinal

from preferences.feedback import kinds
from preferences.library import files
from preferences.sessions.models import Candidate

MISSING = "missing"
SIGNS = {"ArrowLeft": "←", "ArrowRight": "→", "ArrowDown": "↓", "ArrowUp": "↑"}


@dataclass(frozen=True)
class Button:
    """One thing that can be said of a tile, or of two pictures."""

    said: kinds.Button
    is_pressed: bool = False
    has_place: bool = False  # it shows its place while it is pressed
    place: int = 0  # from 1

    @property
    def word(self) -> str:
        return self.said.word

    @property
    def key(self) -> str:
        """As a browser calls it."""
        return self.said.key

    @property
    def key_sign(self) -> str:
        """As a person finds it on the keyboard."""
        return SIGNS.get(self.said.key, self.said.key)

    @property
    def tone(self) -> str:
        return self.said.tone

    @property
    def label(self) -> str:
        return str(ordinal(self.place)) if self.has_place and self.is_pressed else self.said.label

    @property
    def name(self) -> str:
        return self.said.name or self.label


@dataclass
class Tile:
    """A slot as the page shows it: its newest candidate and what was said of it."""

    candidate: Candidate
    kind: kinds.Kind  # the session's way of asking
    last: kinds.Button | None  # says what was said last of the picture itself, in any kind
    place: int  # among the chosen of its batch, from 1; 0 where it is not chosen
    is_rated: bool  # something was said of it itself, in any kind; as the session counts it
    form_token: uuid.UUID

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
    def tone(self) -> str:
        return self.last.tone if self.last else ""

    @property
    def can_be_taken_back(self) -> bool:
        """Whether what was said of it is one of its buttons."""
        return any(button.is_pressed for button in self.asked)

    @property
    def asked(self) -> list[Button]:
        """The buttons of the session's way of asking, which has them on a page of its own or here."""
        return [] if self.kind.page else [self._button(said) for said in self.kind.buttons]

    def _button(self, said: kinds.Button) -> Button:
        is_pressed = self.place > 0 if self.kind.stands_beside else said == self.last
        return Button(said, is_pressed, self.kind.has_places, self.place)

    @property
    def tick(self) -> Button | None:
        """What a tick in the form of the whole batch says of it."""
        return next((button for button in self.asked if button.word == self.kind.ticks), None)
