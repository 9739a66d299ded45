"""Sentences for people about what the learner goes by, made of its codes and numbers."""

from preferences.learning.feedback import Counts
from preferences.learning.propose import Learned
from preferences.learning.reasons import Lack, Shortage
from preferences.learning.value_models import VALUE_MODELS, XGBoostModel

NEEDS = {
    Lack.RATINGS: "a rating, there {are} {found} so far",
    Lack.GOOD: "{needed} good pictures, there {are} {found} so far",
    Lack.GOOD_BESIDE_BAD: "good and bad pictures, there is no good one so far",
    Lack.BAD_BESIDE_GOOD: "good and bad pictures, there is no bad one so far",
    Lack.FEATURES: "pictures that an encoder has seen, there are {found} so far",
    Lack.GOOD_OR_BAD: "{needed} good or bad pictures, there {are} {found}",
    Lack.EARLIER_BATCHES: "good and bad pictures in more than the last batch",
}
OF_A_SEARCH = (Lack.GOOD_OR_BAD, Lack.EARLIER_BATCHES)


def note(learned: Learned, draws: int = 1) -> str:
    """What a batch was proposed by; `draws`: among how many pictures the one for each place was chosen."""
    label = VALUE_MODELS[learned.value_model].label
    if learned.shortage is None:
        found = f"The {label} model learned from {judged(learned.counts)}"
    else:
        found = f"Exploring: the {label} model needs {needs(learned.shortage)}"
    if learned.lacks_start:
        found += ", and until there is a good one the start is Random"
    chosen = (
        f" Of {draws} pictures drawn for each place you see the one whose looks it likes best." if draws > 1 else ""
    )
    return f"{found}.{chosen}"


def no_search(shortage: Shortage) -> str:
    """Why no settings of XGBoost could be tried."""
    who = "a search" if shortage.lack in OF_A_SEARCH else f"the {XGBoostModel.label} model"
    return f"Nothing was searched: {who} needs {needs(shortage)}."


def needs(shortage: Shortage) -> str:
    """'2 good pictures, there is 1 so far'."""
    are = "is" if shortage.found == 1 or shortage.needed == 1 else "are"
    return NEEDS[shortage.lack].format(needed=shortage.needed, found=shortage.found or "none", are=are)


def judged(counts: Counts) -> str:
    """'2 good and 1 bad pictures, 3 pictures with stars, 1 choice'."""
    parts = [
        (counts.good + counts.bad, f"{counts.good} good and {counts.bad} bad pictures"),
        (counts.stars, f"{counts.stars} picture{'s' * (counts.stars != 1)} with stars"),
        (counts.choices, f"{counts.choices} choice{'s' * (counts.choices != 1)}"),
    ]
    return ", ".join(text for count, text in parts if count)
