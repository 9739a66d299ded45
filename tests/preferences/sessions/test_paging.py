"""Long lists: every session and every batch can be reached, by pages that stay short."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from preferences.models import Job, Session
from preferences.sessions import paging
from preferences.sessions import services as session_services
from tests.factories import SessionFactory, finish, start_form

pytestmark = pytest.mark.django_db


def links(page: str) -> list[str]:
    return re.findall(r'<li>\s*<a href="/s/([^/"]+)/"', page)


def test_all_of_102_sessions_are_reached_by_plain_links_newest_first(client, user):
    made = [SessionFactory(curation_size=1).pk for _ in range(102)]
    # Some at the very same moment: the key must tell them apart.
    Session.objects.filter(pk__in=made[20:80]).update(created_at=timezone.now() - timedelta(hours=1))
    address, found, pages = "/", [], 0
    while address:
        page = client.get(address).content.decode()
        found += links(page)
        onward = re.search(r'href="(/\?older=[^"#]+)[^"]*"[^>]*>Older sessions', page)
        address, pages = onward and onward[1], pages + 1
    assert pages == 3
    assert sorted(found) == sorted(str(pk) for pk in made)
    expected = Session.objects.order_by("-created_at", "-id").values_list("pk", flat=True)
    assert found == [str(pk) for pk in expected]
    assert "Newest sessions" in page


def test_a_page_stays_what_it_was_when_newer_sessions_come(client, user):
    for _ in range(paging.SESSIONS_SHOWN + 2):
        SessionFactory(curation_size=1)
    key = paging.session_page(user).older
    before = links(client.get("/", {"older": key}).content.decode())
    SessionFactory(curation_size=1)
    assert links(client.get("/", {"older": key}).content.decode()) == before


@pytest.mark.parametrize("key", ["", "0", "-", "x-y", "9" * 30 + "-" + "0" * 32, "1-2", "\u0661-" + "0" * 32, "\x00"])
def test_what_is_no_key_shows_the_newest_or_nothing(client, session, key):
    answer = client.get("/", {"older": key})
    assert answer.status_code == 200


def test_anothers_sessions_are_on_no_page(client, session, django_user_model):
    Session.objects.update(owner=django_user_model.objects.create(username="other"))
    assert paging.session_page(session.owner).sessions == []


def test_the_cover_is_of_the_newest_batch_that_has_pictures(client, session):
    first = finish(session.batches.get())
    session_services.submit_batch(session, 1, [], [])
    cover = first.candidates.order_by("slot").first()
    assert f"/candidates/{cover.pk}/thumbnail" in client.get("/").content.decode()


def test_any_of_a_thousand_batches_is_a_few_links_away():
    for goal in (1, 2, 57, 333, 500, 998, 1000):
        here, clicks = 1000, 0
        while here != goal:
            here = min((number for number, _ in paging.batch_numbers(here, 1000)), key=lambda n: abs(n - goal))
            clicks += 1
        assert clicks <= 12
    assert max(len(paging.batch_numbers(number, 1000)) for number in range(1, 1001)) <= 11
    assert paging.batch_numbers(1, 3) == [(1, True), (2, True), (3, True)]
    assert paging.batch_numbers(5, 9) == [
        (1, True),
        (3, False),
        (4, True),
        (5, True),
        (6, True),
        (7, True),
        (9, False),
    ]


def test_the_page_of_a_batch_names_its_links(client, session):
    for number in range(1, 200):
        newest = session.batches.get(number=number)
        Job.objects.filter(pk=newest.job_id).update(state=Job.State.DONE, finished_at=timezone.now())
        session_services.submit_batch(session, number, [], [])
    page = client.get(f"/s/{session.pk}/100/").content.decode()
    nav = re.search(r'<nav class="batches".*?</nav>', page, re.DOTALL)[0]
    numbers = [int(number) for number in re.findall(r'aria-label="Batch (\d+)"', nav)]
    assert numbers == [1, 90, 98, 99, 100, 101, 102, 110, 200]
    assert nav.count('aria-current="page"') == 1


@pytest.mark.parametrize("prompt", ["\u200b", "\u2800 \u3164", "\u2060\ufeff"])
def test_a_prompt_that_cannot_be_seen_is_refused_and_an_old_one_has_a_name(client, session, prompt):
    answer = client.post("/", start_form(prompt=prompt))
    assert answer.status_code == 400
    assert "Please write a prompt" in answer.content.decode()
    Session.objects.filter(pk=session.pk).update(prompt=prompt)
    for address in ("/", f"/s/{session.pk}/", "/admin/preferences/session/"):
        assert "A prompt of invisible characters" in client.get(address).content.decode()
