"""Who does not want to wait any longer stops a batch: what was drawn stays, and the rest can be drawn later."""

import threading
import uuid

import pytest
from celery.signals import worker_process_init
from django.contrib.auth.models import User
from django.db import connection, connections
from django.utils import timezone

from generation.errors import Cancelled
from generation.manager import ModelManager
from preferences.jobs import worker
from preferences.models import Batch, Candidate, Job, Rating, Worker
from preferences.sessions import rating, stopping
from preferences.sessions import selectors as session_selectors
from tests.drawing import draw_batch
from tests.factories import SessionFactory, rating_counts

pytestmark = pytest.mark.django_db(transaction=True)
FETCHING = {"model": "tiny", "stage": "fetching", "done": 1_200_000_000, "total": 5_200_000_000, "seconds_left": 170}


def page_of(client, batch: Batch) -> str:
    return client.get(f"/s/{batch.session_id}/{batch.number}/").content.decode()


def stop(client, batch: Batch):
    answer = client.post(f"/s/{batch.session_id}/{batch.number}/stop")
    batch.refresh_from_db()
    return answer


def states(batch: Batch) -> list[str]:
    return list(batch.newest_attempts().order_by("slot").values_list("state", flat=True))


def test_one_that_waits_is_stopped_and_drawn_later(client, batch, manager):
    assert "Stop</button>" in page_of(client, batch)
    assert stop(client, batch).url == f"/s/{batch.session_id}/1/"
    assert batch.job.state == Job.State.CANCELLED
    shown = page_of(client, batch)
    assert "<strong>Stopped</strong>" in shown
    assert "0 of 4 images, 4 not drawn" in shown
    assert "Stop</button>" not in shown
    draw_batch(batch.pk, manager, "gpu@test")  # the message was on its way
    assert states(batch) == ["failed"] * 4

    assert "Draw the rest" in shown
    client.post(f"/s/{batch.session_id}/1/retry")
    draw_batch(batch.pk, manager, "gpu@test")
    batch.refresh_from_db()
    assert (batch.job.state, states(batch)) == (Job.State.DONE, ["ready"] * 4)
    assert "Stopped" not in page_of(client, batch)


def test_what_was_drawn_stays_and_can_be_rated_and_learned_from(client, batch, settings):
    settings.IPO_LEASE_SECONDS = 1

    class Stopped(ModelManager):
        def generate(self, spec, request, server=""):
            pictures = super().generate(spec, request, server)
            if Candidate.objects.filter(state="ready").exists():
                stop(client, batch)
            return pictures

    session = SessionFactory(inference_batch=1, curation_size=4, draws_per_picture=1)
    batch = session.batches.get()
    draw_batch(batch.pk, Stopped(), "gpu@test")
    batch.refresh_from_db()
    assert (batch.job.state, batch.job.lease_token, batch.job.leased_by) == (Job.State.CANCELLED, None, "")
    drawn = states(batch).count("ready")
    assert 1 <= drawn < 4
    assert states(batch) == ["ready"] * drawn + ["failed"] * (4 - drawn)
    first = batch.candidates.get(slot=1)
    rating.rate(first, "good", uuid.uuid4())
    assert rating_counts(session) == (1, 0)
    assert client.post(f"/s/{session.pk}/1/submit").status_code == 302
    assert session.batches.count() == 2


@pytest.mark.parametrize("where", ["while it loads", "before a step"])
def test_the_worker_is_free_within_seconds(client, batch, settings, where):
    settings.IPO_LEASE_SECONDS = 1
    asked = threading.Event()

    class Slow(ModelManager):
        """As the real one, which asks between two chunks of a download, two parts, two steps."""

        def ensure_ready(self, spec, server="", should_stop=None):
            if where == "while it loads":
                self.wait(should_stop)

        def generate_all(self, spec, request, at_once=0, server=""):
            self.wait(request.should_stop)
            yield from ()

        def wait(self, should_stop):
            asked.set()
            for _ in range(100):
                if should_stop():
                    raise Cancelled("Stopped.")
                threading.Event().wait(0.1)
            pytest.fail("nobody said that it is to stop")

    def draw() -> None:
        draw_batch(batch.pk, Slow(), "gpu@test")
        connections.close_all()

    thread = threading.Thread(target=draw)
    thread.start()
    assert asked.wait(60)
    stop(client, batch)
    thread.join(30)
    assert not thread.is_alive()
    batch.refresh_from_db()
    assert (batch.job.state, batch.job.error) == (Job.State.CANCELLED, "")


def test_only_what_is_waited_for_is_stopped(client, batch, manager):
    draw_batch(batch.pk, manager, "gpu@test")
    stop(client, batch)
    assert (batch.job.state, states(batch)) == (Job.State.DONE, ["ready"] * 4)
    theirs = SessionFactory(owner=User.objects.create_user("other")).batches.get()
    assert stop(client, theirs).status_code == 404
    assert theirs.job.state == Job.State.QUEUED


def test_a_picture_that_is_drawn_again_stays_what_it_was(client, batch, manager):
    draw_batch(batch.pk, manager, "gpu@test")
    candidate = batch.candidates.get(slot=1)
    client.post(f"/candidates/{candidate.pk}/again")
    stop(client, batch)
    assert states(batch) == ["ready"] * 4
    assert batch.candidates.get(slot=1).picture == candidate.picture
    page = page_of(client, batch)
    assert "Stopped" not in page  # nothing is missing
    assert "Draw the rest" not in page


def test_what_was_stopped_is_not_called_failed_after_one_is_drawn_again(client, batch, manager):
    draw_batch(batch.pk, manager, "gpu@test")
    Candidate.objects.filter(batch=batch, slot__gt=2).update(state="pending", picture=None)
    Job.objects.filter(batch=batch).update(state=Job.State.QUEUED, finished_at=None)
    stop(client, batch)
    client.post(f"/candidates/{batch.candidates.get(slot=1).pk}/again")
    draw_batch(batch.pk, manager, "gpu@test")
    page = " ".join(page_of(client, batch).split())
    assert "2 of 4 images, 2 not drawn" in page
    assert "Draw the rest</button>" in page
    assert "failed</" not in page


@pytest.mark.parametrize(("permitted", "is_told"), [([], False), (["tiny", "other"], False), (["other"], True)])
def test_the_page_says_so_where_no_worker_may_load_its_model(client, batch, permitted, is_told):
    worker.report_worker("gpu@test", state=Worker.State.FAILED, error="No room.", permitted=permitted)
    page = page_of(client, batch)
    assert ("No worker may load tiny" in page) is is_told
    assert ("No room." in page) is not is_told


def test_a_vote_in_a_stopped_batch_lets_nothing_be_drawn(client, manager):
    batch = SessionFactory(form_submit=False).batches.get()
    draw_batch(batch.pk, manager, "gpu@test")
    Candidate.objects.filter(batch=batch, slot=4).update(state="pending", picture=None)
    Job.objects.filter(batch=batch).update(state=Job.State.QUEUED, finished_at=None)
    stop(client, batch)
    assert rating.rate(batch.candidates.get(slot=1), "good", uuid.uuid4()) is None
    assert not batch.candidates.filter(state="pending").exists()
    assert Rating.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Downloading tiny: 1.20 of 5.20 GB · about 3 min left"),
        ({"seconds_left": 40}, "Downloading tiny: 1.20 of 5.20 GB · about 40 s left"),
        ({"seconds_left": None}, "Downloading tiny: 1.20 of 5.20 GB"),
        (
            {"stage": "converting", "done": 7, "total": 90, "seconds_left": None},
            "Converting tiny, this once: 7 of 90 parts",
        ),
        ({"stage": "reading", "done": 0, "total": 0, "seconds_left": None}, "Reading the weights of tiny"),
    ],
)
def test_the_page_says_how_far_the_model_is(client, batch, changes, sentence):
    progress = FETCHING | changes
    worker.report_worker("gpu@test", state=Worker.State.LOADING, model="tiny", progress=progress)
    shown = page_of(client, batch)
    assert sentence in shown
    assert (f'<progress max="{progress["total"]}" value="{progress["done"]}"' in shown) is bool(progress["total"])
    assert sentence in client.get("/models/").content.decode()


def test_nothing_of_another_model_or_of_one_that_is_there(client, batch):
    worker.report_worker("gpu@test", state=Worker.State.READY, progress=FETCHING | {"model": "pocket-landscapes"})
    assert "Downloading" not in page_of(client, batch)
    worker.report_worker("gpu@test", state=Worker.State.READY, progress=FETCHING)
    assert "Downloading" in page_of(client, batch)
    Job.objects.filter(batch=batch).update(phase=Batch.Phase.GENERATING)
    assert "Downloading" not in page_of(client, batch)
    worker.report_worker("gpu@test", seen_at=timezone.now(), progress=None)
    assert Worker.objects.get().load is None


def test_a_worker_that_starts_does_not_fetch_what_somebody_has_stopped(batch):
    assert session_selectors.last_started() == batch.session
    stopping.stop_batch(batch)
    assert session_selectors.last_started() is None


def test_a_worker_that_starts_leaves_celery_no_connection_to_close(monkeypatch):
    """Celery closes it by its number, and then once more: by then that may be the number of a file."""
    monkeypatch.setattr(worker, "start_reporting", lambda *_: None)
    worker_process_init.send(sender="gpu@test")
    assert connection.connection is None
