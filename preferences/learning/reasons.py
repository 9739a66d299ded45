"""Why the learner does not do the usual, as codes and numbers.

People read a sentence: preferences/sessions/learned_text.py, and for WhyWide templates/preferences/learned.html.
"""

from dataclasses import dataclass
from enum import StrEnum


class Lack(StrEnum):
    """What is missing to fit a model, or to search for its settings."""

    RATINGS = "ratings"  # nothing was judged
    GOOD = "good"  # so many good pictures are needed
    GOOD_BESIDE_BAD = "good_beside_bad"  # only bad ones were judged, or none
    BAD_BESIDE_GOOD = "bad_beside_good"
    FEATURES = "features"  # no judged picture has features
    GOOD_OR_BAD = "good_or_bad"  # so many pictures that are either are needed
    EARLIER_BATCHES = "earlier_batches"  # good and bad ones are in the last batch only


@dataclass(frozen=True)
class Shortage:
    """What is missing: how many are needed at least, and how many there are."""

    lack: Lack
    needed: int = 1
    found: int = 0


class CannotFit(Exception):
    """The ratings so far do not determine a model: `shortage` says why."""

    def __init__(self, lack: Lack, needed: int = 1, found: int = 0) -> None:
        super().__init__(f"{lack}: {found} of {needed}")
        self.shortage = Shortage(lack, needed, found)


class WhyWide(StrEnum):
    """Why the candidates of a proposal differ as those of a first batch do."""

    NOTHING_LIKED = "nothing_liked"  # never so far
    NOTHING_LIKED_LATELY = "nothing_liked_lately"  # many were bad since the last batch that pointed somewhere
    NO_PREFERENCE = "no_preference"  # all were judged as good as each other
