"""What holds for every method, whatever was judged."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preferences.learning.config import LearningConfig
from preferences.learning.context import SearchContext
from preferences.learning.feedback import Choice, Feedback, Judgment, Label, Stars, Tie
from preferences.learning.geometry import Ball, Geometry, Shell
from preferences.learning.layout import BandedShell
from preferences.learning.propose import propose
from preferences.learning.starts import STARTS
from preferences.learning.value_models import VALUE_MODELS
from preferences.sessions.learned_text import note

METHODS = [(name, optimiser) for name, model in VALUE_MODELS.items() for optimiser in model.optimisers]


@st.composite
def judgments(draw: st.DrawFn, rows: int) -> tuple[Judgment, ...]:
    """Any number of judgments of any kinds; each row may be judged often, or never, and not always alike."""
    row = st.integers(0, rows - 1)
    number = st.integers(0, 3)
    kinds = [st.builds(Label, row, st.booleans(), number), st.builds(Stars, row, st.integers(1, 5), number)]
    if rows > 1:
        several = st.lists(row, min_size=2, max_size=rows, unique=True)
        kinds.append(several.map(lambda found: Choice(found[0], tuple(found[1:]))))
        kinds.append(several.map(lambda found: Tie(found[0], found[1])))
    return tuple(draw(st.lists(st.one_of(kinds), max_size=12)))


@st.composite
def situations(draw: st.DrawFn) -> dict:
    """Geometry, rows of any scale (constant numbers and duplicates among them), the judgments, and the controls."""
    shape = draw(st.one_of(st.none(), st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(2, 4))))
    d = int(np.prod(shape)) if shape else draw(st.integers(2, 24))
    rows = draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    on_shell = shape is not None or draw(st.booleans())
    if shape:
        geometry: Geometry = BandedShell(d, shape)
    else:
        geometry = Shell(d) if on_shell else Ball(d, draw(st.sampled_from([0.0, 0.5, 2.0])))
    X = rng.standard_normal((rows, d)) * draw(st.sampled_from([1e-6, 1.0, 1e6]))
    if draw(st.booleans()):
        X[:, 0] = 3.0
    if draw(st.booleans()):
        X[-1] = X[0]
    anchor = geometry.project(rng.standard_normal((1, d)))[0] if on_shell else np.zeros(d)
    value_model, optimiser = draw(st.sampled_from(METHODS))
    config = LearningConfig(
        value_model=value_model,
        optimiser=optimiser,
        start=draw(st.sampled_from(sorted(STARTS))),
        temperature=draw(st.sampled_from([0.0, 1.0, 10.0])),
        ridge_alpha=draw(st.sampled_from([0.0, 1e-6, 1.0, 1e6])),
        xgboost_trees=2,
        optim_steps=draw(st.sampled_from([1, 4])),
        step_size=draw(st.sampled_from([0.01, 1.0, 100.0])),
        max_dist=draw(st.sampled_from([0.0, 0.3, 45.0])),
        start_radius=draw(st.sampled_from([0.0, 0.5, 90.0])),
    )
    feedback = Feedback(X.astype(np.float32), draw(judgments(rows)), shape)
    return {"feedback": feedback, "anchor": anchor, "geometry": geometry, "config": config}


@given(situations(), st.integers(0, 2**32), st.integers(1, 6))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_candidates_are_sound(situation: dict, seed: int, n: int) -> None:
    geometry, config, anchor, feedback = (situation[k] for k in ("geometry", "config", "anchor", "feedback"))
    found = propose(rng=np.random.default_rng(seed), n=n, **situation)
    assert found.vectors.shape == (n, geometry.dimension)
    assert np.isfinite(found.vectors).all()
    assert note(found.learned).endswith(".")
    assert all(np.isfinite(value) for value in found.metrics.values())
    if found.scores is not None:
        assert np.isfinite(found.scores).all()
    np.testing.assert_allclose(geometry.project(found.vectors), found.vectors, rtol=1e-4, atol=1e-4)

    again = propose(rng=np.random.default_rng(seed), n=n, **situation)
    np.testing.assert_array_equal(again.vectors, found.vectors)

    if (
        config.max_dist and found.model is not None and not found.reason
    ):  # else it looks as far as a first batch, or further
        start = config.start if config.start in ("random", "prompt") or feedback.good.any() else "random"
        rng = np.random.default_rng(seed)
        starts = STARTS[start](feedback.X[feedback.good], SearchContext(anchor, geometry, config, rng), n)
        rounding = 2e-2 + 1e-6 * float(np.linalg.norm(found.vectors, axis=1).max())  # they are float32
        assert (geometry.distance(found.vectors, starts) <= config.max_dist + rounding).all()
