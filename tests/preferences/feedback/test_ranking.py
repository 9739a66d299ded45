"""All pictures of a batch in order, best first."""

import uuid

import pytest

from preferences.learning.feedback import Choice
from preferences.models import Batch
from preferences.pages import batches
from preferences.sessions import rating, training
from preferences.sessions import services as session_services
from tests.drawing import draw
from tests.factories import SessionFactory, rating_counts

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(manager) -> Batch:
    return draw(SessionFactory(asking="ranking", value_model="bayesian").batches.get(), manager)


def say(batch: Batch, slot: int, word: str = "next") -> Batch | None:
    return rating.rate(batch.candidates.get(slot=slot), word, uuid.uuid4())


def places(batch: Batch) -> list[int]:
    return [tile.place for tile in batches.batch_view(batch.session.owner, batch.session_id, 1).tiles]


def heard(batch: Batch) -> list:
    return list(training.training_set(batch.session, 256).judgments)


def test_each_pick_is_the_best_of_those_left(batch):
    for slot in (3, 1, 4, 2):
        say(batch, slot)
    assert places(batch) == [2, 4, 1, 3]
    assert heard(batch) == [Choice(2, (0, 1, 3), 1), Choice(0, (1, 3), 1), Choice(3, (1,), 1)]


def test_a_place_taken_back_moves_the_later_ones_up(batch):
    for slot in (3, 1, 4):
        say(batch, slot)
    say(batch, 1, "none")
    assert places(batch) == [0, 0, 1, 2]
    say(batch, 1)
    assert places(batch) == [3, 0, 1, 2]
    assert heard(batch) == [Choice(2, (0, 1, 3), 1), Choice(3, (1,), 1), Choice(0, (1,), 1)]


def test_a_picture_has_one_place(batch):
    for _ in range(2):
        say(batch, 3)
    assert places(batch) == [0, 0, 1, 0]
    assert len(heard(batch)) == 1


def test_other_words_stand_beside_a_place(batch):
    say(batch, 3)
    say(batch, 3, "bad")
    say(batch, 2)
    assert places(batch) == [0, 2, 1, 0]
    assert rating_counts(batch.session) == (0, 1)


def test_without_form_submit_the_last_place_but_one_ends_the_batch(batch):
    session_services.update_controls(batch.session, {"form_submit": False})
    assert [say(batch, slot) for slot in (2, 3)] == [None, None]
    following = say(batch, 1)
    assert following.number == 2


def test_the_page_shows_places(client, batch):
    candidate = batch.candidates.get(slot=2)
    url = f"/candidates/{candidate.pk}/rate"
    form = {"value": "next", "form_token": str(uuid.uuid4())}
    answer = client.post(url, form, headers={"HX-Request": "true"})
    assert f'"{candidate.pk}": "1st"' in answer.headers["HX-Trigger"]
    page = client.get(f"/s/{batch.session_id}/").content.decode()
    assert page.count(">1st</button>") == 1
    assert page.count(">Next best</button>") == 3
