"""A form that is sent twice, late, again after Back, or read where it was only to be sent."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from preferences.models import Candidate, Job, Rating, Session
from preferences.pages import batches
from preferences.sessions import rating
from preferences.sessions import services as session_services
from tests.drawing import draw_batch
from tests.factories import SessionFactory, add_picture, local_user, rating_counts, start_form

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_used_id_with_other_fields_starts_another_session(client, tiny_model):
    form = start_form(prompt="a sea")
    first = client.post("/", form).headers["Location"]
    other = form | {"prompt": "a forest"}
    second = {client.post("/", other).headers["Location"] for _ in range(2)}  # and that form twice is one session
    assert len(second) == 1
    assert first not in second
    assert client.post("/", form).headers["Location"] == first
    assert client.post("/", form | {"curation_size": 6}).headers["Location"] not in {first, *second}
    assert sorted(Session.objects.values_list("prompt", flat=True)) == ["a forest", "a sea", "a sea"]


def test_controls_that_were_changed_since_do_not_make_it_another(client, tiny_model):
    form = start_form()
    place = client.post("/", form).headers["Location"]
    session_services.update_controls(Session.objects.get(), {"asking": "stars", "curation_size": 9})
    assert client.post("/", form).headers["Location"] == place


def test_a_vote_that_changed_the_first_batch_does_not_make_it_another(client, manager):
    form = start_form(form_submit="")
    place = client.post("/", form).headers["Location"]
    session = Session.objects.get()
    session_services.update_controls(session, {"form_submit": False, "temperature": 3})
    batch = session.batches.get()
    draw_batch(batch.pk, manager, "gpu@test")
    rate(client, batch.candidates.first(), "good")  # the batch is drawn again with the controls of now
    assert client.post("/", form).headers["Location"] == place


def test_what_a_page_said_earlier_and_arrives_later_is_too_late(client, manager, session):
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    one, two, *_ = session.batches.get().candidates.all()
    page, other = str(uuid.uuid4()), str(uuid.uuid4())

    def say(candidate: Candidate, value: str, turn: int, of: str = page) -> tuple[int, int]:
        form = {"value": value, "form_token": str(uuid.uuid4()), "page": of, "turn": turn}
        assert client.post(f"/candidates/{candidate.pk}/rate", form).status_code == 302
        return rating_counts(session)

    assert say(one, "bad", 2) == (0, 1)
    assert say(one, "good", 1) == (0, 1)  # was on its way for long
    assert say(two, "good", 1) == (1, 1)  # another picture: no word of it was later
    assert say(one, "none", 4) == (1, 0)
    assert say(one, "good", 3) == (1, 0)
    assert say(one, "good", 1, other) == (2, 0)  # another page counts for itself


def test_the_best_that_was_chosen_earlier_and_arrives_later_is_too_late(client, manager):
    session = SessionFactory(asking="best")
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    one, two, *_ = session.batches.get().candidates.all()
    page = uuid.uuid4()
    for candidate, turn in ((two, 2), (one, 1)):
        rating.rate(candidate, "best", uuid.uuid4(), page, turn)
    best = Rating.objects.filter(undone_at__isnull=True, items__value__gt=0)
    assert list(best.values_list("items__picture__candidate", flat=True)) == [two.pk]


def test_a_poll_brings_the_counts_too(client, manager, session):
    """The answer to a rating that a poll overtakes is let go: the poll must show what it showed."""
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    rate(client, session.batches.get().candidates.first(), "good")
    poll = client.get(f"/s/{session.pk}/1/progress", headers={"HX-Request": "true"}).content.decode()
    assert "1 good, 0 bad so far" in poll


def test_ticks_of_a_page_whose_batch_went_on_are_saved_once(client, manager, session):
    """Another tab has submitted it meanwhile."""
    batch = session.batches.get()
    draw_batch(batch.pk, manager, "gpu@test")
    one, two, three, _ = batch.candidates.all()
    place = f"/s/{session.pk}/1/submit"
    client.post(place, {"good": [one.pk]})
    for _ in range(2):
        assert client.post(place, {"good": [one.pk, two.pk], "bad": [three.pk]}).status_code == 302
        assert rating_counts(session) == (2, 1)
    assert Rating.objects.count() == 3
    assert session.batches.count() == 2


@pytest.mark.parametrize(("asking", "words"), [("best", ["best"]), ("ranking", ["next"] * 3)])
def test_choosing_in_an_old_batch_leads_nowhere_else(client, manager, asking, words):
    session = SessionFactory(asking=asking, form_submit=False)
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    old = session.batches.get()
    session_services.submit_batch(session, 1, [], [])
    for candidate, word in zip(old.candidates.all(), words, strict=False):
        assert rating.rate(candidate, word, uuid.uuid4()) is None
    assert Rating.objects.count() == len(words)


def test_without_script_the_page_reloads_at_its_own_address(client, session):
    assert f'content="2; url=/s/{session.pk}/"' in client.get(f"/s/{session.pk}/").content.decode()


def test_an_id_that_another_has_used_is_no_error(tiny_model):
    other = User.objects.create_user("other")
    form_id = uuid.uuid4()
    theirs = SessionFactory(owner=other, id=form_id)
    ours = SessionFactory(id=form_id)
    assert ours.pk != theirs.pk
    assert ours.owner == local_user()


def rate(client, candidate: Candidate, value: str, token: str = ""):
    return client.post(f"/candidates/{candidate.pk}/rate", {"value": value, "form_token": token or str(uuid.uuid4())})


def test_the_same_word_again_is_not_said_again(client, manager, session):
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    one = session.batches.get().candidates.first()
    for value in ("good", "good", "bad", "bad", "good"):
        rate(client, one, value)
    assert list(Rating.objects.order_by("pk").values_list("items__value", flat=True)) == [1, -1, 1]
    assert rating_counts(session) == (1, 0)


def test_another_word_from_a_page_that_was_used_is_heard(client, manager, session):
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    one, two, *_ = session.batches.get().candidates.all()
    token = str(uuid.uuid4())
    for candidate, value in ((one, "good"), (one, "bad"), (two, "good")):
        rate(client, candidate, value, token)
    assert rating_counts(session) == (1, 1)
    rate(client, one, "none", token)
    assert rating_counts(session) == (1, 0)


def test_a_rated_picture_can_be_taken_back_without_script(client, manager, session):
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    one = session.batches.get().candidates.first()
    assert "Take back" not in client.get(f"/s/{session.pk}/").content.decode()
    rate(client, one, "good")
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert page.count("Take back") == 1
    assert page.count('value="good" data-rating') == 4  # a button says what it says, pressed or not


def test_every_answer_says_when_it_was_read(client, manager, session):
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    script = {"HX-Request": "true"}
    one = session.batches.get().candidates.first()
    form = {"value": "good", "form_token": str(uuid.uuid4())}
    moments = [
        int(client.get(f"/s/{session.pk}/1/progress", headers=script).headers["X-Read-At"]),
        int(client.post(f"/candidates/{one.pk}/rate", form, headers=script).headers["X-Read-At"]),
        int(client.get(f"/s/{session.pk}/1/progress", headers=script).headers["X-Read-At"]),
    ]
    assert moments == sorted(set(moments))
    assert moments[1] / 1e6 > Rating.objects.get().answered_at.timestamp()


def test_fragments_have_nothing_for_pages_without_script(client, manager, session):
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    fragment = client.get(f"/s/{session.pk}/1/progress", headers={"HX-Request": "true"}).content.decode()
    assert 'id="tile-1"' in fragment
    assert "noscript" not in fragment
    assert "noscript" in client.get(f"/s/{session.pk}/").content.decode()


@pytest.mark.parametrize(
    ("form", "page"),
    [
        ("controls", ""),
        ("1/submit", "1/"),
        ("1/retry", "1/"),
        ("1/pairs/undo", "1/"),
        ("search/stop", ""),
    ],
)
def test_the_address_of_a_form_leads_to_its_page(client, session, form, page):
    """Where a refusal was reloaded."""
    answer = client.get(f"/s/{session.pk}/{form}")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/s/{session.pk}/{page}")
    assert client.put(f"/s/{session.pk}/{form}").status_code == 405


def test_the_address_of_a_rating_leads_to_its_tile(client, session):
    second = session.batches.get().candidates.get(slot=2)
    assert client.get(f"/candidates/{second.pk}/rate").headers["Location"] == f"/s/{session.pk}/1/#tile-2"
    strangers = SessionFactory(owner=User.objects.create_user("other")).batches.get().candidates.first()
    assert client.get(f"/candidates/{strangers.pk}/rate").status_code == 404


def test_rating_in_an_old_batch_leaves_the_way_to_the_newest(client, manager, session):
    first = session.batches.get()
    draw_batch(first.pk, manager, "gpu@test")
    assert client.post(f"/s/{session.pk}/1/submit").headers["Location"] == f"/s/{session.pk}/#tile-1"
    form = {"value": "good", "form_token": str(uuid.uuid4())}
    answer = client.post(
        f"/candidates/{first.candidates.first().pk}/rate", form, headers={"HX-Request": "true"}
    ).content.decode()
    assert "To the newest batch" in answer
    assert "Submit batch" not in answer


def test_the_estimate_leaves_out_the_time_that_a_person_took(session, user):
    """Two pictures were drawn an hour before the batch was asked for again; since then one each 10 seconds."""
    batch = session.batches.get()
    asked = timezone.now() - timedelta(seconds=25)
    Job.objects.filter(batch=batch).update(enqueued_at=asked, state=Job.State.QUEUED, finished_at=None)
    first, second, third, _ = batch.candidates.all()
    for candidate, drawn_at in (
        (first, asked - timedelta(hours=1)),
        (second, asked + timedelta(seconds=10)),
    ):
        add_picture(candidate, drawn_at)
    assert batches.batch_view(user, session.pk).seconds_left is None
    add_picture(third, asked + timedelta(seconds=20))
    assert batches.batch_view(user, session.pk).seconds_left == 10
