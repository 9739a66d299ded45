"""What a worker writes, beside what people do in the same moment."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from preferences.drawing import keep
from preferences.jobs import leases
from preferences.learning.feedback import Counts
from preferences.learning.propose import Learned, Proposal
from preferences.models import Batch, Candidate, OptimizerState, Session
from preferences.sessions import stopping
from tests.at_once import at_once
from tests.drawing import claim_batch
from tests.factories import SessionFactory


def proposal(n: int) -> Proposal:
    zeros = np.zeros(n)
    learned = Learned("bayesian", Counts(good=0, bad=0, stars=0, choices=0))
    return Proposal(np.zeros((n, 4), np.float32), None, zeros, learned, reason=None, metrics={}, model=None)


def unless_gone(work: Callable[..., object], *arguments: object) -> None:
    with suppress(Batch.DoesNotExist):
        work(*arguments)


@pytest.mark.django_db(transaction=True)
def test_a_proposal_and_a_person_who_stops_or_deletes_wait_for_each_other():
    """Each locks the batch before its job: otherwise now and then each waits for the other."""
    for _ in range(20):
        batch = SessionFactory().batches.get()
        lease = claim_batch(batch.pk, "gpu@test")
        candidates = list(batch.candidates.all())
        state = OptimizerState(batch=batch, value_model="bayesian", metrics={}, note="")
        found = at_once(
            partial(unless_gone, keep.store_proposal, lease, candidates, proposal(len(candidates)), state, None),
            partial(unless_gone, stopping.stop_batch, batch),
            Session.objects.get(pk=batch.session_id).delete,
        )
        assert found == []


@pytest.mark.django_db
def test_what_is_said_of_the_encoder_is_added_to_the_latest_proposal(batch):
    lease = claim_batch(batch.pk, "gpu@test")
    older, newer = (
        OptimizerState.objects.create(batch=batch, value_model="bayesian", metrics={}, note=note) for note in "ab"
    )
    for _ in range(2):
        keep.add_to_note(lease, batch, "It saw nothing.")
    older.refresh_from_db()
    newer.refresh_from_db()
    assert (older.note, newer.note) == ("a", "b It saw nothing.")


@pytest.mark.django_db
def test_a_preview_that_nobody_waits_for_leaves_no_file(batch, settings, monkeypatch):
    one = batch.candidates.first()
    folder = Path(settings.MEDIA_ROOT, "batches", str(batch.pk))
    write_file = keep.write_file

    def stopped_meanwhile(name: str, data: bytes) -> None:
        Candidate.objects.filter(pk=one.pk).update(state=Candidate.State.FAILED)
        write_file(name, data)

    keep.preview(claim_batch(batch.pk, "gpu@test"), {one.pk: b"first"})
    assert len(list(folder.iterdir())) == 1
    with monkeypatch.context() as patched:
        patched.setattr(keep, "write_file", stopped_meanwhile)
        keep.preview(claim_again(batch), {one.pk: b"second"})
    one.refresh_from_db()
    assert [path.name for path in folder.iterdir()] == [Path(one.preview.name).name]  # give_up sees to that one


@pytest.mark.django_db
def test_a_worker_that_takes_over_leaves_no_preview_of_the_one_before(batch, settings):
    one = batch.candidates.first()
    keep.preview(claim_batch(batch.pk, "gpu@test"), {one.pk: b"first"})
    keep.preview(claim_again(batch), {one.pk: b"second"})
    one.refresh_from_db()
    files = [path.read_bytes() for path in Path(settings.MEDIA_ROOT, "batches", str(batch.pk)).iterdir()]
    assert files == [b"second"]
    assert Path(one.preview.path).read_bytes() == b"second"


def claim_again(batch: Batch):
    """By a worker that takes over: with a lease of its own."""
    leases.release_all_of("gpu@test")
    return claim_batch(batch.pk, "gpu@test")
