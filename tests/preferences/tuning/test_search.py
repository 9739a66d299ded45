"""Searching for settings: started, going on after a kill, stopped, done."""

import uuid
from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from preferences.jobs import leases
from preferences.jobs import services as jobs
from preferences.models import Job, Search, Session
from preferences.sessions import forgetting, rating
from preferences.sessions import services as session_services
from preferences.tuning import selectors as tuning_selectors
from preferences.tuning import services as tuning_services
from tests.at_once import at_once
from tests.drawing import draw_batch, make_trial
from tests.factories import SessionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def rated(manager) -> Session:
    """Two batches of four with good and bad pictures; the first picture has no rating."""
    session = SessionFactory(value_model="xgboost")
    for number in (1, 2):
        batch = session.batches.get(number=number)
        draw_batch(batch.pk, manager, "gpu@test")
        for candidate in batch.candidates.all()[number == 1 :]:
            rating.rate(candidate, "good" if candidate.slot % 2 else "bad", uuid.uuid4())
        session_services.submit_batch(session, number, [], [])
    return session


def small(session: Session, wanted: int = 3) -> Search:
    search = tuning_services.start_search(session)
    Job.objects.filter(pk=search.job_id).update(total=wanted)
    return search


def test_the_session_takes_the_best_settings(rated):
    search = small(rated)
    assert [make_trial(search) for _ in range(4)] == [True, True, False, False]
    search.refresh_from_db()
    assert search.job.state == Job.State.DONE
    assert len(search.trials) == 3
    assert search.best["loss"] == min(trial["loss"] for trial in search.trials)
    rated.refresh_from_db()
    assert {name: getattr(rated, name) for name in search.best["settings"]} == search.best["settings"]


def test_ratings_that_come_later_do_not_count(rated):
    search = small(rated)
    make_trial(search)
    rating.rate(rated.batches.get(number=1).candidates.first(), "bad", uuid.uuid4())
    Search.objects.filter(pk=search.pk).update(trials=[])
    before = Search.objects.get(pk=search.pk)
    make_trial(search)
    jobs.cancel(search.job)
    again = small(rated)
    make_trial(again)
    before.refresh_from_db()
    again.refresh_from_db()
    assert before.trials[0]["settings"] == again.trials[0]["settings"]
    assert before.trials[0]["loss"] != again.trials[0]["loss"]


def test_one_search_a_session(rated):
    assert tuning_services.start_search(rated) == tuning_services.start_search(rated)


def test_a_trial_that_comes_twice_counts_once(rated):
    search = small(rated)
    settings = {"xgboost_trees": 20, "xgboost_depth": 2, "xgboost_learning_rate": 0.2}
    lease = leases.claim_job(search.job_id, "cpu@test")
    for same in (Search.objects.get(pk=search.pk), Search.objects.get(pk=search.pk)):
        tuning_services.add_trial(lease, same, settings, 0.5)
    search.refresh_from_db()
    assert len(search.trials) == 1


def test_a_lost_message_is_sent_again(rated, monkeypatch):
    search = small(rated)
    woken: list[str] = []
    monkeypatch.setattr(jobs, "wake", woken.append)
    jobs.wake_for_what_waits()
    assert woken == []
    Job.objects.filter(pk=search.job_id).update(woken_at=timezone.now() - timedelta(minutes=3))
    jobs.wake_for_what_waits()
    assert woken == ["cpu"]
    jobs.wake_for_what_waits()
    assert woken == ["cpu"]


def test_too_few_ratings_are_one_sentence(client):
    session = SessionFactory(value_model="xgboost")
    search = tuning_services.start_search(session)
    assert not make_trial(search)
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert "Nothing was searched: the XGBoost model needs good and bad pictures" in page
    assert tuning_services.start_search(session) != search  # it can be tried again


def test_the_page(client, rated):
    place = f"/s/{rated.pk}/search"
    assert client.post(place).status_code == 302
    search = tuning_selectors.last_search(rated)
    assert "Tried 0 of 100 settings" in client.get(f"/s/{rated.pk}/").content.decode()
    make_trial(search)
    running = client.get(place, headers={"HX-Request": "true"})
    assert "Tried 1 of 100 settings" in running.content.decode()
    assert "HX-Trigger" not in running.headers
    client.post(f"{place}/stop")
    done = client.get(place, headers={"HX-Request": "true"})
    assert "Of 1 settings, 50 trees of depth 8 with learning rate 0.1" in done.content.decode()
    assert '"id_xgboost_trees": 50' in done.headers["HX-Trigger"]
    assert not make_trial(search)
    assert client.get(f"/s/{uuid.uuid4()}/search").status_code == 404


def test_who_comes_back_to_the_address_of_a_fragment_gets_the_page(client, rated):
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert client.get(f"/s/{rated.pk}/search", headers=headers).url == f"/s/{rated.pk}/#search"
    assert client.get(f"/s/{rated.pk}/1/progress", headers=headers).url == f"/s/{rated.pk}/1/"


def test_what_a_failed_search_found_is_not_put_into_the_boxes(client, rated):
    search = tuning_services.start_search(rated)
    make_trial(search)
    leases.fail(leases.claim_job(search.job_id, "cpu@test"), "No.")
    answer = client.get(f"/s/{rated.pk}/search", headers={"HX-Request": "true"})
    assert "HX-Trigger" not in answer.headers


def test_a_way_of_asking_that_is_gone_keeps_nothing_from_being_saved(client, rated):
    search = tuning_services.start_search(rated)
    make_trial(search)
    Session.objects.filter(pk=rated.pk).update(asking="gone")
    assert client.post(f"/s/{rated.pk}/search/stop").status_code == 302
    assert client.post(f"/s/{rated.pk}/use-xgboost").status_code == 302
    search.refresh_from_db()
    assert search.job.state == Job.State.CANCELLED


def test_found_whatever_the_value_model(client, rated):
    session_services.update_controls(rated, {"value_model": "ridge"})
    page = client.get(f"/s/{rated.pk}/").content.decode()
    assert "<summary>Settings of XGBoost</summary>" in page
    assert "now it is Ridge." in page
    client.post(f"/s/{rated.pk}/search")
    make_trial(tuning_selectors.last_search(rated))
    client.post(f"/s/{rated.pk}/search/stop")
    page = client.get(f"/s/{rated.pk}/").content.decode()
    assert "They will be used when XGBoost is chosen." in page
    page = client.post(f"/s/{rated.pk}/use-xgboost", follow=True).content.decode()
    assert "The next batch will use XGBoost." in page
    assert "The next batch will use them." in page
    rated.refresh_from_db()
    assert rated.value_model == "xgboost"


@pytest.mark.django_db(transaction=True)
def test_a_search_that_ends_and_a_person_who_forgets_wait_for_each_other():
    """Each locks the session before its searches: otherwise now and then each waits for the other."""
    session = SessionFactory(value_model="xgboost")
    for _ in range(20):
        search = Search.objects.select_related("job").get(pk=small(session, wanted=1).pk)
        lease = leases.claim_job(search.job_id, "cpu@test")
        raised = at_once(
            partial(tuning_services.add_trial, lease, search, {"xgboost_trees": 60}, 0.5),
            lambda: tuning_services.stop_search(Session.objects.get(pk=session.pk)),
            lambda: forgetting.forget(Session.objects.get(pk=session.pk)),
            lambda: forgetting.remember(Session.objects.get(pk=session.pk)),
        )
        assert raised == []
