"""The three best of a batch, by requests as a browser sends them."""

import pytest

from preferences.feedback.kinds import TopThree
from preferences.learning.judgments import Choice
from preferences.models import Candidate, OptimizerState, Rating, Session
from preferences.sessions import training
from tests.contracts.asked import Asked, drawn
from tests.drawing import draw_batch
from tests.factories import start_form

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(client) -> Asked:
    return drawn(client, TopThree())


def judgments(asked: Asked) -> list:
    return list(training.training_set(asked.session, 4).judgments)


def test_each_is_better_than_each_that_was_left_and_they_are_not_compared(asked):
    for number in (3, 0, 2):
        asked.say("top", number)
    assert judgments(asked) == [Choice(chosen, (1, 4), 1) for chosen in (0, 2, 3)]
    assert len(asked.stored()) == 1


def test_one_is_taken_back_before_a_fourth(asked):
    for number in (3, 0, 2):
        asked.say("top", number)
    refused = asked.say("top", 4)
    assert refused.status_code == 409
    assert "Three pictures are chosen already: take one of them back first." in refused.content.decode()
    assert asked.pressed() == ["top", "", "top", "top", ""]
    asked.take_back(0)
    assert judgments(asked) == [Choice(chosen, (0, 1, 4), 1) for chosen in (2, 3)]
    assert asked.say("top", 4).status_code == 302
    assert judgments(asked) == [Choice(chosen, (0, 1), 1) for chosen in (2, 3, 4)]
    assert asked.counts() == (0, 0, 3)


def test_whatever_was_taken_back_is_kept_as_it_was(asked):
    asked.say("top", 0)
    asked.say("top", 1)
    asked.take_back(0)
    events = Rating.objects.order_by("pk")
    best = [set(event.items.filter(value__gt=0).values_list("picture_id", flat=True)) for event in events]
    one, two = (candidate.picture_id for candidate in asked.candidates[:2])
    assert best == [{one}, {one, two}, {two}]
    assert [event.undone_at is None for event in events] == [False, False, True]


def test_what_the_page_shows_no_longer_takes_up_no_place_and_stays_chosen(asked):
    for number in (0, 1, 2):
        asked.say("top", number)
    Candidate.objects.create(batch=asked.batch, slot=1, attempt=2)
    assert asked.say("top", 3).status_code == 302
    assert {n for n, vote in asked.heard()[1].items() if vote > 0} == {0, 1, 2, 3}
    assert asked.counts()[2] == 4


def test_of_two_one_is_chosen_and_the_batch_is_done(client):
    asked = drawn(client, TopThree(), curation_size=2, form_submit=False)
    asked.say("top")
    assert judgments(asked) == [Choice(0, (1,), 1)]
    assert asked.session.batches.count() == 2


@pytest.mark.django_db(transaction=True)
def test_from_the_start_form_to_a_batch_that_learned(client, manager):
    client.post("/", start_form(asking="top_three", value_model="bayesian", curation_size=5))
    session = Session.objects.get()
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    asked = Asked(client, TopThree(), session.batches.get())
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert page.count(">Top three</button>") == 5
    for number in (0, 1, 4):
        asked.say("top", number)
    submitted = client.post(f"/s/{session.pk}/1/submit")
    assert submitted.status_code == 302
    following = session.batches.get(number=2)
    draw_batch(following.pk, manager, "gpu@test")
    learned = OptimizerState.objects.get(batch=following)
    assert learned.note == "The Bayesian model learned from 3 choices."
    assert learned.note in client.get(f"/s/{session.pk}/").content.decode()
    assert following.candidates.filter(state="ready", score__isnull=False).count() == 5
