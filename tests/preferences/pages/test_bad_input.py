"""Bad input gets a sentence and a status, and nothing is written."""

import uuid

import pytest
from django.test import Client

from preferences.jobs import selectors as job_selectors
from preferences.models import Batch, Rating, Session
from tests.drawing import draw_batch
from tests.factories import start_form

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"prompt": "x" * 60_000}, "The prompt is too long: at most 2000 characters, yours has 60000."),
        ({"prompt": "a\x00b"}, "Null characters are not allowed"),
        ({"prompt": "a\x07b\x1b[0m"}, "control characters"),
        ({"prompt": "   "}, "Please write a prompt"),
        ({"width": -64}, "Width"),
        ({"width": 100}, "Width must be a multiple of 8: try 96."),
        ({"height": 1_000_000}, "Height must be from 64 to 1024 pixels"),
        ({"model": "dall-e"}, "There is no model “dall-e”"),
        ({"space": "hyper"}, "hyper"),
        ({"curation_size": 0}, "greater than or equal to 1"),
        ({"curation_size": 10**9}, "less than or equal to 200"),
        ({"noise_seed": "seven"}, "Enter a whole number"),
        ({"temperature": "nan"}, "Enter a number"),
        ({"id": "not-a-uuid"}, "valid UUID"),
    ],
)
def test_start_form_refuses(client, changes, sentence):
    answer = client.post("/", start_form(**changes))
    assert answer.status_code == 400
    assert sentence in answer.content.decode()
    assert not Session.objects.exists()
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    "path", ["/s/{}/", "/s/{}/1/", "/s/{}/1/progress", "/s/1/", "/candidates/77/image", "/candidates/77/x", "/nowhere"]
)
def test_what_is_not_there_is_404_with_a_sentence(client, path):
    answer = client.get(path.format(uuid.uuid4()), headers={"HX-Request": "true"})
    assert answer.status_code == 404
    assert "There is no such" in answer.content.decode()


def test_a_form_without_its_cookie_is_told_what_to_do():
    answer = Client(enforce_csrf_checks=True).post("/", start_form())
    assert answer.status_code == 403
    assert "open the page anew" in answer.content.decode()
    assert "To your sessions" in answer.content.decode()
    assert not Session.objects.exists()


def test_a_fault_of_ours_is_a_page_of_ours(client, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    client.raise_request_exception = False
    monkeypatch.setattr(job_selectors, "workers", fail)
    answer = client.get("/models/")
    assert answer.status_code == 500
    assert "nothing that was saved is lost" in answer.content.decode()


@pytest.mark.parametrize("path", ["/s/{}/1/submit", "/s/{}/1/retry", "/s/{}/controls", "/candidates/77/rate"])
def test_a_forged_session_cannot_be_written_to(client, path):
    assert client.post(path.format(uuid.uuid4())).status_code == 404


def test_another_users_session_is_not_there(client, session, django_user_model):
    other = django_user_model.objects.create(username="other")
    Session.objects.filter(pk=session.pk).update(owner=other)
    assert client.get(f"/s/{session.pk}/").status_code == 404


@pytest.mark.parametrize("form", [{}, {"value": "superb"}, {"value": "good", "form_token": "1"}])
def test_a_rating_that_cannot_be_read_is_refused(client, batch, form):
    answer = client.post(f"/candidates/{batch.candidates.first().pk}/rate", form)
    assert answer.status_code == 400
    assert not Rating.objects.exists()


def test_a_picture_that_is_not_drawn_yet_cannot_be_rated(client, batch):
    form = {"value": "good", "form_token": str(uuid.uuid4())}
    answer = client.post(f"/candidates/{batch.candidates.first().pk}/rate", form)
    assert answer.status_code == 409
    assert not Rating.objects.exists()


def test_controls_out_of_range_change_nothing(client, session):
    form = {name: getattr(session, name) for name in ("value_model", "start", "inference_batch")}
    answer = client.post(f"/s/{session.pk}/controls", form | {"curation_size": -3})
    assert answer.status_code == 400
    assert "Curation Size" in answer.content.decode()
    session.refresh_from_db()
    assert session.curation_size == 4


def test_strangers_in_the_whole_batch_form_are_refused(client, session):
    answer = client.post(f"/s/{session.pk}/1/submit", {"good": [999_999]})
    assert answer.status_code == 400
    assert not Rating.objects.exists()


@pytest.mark.parametrize(
    "moment", ["2020-01-01T00:00", "2020-13-45T99:99Z", "0001-01-01T00:00+23:59", "9999-12-31T23:59-12:00", "x", ""]
)
def test_a_moment_that_no_page_has_said_brings_the_page_up_to_date(client, batch, manager, moment):
    draw_batch(batch.pk, manager, "gpu@a")
    script = {"HX-Request": "true"}
    answer = client.get(f"/s/{batch.session_id}/1/progress", {"after": moment}, headers=script)
    assert answer.status_code == 200
    form = {"value": "good", "form_token": str(uuid.uuid4()), "after": moment}
    assert client.post(f"/candidates/{batch.candidates.first().pk}/rate", form, headers=script).status_code == 200
    if not moment.startswith("9999"):  # after that nothing was drawn
        assert answer.content.decode().count('id="tile-') == 4
