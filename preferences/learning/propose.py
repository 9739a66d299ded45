"""The learner's one door: judgments in, the next batch of steering vectors out."""

import hashlib
import time
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preferences.learning.breeding import breed_in
from preferences.learning.config import LearningConfig
from preferences.learning.evaluation import held_out_accuracy
from preferences.learning.evidence import reason_to_widen, widen
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Floats, Geometry, Shell, Vectors, checked_rows
from preferences.learning.optimisers import OPTIMISERS
from preferences.learning.optimisers.posterior import scatter
from preferences.learning.starts import NEEDS_GOOD, STARTS
from preferences.learning.value_models import VALUE_MODELS, CannotFit, ValueModel

SECONDS_TO_FIT = 0.1  # and to check on what was held out: no further part of the check begins after them


@dataclass(frozen=True)
class Proposal:
    """The next batch of n candidates, and what to tell the user about it."""

    vectors: NDArray[np.float32]  # [n, d], in the space
    scores: Floats | None  # [n] predicted value; None while exploring
    distances: Floats  # [n] from the anchor, in the geometry's unit
    explored: bool  # true when no model could be fitted
    note: str  # one sentence for the user
    reason: str  # why it is as wide as a first batch: a reason of evidence.py, or empty
    metrics: dict[str, float]
    model: ValueModel | None  # the fitted model; None while exploring


def propose(
    feedback: Feedback,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
    n: int,
    previous: ValueModel | None = None,
    parents: Vectors | None = None,
) -> Proposal:
    """Propose n candidates from the judgments so far.

    feedback: deviations z - anchor of the judged vectors and what was said; nothing yet is normal.
    anchor [d]: the prompt's own vector (see anchor_for). previous: the session's last fitted model, for those that
    go on from it. parents [k, d]: the best-looking vectors, to breed from where the best of config.draws is shown; n is
    then `draws` in a row for each place. The same rng state gives the same proposal. Raises ValueError for wrong
    shapes or values, n < 1, or an unknown value model, optimiser or start.
    """
    X = feedback.X
    if X.shape[1] != geometry.dimension or np.shape(anchor) != (geometry.dimension,):
        raise ValueError(
            f"X must be [rows, {geometry.dimension}] and anchor [{geometry.dimension}], "
            f"not X {list(X.shape)} and anchor {list(np.shape(anchor))}"
        )
    checked_rows(np.atleast_2d(anchor), geometry.dimension, "anchor")
    if n < 1:
        raise ValueError(f"n must be 1 or more, not {n}")
    require_known("value_model", config.value_model, VALUE_MODELS)
    require_known("start", config.start, STARTS)
    kind = VALUE_MODELS[config.value_model]
    optimiser = config.optimiser or kind.optimisers[0]
    require_known(f"optimiser of the {kind.label} model", optimiser, kind.optimisers)

    good, bad = feedback.good, feedback.bad
    began = time.perf_counter()
    try:
        model = kind().fit(feedback, config, previous if isinstance(previous, kind) else None)
        note = f"The {model.label} model learned from {feedback}."
    except CannotFit as why:
        model, note = None, f"Exploring: {why}"
    seconds = time.perf_counter() - began

    start = config.start
    if start in NEEDS_GOOD and not good.any():
        start = "random"
        note = f"{note.removesuffix('.')}, and until there is a good one the start is Random."
    reason = reason_to_widen(feedback)
    if reason:
        vectors = widen(feedback, anchor, geometry, config, rng, n)
    else:
        vectors = STARTS[start](X[good], anchor, geometry, config, rng, n)
        if model is not None:
            vectors = OPTIMISERS[optimiser](model, vectors, anchor, geometry, config, rng)
        if parents is not None and len(parents) and config.draws > 1:
            reach = scatter(len(feedback.pointing_moments), config)
            vectors = breed_in(vectors, parents, geometry, reach, rng)

    counts = {
        "rows": float(len(X)),
        "good": float(good.sum()),
        "bad": float(bad.sum()),
        "judgments": float(len(feedback.judgments)),
    }
    if model is not None:
        counts["seconds_fit"] = seconds
        accuracy = held_out_accuracy(kind, feedback, config, SECONDS_TO_FIT - seconds)
        counts |= model.metrics() | ({"held_out_accuracy": accuracy} if np.isfinite(accuracy) else {})
    return Proposal(
        vectors=np.asarray(vectors, dtype=np.float32),
        scores=None if model is None else model.value(vectors - anchor),
        distances=geometry.distance(vectors, anchor),
        explored=model is None,
        note=note,
        reason=reason,
        metrics=counts,
        model=model,
    )


def require_known(name: str, key: str, known: Collection[str]) -> None:
    """Raises ValueError with what there is to choose from."""
    if key not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {key!r}")


def anchor_for(prompt: str, geometry: Geometry) -> NDArray[np.float32]:
    """The prompt's own vector [dimension], the same on every machine (the predecessor's rule).

    Among embeddings zeros; noise is standard normal seeded by the first 8 hex digits of sha1(prompt), on the shell.
    """
    if not isinstance(geometry, Shell):
        return np.zeros(geometry.dimension, dtype=np.float32)
    seed = int(hashlib.sha1(prompt.encode(), usedforsecurity=False).hexdigest()[:8], 16)
    noise = np.random.default_rng(seed).standard_normal((1, geometry.dimension))
    return np.asarray(geometry.project(noise)[0], dtype=np.float32)
