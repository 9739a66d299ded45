"""Does a model know anything? Its accuracy on held-out judgments."""

import time

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Choice, Feedback, Judgment, Label, Stars
from preferences.learning.reasons import CannotFit
from preferences.learning.value_models import ValueModel

FEWEST_PAIRS, ENOUGH_PAIRS = 10, 40
# Of the spread of all utilities. Candidates of the Bayesian model are all about as far from its best place.
SAME = 0.03


def better_pairs(judgments: list[Judgment]) -> list[tuple[int, int]]:
    """(better row, worse row) by the judgments: chosen over not chosen, and of one batch's labels or stars."""
    pairs = [(j.best, other) for j in judgments if isinstance(j, Choice) for other in j.others]
    batches: dict[int, list[tuple[int, float]]] = {}
    for judgment in judgments:
        if isinstance(judgment, Label | Stars):
            batches.setdefault(judgment.batch_number, []).extend(judgment.votes())
    for votes in batches.values():
        pairs += [(a, b) for a, high in votes for b, low in votes if high > low]
    return pairs


def held_out_accuracy(model: type[ValueModel], feedback: Feedback, config: LearningConfig, seconds: float) -> float:
    """How often the model ranks the better of two pictures of a batch higher, fitted before it; 0.5 = guessing.

    The latest batches are predicted until there are ENOUGH_PAIRS; after `seconds` no further fit is begun. The model is
    never shown what came later (rolling origin, Tashman 2000): candidates are drawn near what was liked, so that
    ratings of later ones mislead about earlier ones, and cross-validation would say 13 % where 64 % is true. Pairs that
    are the same to the model do not count. NaN where there are too few of them.
    """
    began = time.monotonic()
    right = pairs = 0
    for place, held_out in enumerate(latest_first({judgment.batch_number for judgment in feedback.judgments})):
        if pairs >= ENOUGH_PAIRS or (place and time.monotonic() - began > seconds):
            break
        earlier = feedback.only(j for j in feedback.judgments if j.batch_number < min(held_out))
        try:
            utility = model.fit(earlier, config).utility(feedback.X)
        except CannotFit:
            continue
        judged = better_pairs([j for j in feedback.judgments if j.batch_number in held_out])
        ahead = np.array([utility[better] - utility[worse] for better, worse in judged])
        predicted = ahead[np.abs(ahead) > SAME * utility.std()]
        right += int(np.sum(predicted > 0))
        pairs += len(predicted)
    return right / pairs if pairs >= FEWEST_PAIRS else float("nan")


def latest_first(batch_numbers: set[int]) -> list[set[int]]:
    """Which batches are held out together: the last two, then one at a time, but never the first of all.

    The pairs of one share their pictures: by itself it says 6 % or 90 % by chance.
    """
    later = sorted(batch_numbers)[1:]
    if len(later) < 2:
        return []
    return [set(later[-2:]), *({number} for number in reversed(later[:-2]))]
