"""Which job a worker takes, and that no person waits for a disk."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connections
from django.utils import timezone

from preferences import tasks
from preferences.jobs import leases, worker
from preferences.jobs import services as jobs
from preferences.jobs.leases import PATIENCE
from preferences.models import Candidate, Job
from preferences.sessions import rating
from tests.drawing import draw_batch
from tests.factories import SessionFactory, rating_counts

pytestmark = pytest.mark.django_db


def job(user, subject: str, **fields) -> Job:
    return jobs.submit("test", owner=user, subject=subject, queue="gpu", **fields)


def taken(**how) -> str:
    lease = leases.claim("gpu", "gpu@test", **how)
    return "" if lease is None else Job.objects.get(pk=lease.job_id).subject


def test_who_waits_comes_before_what_is_drawn_ahead_and_in_the_order_of_asking(user):
    job(user, "later", priority=Job.Priority.BACKGROUND)
    job(user, "ahead", priority=Job.Priority.AHEAD)
    job(user, "first")
    job(user, "second")
    assert [taken() for _ in range(5)] == ["first", "second", "ahead", "later", ""]


def test_the_model_in_memory_goes_first_but_keeps_nobody_waiting_for_ever(user):
    job(user, "other", model="b")
    job(user, "same", model="a")
    job(user, "any")
    assert taken(loaded="a") == "same"
    Job.objects.filter(subject="other").update(enqueued_at=timezone.now() - 2 * PATIENCE)
    assert [taken(loaded="a") for _ in range(2)] == ["other", "any"]


def test_a_worker_takes_only_models_that_it_may_load(user):
    job(user, "other", model="b")
    assert taken(models=("a",)) == ""
    job(user, "none")
    assert [taken(models=("a",)), taken(models=("a", "b"))] == ["none", "other"]


def test_a_message_about_work_for_others_goes_on_to_them_and_not_for_ever(user, settings, monkeypatch):
    sent: list[tuple[str, int]] = []
    monkeypatch.setattr(worker, "wake", lambda *message: sent.append(message))
    monkeypatch.setattr(worker, "SECONDS_TO_PASS_ON", 0)
    other = job(user, "other", model="b")
    settings.IPO_WORKER_MODELS = ("a",)
    worker.work("gpu", "gpu@a")
    worker.work("gpu", "gpu@a", passed_on=worker.MOST_PASSED_ON)
    worker.work("cpu", "cpu@a")
    assert sent == [("gpu", 1)]
    jobs.cancel(other)
    worker.work("gpu", "gpu@a")
    assert sent == [("gpu", 1)]


@pytest.mark.parametrize(
    ("may_load", "expected"), [((), "tiny"), (("tiny", "sd-turbo"), "tiny"), (("sd-turbo",), "sd-turbo")]
)
def test_a_worker_loads_early_what_it_may_load(session, settings, may_load, expected):
    settings.IPO_WORKER_MODELS = may_load
    assert tasks.wanted_next() == (expected, "")


def test_one_job_of_a_kind_and_subject_at_a_time(user):
    first = job(user, "one")
    assert jobs.cancel(first)
    assert not jobs.cancel(first)
    first.refresh_from_db()
    assert first.cancel_requested_at is not None
    jobs.submit_again(first)
    assert (first.state, first.cancel_requested_at) == (Job.State.QUEUED, None)


def test_another_queue_is_another_matter(user):
    job(user, "one")
    assert leases.claim("cpu", "cpu@test") is None


def test_an_expired_lease_is_taken_over(user):
    job(user, "one")
    assert taken() == "one"
    assert taken() == ""
    Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert taken() == "one"


@pytest.mark.django_db(transaction=True)
def test_a_slow_disk_delays_no_rating(manager, monkeypatch):
    """While the files of some pictures are written, another one is rated."""
    session = SessionFactory(inference_batch=1)
    batch = session.batches.get()
    save = FileSystemStorage.save
    is_writing, may_go_on = threading.Event(), threading.Event()

    def slow(self, name, content, *args, **kwargs):
        if Candidate.objects.filter(batch=batch, state="ready").count() >= 2:
            is_writing.set()
            assert may_go_on.wait(60)
        return save(self, name, content, *args, **kwargs)

    def draw() -> None:
        draw_batch(batch.pk, manager, "gpu@test")
        connections.close_all()

    monkeypatch.setattr(FileSystemStorage, "save", slow)
    thread = threading.Thread(target=draw)
    thread.start()
    try:
        assert is_writing.wait(120)
        # It would wait for the lock for ever: nobody lets the disk go on before it has returned.
        rating.rate(batch.candidates.filter(state="ready")[0], "good", uuid.uuid4())
        assert rating_counts(session) == (1, 0)
    finally:
        may_go_on.set()
        thread.join(120)
    assert batch.candidates.filter(state="ready").count() == 4
