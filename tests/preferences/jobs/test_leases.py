"""Claiming, losing and taking over a batch."""

from datetime import timedelta

import numpy as np
import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from preferences.drawing import keep
from preferences.jobs import leases
from preferences.jobs import services as jobs
from preferences.models import Batch, Candidate, Job
from tests.drawing import claim_batch, draw_batch

pytestmark = pytest.mark.django_db(transaction=True)


def test_only_one_claim_succeeds(batch):
    assert claim_batch(batch.pk, "gpu@a") is not None
    assert claim_batch(batch.pk, "gpu@b") is None


def test_an_expired_lease_can_be_taken_and_the_loser_writes_nothing(batch):
    first = claim_batch(batch.pk, "gpu@a")
    Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    second = claim_batch(batch.pk, "gpu@b")
    assert not leases.renew(first)
    assert not keep.finish(first, batch, [keep.Drawn(batch.candidates.first(), error="late")])
    keep.fail(first, batch.pk, "late")
    assert leases.renew(second)
    assert batch.candidates.filter(state=Candidate.State.PENDING).count() == 4


def test_sweep_wakes_for_expired_and_forgotten_jobs_once(batch, settings, monkeypatch):
    woken: list[str] = []
    monkeypatch.setattr(jobs, "wake", woken.append)
    monkeypatch.setattr(leases, "wake", woken.append)

    def sweep() -> list[str]:
        del woken[:]
        leases.sweep()
        jobs.wake_for_what_waits()
        return list(woken)

    claim_batch(batch.pk, "gpu@a")
    assert sweep() == []
    Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert sweep() == ["gpu"]
    assert sweep() == []  # just sent
    Job.objects.update(woken_at=timezone.now() - timedelta(seconds=settings.IPO_SWEEP_SECONDS + 1))
    assert sweep() == ["gpu"]


def test_a_worker_that_starts_again_gives_back_what_it_held(batch):
    claim_batch(batch.pk, "gpu@a")
    assert leases.release_all_of("gpu@b") == []
    assert leases.release_all_of("gpu@a") == [batch.job_id]
    batch.refresh_from_db()
    assert batch.job.state == Job.State.QUEUED


def test_a_takeover_draws_what_was_proposed(batch, manager, killed_while_drawing):
    """Killed after the proposal: the vectors are kept, and the learner is not asked again."""
    killed_while_drawing(batch, "gpu@a")
    proposed = [row.proposed.tobytes() for row in batch.candidates.all()]
    leases.release_all_of("gpu@a")
    draw_batch(batch.pk, manager, "gpu@a")
    assert [row.picture.vector.tobytes() for row in batch.candidates.all()] == proposed
    assert batch.optimizer_states.count() == 1
    assert batch.candidates.filter(state=Candidate.State.READY).count() == 4


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_lost_the_database_is_queued_again_at_once(batch, manager, monkeypatch):
    finish, woken = keep.finish, []

    def killed_meanwhile(*what: object) -> bool:
        with connection.cursor() as cursor, connection.copy().cursor() as other:
            cursor.execute("SELECT pg_backend_pid()")
            other.execute("SELECT pg_terminate_backend(%s, 5000)", cursor.fetchone())
            other.connection.close()
        return finish(*what)

    monkeypatch.setattr(leases, "wake", woken.append)
    with monkeypatch.context() as patched:
        patched.setattr(keep, "finish", killed_meanwhile)
        draw_batch(batch.pk, manager, "gpu@a")
    batch.refresh_from_db()
    assert (batch.job.state, woken) == (Job.State.QUEUED, ["gpu"])
    draw_batch(batch.pk, manager, "gpu@a")
    batch.refresh_from_db()
    assert batch.job.state == Job.State.DONE


def test_a_delivered_twice_task_draws_once(batch, manager):
    draw_batch(batch.pk, manager, "gpu@a")
    before = list(batch.candidates.values_list("drawn_at", flat=True))
    draw_batch(batch.pk, manager, "gpu@a")
    assert list(batch.candidates.values_list("drawn_at", flat=True)) == before


def test_missing_weights_fail_with_a_sentence_and_can_be_tried_again(client, batch, manager, settings):
    from dataclasses import replace

    good = settings.IPO_MODELS["tiny"]
    settings.IPO_MODELS = {"tiny": replace(good, source="/nowhere", label="Gone")}
    draw_batch(batch.pk, manager, "gpu@a")
    page = client.get(f"/s/{batch.session_id}/").content.decode()
    assert "Gone could not be loaded from /nowhere" in page
    settings.IPO_MODELS = {"tiny": good}
    client.post(f"/s/{batch.session_id}/1/retry")
    draw_batch(batch.pk, manager, "gpu@a")
    batch.refresh_from_db()
    assert batch.job.state == Job.State.DONE


def test_the_database_itself_refuses_nonsense(batch):
    wrong = [
        (Job, {"state": "running"}),  # without a lease
        (Job, {"state": "weird"}),
        (Batch, {"curation_size": 0}),
        (Candidate, {"state": "ready"}),  # without a picture
        (Candidate, {"slot": 0}),
    ]
    for model, changes in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            model.objects.filter(pk=model.objects.first().pk).update(**changes)
    with pytest.raises(IntegrityError), transaction.atomic():
        Batch.objects.create(session=batch.session, number=2)  # a second active batch
    with pytest.raises(IntegrityError), transaction.atomic():
        Candidate.objects.create(batch=batch, slot=1, attempt=1)


def test_vectors_are_float32_of_the_space(batch, manager):
    draw_batch(batch.pk, manager, "gpu@a")
    vectors = np.stack([row.picture.vector for row in batch.candidates.all()])
    assert vectors.shape == (4, 4 * 8 * 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 16, rtol=1e-5)
