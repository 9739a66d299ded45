"""The straight line, without a browser: start, draw, rate, learn, draw again."""

import json
import uuid
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from generation import spaces
from preferences.learning.value_models import VALUE_MODELS
from preferences.models import Batch, Candidate, Job, OptimizerState, RatedPicture, Rating, Session
from preferences.sessions import rating, training
from preferences.sessions import services as session_services
from tests.drawing import draw_batch, draw_whole
from tests.factories import SessionFactory, rating_counts, start_form

pytestmark = pytest.mark.django_db(transaction=True)


def rate(client, candidate: Candidate, value: str):
    form = {"value": value, "form_token": str(uuid.uuid4())}
    return client.post(f"/candidates/{candidate.pk}/rate", form)


@pytest.mark.parametrize("space", spaces.SPACES)
@pytest.mark.parametrize("value_model", VALUE_MODELS)
def test_whole_journey_with_plain_forms(client, manager, space, value_model):
    page = client.post("/", start_form(space=space, value_model=value_model), follow=True)
    assert "0 of 4 images" in page.content.decode()
    session = Session.objects.get()
    first = draw_whole(session.batches.get(), manager)
    assert first.candidates.filter(state="ready").count() == 4

    one, two, three, _ = first.candidates.all()
    assert rate(client, one, "good").status_code == 302
    rate(client, two, "good")
    rate(client, three, "bad")
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert "2 good, 1 bad" in page
    assert page.count('aria-pressed="true"') == 3

    client.post(f"/s/{session.pk}/1/submit")
    second = draw_whole(session.batches.get(number=2), manager)
    learned = OptimizerState.objects.get(batch=second)
    assert learned.parameters is not None
    assert "2 good and 1 bad" in learned.note
    assert all(candidate.score is not None for candidate in second.candidates.all())
    assert learned.note in client.get(f"/s/{session.pk}/").content.decode()


def test_the_next_batch_follows_the_ratings(manager):
    """Draws around two good pictures lie nearer to them than chance does."""
    session = SessionFactory(value_model="gaussian")
    first = draw_whole(session.batches.get(), manager)
    for candidate in first.candidates.all()[:2]:
        rating.rate(candidate, "good", uuid.uuid4())
    goods = [row.picture.vector for row in first.candidates.all()[:2]]
    second = draw_whole(session_services.submit_batch(session, 1, [], []), manager)
    vectors = [row.picture.vector for row in second.candidates.all()]
    cosines = [v @ g / np.linalg.norm(v) / np.linalg.norm(g) for v in vectors for g in goods]
    assert min(cosines) > 0.3  # 256 dimensions: chance has a standard deviation of 0.06
    assert len({v.tobytes() for v in vectors}) == 4


def test_every_page_answers_head_as_it_answers_get(client, manager, session):
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    picture = f"/candidates/{session.batches.get().candidates.first().pk}/image"
    for place in ("/", "/models/", f"/s/{session.pk}/", f"/s/{session.pk}/1/", picture):
        assert client.head(place).status_code == client.get(place).status_code == 200


def test_pictures_are_files_with_their_settings(client, manager, session):
    candidate = draw_whole(session.batches.get(), manager).candidates.first()
    answer = client.get(f"/candidates/{candidate.pk}/image")
    picture = Image.open(BytesIO(b"".join(answer.streaming_content)))
    assert picture.size == (64, 64)
    prompt, settings = picture.text["parameters"].split("\n")
    assert prompt == "a landscape at sunset"
    assert settings == "Steps: 2, CFG scale: 1.0, Seed: 42, Size: 64x64, Model: tiny"
    about = json.loads(picture.text["ipo"])
    assert about["session"] == str(session.pk)
    assert about["model_revision"] == candidate.picture.model_revision != ""
    assert client.get(f"/candidates/{candidate.pk}/thumbnail").headers["Content-Type"] == "image/webp"


def test_whole_batch_by_form(client, manager, session):
    batch = draw_whole(session.batches.get(), manager)
    ids = [candidate.pk for candidate in batch.candidates.all()]
    client.post(f"/s/{session.pk}/1/submit", {"good": ids[:2], "bad": [ids[3]]})
    said = dict(RatedPicture.objects.values_list("picture__candidate", "value"))
    assert said == {ids[0]: 1, ids[1]: 1, ids[3]: -1}
    assert session.batches.count() == 2


def test_unrated_stays_unrated_unless_the_session_says_otherwise(client, manager):
    session = SessionFactory(unrated_is_bad=True)
    batch = draw_whole(session.batches.get(), manager)
    rate(client, batch.candidates.first(), "good")
    client.post(f"/s/{session.pk}/1/submit")
    assert rating_counts(session) == (1, 3)


def test_submitted_twice_is_one_batch(client, manager, session):
    draw_whole(session.batches.get(), manager)
    for _ in range(2):
        assert client.post(f"/s/{session.pk}/1/submit").status_code == 302
    assert session.batches.count() == 2


def test_start_form_sent_twice_is_one_session(client, tiny_model):
    form = start_form()
    places = {client.post("/", form).headers["Location"] for _ in range(2)}
    assert len(places) == 1
    assert Session.objects.count() == 1
    assert Batch.objects.count() == 1


def test_same_form_token_is_one_rating(client, manager, session):
    candidate = draw_whole(session.batches.get(), manager).candidates.first()
    form = {"value": "good", "form_token": str(uuid.uuid4())}
    for _ in range(2):
        client.post(f"/candidates/{candidate.pk}/rate", form)
    assert Rating.objects.count() == 1


def test_changing_ones_mind_keeps_the_events(client, manager, session):
    candidate = draw_whole(session.batches.get(), manager).candidates.first()
    rate(client, candidate, "good")
    rate(client, candidate, "bad")
    assert rating_counts(session) == (0, 1)
    rate(client, candidate, "none")
    assert rating_counts(session) == (0, 0)
    assert Rating.objects.count() == 2


def test_a_batch_that_is_being_drawn_cannot_be_submitted(client, session, tiny_model):
    answer = client.post(f"/s/{session.pk}/1/submit")
    assert answer.status_code == 409
    assert "still being drawn" in answer.content.decode()
    assert session.batches.count() == 1


@pytest.mark.parametrize(("everything", "redrawn"), [(False, 1), (True, 4)])
def test_without_form_submit_each_vote_redraws(client, manager, everything, redrawn):
    session = SessionFactory(form_submit=False, regenerate_all=everything)
    batch = draw_whole(session.batches.get(), manager)
    first = batch.candidates.first()
    rate(client, first, "good")
    batch.refresh_from_db()
    assert batch.job.state == Job.State.QUEUED
    assert batch.candidates.filter(attempt=2, state="pending").count() == redrawn
    draw_whole(batch, manager)
    assert batch.candidates.filter(state="ready").count() == 4 + redrawn
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert page.count('role="group"') == 4  # a slot shows its newest attempt; the rated row stays in the database
    assert rating_counts(session) == (1, 0)


def test_same_steering_draws_the_same_picture(manager):
    """Two sessions that share prompt, seed and settings; batches of another size must not matter."""
    pictures = []
    for size in (1, 4):
        session = SessionFactory(inference_batch=size)
        Session.objects.filter(pk=session.pk).update(seed=7)
        batch = draw_whole(Batch.objects.get(session=session), manager)
        files = [Image.open(candidate.picture.image.open()) for candidate in batch.candidates.all()]
        pictures.append(np.stack([np.asarray(file, int) for file in files]))
    assert np.abs(pictures[0] - pictures[1]).max() <= 2


def test_a_vote_on_an_older_batch_is_saved_and_redraws_nothing(client, manager):
    session = SessionFactory(form_submit=False)
    first = draw_whole(session.batches.get(), manager)
    client.post(f"/s/{session.pk}/1/submit")  # the second is in the queue now
    assert rate(client, first.candidates.first(), "good").status_code == 302
    assert rating_counts(session) == (1, 0)
    assert first.candidates.count() == 4


def test_a_failed_batch_is_not_tried_again_beside_another(client, manager, session):
    first = draw_whole(session.batches.get(), manager)
    Job.objects.filter(batch=first).update(state=Job.State.FAILED)
    client.post(f"/s/{session.pk}/1/submit")
    assert client.post(f"/s/{session.pk}/1/retry").status_code == 409


def test_empty_boxes_take_the_defaults_of_the_space_and_of_the_method(client, tiny_model):
    client.post("/", start_form(space="pooled_embed", value_model="ridge"))
    session = Session.objects.get()
    assert (session.ridge_alpha, session.step_size) == (spaces.POOLED_EMBED.ridge_alpha, spaces.POOLED_EMBED.step_size)
    assert (session.xgboost_trees, session.xgboost_depth, session.optimiser) == (50, 8, "")


def test_an_optimiser_that_the_value_model_cannot_use_is_left_aside(client, tiny_model):
    """Its box is out of sight while that value model is chosen, so it is no mistake of the person's."""
    client.post("/", start_form(value_model="gaussian", optimiser="hill"))
    assert Session.objects.get().optimiser == ""


def test_trees_go_on_from_the_last_batch_and_old_parameters_are_let_go(manager):
    session = SessionFactory(value_model="xgboost", xgboost_trees=5, optim_steps=3)
    batch = draw_whole(session.batches.get(), manager)
    for number, value in enumerate(["good", "bad"] * 3, start=1):
        rating.rate(batch.candidates.all()[(number - 1) % 4], value, uuid.uuid4())
    trees = []
    for number in (1, 2):
        draw_whole(session_services.submit_batch(session, number, [], []), manager)
        trees.append(OptimizerState.objects.get(batch__number=number + 1).metrics["trees"])
    assert trees == [5, 10]
    older, newer = OptimizerState.objects.filter(metrics__has_key="trees").order_by("pk")
    assert older.parameters is None
    assert newer.parameters is not None


def test_stars(client, manager):
    session = SessionFactory(asking="stars", value_model="bayesian")
    one, two, three, _ = draw_whole(session.batches.get(), manager).candidates.all()
    rate(client, one, "5")
    rate(client, two, "3")
    rate(client, three, "2")
    rate(client, three, "1")  # the last word
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert page.count('aria-pressed="true"') == 3
    assert 'aria-label="5 stars"' in page
    said = training.training_set(session, 256).said
    assert [(s.kind, s.values) for s in said] == [("stars", (1.0,)), ("stars", (0.0,)), ("stars", (-1.0,))]
    draw_whole(session_services.submit_batch(session, 1, [], []), manager)
    assert OptimizerState.objects.get(batch__number=2).metrics["rows"] == 3


def test_the_best_of_the_batch(client, manager):
    session = SessionFactory(asking="best", value_model="bayesian")
    one, two, three, four = draw_whole(session.batches.get(), manager).candidates.all()
    rate(client, one, "best")
    rate(client, two, "best")  # a change of mind: one batch has one best
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert page.count('aria-pressed="true"') == 1
    assert rating_counts(session) == (1, 0)
    (said,) = training.training_set(session, 256).said
    rows = list(Candidate.objects.filter(pk__in=[one.pk, two.pk, three.pk, four.pk]).order_by("pk"))
    assert rows[said.rows[0]] == two
    assert len(said.rows) == 4
    rate(client, one, "none")  # nothing was said of it by itself
    assert len(training.training_set(session, 256).said) == 1
    rate(client, two, "none")
    assert training.training_set(session, 256).said == ()


def test_without_form_submit_the_best_one_leads_to_the_next_batch(client, manager):
    session = SessionFactory(asking="best", form_submit=False)
    candidate = draw_whole(session.batches.get(), manager).candidates.first()
    answer = rate(client, candidate, "best")
    assert answer.headers["Location"] == f"/s/{session.pk}/2/"
    assert session.batches.count() == 2
    other = SessionFactory(asking="best", form_submit=False)
    candidate = draw_whole(other.batches.get(), manager).candidates.first()
    form = {"value": "best", "form_token": str(uuid.uuid4())}
    htmx = client.post(f"/candidates/{candidate.pk}/rate", form, headers={"HX-Request": "true"})
    assert htmx.headers["HX-Redirect"] == f"/s/{other.pk}/2/"
    assert other.batches.count() == 2


def test_a_change_of_the_way_of_asking_loses_nothing(client, manager):
    session = SessionFactory(value_model="bayesian")
    one, two, *_ = draw_whole(session.batches.get(), manager).candidates.all()
    rate(client, one, "good")
    session_services.update_controls(session, {"asking": "stars"})
    rate(client, two, "4")
    session_services.update_controls(session, {"asking": "best"})
    rate(client, two, "best")
    kinds = [said.kind for said in training.training_set(session, 256).said]
    assert kinds == ["good_bad", "stars", "best"]
    draw_whole(session_services.submit_batch(session, 1, [], []), manager)
    assert OptimizerState.objects.get(batch__number=2).metrics["rows"] == 4


def test_the_best_waits_for_the_whole_batch(client, manager, session):
    batch = draw_whole(session.batches.get(), manager)
    Job.objects.filter(batch=batch).update(state=Job.State.QUEUED, finished_at=None)
    answer = rate(client, batch.candidates.first(), "best")
    assert answer.status_code == 409
    assert "when you have seen all of it" in answer.content.decode()
