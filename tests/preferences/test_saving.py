"""Pictures are encoded beside the next forward pass, and what was drawn is never lost on the way."""

import threading

import pytest

from generation.errors import GenerationError
from preferences import drawing, leases, saving
from preferences.models import Batch, Candidate

pytestmark = pytest.mark.django_db


def test_the_next_pass_begins_while_the_last_one_is_encoded(batch, manager, monkeypatch):
    second_pass = threading.Event()
    passes: list[int] = []
    generate, encode = type(manager).generate, saving.images.encode

    def follow(self, spec, request, server=""):
        passes.append(len(request.vectors))
        if len(passes) == 2:
            second_pass.set()
        return generate(self, spec, request, server)

    def late(*args):
        assert second_pass.wait(30), "The second pass waits for the files of the first."
        return encode(*args)

    monkeypatch.setattr(type(manager), "generate", follow)
    monkeypatch.setattr(saving.images, "encode", late)
    drawing.draw_batch(batch.pk, manager, "gpu@a")
    batch.refresh_from_db()
    assert batch.state == Batch.State.READY
    assert passes == [2, 2]
    assert set(batch.candidates.values_list("state", flat=True)) == {Candidate.State.READY}


def test_what_is_encoded_is_saved_between_the_steps_of_the_next_pass(batch, manager, monkeypatch):
    ready: list[int] = []
    save = saving.Saver.save

    def follow(self, *, wait=False):
        for future in list(self._under_way.values()):
            future.exception()  # so that it is done
        found = save(self, wait=wait)
        ready.append(batch.candidates.filter(state=Candidate.State.READY).count())
        return found

    monkeypatch.setattr(saving.Saver, "save", follow)
    drawing.draw_batch(batch.pk, manager, "gpu@a")
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
    drawing.draw_batch(batch.pk, manager, "gpu@a")
    batch.refresh_from_db()
    assert (batch.state, batch.error) == (Batch.State.FAILED, "No more paint.")
    states = list(batch.candidates.order_by("slot").values_list("state", flat=True))
    assert states == ["ready", "ready", "failed", "failed"]


def test_who_lost_the_lease_saves_nothing_and_stops(batch, manager, monkeypatch):
    generate = type(manager).generate
    passes: list[int] = []

    def robbed(self, spec, request, server=""):
        passes.append(1)
        found = generate(self, spec, request, server)
        Batch.objects.filter(pk=batch.pk).update(lease_token="0" * 32)
        return found

    monkeypatch.setattr(type(manager), "generate", robbed)
    drawing.draw_batch(batch.pk, manager, "gpu@a")
    assert len(passes) <= 2
    assert not batch.candidates.filter(state=Candidate.State.READY).exists()
    assert leases.claim_batch(batch.pk, "gpu@b") is None  # it belongs to the other one
