"""Does what was said point anywhere? Bad pictures alone say where not to go, and nothing of where to.

A batch points somewhere when something in it was liked, or was middling beside what was bad.
"""

import numpy as np

from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Floats, Geometry, Vectors
from preferences.learning.starts import random
from preferences.learning.value_models import BayesianModel, ValueModel

# Why a proposal is to be wide; for people each is a sentence of the page.
NOTHING_LIKED = "nothing_liked"  # never so far
NOTHING_LIKED_LATELY = "nothing_liked_lately"  # MANY pictures at least since the last batch that pointed somewhere
NO_PREFERENCE = "no_preference"  # all were said to be as good as each other

MANY = 12
TRIED = 4  # points at Random for each that is kept: more lead further away from what was bad, and are more alike


def reason_to_widen(feedback: Feedback) -> str:
    """One of the reasons above, or empty where there is something to go by, or nothing was said at all."""
    if not feedback.judgments:
        return ""
    moments = feedback.pointing_moments
    if not moments:
        return NOTHING_LIKED if feedback.bad.any() else NO_PREFERENCE
    last = max(moments)
    bad = {
        row for judgment in feedback.judgments if judgment.moment > last for row, vote in judgment.votes() if vote < 0
    }
    return NOTHING_LIKED_LATELY if len(bad) >= MANY else ""


def widen(
    model: ValueModel | None,
    feedback: Feedback,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
    n: int,
) -> Floats:
    """n points as far from the anchor as a first batch, away from what was bad as far as that can be told [n, d].

    Each is the best of TRIED random ones, so that they are hardly more alike than those. Where the session's own model
    cannot be fitted the Bayesian one chooses: it learns from bad pictures alone.
    """
    guide = model or BayesianModel().fit(feedback, config)
    found = np.empty((n, geometry.dimension))
    for row in range(n):  # one by one: all at once they would take four times the memory
        tried = random(feedback.X, anchor, geometry, config, rng, TRIED)
        found[row] = tried[guide.value(tried - anchor).argmax()]
    return found
