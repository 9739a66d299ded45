"""The part of the drawing job that asks the learner: where a session's vectors live, and which are drawn next."""

from dataclasses import dataclass, replace

import numpy as np

from generation import spaces
from generation.types import ModelSpec, Vectors
from preferences.drawing import keep
from preferences.drawing.choose import Liked
from preferences.feedback.training_set import TrainingSet
from preferences.jobs.leases import Lease
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Geometry
from preferences.learning.layout import Shape, geometry_of
from preferences.learning.propose import Proposal, anchor_for
from preferences.learning.propose import propose as ask_learner
from preferences.learning.value_models import VALUE_MODELS, ValueModel
from preferences.sessions import learned_text, training
from preferences.sessions.models import Batch, Candidate, OptimizerState


@dataclass(frozen=True)
class Steering:
    """How a vector of the session is laid out, where it lives, and the prompt's own [d]."""

    shape: Shape | None
    geometry: Geometry
    anchor: Vectors


def steering_of(batch: Batch, spec: ModelSpec) -> Steering:
    """The steering space of a batch."""
    session = batch.session
    space = spaces.get(spec, session.space)
    dimension = space.dimension(spec, session.width, session.height)
    shape = space.shape(spec, session.width, session.height)
    geometry = geometry_of(space.is_noise, dimension, batch.start_radius, shape)
    return Steering(shape, geometry, anchor_for(session.prompt, geometry))


def propose(
    batch: Batch,
    steering: Steering,
    lease: Lease,
    candidates: list[Candidate],
    known: TrainingSet,
    liked: Liked | None,
) -> bool:
    """Give candidates of a batch their vectors, and keep them. False when the lease was lost."""
    draws = 1 if liked is None else batch.draws_per_picture
    proposal = ask_learner(
        Feedback(known.X - steering.anchor, known.judgments, steering.shape),
        steering.anchor,
        steering.geometry,
        replace(training.config(batch), draws_per_picture=draws),
        _generator(batch, candidates[0]),
        len(candidates) * draws,
        previous=_previous(batch, known),
        parents=None if liked is None else liked.parents,
    )
    record = OptimizerState(
        batch=batch,
        value_model=batch.value_model,
        parameters=None if proposal.model is None else proposal.model.save(),
        ratings=[] if proposal.model is None else sorted(known.ratings),
        metrics=_metrics(proposal, liked),
        note=learned_text.note(proposal.learned, draws),
        reason=proposal.reason or "",
    )
    last_rating = max(known.ratings, default=None)
    return keep.store_proposal(lease, candidates, proposal, record, last_rating)


def _generator(batch: Batch, first: Candidate) -> np.random.Generator:
    """Seeded by what identifies the proposal, so that a worker that takes over proposes the same again."""
    # What failed before is proposed otherwise: most likely the same vectors would fail again.
    earlier = batch.optimizer_states.count()
    return np.random.default_rng(
        [batch.session.seed, batch.number, first.slot, first.attempt] + [earlier] * (earlier > 0)
    )


def _metrics(proposal: Proposal, liked: Liked | None) -> dict[str, float]:
    metrics = dict(proposal.metrics)
    if liked is not None and np.isfinite(liked.model.held_out_accuracy):
        metrics["looks_held_out_accuracy"] = liked.model.held_out_accuracy
    return metrics


def _previous(batch: Batch, known: TrainingSet) -> ValueModel | None:
    """The model to go on from, if its kind does that and there is one which knows nothing that was taken back."""
    kind = VALUE_MODELS[batch.value_model]
    saved = training.last_parameters(batch.session, batch.value_model, known) if kind.starts_warm else None
    return None if saved is None else kind.load(saved)
