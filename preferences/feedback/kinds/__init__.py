"""Kinds of feedback by name: a new one is a file, a line here, and a row in the contract suite by itself."""

from preferences.feedback.kinds.base import BAD, GOOD, AmongOthers, Button, Chosen, Kind, OfOne, OfTiles, OfTwo, Said
from preferences.feedback.kinds.best import Best
from preferences.feedback.kinds.good_bad import GoodBad
from preferences.feedback.kinds.pairs import Pairs
from preferences.feedback.kinds.ranking import Ranking
from preferences.feedback.kinds.stars import OneToFive
from preferences.feedback.kinds.top_three import TopThree

LABELS = GoodBad()  # what the form of a whole batch says of its pictures, and what “Unrated is bad” does

# In the order in which the form offers them.
KINDS: dict[str, Kind] = {
    GoodBad.name: LABELS,
    OneToFive.name: OneToFive(),
    Best.name: Best(),
    TopThree.name: TopThree(),
    Pairs.name: Pairs(),
    Ranking.name: Ranking(),
}

KIND_OF: dict[str, Kind] = {event: kind for kind in KINDS.values() for event in kind.events}
# By what a person can say of a picture, and of two pictures beside each other. Whatever a session asks by now, a page
# may be older: the words of every kind are heard.
WORDS: dict[str, OfTiles] = {
    button.word: kind for kind in KINDS.values() if isinstance(kind, OfTiles) for button in kind.buttons
}
ANSWERS: dict[str, OfTwo] = {
    button.word: kind for kind in KINDS.values() if isinstance(kind, OfTwo) for button in kind.buttons
}


def kind_named(asking: str) -> Kind:
    """By a value of the control `asking`. A session may outlive its kind: then it asks for good or bad."""
    return KINDS.get(asking, LABELS)


def ways_of_asking() -> list[tuple[str, str]]:
    """Choices of the control `asking`. A function, so that a new kind needs no migration."""
    return [(name, kind.label) for name, kind in KINDS.items()]


def events() -> list[tuple[str, str]]:
    """Choices of Rating.kind."""
    return [(event, label) for kind in KINDS.values() for event, label in kind.events.items()]


__all__ = [
    "ANSWERS",
    "BAD",
    "GOOD",
    "KINDS",
    "KIND_OF",
    "LABELS",
    "WORDS",
    "AmongOthers",
    "Button",
    "Chosen",
    "GoodBad",
    "Kind",
    "OfOne",
    "OfTiles",
    "OfTwo",
    "Pairs",
    "Said",
    "events",
    "kind_named",
    "ways_of_asking",
]
