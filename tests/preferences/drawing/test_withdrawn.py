"""Nothing that was taken back lingers in what the learner goes by; and all of it can be forgotten, and used again."""

import re
import uuid

import numpy as np
import pytest

from generation import registry
from preferences.drawing.propose import steering_of
from preferences.learning.value_models import VALUE_MODELS
from preferences.models import Batch, Job, OptimizerState, Session
from preferences.sessions import forgetting, rating, training
from preferences.sessions import services as session_services
from preferences.tuning import services as tuning_services
from tests.drawing import draw_whole, make_trial
from tests.factories import SessionFactory

pytestmark = pytest.mark.django_db(transaction=True)


def say(batch: Batch, *words: str) -> None:
    """One word of each picture in turn."""
    for number, candidate in enumerate(batch.candidates.order_by("slot")):
        rating.rate(candidate, words[number % len(words)], uuid.uuid4())


def following(session: Session, manager) -> Batch:
    """The next batch, drawn."""
    return draw_whole(session_services.submit_batch(session, session.batches.count(), [], []), manager)


def trees(session: Session) -> float:
    return float(OptimizerState.objects.filter(batch__session=session).first().metrics["trees"])


@pytest.fixture
def fitted(manager) -> Session:
    """XGBoost was fitted to 8 good and 8 bad pictures of the first batch; the second is drawn."""
    session = SessionFactory(value_model="xgboost", curation_size=16, inference_batch=16, diff_steps=1)
    say(draw_whole(session.batches.get(), manager), "good", "bad")
    following(session, manager)
    assert trees(session) == 50
    return session


def test_what_still_stands_is_gone_on_from(fitted, manager):
    say(fitted.batches.get(number=2), "good", "bad")
    following(fitted, manager)
    assert trees(fitted) == 100


@pytest.mark.parametrize("how", ["taken back", "another mind", "taken back and said again"])
def test_what_no_longer_stands_is_not(fitted, manager, how):
    one = fitted.batches.get(number=1).candidates.first()
    say(fitted.batches.get(number=2), "good", "bad")
    for word in {"taken back": ["none"], "another mind": ["bad"]}.get(how, ["none", "good"]):
        rating.rate(one, word, uuid.uuid4())
    following(fitted, manager)
    assert trees(fitted) == 50


def test_the_opposite_of_a_withdrawn_taste_is_what_is_predicted(fitted, manager, settings):
    first = fitted.batches.get(number=1)
    say(first, "none")
    say(first, "bad", "good")
    following(fitted, manager)
    state = OptimizerState.objects.filter(batch__session=fitted).first()
    known = training.training_set(fitted, 256)
    model = VALUE_MODELS["xgboost"].load(bytes(state.parameters))
    anchor = steering_of(state.batch, registry.get(settings.IPO_MODELS, "tiny")).anchor
    value = dict(zip(known.pictures, model.utility(known.X - anchor), strict=True))
    told = [value[candidate.picture_id] for candidate in first.candidates.order_by("slot")]
    assert max(told[::2]) < 0 < min(told[1::2])


@pytest.mark.parametrize("value_model", VALUE_MODELS)
def test_no_model_remembers_what_was_taken_back(manager, value_model):
    """The same proposal, whether something was said and taken back or never said."""
    vectors = []
    for withdrawn in (True, False):
        session = SessionFactory(value_model=value_model, draws_per_picture=2)
        Session.objects.filter(pk=session.pk).update(seed=5)
        first = draw_whole(session.batches.get(), manager)
        if withdrawn:
            say(first, "good", "bad")
            following(session, manager)
            say(first, "none")
        else:
            following(session, manager)
        say(first, "bad", "bad", "good", "good")
        batch = following(session, manager)
        vectors.append([one.picture.vector.tobytes() for one in batch.candidates.order_by("slot")])
    assert vectors[0] == vectors[1]


def test_a_search_does_not_go_on_with_what_was_taken_back(fitted, manager):
    search = tuning_services.start_search(fitted)
    assert make_trial(search)
    say(fitted.batches.get(number=2), "good", "bad")  # what comes later does not count, and does no harm
    assert make_trial(search)
    rating.rate(fitted.batches.get(number=1).candidates.last(), "bad", uuid.uuid4())  # a change of mind is later too
    assert make_trial(search)
    rating.rate(fitted.batches.get(number=1).candidates.first(), "none", uuid.uuid4())
    assert not make_trial(search)
    search.refresh_from_db()
    assert search.job.error == "You took back ratings that settings were being tried on: search again."


def test_forgotten_and_used_again(client, fitted, manager):
    search = tuning_services.start_search(fitted)
    page = client.post(f"/s/{fitted.pk}/forget", follow=True).content.decode()
    assert "The next batch begins anew; your ratings are kept." in page
    assert "Use all ratings again" in page
    assert "is kept, and not used" in page
    assert "8 good, 8 bad so far" in page
    search.refresh_from_db()
    assert search.job.state == Job.State.FAILED
    fitted.refresh_from_db()
    assert training.training_set(fitted, 256).said == ()
    following(fitted, manager)
    state = OptimizerState.objects.filter(batch__session=fitted).first()
    assert state.note.startswith("Exploring: the XGBoost model needs good and bad pictures")
    say(fitted.batches.get(number=3), "good", "bad")
    following(fitted, manager)
    assert trees(fitted) == 50
    assert OptimizerState.objects.filter(batch__session=fitted).first().metrics["rows"] == 16

    page = client.post(f"/s/{fitted.pk}/remember", follow=True).content.decode()
    assert "Use all ratings again" not in page
    following(fitted, manager)
    state = OptimizerState.objects.filter(batch__session=fitted).first()
    assert state.metrics["rows"] == 32
    assert np.frombuffer(bytes(state.parameters), np.uint8).size


def test_what_is_said_anew_of_an_old_picture_counts(fitted):
    forgetting.forget(fitted)
    rating.rate(fitted.batches.get(number=1).candidates.first(), "bad", uuid.uuid4())
    assert len(training.training_set(fitted, 256).said) == 1


def test_of_another_nothing_can_be_forgotten(client, django_user_model, tiny_model):
    other = SessionFactory(owner=django_user_model.objects.create(username="other"))
    for place in ("forget", "remember", "use-xgboost"):
        assert client.post(f"/s/{other.pk}/{place}").status_code == 404
        assert client.get(f"/s/{other.pk}/{place}").headers["Location"] == f"/s/{other.pk}/"
    assert Session.objects.get(pk=other.pk).learns_since is None


def test_the_details_of_what_was_learned(client, fitted):
    page = client.get(f"/s/{fitted.pk}/").content.decode()
    assert "<dt>Judgments</dt><dd>16</dd>" in page
    assert "<dt>Rows XGBoost was trained on</dt><dd>16</dd>" in page
    assert "<dt>Trees</dt><dd>50</dd>" in page
    assert "<dt>Last training</dt>" in page
    assert re.search(r"took \d+\.\d", page)


def test_the_norm_of_the_weights(client, manager):
    session = SessionFactory(value_model="ridge")
    say(draw_whole(session.batches.get(), manager), "good", "bad")
    following(session, manager)
    norm = OptimizerState.objects.get(batch__session=session, batch__number=2).metrics["weights_norm"]
    assert f"<dt>Norm of the weights</dt><dd>{norm:.4f}</dd>" in client.get(f"/s/{session.pk}/").content.decode()


def test_in_whatever_order_pictures_were_saved_the_learner_reads_them_alike(manager):
    found = []
    for turn in (1, -1):
        session = SessionFactory(asking="best")
        Session.objects.filter(pk=session.pk).update(seed=5)
        batch = session.batches.get()
        for slot in (1, 2, 3, 4)[::turn]:
            others = batch.candidates.exclude(slot=slot).filter(state="pending")
            others.update(state="failed")
            Job.objects.filter(pk=batch.job_id).update(state=Job.State.QUEUED, finished_at=None)
            draw_whole(batch, manager)
            batch.candidates.filter(state="failed").update(state="pending")
        say(batch, "good", "bad", "bad", "good")
        rating.rate(batch.candidates.get(slot=3), "best", uuid.uuid4())
        known = training.training_set(session, 256)
        found.append(known.judgments)
        order = [one.picture_id for one in batch.candidates.order_by("slot")]
        assert order == sorted(order, reverse=turn < 0)
        assert list(known.pictures) == order
    assert found[0] == found[1]
