"""Does a model know anything? Its accuracy on judgments that it was not shown."""

import time

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Choice, Feedback, Judgment, Label, Stars
from preferences.learning.value_models import CannotFit, ValueModel

FEWEST_PAIRS, ENOUGH_PAIRS = 10, 40
# Of the spread of all values. Candidates of the Bayesian model are all about as far from its best place.
SAME = 0.03


def better_pairs(judgments: list[Judgment]) -> list[tuple[int, int]]:
    """(better row, worse row) that the judgments say: chosen over not chosen, and of one moment's labels or stars."""
    pairs = [(j.best, other) for j in judgments if isinstance(j, Choice) for other in j.others]
    moments: dict[int, list[tuple[int, float]]] = {}
    for judgment in judgments:
        if isinstance(judgment, Label | Stars):
            moments.setdefault(judgment.moment, []).extend(judgment.votes())
    for votes in moments.values():
        pairs += [(a, b) for a, high in votes for b, low in votes if high > low]
    return pairs


def held_out_accuracy(model: type[ValueModel], feedback: Feedback, config: LearningConfig, seconds: float) -> float:
    """How often the model ranks the better of two pictures of a batch higher, fitted before it; 0.5 = guessing.

    The latest batches are told until there are ENOUGH_PAIRS; after `seconds` no further fit is begun. The model is
    never shown what came later (rolling origin): candidates are drawn near what was liked, so that ratings of later
    ones mislead about earlier ones, and cross-validation would say 13 % where 64 % is true. Pairs that are the same to
    the model do not count. NaN where there are too few to tell.
    """
    began = time.monotonic()
    right = pairs = 0
    for number, part in enumerate(latest_first({judgment.moment for judgment in feedback.judgments})):
        if pairs >= ENOUGH_PAIRS or (number and time.monotonic() - began > seconds):
            break
        said = better_pairs([judgment for judgment in feedback.judgments if judgment.moment in part])
        try:
            before = model().fit(feedback.only(j for j in feedback.judgments if j.moment < min(part)), config)
        except CannotFit:
            continue
        value = before.value(feedback.X)
        ahead = np.array([value[better] - value[worse] for better, worse in said])
        told = ahead[np.abs(ahead) > SAME * value.std()]
        right += int(np.sum(told > 0))
        pairs += len(told)
    return right / pairs if pairs >= FEWEST_PAIRS else float("nan")


def latest_first(moments: set[int]) -> list[set[int]]:
    """Which batches are told together: the last two, then one at a time, but never the first of all.

    The pairs of one share their pictures: by itself it says 6 % or 90 % by chance.
    """
    told = sorted(moments)[1:]
    if len(told) < 2:
        return []
    return [set(told[-2:]), *({moment} for moment in reversed(told[:-2]))]
