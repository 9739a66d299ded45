"""Pictures are encoded beside the next forward pass, and what was drawn is never lost on the way."""

import re
import threading
from pathlib import Path

import pytest
from django.db import OperationalError

from generation.errors import GenerationError
from generation.manager import ModelManager
from preferences.drawing import encode, keep
from preferences.models import Batch, Candidate, Job
from preferences.sessions import redrawing
from tests.drawing import claim_batch, draw_batch

pytestmark = pytest.mark.django_db


def test_the_next_pass_begins_while_the_last_one_is_encoded(batch, manager, monkeypatch):
    second_pass = threading.Event()
    passes: list[int] = []
    generate, to_files = type(manager).generate, encode.images.encode

    def follow(self, spec, request, server=""):
        passes.append(len(request.vectors))
        if len(passes) == 2:
            second_pass.set()
        return generate(self, spec, request, server)

    def late(*args):
        assert second_pass.wait(30), "The second pass waits for the files of the first."
        return to_files(*args)

    monkeypatch.setattr(type(manager), "generate", follow)
    monkeypatch.setattr(encode.images, "encode", late)
    draw_batch(batch.pk, manager, "gpu@a")
    batch.refresh_from_db()
    assert batch.job.state == Job.State.DONE
    assert passes == [2, 2]
    assert set(batch.candidates.values_list("state", flat=True)) == {Candidate.State.READY}


def test_what_is_encoded_is_saved_between_the_steps_of_the_next_pass(batch, manager, monkeypatch):
    ready: list[int] = []
    save = encode.Saver.save

    def follow(self, *, wait=False):
        for future in list(self._under_way.values()):
            future.exception()  # so that it is done
        found = save(self, wait=wait)
        ready.append(batch.candidates.filter(state=Candidate.State.READY).count())
        return found

    monkeypatch.setattr(encode.Saver, "save", follow)
    draw_batch(batch.pk, manager, "gpu@a")
    steps = batch.diff_steps
    assert ready[: steps + 2] == [0] * steps + [2] * 2  # nothing in the first pass; then as soon as it is encoded


def test_a_failure_in_the_second_pass_keeps_the_pictures_of_the_first(batch, manager, monkeypatch):
    generate = type(manager).generate
    passes: list[int] = []

    def fails(self, spec, request, server=""):
        passes.append(1)
        if len(passes) == 2:
            raise GenerationError("No more paint.")
        return generate(self, spec, request, server)

    monkeypatch.setattr(type(manager), "generate", fails)
    draw_batch(batch.pk, manager, "gpu@a")
    batch.refresh_from_db()
    assert (batch.job.state, batch.job.error) == (Job.State.FAILED, "No more paint.")
    states = list(batch.candidates.order_by("slot").values_list("state", flat=True))
    assert states == ["ready", "ready", "failed", "failed"]


def test_who_lost_the_lease_saves_nothing_and_stops(batch, manager, settings, monkeypatch):
    generate = type(manager).generate
    passes: list[int] = []

    def robbed(self, spec, request, server=""):
        passes.append(1)
        found = generate(self, spec, request, server)
        Job.objects.filter(batch=batch).update(lease_token="0" * 32)
        return found

    monkeypatch.setattr(type(manager), "generate", robbed)
    draw_batch(batch.pk, manager, "gpu@a")
    assert len(passes) <= 2
    assert not batch.candidates.filter(state=Candidate.State.READY).exists()
    assert not list(Path(settings.MEDIA_ROOT).rglob("*.png"))  # a file would take the place of the new owner's
    assert claim_batch(batch.pk, "gpu@b") is None  # it belongs to the other one


@pytest.fixture
def previews(tiny_model, monkeypatch):
    """Every step is shown."""
    monkeypatch.setattr("generation.pipelines.previews.SECONDS", 0.0)


def test_what_is_being_drawn_gives_way_to_the_picture(
    transactional_db, client, session, batch, previews, settings, monkeypatch
):
    pages: list[str] = []
    save = encode.Saver.save

    def look(self, *, wait=False):
        for future in list(self._previews.values()):
            future.exception()  # so that it is done
        found = save(self, wait=wait)
        pages.append(client.get(f"/s/{session.pk}/1/progress", headers={"HX-Request": "true"}).content.decode())
        return found

    monkeypatch.setattr(encode.Saver, "save", look)
    Batch.objects.filter(pk=batch.pk).update(diff_steps=4)
    draw_batch(batch.pk, ModelManager(), "gpu@a")
    shown = [page for page in pages if "not finished yet" in page]
    assert len(shown) >= 4  # some steps of both passes
    assert max(page.count("not finished yet") for page in shown) == 2  # the two of a pass
    address = re.search(r'src="(/candidates/\d+/preview\?v=[\d.]+)"', shown[0]).group(1)
    assert client.get(address).status_code == 404  # it has given way
    assert "not finished yet" not in client.get(f"/s/{session.pk}/").content.decode()
    assert not list(Path(settings.MEDIA_ROOT).rglob("*-preview.webp"))
    assert batch.candidates.filter(state=Candidate.State.READY, preview="").count() == 4


def test_a_preview_can_be_looked_at_and_only_while_the_lease_holds(client, session, batch):
    lease = claim_batch(batch.pk, "gpu@a")
    first, second = batch.candidates.order_by("slot")[:2]
    keep.preview(lease, {first.pk: b"a picture"})
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert page.count("not finished yet") == 1
    address = re.search(r'src="(/candidates/\d+/preview\?v=[\d.]+)"', page).group(1)
    assert b"".join(client.get(address).streaming_content) == b"a picture"
    Job.objects.filter(batch=batch).update(lease_token="0" * 32)
    keep.preview(lease, {second.pk: b"another"})
    assert client.get(f"/s/{session.pk}/").content.decode().count("not finished yet") == 1


def test_previews_can_be_switched_off(session, batch, previews, settings, manager, monkeypatch):
    settings.IPO_PREVIEWS = False
    monkeypatch.setattr(keep, "preview", lambda *_: pytest.fail("It was shown."))
    draw_batch(batch.pk, ModelManager(), "gpu@a")
    batch.refresh_from_db()
    assert batch.job.state == Job.State.DONE


def test_a_picture_that_cannot_be_encoded_costs_no_other(batch, manager, monkeypatch):
    to_files = encode.images.encode
    calls: list[int] = []

    def fails_once(*args):
        calls.append(1)
        if len(calls) == 1:
            raise OSError("broken")
        return to_files(*args)

    monkeypatch.setattr(encode.images, "encode", fails_once)
    monkeypatch.setattr(encode.images, "THREADS", 1)
    draw_batch(batch.pk, manager, "gpu@a")
    states = list(batch.candidates.order_by("slot").values_list("state", flat=True))
    assert states == ["failed", "ready", "ready", "ready"]
    assert "could not be encoded" in batch.candidates.get(slot=1).error


def test_a_file_that_cannot_be_written_is_told_in_one_sentence(batch, manager, settings):
    in_its_place = Path(settings.MEDIA_ROOT) / "batches" / str(batch.pk)
    in_its_place.parent.mkdir(parents=True)
    in_its_place.touch()
    draw_batch(batch.pk, manager, "gpu@a")
    batch.refresh_from_db()
    assert batch.job.state == Job.State.FAILED
    assert re.search(rf"could not be saved \({in_its_place}/\S+: .+\): mend that, and try again\.", batch.job.error)
    in_its_place.unlink()
    redrawing.retry_batch(batch)
    draw_batch(batch.pk, manager, "gpu@a")
    assert set(batch.candidates.values_list("state", flat=True)) == {Candidate.State.READY}


def test_a_database_that_was_away_for_a_moment_costs_no_picture(batch, manager, monkeypatch):
    finish = keep.finish
    calls: list[int] = []

    def away_once(lease, batch, drawn):
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError("The connection is closed.")
        return finish(lease, batch, drawn)

    monkeypatch.setattr(keep, "finish", away_once)
    with pytest.raises(OperationalError):
        draw_batch(batch.pk, manager, "gpu@a")
    assert batch.candidates.filter(state=Candidate.State.READY).count() == 2  # those that were drawn by then


def test_a_failed_batch_leaves_no_previews(transactional_db, client, session, batch, settings):
    lease = claim_batch(batch.pk, "gpu@a")
    keep.preview(lease, {batch.candidates.first().pk: b"a picture"})
    keep.fail(lease, batch.pk, "No more paint.")
    assert not list(Path(settings.MEDIA_ROOT).rglob("*-preview.webp"))
    client.post(f"/s/{session.pk}/1/retry")
    assert "not finished yet" not in client.get(f"/s/{session.pk}/").content.decode()
