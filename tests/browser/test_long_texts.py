"""Whatever somebody writes stays in its own box; and long lists are walked by keyboard and without script."""

import pytest
from playwright.sync_api import expect

from preferences.models import Candidate, Session
from tests.factories import SessionFactory, finish, local_user

pytestmark = pytest.mark.django_db(transaction=True)
MARKS = "".join(chr(0x300 + n) for n in range(40)) * 3
LONG = "/home/somebody/" + "a-folder-without-a-space/" * 30 + "model.safetensors could not be read"


@pytest.fixture
def session(live_server) -> Session:
    session = SessionFactory(owner=local_user(), prompt="seashore", curation_size=3)
    batch = finish(session.batches.get())
    Candidate.objects.filter(batch=batch, slot=2).update(state="failed", error=LONG, picture=None)
    return session


def test_piled_up_marks_cover_no_neighbour(page, live_server, session):
    """What is above and below a prompt looks the same, with marks piled on its letters and without."""
    shots = {}
    for prompt in ("seashore", "seash" + MARKS + "ore"):
        Session.objects.filter(pk=session.pk).update(prompt=prompt)
        for address, parts in (
            (f"/s/{session.pk}/", ("header.site", "nav.batches", ".heading .hint")),
            ("/", (".cards small", "#sessions-title")),
        ):
            page.goto(live_server.url + address)
            for part in parts:
                shots.setdefault(part, []).append(page.locator(part).first.screenshot())
    assert [part for part, (plain, marked) in shots.items() if plain != marked] == []


@pytest.mark.parametrize("width", [360, 1280])
def test_a_long_path_stays_in_its_tile(page, live_server, session, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{live_server.url}/s/{session.pk}/")
    failed = page.locator(".tile.failed")
    expect(failed).to_contain_text("could not be read")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert failed.evaluate("tile => [...tile.querySelectorAll('*')].every(one => one.scrollWidth <= tile.clientWidth)")
    text = failed.locator("p").first
    assert text.evaluate(
        "one => one.getBoundingClientRect().bottom <= one.closest('.blank').getBoundingClientRect().bottom"
    )


def test_the_way_of_asking_offers_no_dashes(page, live_server, session):
    for address in ("/", f"/s/{session.pk}/"):
        page.goto(live_server.url + address)
        assert [text for text in page.locator("option").all_text_contents() if not text.strip("-")] == []


def test_older_sessions_without_script(page_without_script, live_server, session):
    Session.objects.filter(pk=session.pk).update(created_at="2026-01-01T00:00Z", prompt="the very first")
    for _ in range(50):
        SessionFactory(owner=local_user(), curation_size=1)
    page = page_without_script
    page.goto(live_server.url)
    expect(page.get_by_role("link", name="the very first")).to_have_count(0)
    page.get_by_role("link", name="Older sessions").press("Enter")
    page.get_by_role("link", name="the very first").press("Enter")
    expect(page.get_by_role("heading", name="the very first")).to_be_visible()
