"""The learner's one door: judgments in, the next batch of steering vectors out."""

import hashlib
import time
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preferences.learning.breeding import breed_in
from preferences.learning.config import LearningConfig
from preferences.learning.context import SearchContext
from preferences.learning.evaluation import held_out_accuracy
from preferences.learning.evidence import reason_to_widen, widen
from preferences.learning.feedback import Counts, Feedback
from preferences.learning.geometry import Floats, Geometry, Shell, Vectors, checked_rows
from preferences.learning.optimisers import OPTIMISERS, Optimiser
from preferences.learning.optimisers.posterior import scatter
from preferences.learning.reasons import CannotFit, Shortage, WhyWide
from preferences.learning.starts import NEEDS_GOOD, STARTS
from preferences.learning.value_models import VALUE_MODELS, ValueModel

SECONDS_TO_FIT = 0.1  # and to check on what was held out: no further part of the check begins after them


@dataclass(frozen=True)
class Learned:
    """What a proposal goes by, in codes and numbers; people read a sentence (preferences/sessions/learned_text.py)."""

    value_model: str  # a key of VALUE_MODELS
    counts: Counts  # of the judgments
    shortage: Shortage | None = None  # why no model could be fitted
    lacks_start: bool = False  # the chosen start needs a good picture: it was Random instead


@dataclass(frozen=True)
class Proposal:
    """The next batch of n candidates, and what it goes by."""

    vectors: NDArray[np.float32]  # [n, d], in the space
    scores: Floats | None  # [n] predicted utility; None without a model
    distances: Floats  # [n] from the anchor, in the geometry's unit
    learned: Learned
    reason: WhyWide | None  # why it is as wide as a first batch
    metrics: dict[str, float]
    model: ValueModel | None  # None where none could be fitted: the batch explores


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

    feedback: deviations z - anchor of the judged vectors and their judgments; nothing yet is normal.
    anchor [d]: the prompt's own vector (see anchor_for). previous: the session's last fitted model, for those that
    go on from it. parents [k, d]: vectors of the best pictures, to breed from where the best of several draws is shown;
    n is then `draws_per_picture` in a row for each place. The same rng state gives the same proposal. Raises ValueError
    for wrong shapes or values, n < 1, or an unknown value model, optimiser or start.
    """
    context = SearchContext(anchor, geometry, config, rng)
    kind, optimiser = checked_methods(feedback, context, n)
    model, shortage, metrics = fit(kind, feedback, config, previous)
    lacks_start = config.start in NEEDS_GOOD and not feedback.good.any()
    reason = reason_to_widen(feedback)
    if reason:
        vectors = widen(feedback, context, n)
    else:
        start = STARTS["random" if lacks_start else config.start]
        vectors = start(feedback.X[feedback.good], context, n)
        if model is not None:
            vectors = optimiser(model, vectors, context)
        if parents is not None and len(parents) and config.draws_per_picture > 1:
            away = scatter(len(feedback.pointing_batches), config)
            vectors = breed_in(vectors, parents, geometry, away, rng)

    return Proposal(
        vectors=np.asarray(vectors, dtype=np.float32),
        scores=None if model is None else model.utility(vectors - anchor),
        distances=geometry.distance(vectors, anchor),
        learned=Learned(config.value_model, feedback.counts, shortage, lacks_start),
        reason=reason,
        metrics=sizes(feedback) | metrics,
        model=model,
    )


def fit(
    kind: type[ValueModel], feedback: Feedback, config: LearningConfig, previous: ValueModel | None
) -> tuple[ValueModel | None, Shortage | None, dict[str, float]]:
    """The fitted model with its figures; or None, and what there is too little of."""
    began = time.perf_counter()
    try:
        model = kind.fit(feedback, config, previous if isinstance(previous, kind) else None)
    except CannotFit as why:
        return None, why.shortage, {}
    seconds = time.perf_counter() - began
    accuracy = held_out_accuracy(kind, feedback, config, SECONDS_TO_FIT - seconds)
    metrics = {"seconds_fit": seconds} | model.metrics()
    return model, None, metrics | ({"held_out_accuracy": accuracy} if np.isfinite(accuracy) else {})


def checked_methods(feedback: Feedback, context: SearchContext, n: int) -> tuple[type[ValueModel], Optimiser]:
    """The value model and the optimiser that the controls name. Raises ValueError for what does not fit together."""
    X, anchor, d = feedback.X, context.anchor, context.geometry.dimension
    if X.shape[1] != d or np.shape(anchor) != (d,):
        raise ValueError(
            f"X must be [rows, {d}] and anchor [{d}], not X {list(X.shape)} and anchor {list(np.shape(anchor))}"
        )
    checked_rows(np.atleast_2d(anchor), d, "anchor")
    if n < 1:
        raise ValueError(f"n must be 1 or more, not {n}")
    config = context.config
    require_known("value_model", config.value_model, VALUE_MODELS)
    require_known("start", config.start, STARTS)
    kind = VALUE_MODELS[config.value_model]
    optimiser = config.optimiser or kind.optimisers[0]
    require_known(f"optimiser of the {kind.label} model", optimiser, kind.optimisers)
    return kind, OPTIMISERS[optimiser]


def sizes(feedback: Feedback) -> dict[str, float]:
    """How much there is to learn from."""
    return {
        "rows": float(len(feedback.X)),
        "good": float(feedback.good.sum()),
        "bad": float(feedback.bad.sum()),
        "judgments": float(len(feedback.judgments)),
    }


def require_known(name: str, key: str, known: Collection[str]) -> None:
    """Raises ValueError with what there is to choose from."""
    if key not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {key!r}")


def anchor_for(prompt: str, geometry: Geometry) -> NDArray[np.float32]:
    """The prompt's own vector [dimension], the same on every machine (the predecessor's rule).

    Among embeddings zeros; noise is standard normal, seeded by the first 8 bytes of sha1(prompt) as a big-endian
    integer, and put on the shell.
    """
    if not isinstance(geometry, Shell):
        return np.zeros(geometry.dimension, dtype=np.float32)
    seed = int.from_bytes(hashlib.sha1(prompt.encode(), usedforsecurity=False).digest()[:8], "big")
    noise = np.random.default_rng(seed).standard_normal((1, geometry.dimension))
    return np.asarray(geometry.project(noise)[0], dtype=np.float32)
