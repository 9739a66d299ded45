"""Two pictures at a time."""

import re
import uuid

import pytest

from preferences.learning.feedback import Choice, Label, Tie
from preferences.models import Batch, OptimizerState, Rating
from preferences.pages import pairs
from preferences.sessions import services as session_services
from preferences.sessions import training
from tests.drawing import draw, draw_batch
from tests.factories import SessionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(manager) -> Batch:
    return draw(SessionFactory(asking="pairs", value_model="bayesian").batches.get(), manager)


def answer(client, batch: Batch, said: str):
    """Answer the pair that the page shows."""
    place = f"/s/{batch.session_id}/{batch.number}/pairs"
    page = client.get(place).content.decode()
    fields = dict(re.findall(r'<input type="hidden" name="(first|second|form_token)" value="([^"]*)"', page))
    client.post(place, fields | {"answer": said})
    return int(fields["first"]), int(fields["second"])


def test_neighbours_and_then_those_that_were_preferred(client, batch):
    one, two, three, four = batch.candidates.values_list("pk", flat=True).order_by("slot")
    assert answer(client, batch, "second") == (one, two)
    assert answer(client, batch, "first") == (three, four)
    assert answer(client, batch, "tie") == (two, three)
    assert pairs.next_pair(batch) == (None, 3)
    page = client.get(f"/s/{batch.session_id}/1/pairs").content.decode()
    assert "All pairs of this batch are answered" in page


def test_what_the_learner_hears(client, batch, manager):
    answer(client, batch, "first")
    answer(client, batch, "both_bad")
    judgments = training.training_set(batch.session, 256).judgments
    assert judgments == (Choice(0, (1,), 1), Label(2, False, 1), Label(3, False, 1))
    following = session_services.submit_batch(batch.session, 1, [], [])
    draw_batch(following.pk, manager, "gpu@test")
    note = OptimizerState.objects.get(batch=following).note
    assert note == "The Bayesian model learned from 0 good and 2 bad pictures, 1 choice."


def test_ties_are_heard_and_skipped_pairs_are_not(client, batch):
    answer(client, batch, "skip")
    answer(client, batch, "tie")
    assert training.training_set(batch.session, 256).judgments == (Tie(0, 1, 1),)
    assert pairs.next_pair(batch)[0] is None  # of the skipped two neither goes on


def test_undo_shows_the_pair_again(client, batch):
    first = answer(client, batch, "first")
    client.post(f"/s/{batch.session_id}/1/pairs/undo")
    assert answer(client, batch, "second") == first
    assert Rating.objects.count() == 2  # an undone answer keeps its row
    for _ in range(3):
        client.post(f"/s/{batch.session_id}/1/pairs/undo")
    assert training.training_set(batch.session, 256).said == ()


def test_the_same_answer_twice_is_one(client, batch):
    pair, _ = pairs.next_pair(batch)
    form = {"first": pair.first.pk, "second": pair.second.pk, "answer": "tie", "form_token": str(uuid.uuid4())}
    for _ in range(2):
        assert client.post(f"/s/{batch.session_id}/1/pairs", form).status_code == 302
    assert Rating.objects.count() == 1


def test_of_the_same_pair_the_last_word_stands(client, batch):
    pair, _ = pairs.next_pair(batch)
    form = {"first": pair.first.pk, "second": pair.second.pk}
    for said in ("first", "first", "skip", "second"):
        client.post(f"/s/{batch.session_id}/1/pairs", form | {"answer": said, "form_token": str(uuid.uuid4())})
    swapped = {"first": pair.second.pk, "second": pair.first.pk}
    client.post(f"/s/{batch.session_id}/1/pairs", swapped | {"answer": "tie", "form_token": str(uuid.uuid4())})
    following, answered = pairs.next_pair(batch)
    assert (answered, following.answered, following.total) == (1, 1, 3)
    assert [(one.kind, one.values) for one in training.training_set(batch.session, 256).said] == [("pair", (0.0, 0.0))]
    assert Rating.objects.count() == 5  # the earlier ones keep their rows


def test_another_answer_from_a_page_that_was_used_is_heard(client, batch):
    pair, _ = pairs.next_pair(batch)
    form = {"first": pair.first.pk, "second": pair.second.pk, "form_token": str(pair.form_token)}
    for said in ("first", "second"):
        assert client.post(f"/s/{batch.session_id}/1/pairs", form | {"answer": said}).status_code == 302
    assert len(training.training_set(batch.session, 256).said) == 1
    assert Rating.objects.get(undone_at__isnull=True).items.get(value=1).picture.candidate == pair.second


def test_wrong_answers_are_refused(client, batch, manager):
    place = f"/s/{batch.session_id}/1/pairs"
    pair, _ = pairs.next_pair(batch)
    good = {"first": pair.first.pk, "second": pair.second.pk, "answer": "tie", "form_token": str(uuid.uuid4())}
    other = SessionFactory().batches.get()
    stranger = other.candidates.first().pk
    for changes, status in (
        ({"answer": "perhaps"}, 400),
        ({"first": "x"}, 400),
        ({"second": pair.first.pk}, 409),
        ({"second": stranger}, 409),
        ({"second": 2**63}, 400),
        ({"form_token": ""}, 400),
    ):
        assert client.post(place, good | changes).status_code == status
    assert Rating.objects.count() == 0
    assert client.get(f"/s/{uuid.uuid4()}/1/pairs").status_code == 404


def test_the_session_page_leads_there(client, batch):
    page = client.get(f"/s/{batch.session_id}/").content.decode()
    assert "Compare pairs" in page
    assert "data-rating" not in page
