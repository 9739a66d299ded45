"""The body of the drawing task: the one place where learning meets generation."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from django.conf import settings
from django.db import DatabaseError, connection

from generation import registry, spaces
from generation.errors import Cancelled, GenerationError, OutOfMemory, UnknownModel
from generation.manager import ModelManager
from generation.types import GenerationRequest, ModelSpec, Vectors
from preferences.drawing import choose, keep
from preferences.drawing.encode import Saver
from preferences.feedback.training_set import TrainingSet
from preferences.jobs import leases
from preferences.jobs.leases import Lease
from preferences.learning.feedback import Feedback
from preferences.learning.geometry import Geometry
from preferences.learning.layout import Shape, geometry_of
from preferences.learning.propose import anchor_for, propose
from preferences.learning.value_models import VALUE_MODELS, ValueModel
from preferences.sessions import learned_text, training
from preferences.sessions.models import Batch, Candidate, OptimizerState
from preferences.sessions.selectors import pending_candidates

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Where:
    """How a vector of the session is laid out, where it lives, and the prompt's own [d]."""

    shape: Shape | None
    geometry: Geometry
    anchor: Vectors


def draw_batch(lease: Lease, manager: ModelManager) -> None:
    """Draw what is pending in the batch of a job.

    What goes wrong is told in the batch. Raises OutOfMemory besides: the process should end.
    """
    batch = Batch.objects.select_related("session", "job").filter(job=lease.job_id).first()
    if batch is None:
        return
    with _kept_alive(lease) as lost:
        try:
            _draw(batch, lease, manager, lost)
        except (Cancelled, Batch.DoesNotExist):
            log.info("Batch %s was taken over, cancelled or deleted.", batch.pk)
        except GenerationError as error:
            log.warning("Batch %s failed: %s", batch.pk, error)
            keep.fail(lease, batch.pk, str(error))
            if isinstance(error, OutOfMemory):
                raise
        except Exception:
            # The worker stays alive, the user gets a sentence, the log gets the traceback.
            keep.fail(lease, batch.pk, "Drawing failed unexpectedly; the worker's log has the details. Try again.")
            raise


def _draw(batch: Batch, lease: Lease, manager: ModelManager, lost: threading.Event) -> None:
    session = batch.session
    if not session.is_model_known:
        raise UnknownModel(
            f"The model “{session.model}” is not among the models of this machine any longer: make a copy of this "
            "session with another model."
        )
    spec = registry.get(settings.IPO_MODELS, session.model)
    leases.renew(lease, phase=Batch.Phase.LOADING)
    manager.ensure_ready(spec, batch.server, lost.is_set)
    extractor = choose.Extractor(spec, manager, batch.server, lost.is_set)
    known: TrainingSet | None = None
    liked: choose.Liked | None = None
    with Saver(batch, lease) as saver:
        # Between two steps of a pass what is encoded of the last one is saved: the page shows it that much earlier.
        def on_step(done: int, of: int) -> None:
            if not saver.save():
                lost.set()

        while True:
            batch.refresh_from_db()  # a vote may have brought new attempts and new controls
            pending = [one for one in pending_candidates(batch.pk) if one not in saver]
            if not pending:
                if not saver.save(wait=True):
                    return
                if keep.close(lease, batch) or lost.is_set() or not leases.renew(lease):
                    return
                continue
            where = _where(batch, spec)
            d = where.geometry.dimension
            unproposed = [one for one in pending if one.proposed is None and one.picture is None]
            # What is drawn once more has its vector, and there is nothing to choose.
            if unproposed or (known is None and any(len(_vectors(one, d)) > 1 for one in pending)):
                leases.renew(lease, phase=Batch.Phase.LEARNING)
                known = training.training_set(batch.session, where.geometry.dimension)
                liked = choose.liked(batch, spec, known)
                if unproposed and not _propose(batch, where, lease, unproposed, known, liked):
                    return
            leases.renew(lease, phase=Batch.Phase.GENERATING)
            request = replace(_request(batch), on_step=on_step, should_stop=lost.is_set)
            at_once = batch.inference_batch or manager.fastest_size(spec, request, batch.server)
            chunk = _chunk(pending, at_once, d)
            vectors = [_vectors(one, d) for one in chunk]
            owners = [candidate for candidate, tried in zip(chunk, vectors, strict=True) for _ in tried]
            on_preview = partial(saver.preview, owners) if settings.IPO_PREVIEWS else None
            request = replace(request, vectors=np.concatenate(vectors), on_preview=on_preview)
            pictures = manager.generate_all(spec, request, at_once, batch.server)
            for candidate, tried in zip(chunk, vectors, strict=True):
                of_slot = list(islice(pictures, len(tried)))
                chosen = choose.choose(of_slot, extractor, liked)
                vector = tried[chosen.place]
                _take(candidate, vector, chosen.score, where)
                saver.add(candidate, of_slot[chosen.place], vector, chosen.features)
            if extractor.problem:
                keep.add_to_note(lease, batch, extractor.problem)
            if not saver.save():
                return


def _chunk(pending: list[Candidate], at_once: int, dimension: int) -> list[Candidate]:
    """The candidates, one at least, whose vectors fit into one forward pass."""
    sizes = np.cumsum([len(_vectors(candidate, dimension)) for candidate in pending])
    return pending[: max(1, int((sizes <= at_once).sum()))]


def _vectors(candidate: Candidate, dimension: int) -> Vectors:
    """All that are drawn for a candidate [draws, d]: what was proposed, or for a picture drawn again its own."""
    vectors = candidate.proposed if candidate.picture is None else candidate.picture.vector
    return np.empty((0, dimension), np.float32) if vectors is None else vectors.reshape(-1, dimension)


def _take(candidate: Candidate, vector: Vectors, score: float | None, where: Where) -> None:
    """What the chosen vector [d] is to the candidate; it is saved with the picture."""
    candidate.distance = float(where.geometry.distance(vector, where.anchor))
    if score is not None:
        candidate.score = score


def _where(batch: Batch, spec: ModelSpec) -> Where:
    session = batch.session
    space = spaces.get(spec, session.space)
    dimension = space.dimension(spec, session.width, session.height)
    shape = space.shape(spec, session.width, session.height)
    geometry = geometry_of(space.is_noise, dimension, batch.start_radius, shape)
    return Where(shape, geometry, anchor_for(session.prompt, geometry))


def _propose(
    batch: Batch,
    where: Where,
    lease: Lease,
    candidates: list[Candidate],
    known: TrainingSet,
    liked: choose.Liked | None,
) -> bool:
    draws = 1 if liked is None else batch.draws_per_picture
    # Seeded by what identifies the proposal, so that a worker that takes over proposes the same again.
    first = candidates[0]
    # What failed before is proposed otherwise: most likely the same vectors would fail again.
    earlier = batch.optimizer_states.count()
    seeds = [batch.session.seed, batch.number, first.slot, first.attempt] + [earlier] * (earlier > 0)
    rng = np.random.default_rng(seeds)
    state: Any = rng.bit_generator.state
    proposal = propose(
        Feedback(known.X - where.anchor, known.judgments, where.shape),
        where.anchor,
        where.geometry,
        replace(training.config(batch), draws_per_picture=draws),
        rng,
        len(candidates) * draws,
        previous=_previous(batch, known),
        parents=None if liked is None else liked.parents,
    )
    metrics = dict(proposal.metrics)
    if liked is not None and np.isfinite(liked.model.held_out_accuracy):
        metrics["looks_held_out_accuracy"] = liked.model.held_out_accuracy
    record = OptimizerState(
        batch=batch,
        value_model=batch.value_model,
        parameters=None if proposal.model is None else proposal.model.save(),
        ratings=[] if proposal.model is None else sorted(known.ratings),
        metrics=metrics,
        note=learned_text.note(proposal.learned, draws),
        reason=proposal.reason or "",
        rng_state=state,
    )
    return keep.store_proposal(lease, candidates, proposal.vectors, proposal.scores, proposal.distances, record)


def _previous(batch: Batch, known: TrainingSet) -> ValueModel | None:
    """The model to go on from, if its kind does that and there is one which knows nothing that was taken back."""
    kind = VALUE_MODELS[batch.value_model]
    saved = training.last_parameters(batch.session, batch.value_model, known) if kind.starts_warm else None
    return None if saved is None else kind.load(saved)


def _request(batch: Batch) -> GenerationRequest:
    """What all pictures of a batch have in common; its vectors are still to come."""
    session = batch.session
    return GenerationRequest(
        prompt=session.prompt,
        negative_prompt=session.negative_prompt,
        space=session.space,
        vectors=np.empty((0, 0), np.float32),
        width=session.width,
        height=session.height,
        steps=batch.diff_steps,
        guidance=batch.guidance,
        delta_scale=batch.delta_scale,
        noise_seed=batch.noise_seed,
        step_seed=batch.noise_seed,
    )


@contextmanager
def _kept_alive(lease: Lease) -> Iterator[threading.Event]:
    """Renew the lease from a thread while loading and drawing; the event is set when it is lost."""
    done, lost = threading.Event(), threading.Event()

    def renew() -> None:
        while not done.wait(settings.IPO_LEASE_SECONDS / 4):
            try:
                if not leases.renew(lease):
                    lost.set()
                    break
            except DatabaseError:  # tried again in a while; what is drawn meanwhile is not in vain
                log.warning("The database did not answer: the lease of job %s was not renewed.", lease.job_id)
                connection.close()
        connection.close()

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join()
