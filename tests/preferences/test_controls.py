"""Each control reaches the learner; the form hides what the chosen methods do not listen to."""

import re
from dataclasses import fields, replace

import pytest
from django.conf import settings

from preferences.learning.config import LearningConfig
from preferences.learning.search import SPACE
from preferences.sessions import training
from preferences.sessions.controls import RANGES, Controls
from tests.factories import SessionFactory, start_form

SAME_NAME = {field.name for field in fields(LearningConfig)} & set(RANGES)


def test_every_choice_that_a_control_waits_for_has_a_rule():
    css = (settings.BASE_DIR / "templates/static/ipo/app.css").read_text()
    waited_for = {key for keys in Controls.ONLY_FOR.values() for key in keys}
    assert waited_for == set(re.findall(r"\.for-([a-z]+)\b", css))


def test_what_is_searched_are_controls():
    for name, where in SPACE.items():
        low, high = RANGES[name]
        assert low <= where.low < where.high <= high, name


@pytest.mark.django_db
def test_the_learner_gets_each_control_as_it_is(session):
    usual = training.config(session)
    assert "momentum" in SAME_NAME
    assert set(SPACE) <= SAME_NAME
    for name in SAME_NAME:
        low, high = RANGES[name]
        other = type(getattr(session, name))((low + high) / 2)
        changed = training.config(SessionFactory(**{name: other}))
        assert changed == replace(usual, **{name: other}), name


@pytest.mark.django_db
def test_momentum_is_checked(client, tiny_model):
    answer = client.post("/", start_form(optimiser="spsa", value_model="ridge", momentum="1"))
    assert answer.status_code == 400
    assert "Momentum" in answer.content.decode()
