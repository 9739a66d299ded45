"""Killed here, emptied there: a batch completes, with no candidate twice and none missing."""

import resource
import uuid
from collections import Counter
from pathlib import Path

import redis

from preferences.jobs import services as jobs
from preferences.models import Batch, Candidate, Job, Session, Worker
from preferences.sessions import services as session_services
from tests.factories import SessionFactory
from tests.recovery.conftest import wait_for

SIZE = 12
# Steps enough that a batch takes some seconds: there is a middle to be killed in.
SLOW = {"curation_size": SIZE, "inference_batch": 1, "diff_steps": 20}


def begin() -> Session:
    return SessionFactory(**SLOW)


def drawn(session: Session) -> int:
    return Candidate.objects.filter(batch__session=session, state=Candidate.State.READY).count()


def wait_until_half_way(session: Session) -> None:
    wait_for(lambda: drawn(session) >= 3, 300, "some pictures are drawn")
    assert drawn(session) < SIZE, "too fast to be interrupted: give SLOW more steps"


def assert_completes(session: Session, seconds: float = 120) -> None:
    batch = session.batches.get()

    def is_ready() -> bool:
        batch.refresh_from_db()
        return batch.job.state == Job.State.DONE

    wait_for(is_ready, seconds, "the batch is ready")
    rows = list(batch.candidates.all())
    assert Counter(row.slot for row in rows) == Counter(range(1, SIZE + 1))
    assert {row.state for row in rows} == {Candidate.State.READY}
    assert {row.attempt for row in rows} == {1}
    assert len({row.picture.image.name for row in rows}) == SIZE
    assert all(row.picture.image.storage.exists(row.picture.image.name) for row in rows)


def test_the_gpu_worker_is_killed_in_the_middle(workers):
    workers.start()
    session = begin()
    wait_until_half_way(session)
    early = dict(Candidate.objects.filter(state="ready").values_list("slot", "drawn_at"))
    workers.kill("gpu")
    workers.start("gpu")
    assert_completes(session)
    # What was drawn before is not drawn again.
    late = dict(Candidate.objects.values_list("slot", "drawn_at"))
    assert {slot: late[slot] for slot in early} == early


def test_the_gpu_worker_is_killed_and_another_takes_over_after_the_lease(workers):
    workers.start()
    session = begin()
    wait_until_half_way(session)
    workers.kill("gpu")
    # Another host's worker: it knows nothing of the dead one, only the sweep does.
    workers.commands["gpu"] = workers.commands["gpu"].replace("gpu@%h", "gpu@other")
    workers.start("gpu")
    assert_completes(session)


def test_redis_is_emptied_in_the_middle(workers, settings):
    client = redis.Redis.from_url(settings.REDIS_URL)
    workers.start("gpu")
    session = begin()
    wait_until_half_way(session)
    waiting = begin()  # in the queue, behind the first
    client.flushall()
    workers.start("cpu", "beat")
    assert_completes(session)
    assert_completes(waiting)


def test_redis_is_emptied_before_anything_was_claimed(workers, settings):
    session = begin()
    redis.Redis.from_url(settings.REDIS_URL).flushall()
    workers.start()
    assert_completes(session)


def test_everything_is_restarted_in_the_middle(workers):
    workers.start()
    session = begin()
    wait_until_half_way(session)
    workers.kill()
    workers.start()
    assert_completes(session)
    following = session_services.submit_batch(session, 1, [], [])
    wait_for(lambda: Batch.objects.get(pk=following.pk).job.state == Job.State.DONE, 300, "the next batch works too")


def test_a_worker_without_memory_says_so_and_a_new_process_takes_its_place(workers):
    def child() -> int:
        pid = workers.running["gpu"].pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    workers.start("gpu")
    wait_for(lambda: Worker.objects.filter(state=Worker.State.READY).exists(), 300, "the model is loaded")
    first = child()
    used = int(Path(f"/proc/{first}/status").read_text().split("VmSize:")[1].split()[0]) * 1024
    resource.prlimit(first, resource.RLIMIT_AS, (used + 150 * 2**20, -1))
    large = SessionFactory(width=1024, height=1024, curation_size=8, inference_batch=8, diff_steps=1)
    wait_for(lambda: large.batches.get().job.state == Job.State.FAILED, 300, "it gives up")
    assert "ran out of memory while drawing: lower Inference Batch" in large.batches.get().job.error
    assert_completes(begin())
    assert child() != first


def test_a_task_delivered_many_times_draws_once(workers):
    workers.start("gpu")
    session = begin()
    for _ in range(5):
        jobs.wake("gpu")
    assert_completes(session)
    assert session.batches.get().optimizer_states.count() == 1


def test_the_worker_reports_that_it_loads_and_is_ready(workers, client):
    session = SessionFactory(id=uuid.uuid4())
    page = f"/s/{session.pk}/"
    assert "No worker is drawing" in client.get(page).content.decode()
    workers.start("gpu")
    wait_for(Worker.objects.exists, 300, "the worker reports")
    wait_for(lambda: Worker.objects.get().state == Worker.State.READY, 300, "the model is loaded")
    assert "No worker is drawing" not in client.get(page).content.decode()


def test_a_worker_that_could_not_load_at_first_is_well_once_it_has_drawn(workers):
    workers.environment["IPO_GENERATION_SERVER"] = "http://127.0.0.1:1"
    workers.start("gpu")
    wait_for(lambda: Worker.objects.filter(state=Worker.State.FAILED).exists(), 300, "nothing answers there")
    assert "No generation server answers" in Worker.objects.get().error
    assert_completes(begin())
    wait_for(lambda: Worker.objects.get().state == Worker.State.READY, 60, "it is well")
    assert (Worker.objects.get().error, Worker.objects.get().model) == ("", "tiny")
