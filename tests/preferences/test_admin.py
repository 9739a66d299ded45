"""The admin: every table opens, nothing that is sent to it breaks a session or the page, files go with their rows."""

import uuid
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.db import transaction
from django.forms import model_to_dict
from django.urls import reverse

from preferences.admin_lists import DEPTH
from preferences.models import (
    Batch,
    Candidate,
    Descriptor,
    Embedding,
    Job,
    OptimizerState,
    Picture,
    Rating,
    Session,
    Worker,
)
from preferences.sessions import rating
from preferences.sessions import services as session_services
from preferences.tuning.services import start_search
from tests.drawing import draw_batch
from tests.factories import SessionFactory, finish

pytestmark = pytest.mark.django_db

TABLES = {model._meta.model_name: model for model in admin.site._registry if model._meta.app_label == "preferences"}
HAVE_PICTURES = {"session", "batch", "candidate", "picture", "embedding", "descriptor", "rating", "optimizerstate"}
HOSTILE = [
    "",
    "\x00",
    "'; DROP TABLE x; --",
    "-1",
    "9" * 40,
    "nan",
    "1e999",
    "x" * 70_000,
    "\u202e\U0001f4a3",
    "running",
]


@pytest.fixture
def rated(batch) -> Batch:
    """A batch with a row in every table."""
    finish(batch)
    candidate = batch.candidates.first()
    rating.rate(candidate, "good", uuid.uuid4())
    Embedding.objects.create(picture=candidate.picture, encoder="test", revision="1", vector=[0.0, 1.0])
    Descriptor.objects.create(picture=candidate.picture, name="detail", vector=[0.0, 1.0])
    OptimizerState.objects.create(batch=batch, value_model="ridge")
    start_search(batch.session)
    Worker.objects.create(name="gpu@here", seen_at=batch.job.finished_at)
    return batch


def address(table: str, page: str, *args: object) -> str:
    return reverse(f"admin:preferences_{table}_{page}", args=args)


def form_of(model_object) -> dict[str, object]:
    return {name: "" if value is None else str(value) for name, value in model_to_dict(model_object).items()}


def all_rows() -> dict[str, list]:
    """As texts: vectors cannot be compared at once."""
    return {name: sorted(map(str, model.objects.values_list())) for name, model in TABLES.items()}


@pytest.mark.parametrize("table", TABLES)
def test_list_and_page_open(client, rated, table):
    page = client.get(address(table, "changelist"))
    assert page.status_code == 200
    assert ("/thumbnail" in page.content.decode()) == (table in HAVE_PICTURES)
    row = TABLES[table].objects.first()
    assert client.get(address(table, "change", row.pk)).status_code == 200
    assert client.get(address(table, "history", row.pk)).status_code == 200
    assert client.get(address(table, "add")).status_code == 403  # the program makes them


@pytest.mark.parametrize("table", TABLES)
def test_whatever_a_list_is_asked_for_it_answers(client, rated, table):
    questions = ["q", "p", "o", "all", "e", "_popup", "_facets", "id__exact", "id__in", "nonsense"]
    questions += [f"{field.name}__exact" for field in TABLES[table]._meta.concrete_fields]
    questions += [f"{name}__gte" for name in ("created_at", "answered_at", "number", "slot")]
    for question, value in product(questions, ("", "\x00", "-1", "9" * 40, "nan")):
        answer = client.get(address(table, "changelist"), {question: value})
        assert answer.status_code < 500, (question, value)
    for value in HOSTILE:
        assert client.get(address(table, "change", value or "-")).status_code < 500


@pytest.mark.parametrize("table", sorted(TABLES.keys() - {"session"}))
def test_what_the_program_keeps_cannot_be_changed(client, rated, table):
    row, before = TABLES[table].objects.first(), all_rows()
    hostile = [dict.fromkeys(form_of(row), value) for value in HOSTILE]
    for change in ({"state": "running"}, {"state": "ready", "image": ""}, *hostile):
        for where in (address(table, "change", row.pk), address(table, "add")):
            assert client.post(where, form_of(row) | change).status_code in (400, 403)  # too large, or not allowed
    assert all_rows() == before


@pytest.mark.parametrize("table", ["batch", "candidate", "rating", "embedding", "optimizerstate"])
def test_a_part_of_a_session_cannot_be_deleted(client, rated, table):
    row, before = TABLES[table].objects.first(), all_rows()
    assert client.post(address(table, "delete", row.pk), {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
    assert client.post(address(table, "changelist"), action).status_code < 500
    assert all_rows() == before


@pytest.mark.parametrize("value", HOSTILE)
def test_a_session_takes_no_value_that_does_not_fit(client, rated, value):
    """Each field by itself, also those that the form does not show: a sentence, or a value that the page can use."""
    session = rated.session
    fixed = ("prompt", "negative_prompt", "model", "space", "width", "height", "owner_id", "seed")
    before = [getattr(session, field) for field in fixed]
    for name in form_of(session):
        answer = client.post(address("session", "change", session.pk), form_of(session) | {name: value})
        assert answer.status_code in (200, 302), name
        assert (answer.status_code == 302) or "errorlist" in answer.content.decode(), name
        session = Session.objects.get(pk=session.pk)
        assert [getattr(session, field) for field in fixed] == before
        session.full_clean()
    assert client.get(f"/s/{session.pk}/").status_code == 200


def test_a_sessions_name_and_controls_can_be_changed_and_it_goes_on(client, manager, rated):
    session = rated.session
    form = form_of(session) | {"slot": "evening", "curation_size": 3, "value_model": "ridge", "space": "prompt_embed"}
    before = Session.objects.values("rated_count", "space").get(pk=session.pk)
    assert client.post(address("session", "change", session.pk), form).status_code == 302
    session.refresh_from_db()
    assert (session.slot, session.curation_size, session.value_model) == ("evening", 3, "ridge")
    assert Session.objects.values("rated_count", "space").get(pk=session.pk) == before
    Picture.objects.filter(candidate__batch=rated).update(vector=np.zeros(256, np.float32))
    following = session_services.submit_batch(session, 1, [], [])
    draw_batch(following.pk, manager, "gpu@test")
    following.refresh_from_db()
    assert (following.job.state, following.candidates.count()) == (Job.State.DONE, 3), following.job.error


def test_a_rating_during_a_change_in_the_admin_is_counted(client, rated, monkeypatch):
    """The form is read before the rating and saved after it: what it does not show, it must not write."""
    session, saved = rated.session, session_services.update_controls

    def rate_first(*args):
        rating.rate(rated.candidates.last(), "bad", uuid.uuid4())
        saved(*args)

    monkeypatch.setattr(session_services, "update_controls", rate_first)
    client.post(address("session", "change", session.pk), form_of(session))
    assert Session.objects.values_list("good_count", "bad_count").get(pk=session.pk) == (1, 1)


def files() -> set[Path]:
    root = Path(default_storage.path(""))
    return set(root.rglob("*"))


@pytest.mark.parametrize("how", ["page", "action", "user", "queryset"])
@pytest.mark.django_db(transaction=True)
def test_files_go_with_their_session(client, rated, how, user):
    session, other = rated.session, SessionFactory()
    batch = finish(other.batches.get())
    stranger = User.objects.create(username="other")
    Session.objects.filter(pk=other.pk).update(owner=stranger)
    Picture.objects.filter(candidate__batch=batch).update(owner=stranger)
    Job.objects.filter(pk=batch.job_id).update(owner=stranger)
    kept = {Path(default_storage.path(name)) for name in batch.candidates.values_list("picture__image", flat=True)}
    default_storage.delete(rated.candidates.first().picture.image.name)  # one that is missing is no error
    asked = {"post": "yes"}
    if how == "page":
        page = client.get(address("session", "delete", session.pk))
        assert "the files" in page.content.decode()
        answer = client.post(address("session", "delete", session.pk), asked)
    elif how == "action":
        asked |= {"action": "delete_selected", "_selected_action": str(session.pk)}
        assert "the files" in client.post(address("session", "changelist"), asked | {"post": ""}).content.decode()
        answer = client.post(address("session", "changelist"), asked)
    elif how == "user":
        answer = client.post(reverse("admin:auth_user_delete", args=[user.pk]), asked)
    else:
        Session.objects.filter(pk=session.pk).delete()
        answer = None
    assert answer is None or answer.status_code == 302
    assert list(Session.objects.all()) == [other]
    assert Candidate.objects.count() == Candidate.objects.filter(batch=batch).count()
    assert Picture.objects.count() == batch.pictures().count()
    assert Job.objects.get() == batch.job
    left = {path for path in files() if path.is_file()}
    assert kept <= left
    assert len(left) == 2 * batch.candidates.count()
    assert not any(path.name == str(rated.pk) for path in files())


@pytest.mark.django_db(transaction=True)
def test_nothing_is_deleted_when_the_rows_stay(rated):
    before = files()
    with transaction.atomic():
        rated.session.delete()
        transaction.set_rollback(True)
    assert files() == before


@pytest.mark.django_db(transaction=True)
def test_a_session_that_is_deleted_while_it_is_drawn_ends_quietly(manager, batch, monkeypatch):
    """The worker finds its batch gone: no error, no file."""
    real = manager.generate_all

    def gone(*args):
        Session.objects.all().delete()
        return real(*args)

    monkeypatch.setattr(manager, "generate_all", gone)
    draw_batch(batch.pk, manager, "gpu@test")
    assert not [path for path in files() if path.is_file()]


def test_a_long_list_ends_and_says_so(client, session):
    batch = session.batches.get()
    Candidate.objects.bulk_create(Candidate(batch=batch, slot=1, attempt=2 + n) for n in range(DEPTH + 1))
    page = client.get(address("candidate", "changelist")).content.decode()
    assert f"more than {DEPTH:,} candidates" in page
    last = client.get(address("candidate", "changelist"), {"p": DEPTH // 50})
    assert last.status_code == 200
    assert client.get(address("candidate", "changelist"), {"p": DEPTH // 50 + 1}).status_code == 302


def test_a_batch_page_shows_its_candidates(client, rated):
    page = client.get(address("batch", "change", rated.pk)).content.decode()
    assert page.count('<img src="/candidates/') == 4


def test_the_rating_page_shows_what_was_said_of_which(client, rated):
    rating.rate(rated.candidates.last(), "best", uuid.uuid4())
    page = client.get(address("rating", "change", Rating.objects.first().pk)).content.decode()
    assert page.count('<img src="/candidates/') == 4
    assert page.count("> -1") == 3  # and the best +1
