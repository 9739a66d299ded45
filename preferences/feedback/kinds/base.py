"""What a kind of feedback is: what is asked, what is stored of the answer, and what that is to the learner.

A kind knows neither tables nor pages. It is told what was said before and answers what is to be stored; `services`
stores it, `sessions` decides what follows, and a presenter turns its buttons into what a template needs.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

from preferences.learning.judgments import Choice, Judgment

GOOD, BAD = 1.0, -1.0


@dataclass(frozen=True)
class Button:
    """A word that a person can say: as a form sends it, as a person reads it, and the key that says it.

    name: what it is called where its label says too little. tone: “good” or “bad”, its colour while it is pressed.
    """

    word: str
    label: str
    key: str
    name: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Said:
    """One rating: its id and kind, the rows that it is about, best first, and their values; the number of the batch."""

    rating: int
    kind: str
    rows: tuple[int, ...]
    values: tuple[float, ...]
    batch_number: int


@dataclass(frozen=True)
class Chosen:
    """What follows when a picture is chosen: one event that says these values of pictures (ids).

    replaces: earlier choices of its kind in the batch are taken back. is_last: no more is to be chosen in this batch.
    """

    values: Mapping[int, float]
    replaces: bool
    is_last: bool


class Kind(ABC):
    """A way of asking. Its `name` is a value of the control `asking`, a value of Rating.kind one of its `events`."""

    name: ClassVar[str]
    label: ClassVar[str]
    buttons: ClassVar[tuple[Button, ...]]
    events: ClassVar[Mapping[str, str]]  # what is stored, with what the admin calls it
    unheard: ClassVar[frozenset[str]] = frozenset()  # events that say nothing to the learner
    page: ClassVar[str] = ""  # the URL name of a page of its own; without one the tiles have its buttons
    invitation: ClassVar[str] = ""  # what leads to that page
    # The control “Unrated is bad” is only for words of one picture: what was left beside a choice has lost already.
    unrated_is_bad: ClassVar[bool] = False
    ticks: ClassVar[str] = ""  # the word that can be said of many pictures at once, in the form of the whole batch
    is_choice: ClassVar[bool] = False  # a picture is chosen among the others of its batch
    is_single: ClassVar[bool] = False  # choosing another takes it from the one that was chosen before
    has_places: ClassVar[bool] = False  # the chosen have an order, and each shows its place
    is_scale: ClassVar[bool] = False  # its buttons lie in a row, and a pressed one fills all before it
    # A picture may have it and a word of another kind at once; otherwise a picture shows the last word of all kinds.
    stands_beside: ClassVar[bool] = False

    @abstractmethod
    def judgments(self, said: Said) -> list[Judgment]:
        """What one of its ratings is to the learner, who never gets those that are unheard."""

    def without(self, picture: int, values: Mapping[int, float]) -> Mapping[int, float] | None:
        """What an event with these values still says when what it says of this picture (id) is taken back; or None."""
        return None


class OfTiles(Kind):
    """Its words are said of one tile."""

    @property
    def event(self) -> str:
        (event,) = self.events
        return event

    @abstractmethod
    def value(self, word: str) -> float:
        """What a word stores for its picture, from -1 to 1."""


class OfOne(OfTiles):
    """A word says something of a picture by itself. A picture has one such word at a time, the last one."""

    unrated_is_bad = True
    values: ClassVar[Mapping[str, float]]  # by word

    def value(self, word: str) -> float:
        return self.values[word]


class AmongOthers(OfTiles):
    """A picture is chosen, and others were left: its value is GOOD, theirs BAD."""

    is_choice = True

    def value(self, word: str) -> float:
        return GOOD

    @abstractmethod
    def choose(self, picture: int, others: Collection[int], chosen: Collection[int]) -> Chosen | None:
        """Choose a picture (id) among all others that the page shows.

        chosen: those that were chosen before, also where the page shows them no longer. None where it is chosen
        already and nothing changes. Raises NotAllowed, with what to do instead.
        """

    def judgments(self, said: Said) -> list[Judgment]:
        """Each that was chosen is better than each that was left; those that were chosen are not compared."""
        by_value = list(zip(said.rows, said.values, strict=True))
        left = tuple(row for row, value in by_value if value < 0)
        return [Choice(row, left, said.batch_number) for row, value in by_value if value > 0 and left]


class OfTwo(Kind):
    """Two pictures beside each other, on a page of its own. Of the same two the last answer stands."""

    sides: ClassVar[tuple[Button, Button]]  # say that the first, or the second, is the better one
    verdicts: ClassVar[tuple[Button, ...]]  # say something else of both
    answers: ClassVar[Mapping[str, tuple[str, float, float]]]  # by word: the event, the values of first and second
