"""Who takes a word back takes back what the page shows, and nothing that was said in another way."""

import pytest

from preferences.feedback.kinds import KINDS
from preferences.models import Session
from tests.contracts.asked import Asked, drawn

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(client) -> Asked:
    return drawn(client, KINDS["good_bad"])


def ask(asked: Asked, kind: str) -> Asked:
    Session.objects.filter(pk=asked.batch.session_id).update(asking=kind)
    return Asked(asked.client, KINDS[kind], asked.batch)


@pytest.mark.parametrize(("beside", "word"), [("ranking", "next"), ("top_three", "top")])
def test_a_word_and_a_choice_beside_it_are_taken_back_apart(asked, beside, word):
    asked.say("good")
    choice = ask(asked, beside)
    choice.say(word)
    assert ask(asked, "good_bad").pressed()[0] == "good"
    choice = ask(asked, beside)
    choice.take_back()
    assert choice.pressed()[0] == ""
    assert choice.counts() == (1, 0, 1)
    choice.say(word)
    ask(asked, "good_bad").take_back()
    assert asked.counts() == (0, 0, 1)
    assert ask(asked, beside).pressed()[0] == word


def test_an_older_page_takes_back_what_it_shows(asked):
    asked.say("good")
    choice = ask(asked, "top_three")
    choice.say("top")
    form = {"value": "none", "asking": "good_bad", "form_token": "6f1ff3a5-3a5c-4b1c-9c0b-0f4e3a0a5f6e"}
    asked.client.post(f"/candidates/{asked.candidates[0].pk}/rate", form)
    assert choice.pressed()[0] == "top"
    assert asked.counts() == (0, 0, 1)
