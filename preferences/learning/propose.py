"""The learner's one door: ratings in, the next batch of steering vectors out."""

import hashlib
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from preferences.learning.config import LearningConfig
from preferences.learning.geometry import Floats, Geometry, Shell, Vectors, checked_rows
from preferences.learning.optimisers import OPTIMISERS
from preferences.learning.starts import NEEDS_GOOD, STARTS
from preferences.learning.value_models import VALUE_MODELS, CannotFit, ValueModel
from preferences.learning.value_models.base import checked_ratings


@dataclass(frozen=True)
class Proposal:
    """The next batch of n candidates, and what to tell the user about it."""

    vectors: NDArray[np.float32]  # [n, d], in the space
    scores: Floats | None  # [n] predicted value; None while exploring
    distances: Floats  # [n] from the anchor, in the geometry's unit
    explored: bool  # true when no model could be fitted
    note: str  # one sentence for the user
    metrics: dict[str, float]
    model: ValueModel | None  # the fitted model; None while exploring


def propose(
    X: Vectors,
    y: Vectors,
    anchor: Vectors,
    geometry: Geometry,
    config: LearningConfig,
    rng: np.random.Generator,
    n: int,
) -> Proposal:
    """Propose n candidates from the ratings so far.

    X [rows, d]: deviations z - anchor of the rated vectors; y [rows]: +1 good, -1 bad; no rows is normal.
    anchor [d]: the prompt's own vector (see anchor_for). The same rng state gives the same proposal. Raises
    ValueError for wrong shapes or values, n < 1, or an unknown value model or start.
    """
    X, good = checked_ratings(X, y)
    if X.shape[1] != geometry.dimension or np.shape(anchor) != (geometry.dimension,):
        raise ValueError(
            f"X must be [rows, {geometry.dimension}] and anchor [{geometry.dimension}], "
            f"not X {list(X.shape)} and anchor {list(np.shape(anchor))}"
        )
    checked_rows(np.atleast_2d(anchor), geometry.dimension, "anchor")
    if n < 1:
        raise ValueError(f"n must be 1 or more, not {n}")
    for name, key, known in (
        ("value_model", config.value_model, VALUE_MODELS),
        ("start", config.start, STARTS),
    ):
        if key not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {key!r}")

    began = time.perf_counter()
    try:
        model = VALUE_MODELS[config.value_model]().fit(X, y, config)
        note = f"The {model.label} model learned from {good.sum()} good and {(~good).sum()} bad pictures."
    except CannotFit as reason:
        model, note = None, f"Exploring: {reason}"
    seconds = time.perf_counter() - began

    start = config.start
    if start in NEEDS_GOOD and not good.any():
        start = "random"
        note = f"{note.removesuffix('.')}, and until there is a good one the start is Random."
    vectors = STARTS[start](X[good], anchor, geometry, config, rng, n)
    if model is not None:
        vectors = OPTIMISERS[model.optimiser](model, vectors, anchor, geometry, config, rng)

    counts = {
        "rows": float(len(X)),
        "good": float(good.sum()),
        "bad": float((~good).sum()),
        "seconds_fit": seconds,
    }
    return Proposal(
        vectors=np.asarray(vectors, dtype=np.float32),
        scores=None if model is None else model.predict(vectors - anchor),
        distances=geometry.distance(vectors, anchor),
        explored=model is None,
        note=note,
        metrics=counts if model is None else counts | model.metrics(),
        model=model,
    )


def anchor_for(prompt: str, dimension: int, kind: Literal["noise", "zero"]) -> NDArray[np.float32]:
    """The prompt's own vector [dimension], the same on every machine (the predecessor's rule).

    "noise": standard normal seeded by the first 8 hex digits of sha1(prompt), on the shell; "zero": zeros.
    Raises ValueError for another kind.
    """
    if kind == "zero":
        return np.zeros(dimension, dtype=np.float32)
    if kind != "noise":
        raise ValueError(f"kind must be noise or zero, not {kind!r}")
    seed = int(hashlib.sha1(prompt.encode(), usedforsecurity=False).hexdigest()[:8], 16)
    noise = np.random.default_rng(seed).standard_normal((1, dimension))
    return np.asarray(Shell(dimension).project(noise)[0], dtype=np.float32)
