"""The body of the drawing task: the one place where learning meets generation."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection

from generation import images, registry, spaces
from generation.errors import Cancelled, GenerationError
from generation.manager import ModelManager
from generation.types import GenerationRequest, ModelSpec
from preferences import leases, selectors, training
from preferences.learning.feedback import Feedback
from preferences.learning.layout import geometry_of
from preferences.learning.propose import anchor_for, propose
from preferences.learning.value_models import VALUE_MODELS, ValueModel
from preferences.models import Batch, Candidate, OptimizerState, Session

log = logging.getLogger(__name__)


def draw_batch(batch_id: int, manager: ModelManager, worker: str) -> None:
    """Claim a batch and draw what is pending in it. Harmless when another worker has it, or nobody needs it."""
    lease = leases.claim_batch(batch_id, worker)
    if lease is None:
        return
    batch = Batch.objects.select_related("session").get(pk=batch_id)
    with _kept_alive(lease) as lost:
        try:
            _draw(batch, lease, manager, lost)
        except Cancelled:
            log.info("Batch %s was taken over or cancelled.", batch_id)
        except GenerationError as error:
            log.warning("Batch %s failed: %s", batch_id, error)
            leases.fail_batch(lease, str(error))
        except Exception:
            # The worker stays alive, the user gets a sentence, the log gets the traceback.
            leases.fail_batch(lease, "Drawing failed unexpectedly; the worker's log has the details. Try again.")
            raise


def _draw(batch: Batch, lease: leases.Lease, manager: ModelManager, lost: threading.Event) -> None:
    session = batch.session
    spec = registry.get(settings.IPO_MODELS, session.model)
    manager.ensure_ready(spec)
    while True:
        batch.refresh_from_db()  # a vote may have brought new attempts and new controls
        pending = selectors.pending_candidates(batch.pk)
        if not pending:
            if leases.finish_batch(lease) or lost.is_set() or not leases.renew_lease(lease):
                return
            continue
        unproposed = [candidate for candidate in pending if candidate.vector is None]
        if unproposed:
            leases.renew_lease(lease, Batch.Phase.LEARNING)
            if not _propose(batch, spec, lease, unproposed):
                return
        leases.renew_lease(lease, Batch.Phase.GENERATING)
        chunk = pending[: batch.inference_batch]
        pictures = manager.generate(spec, _request(batch, chunk, lost.is_set))
        drawn = [_files(session, batch, one, picture) for one, picture in zip(chunk, pictures, strict=True)]
        if not leases.finish_candidates(lease, drawn):
            return


def _propose(batch: Batch, spec: ModelSpec, lease: leases.Lease, candidates: list[Candidate]) -> bool:
    session = batch.session
    space = spaces.get(spec, session.space)
    dimension = space.dimension(spec, session.width, session.height)
    shape = space.shape(spec, session.width, session.height)
    geometry = geometry_of(space.is_noise, dimension, batch.start_radius, shape)
    anchor = anchor_for(session.prompt, geometry)
    rows = training.training_set(session, dimension)
    # Seeded by what identifies the proposal, so that a worker that takes over proposes the same again.
    first = candidates[0]
    rng = np.random.default_rng([session.seed, batch.number, first.slot, first.attempt])
    state: Any = rng.bit_generator.state
    proposal = propose(
        Feedback(rows.X - anchor, rows.judgments, shape),
        anchor,
        geometry,
        training.config(batch),
        rng,
        len(candidates),
        previous=_previous(batch),
    )
    record = OptimizerState(
        batch=batch,
        value_model=batch.value_model,
        parameters=None if proposal.model is None else proposal.model.save(),
        metrics=proposal.metrics,
        note=proposal.note,
        rng_state=state,
    )
    return leases.store_proposal(lease, candidates, proposal.vectors, proposal.scores, proposal.distances, record)


def _previous(batch: Batch) -> ValueModel | None:
    """The model to go on from, if its kind does that and there is one."""
    kind = VALUE_MODELS[batch.value_model]
    saved = training.last_parameters(batch.session, batch.value_model) if kind.starts_warm else None
    return None if saved is None else kind.load(saved)


def _request(batch: Batch, chunk: list[Candidate], should_stop: Callable[[], bool]) -> GenerationRequest:
    session = batch.session
    return GenerationRequest(
        prompt=session.prompt,
        negative_prompt=session.negative_prompt,
        space=session.space,
        vectors=np.stack([np.frombuffer(bytes(one.vector or b""), "<f4") for one in chunk]),
        width=session.width,
        height=session.height,
        steps=batch.diff_steps,
        guidance=batch.guidance,
        delta_scale=batch.delta_scale,
        noise_seed=batch.noise_seed,
        step_seed=batch.noise_seed,
        should_stop=should_stop,
    )


def _files(session: Session, batch: Batch, candidate: Candidate, picture: Any) -> leases.Drawn:
    if picture.pixels is None:
        return leases.Drawn(candidate, error=picture.error)
    about = {
        "prompt": session.prompt,
        "negative_prompt": session.negative_prompt,
        "model": session.model,
        "space": session.space,
        "steps": batch.diff_steps,
        "guidance": batch.guidance,
        "delta_scale": batch.delta_scale,
        "noise_seed": batch.noise_seed,
        "session": str(session.pk),
        "batch": batch.number,
        "candidate": candidate.slot,
        "attempt": candidate.attempt,
    }
    png = images.to_png(picture.pixels, about if settings.IPO_EMBED_SETTINGS else None)
    return leases.Drawn(candidate, png, images.to_thumbnail(picture.pixels))


@contextmanager
def _kept_alive(lease: leases.Lease) -> Iterator[threading.Event]:
    """Renew the lease from a thread while loading and drawing; the event is set when it is lost."""
    done, lost = threading.Event(), threading.Event()

    def renew() -> None:
        while not done.wait(settings.IPO_LEASE_SECONDS / 4):
            if not leases.renew_lease(lease):
                lost.set()
                break
        connection.close()

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join()
