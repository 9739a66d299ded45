"""The body of the drawing task: the one place where learning meets generation."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from django.conf import settings
from django.db import DatabaseError, connection

from generation import registry
from generation.errors import Cancelled, GenerationError, OutOfMemory, UnknownModel
from generation.manager import ModelManager
from generation.types import GenerationRequest, ModelSpec, Vectors
from preferences.drawing import choose, keep
from preferences.drawing.encode import Saver
from preferences.drawing.propose import Steering, propose, steering_of
from preferences.feedback.training_set import TrainingSet
from preferences.jobs import leases
from preferences.jobs.leases import Lease
from preferences.sessions import training
from preferences.sessions.models import Batch, Candidate
from preferences.sessions.selectors import pending_candidates

log = logging.getLogger(__name__)


def draw_batch(lease: Lease, manager: ModelManager) -> None:
    """Draw what is pending in the batch of a job.

    What goes wrong is told in the batch. Raises OutOfMemory besides: the process should end.
    """
    batch = Batch.objects.select_related("session", "job").filter(job=lease.job_id).first()
    if batch is None:
        return
    with _kept_alive(lease) as lost:
        try:
            with leases.survives_the_database(lease):
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
    with Saver(batch, lease) as saver:
        drawing = Drawing(batch, spec, lease, manager, lost, saver)
        while drawing.go_on():
            pass


@dataclass
class Drawing:
    """A batch that is drawn now, with what was learned from the ratings once it was asked for."""

    batch: Batch
    spec: ModelSpec
    lease: Lease
    manager: ModelManager
    lost: threading.Event
    saver: Saver
    known: TrainingSet | None = None
    liked: choose.Liked | None = None

    def __post_init__(self) -> None:
        self.extractor = choose.Extractor(self.spec, self.manager, self.batch.server, self.lost.is_set)

    def go_on(self) -> bool:
        """Draw some of what is pending, or close the batch; False at the end, or when the lease was lost."""
        self.batch.refresh_from_db()  # a vote may have brought new attempts and new controls
        pending = [one for one in pending_candidates(self.batch.pk) if one not in self.saver]
        if not pending:
            if not self.saver.save(wait=True):
                return False
            return not keep.close(self.lease, self.batch) and not self.lost.is_set() and leases.renew(self.lease)
        steering = steering_of(self.batch, self.spec)
        return self._learn(pending, steering) and self._draw_some(pending, steering)

    def _learn(self, pending: list[Candidate], steering: Steering) -> bool:
        """See to it that what is pending has its vectors, and what was liked is known if there is something to choose.

        What is drawn once more has its vector, and there is nothing to choose.
        """
        d = steering.geometry.dimension
        unproposed = [one for one in pending if one.proposed is None and one.picture is None]
        if not unproposed and (self.known is not None or all(len(_vectors(one, d)) <= 1 for one in pending)):
            return True
        leases.renew(self.lease, phase=Batch.Phase.LEARNING)
        self.known = training.training_set(self.batch.session, d)
        self.liked = choose.liked(self.batch, self.spec, self.known)
        return not unproposed or propose(self.batch, steering, self.lease, unproposed, self.known, self.liked)

    def _draw_some(self, pending: list[Candidate], steering: Steering) -> bool:
        """As many as fit into one forward pass, one at least."""
        leases.renew(self.lease, phase=Batch.Phase.GENERATING)
        request = replace(request_of(self.batch), on_step=self._on_step, should_stop=self.lost.is_set)
        at_once = self.batch.inference_batch or self.manager.fastest_size(self.spec, request, self.batch.server)
        vectors = [_vectors(one, steering.geometry.dimension) for one in pending]
        fitting = max(1, int((np.cumsum([len(tried) for tried in vectors]) <= at_once).sum()))
        chunk, vectors = pending[:fitting], vectors[:fitting]
        owners = [candidate for candidate, tried in zip(chunk, vectors, strict=True) for _ in tried]
        on_preview = partial(self.saver.preview, owners) if settings.IPO_PREVIEWS else None
        request = replace(request, vectors=np.concatenate(vectors), on_preview=on_preview)
        pictures = list(self.manager.generate_all(self.spec, request, at_once, self.batch.server))
        chosen = choose.choose(pictures, [len(tried) for tried in vectors], self.extractor, self.liked)
        for candidate, one in zip(chunk, chosen, strict=True):
            vector = request.vectors[one.place]
            candidate.distance = float(steering.geometry.distance(vector, steering.anchor))
            if one.score is not None:
                candidate.score = one.score
            self.saver.add(candidate, pictures[one.place], vector, one.features)
        if self.extractor.problem:
            keep.add_to_note(self.lease, self.batch, self.extractor.problem)
        return self.saver.save()

    def _on_step(self, done: int, of: int) -> None:
        """Between two steps what is encoded of the last pass is saved: the page shows it that much earlier."""
        if not self.saver.save():
            self.lost.set()


def _vectors(candidate: Candidate, dimension: int) -> Vectors:
    """All that are drawn for a candidate [draws, d]: what was proposed, or for a picture drawn again its own."""
    vectors = candidate.proposed if candidate.picture is None else candidate.picture.vector
    return np.empty((0, dimension), np.float32) if vectors is None else vectors.reshape(-1, dimension)


def request_of(batch: Batch) -> GenerationRequest:
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
