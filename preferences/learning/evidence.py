"""Do the judgments point anywhere? Bad pictures alone say where not to go, and nothing of where to."""

from dataclasses import replace

import numpy as np

from preferences.learning.context import SearchContext
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Floats, Shell, Vectors
from preferences.learning.layout import weigh
from preferences.learning.reasons import WhyWide
from preferences.learning.starts import random

MANY = 12  # bad pictures since the last batch that pointed somewhere: nothing was liked lately
TRIED = 4  # random points for each that is kept
# In Start Radii, among embeddings. Mean pixel difference of the bundled model's pictures, beside 21.7 and 11.9 of a
# first batch in PooledEmbed and PromptEmbed: 22.8 and 13.8 at 1.25, 27.6 and 17.0 at 1.5, where none had fallen apart.
WIDER = 1.5
RIGHT_ANGLE = 90.0  # further from the prompt's noise than this, noise comes closer together again
REMEMBERED = 100  # bad pictures, the latest, from which new ones are kept away


def reason_to_widen(feedback: Feedback) -> WhyWide | None:
    """None where there is something to go by, or nothing was judged at all."""
    if not feedback.judgments:
        return None
    if not feedback.pointing_batches:
        return WhyWide.NOTHING_LIKED if feedback.bad.any() else WhyWide.NO_PREFERENCE
    last = max(feedback.pointing_batches)
    later = [judgment for judgment in feedback.judgments if judgment.batch_number > last]
    bad = {row for judgment in later for row, vote in judgment.votes() if vote < 0}
    return WhyWide.NOTHING_LIKED_LATELY if len(bad) >= MANY else None


def widen(feedback: Feedback, context: SearchContext, n: int) -> Floats:
    """n points, as far from the anchor as those of a first batch at least [n, d].

    Each is that of TRIED random ones which is furthest from what was bad and from those before it. Distances are those
    of the Bayesian model's prior: in noise its coarse structure counts, as that decides what is seen.
    """
    geometry, radius = context.geometry, WIDER * context.config.start_radius
    if isinstance(geometry, Shell):
        radius = max(context.config.start_radius, min(radius, RIGHT_ANGLE))
    wider = replace(context, config=replace(context.config, start_radius=radius))
    bad = np.asarray(feedback.X[feedback.bad][-REMEMBERED:], dtype=np.float64)
    # |x - y|^2 = x'Cx + y'Cy - 2 x'Cy of each y to keep away from
    shunned = np.concatenate([_weighed(bad, feedback), np.empty((n, geometry.dimension))])
    sizes = np.concatenate([np.sum(bad * shunned[: len(bad)], axis=1), np.empty(n)])
    found = np.empty((n, geometry.dimension))
    for place, filled in enumerate(range(len(bad), len(bad) + n)):
        tried = random(feedback.X, wider, TRIED)
        X = tried - context.anchor
        weighed = _weighed(X, feedback)
        size = np.sum(X * weighed, axis=1)
        apart = size[:, None] + sizes[:filled] - 2 * X @ shunned[:filled].T
        best = int(apart.min(axis=1, initial=np.inf).argmax())
        found[place], shunned[filled], sizes[filled] = tried[best], weighed[best], size[best]
    return found


def _weighed(X: Vectors, feedback: Feedback) -> Floats:
    """The rows X [n, d] times the prior covariance of a taste in their space."""
    return np.asarray(X, dtype=np.float64) if feedback.shape is None or not len(X) else weigh(X, feedback.shape)
