"""Each control reaches the learner; the form hides what the chosen methods do not listen to."""

import re
from dataclasses import fields, replace

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.choices import CallableChoiceIterator

from preferences.learning.config import LearningConfig
from preferences.learning.search import SPACE
from preferences.models import Batch, Session
from preferences.sessions import services as session_services
from preferences.sessions import training
from preferences.sessions.controls import DrawingControls, LearningControls, PageControls
from tests.factories import SessionFactory, start_form

CONTROLS = Session.control_fields()
BOUNDS = {name: control.bounds for name, control in CONTROLS.items() if control.bounds is not None}
SAME_NAME = {field.name for field in fields(LearningConfig)} & set(BOUNDS)


def test_every_choice_that_a_control_waits_for_has_a_rule():
    css = (settings.BASE_DIR / "templates/static/ipo/app.css").read_text()
    waited_for = {key for control in CONTROLS.values() for key in control.only_for}
    assert waited_for == set(re.findall(r"\.for-([a-z]+)\b", css))


def test_what_is_searched_are_controls():
    for name, where in SPACE.items():
        low, high = BOUNDS[name]
        assert low <= where.low < where.high <= high, name


def test_the_learner_has_the_controls_of_its_group_and_no_others():
    of_learner = {field.name for field in fields(LearningConfig)}
    assert of_learner - {"optim_seconds"} == set(LearningControls.control_fields())


def test_a_batch_copies_what_it_is_drawn_by_and_nothing_of_the_page():
    copied = DrawingControls.control_fields() | LearningControls.control_fields()
    assert Batch.control_fields() == copied
    assert Session.control_fields() == copied | PageControls.control_fields()
    assert not set(PageControls.control_fields()) & {field.name for field in Batch._meta.fields}


@pytest.mark.django_db
def test_the_learner_gets_each_control_as_it_is(session):
    usual = training.config(session)
    assert "momentum" in SAME_NAME
    assert "draws_per_picture" in SAME_NAME
    assert set(SPACE) <= SAME_NAME
    for name in SAME_NAME:
        low, high = BOUNDS[name]
        other = type(getattr(session, name))((low + high) / 2)
        changed = training.config(SessionFactory(**{name: other}))
        assert changed == replace(usual, **{name: other}), name


@pytest.mark.django_db
@pytest.mark.parametrize("table", [Session, Batch])
def test_the_database_holds_to_the_bounds_and_choices_of_each_control(session, table):
    rows = table.objects.all()
    assert rows.count() == 1
    for name, control in table.control_fields().items():
        choices = table._meta.get_field(name).choices
        wrong = ["none"] if choices and not isinstance(choices, CallableChoiceIterator) else []
        if control.bounds is not None:
            low, high = control.bounds
            rows.update(**{name: low})
            rows.update(**{name: high})
            wrong = [low - 1, high + 1]
        for value in wrong:
            with pytest.raises(IntegrityError, match=f"{table.__name__.lower()}_{name}"), transaction.atomic():
                rows.update(**{name: value})


@pytest.mark.django_db
def test_choices_that_grow_without_a_migration_are_held_to_by_forms_and_services(client, session):
    fields = {name: Session._meta.get_field(name) for name in CONTROLS}
    growing = {name for name, field in fields.items() if isinstance(field.choices, CallableChoiceIterator)}
    assert growing == {"asking"}
    for name in growing:
        assert client.post("/", start_form(**{name: "none"})).status_code == 400
        before = getattr(session, name)
        with pytest.raises(ValidationError, match="none"):
            session_services.update_controls(session, {name: "none"})
        session.refresh_from_db()
        assert getattr(session, name) == before
    assert Session.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["/", "/s/{}/"])
def test_the_form_shows_the_controls_in_their_groups(client, session, page):
    text = client.get(page.format(session.pk)).content.decode()
    groups = re.findall(r"<fieldset>\s*<legend>(\w+)</legend>(.*?)</fieldset>", text, re.DOTALL)
    names = [re.findall(r'<(?:input|select)[^>]* name="(\w+)"', inside) for _, inside in groups]
    assert [title for title, _ in groups] == ["Drawing", "Learning", "Page"]
    assert names[0] == ["delta_scale", "diff_steps", "guidance", "noise_seed", "generation_mode", "server_url"]
    assert names[1][:3] == ["start_radius", "max_dist", "draws_per_picture"]
    assert names[2] == ["images_per_row", "form_submit", "unrated_is_bad", "regenerate_all"]
    in_front = {"asking", "value_model", "start", "curation_size", "inference_batch"}
    assert {name for group in names for name in group} == set(CONTROLS) - in_front


@pytest.mark.django_db
def test_momentum_is_checked(client, tiny_model):
    answer = client.post("/", start_form(optimiser="spsa", value_model="ridge", momentum="1"))
    assert answer.status_code == 400
    assert "Momentum" in answer.content.decode()
