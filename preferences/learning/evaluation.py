"""Does a model know anything? Its accuracy on judgments that it was not shown."""

import time

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Choice, Feedback, Judgment, Label, Stars
from preferences.learning.value_models import CannotFit, ValueModel

FOLDS = 4
FEWEST_PAIRS = 10


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
    """How often the model ranks the better of two pictures higher when fitted without their judgments; 0.5 = guessing.

    Cross-validation in FOLDS parts that are the same for the same feedback; of those that would start after `seconds`
    only the first is done. NaN where there are too few pairs to tell.
    """
    began = time.monotonic()
    parts = np.random.default_rng(len(feedback.judgments)).permutation(len(feedback.judgments)) % FOLDS
    right = pairs = 0.0
    for fold in range(FOLDS):
        if fold and time.monotonic() - began > seconds:
            break
        kept = feedback.only(j for j, part in zip(feedback.judgments, parts, strict=True) if part != fold)
        out = better_pairs([j for j, part in zip(feedback.judgments, parts, strict=True) if part == fold])
        try:
            value = model().fit(kept, config).value(feedback.X)
        except CannotFit:
            continue
        for better, worse in out:
            right += float(value[better] > value[worse]) + 0.5 * float(value[better] == value[worse])
        pairs += len(out)
    return right / pairs if pairs >= FEWEST_PAIRS else float("nan")
