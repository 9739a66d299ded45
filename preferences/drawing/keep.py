"""What a drawing worker writes: proposals, previews, pictures. Nothing, where it has lost its lease."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import transaction
from django.utils import timezone

from preferences.jobs import leases
from preferences.jobs.leases import Lease
from preferences.learning.propose import Proposal
from preferences.library import services as library
from preferences.library.files import Files, Written, delete_files, write, write_file
from preferences.sessions.candidates import delete_previews, give_up
from preferences.sessions.models import Batch, Candidate, OptimizerState
from preferences.sessions.services import locked

OTHER_WEIGHTS = "The model has other weights than before: what was drawn again may look different. If so, rate it anew."
NONE_DRAWN = "None of these pictures could be drawn, and each says why. “Try again” draws others in their places."


def store_proposal(
    lease: Lease,
    candidates: list[Candidate],
    proposal: Proposal,
    state: OptimizerState,
    last_rating: int | None,
) -> bool:
    """Keep the vectors before anything is drawn, so that a restart draws the same pictures.

    proposal: of n * draws vectors, `draws` in a row for each of the n candidates. last_rating: the id of the last one
    that it goes by.
    """
    draws = len(proposal.vectors) // len(candidates)
    with transaction.atomic():
        locked(pk=state.batch_id)  # before its job alone, as everywhere: the rows below are about it
        if not lease.rows().exists():
            return False
        # Parameters grow with the ratings, and the ratings are kept: only the newest are worth their room.
        older = OptimizerState.objects.filter(batch__session=state.batch.session_id, parameters__isnull=False)
        older.update(parameters=None, ratings=[])
        state.save()
        Batch.objects.filter(pk=state.batch.pk).update(last_rating=last_rating)
        for number, candidate in enumerate(candidates):
            row = number * draws
            candidate.proposed = proposal.vectors[row : row + draws].ravel()
            candidate.score = None if proposal.scores is None else float(proposal.scores[row])
            candidate.distance = float(proposal.distances[row])
        Candidate.objects.bulk_update(candidates, ["proposed", "score", "distance"])
    return True


def add_to_note(lease: Lease, batch: Batch, sentences: str) -> None:
    """Add to what the page says of the batch's latest proposal, once."""
    with lease.held() as is_ours:
        if is_ours:
            _add_to_note(batch, sentences)


def _add_to_note(batch: Batch, sentences: str) -> None:
    state = OptimizerState.objects.filter(batch=batch).order_by("-pk").first()
    if state is not None and sentences not in state.note:
        state.note = f"{state.note} {sentences}".strip()
        state.save(update_fields=["note"])


def preview(lease: Lease, shown: Mapping[int, bytes]) -> None:
    """Keep how pictures look by now, as image files by the candidates' ids."""
    pending = Candidate.objects.filter(pk__in=shown, batch__job__in=lease.rows(), state=Candidate.State.PENDING)
    for candidate in pending:
        name = f"{_stem(candidate, lease)}-preview.webp"
        write_file(name, shown[candidate.pk])
        is_kept = pending.filter(pk=candidate.pk).update(preview=name, previewed_at=timezone.now())
        # What a worker before has left; or this one, where nobody waits for it any longer.
        delete_files({candidate.preview.name or name} - {name} if is_kept else {name})


@dataclass(frozen=True)
class Drawn:
    """A candidate with the chosen vector [d] and its files; or the sentence that says why there are none."""

    candidate: Candidate
    vector: npt.NDArray[np.float32] | None = None
    files: Files | None = None
    error: str = ""
    features: library.Features = field(default_factory=library.Features)
    revision: str = ""  # of the model's weights


def finish(lease: Lease, batch: Batch, drawn: list[Drawn]) -> bool:
    """Save pictures with their files. False, and nothing changed, when the lease was lost."""
    # Written before anything is locked, under names that nobody else uses: no person waits for a disk.
    written = {item.candidate.pk: write(_stem(item.candidate, lease), item.files) for item in drawn if item.files}
    with lease.held() as is_ours:
        if is_ours:
            _keep(batch, drawn, written)
    if not is_ours:
        delete_files(name for files in written.values() for name in (files.image, files.thumbnail))
    return is_ours


def _keep(batch: Batch, drawn: list[Drawn], written: Mapping[int, Written]) -> None:
    now = timezone.now()
    ids = [item.candidate.pk for item in drawn]
    pending = {
        one.pk: one
        for one in Candidate.objects.filter(pk__in=ids, state=Candidate.State.PENDING).select_related("picture")
    }
    delete_previews(Candidate.objects.filter(pk__in=ids))
    done = [item for item in drawn if item.candidate.pk in pending and item.files]
    about = _about(batch)
    new = [
        library.New(
            written[item.candidate.pk],
            about | {"vector": item.vector, "model_revision": item.revision},
            item.features,
            pending[item.candidate.pk].picture,
        )
        for item in done
    ]
    if any(one.picture and one.picture.model_revision != one.about["model_revision"] for one in new):
        _add_to_note(batch, OTHER_WEIGHTS)
    for item, picture in zip(done, library.add(new), strict=True):
        Candidate.objects.filter(pk=item.candidate.pk).update(
            state=Candidate.State.READY,
            picture=picture,
            proposed=None,
            score=item.candidate.score,
            distance=item.candidate.distance,
            error="",
            preview="",
            drawn_at=now,
        )
    for item in drawn:
        if item.error:
            give_up(Candidate.objects.filter(pk=item.candidate.pk, state=Candidate.State.PENDING), item.error)


def _about(batch: Batch) -> dict[str, Any]:
    """What drew the pictures of a batch, as columns of Picture."""
    session = batch.session
    return {
        "owner_id": session.owner_id,
        "width": session.width,
        "height": session.height,
        "prompt": session.prompt,
        "negative_prompt": session.negative_prompt,
        "model": session.model,
        "space": session.space,
        "steps": batch.diff_steps,
        "guidance": batch.guidance,
        "delta_scale": batch.delta_scale,
        "noise_seed": batch.noise_seed,
    }


def _stem(candidate: Candidate, lease: Lease) -> str:
    return f"batches/{candidate.batch_id}/{candidate.slot:03d}-{candidate.attempt}-{lease.token.hex[:8]}"


def close(lease: Lease, batch: Batch) -> bool:
    """Close the batch if nothing is left to draw; False when something is, or the lease was lost.

    A batch of which no picture can be shown has failed.
    """
    # Held, so that no vote adds an attempt between the look and the end.
    with lease.held() as is_ours:
        if not is_ours or batch.candidates.filter(state=Candidate.State.PENDING).exists():
            return False
        return leases.finish(lease) if batch.shown().exists() else leases.fail(lease, NONE_DRAWN)


def fail(lease: Lease, batch_id: int, error: str) -> None:
    """Close the batch with a sentence for the user; what was drawn stays."""
    with transaction.atomic():
        if leases.fail(lease, error):
            give_up(Candidate.objects.filter(batch=batch_id, state=Candidate.State.PENDING), error)
