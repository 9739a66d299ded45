"""A session like another one, which is the way on where the model of that is gone."""

import uuid

import pytest

from preferences import tasks
from preferences.drawing import keep
from preferences.jobs import worker
from preferences.models import Job, Session, Worker
from tests.drawing import claim_batch, draw_batch
from tests.factories import SessionFactory

pytestmark = pytest.mark.django_db

OF_MODEL = ("diff_steps", "guidance", "delta_scale", "curation_size", "inference_batch", "draws_per_picture")


@pytest.fixture
def odd(user) -> Session:
    """Of which hardly anything is as it is by default."""
    return SessionFactory(
        owner=user,
        prompt="two words\nand a line",
        negative_prompt="rain",
        slot="a",
        space="pooled_embed",
        value_model="xgboost",
        xgboost_depth=5,
        optimiser="hill",
        start="random",
        asking="stars",
        form_submit=False,
        unrated_is_bad=True,
        width=128,
        diff_steps=7,
        guidance=2.5,
        max_dist=0.25,
        curation_size=3,
        generation_mode="server",
        server_url="http://gpu-box:8580",
    )


@pytest.fixture
def orphan(odd) -> Session:
    Session.objects.filter(pk=odd.pk).update(model="gone")
    odd.refresh_from_db()
    return odd


def copy(client, session: Session) -> Session:
    """Follow the link of the session's page and send the form as it stands there."""
    link = f"/?copy={session.pk}"
    assert f'href="{link}"' in client.get(f"/s/{session.pk}/").content.decode()
    form = client.get(link).context["form"]
    boxes = {name: form[name].value() for name in form.fields}
    sent = client.post("/", {name: value for name, value in boxes.items() if value not in (None, False)})
    assert sent.status_code == 302, sent.context["form"].errors
    return Session.objects.exclude(pk=session.pk).get()


def test_a_copy_begins_with_all_that_the_session_has(client, odd):
    new = copy(client, odd)
    assert new.controls() == odd.controls()
    for name in ("prompt", "negative_prompt", "slot", "model", "space", "width", "height"):
        assert getattr(new, name) == getattr(odd, name)
    assert new.seed != odd.seed


def test_a_copy_of_a_session_without_its_model_takes_what_another_model_needs(client, orphan, settings):
    new = copy(client, orphan)
    tiny = settings.IPO_MODELS["tiny"]
    assert (new.model, new.width, new.height, new.diff_steps) == ("tiny", tiny.width, tiny.height, tiny.steps)
    others = set(Session.control_fields()) - set(OF_MODEL)
    assert {name: getattr(new, name) for name in others} == {name: getattr(orphan, name) for name in others}


def test_a_session_without_its_model_says_what_can_be_done(client, orphan, manager):
    page = client.get(f"/s/{orphan.pk}/").content.decode()
    assert "The model “gone” is not among the models of this machine any longer" in page
    assert "Copy with another model" in page
    draw_batch(orphan.batches.get().pk, manager, "gpu@a")
    batch = orphan.batches.get()
    assert batch.job.state == Job.State.FAILED
    assert "make a copy of this session with another model" in batch.job.error
    assert client.get(f"/s/{orphan.pk}/").status_code == 200
    assert client.post(f"/s/{orphan.pk}/1/retry").status_code == 302
    keep.fail(claim_batch(batch.pk, "gpu@a"), batch.pk, "No more paint.")
    controls = {"value_model": "ridge", "start": "random", "form_submit": "on"}
    form = {name: value for name, value in orphan.controls().items() if value is not False} | controls
    assert client.post(f"/s/{orphan.pk}/controls", form).status_code == 302
    assert client.post(f"/s/{orphan.pk}/1/submit").status_code == 302
    assert client.get("/").status_code == 200


def test_a_worker_that_starts_does_not_look_for_a_model_that_is_gone(orphan, manager, monkeypatch):
    reports: list[dict] = []

    class Enough(Exception):
        pass

    def follow(name, **state):
        reports.append(state)
        if state["state"] != Worker.State.LOADING:
            raise Enough

    monkeypatch.setattr(worker, "report_worker", follow)
    with pytest.raises(Enough):
        worker.report("gpu@a", manager, tasks.wanted_next)
    assert reports[-1] == reports[-1] | {"state": Worker.State.READY, "model": "tiny", "error": ""}


@pytest.mark.parametrize("which", ["", "x", "\x00", str(uuid.UUID(int=1))])
def test_what_is_not_there_cannot_be_copied(client, which):
    answer = client.get("/", {"copy": which})
    assert answer.status_code == 404
    assert "There is no such session to copy" in answer.content.decode()


def test_nobody_copies_what_another_one_has(client, odd, django_user_model):
    Session.objects.filter(pk=odd.pk).update(owner=django_user_model.objects.create(username="other"))
    assert client.get("/", {"copy": str(odd.pk)}).status_code == 404
