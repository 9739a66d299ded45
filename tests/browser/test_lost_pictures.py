"""A picture whose file is damaged or gone says so instead of being blank, and is drawn again."""

import uuid
from pathlib import Path

import pytest
from playwright.sync_api import expect

from preferences.models import Candidate
from preferences.sessions import rating
from tests.drawing import draw_batch
from tests.factories import SessionFactory


@pytest.fixture
def drawn(transactional_db, workers, settings, manager):
    """A drawn batch, in the folder where the workers save."""
    session = SessionFactory(curation_size=3)
    batch = session.batches.get()
    draw_batch(batch.pk, manager, "gpu@test")
    return batch


def tile(page, number: int):
    return page.get_by_role("group", name=f"Candidate {number}", exact=True)


def test_with_script(page, live_server, workers, drawn):
    page.provoked.append("404 (Not Found)")
    one, two, three = drawn.candidates.order_by("slot")
    cut = Path(one.picture.thumbnail.path)
    cut.write_bytes(cut.read_bytes()[:-20])
    # As long as it says, but no picture.
    noise = Path(two.picture.thumbnail.path)
    noise.write_bytes(noise.read_bytes()[:20] + bytes(len(noise.read_bytes()) - 20))
    Path(three.picture.thumbnail.path).unlink()
    page.goto(f"{live_server.url}/s/{drawn.session_id}/")
    expect(tile(page, 1)).to_contain_text("The file of this picture is damaged: it can be drawn again.")
    expect(tile(page, 2)).to_contain_text("The file of this picture is damaged: it can be drawn again.")
    expect(tile(page, 3)).to_contain_text("The file of this picture is missing: it can be drawn again.")
    expect(page.locator("[data-rating]")).to_have_count(0)
    expect(page.locator(".tile").get_by_role("button", name="Draw again")).to_have_count(3)
    page.keyboard.press("g")  # nothing is there to be rated

    workers.start("gpu")
    for number in (1, 2, 3):
        tile(page, number).get_by_role("button", name="Draw again").click()
        expect(tile(page, number).get_by_role("button", name="Good")).to_be_visible(timeout=60_000)
        expect(tile(page, number).get_by_role("img")).to_have_js_property("complete", True)
        expect(tile(page, number).get_by_role("img")).not_to_have_js_property("naturalWidth", 0)
    tile(page, 1).get_by_role("button", name="Good").click()
    expect(page.locator("#counts")).to_have_text("1 good, 0 bad so far")

    # One that is there, by its details: it comes under a new address.
    before = tile(page, 2).get_by_role("img").get_attribute("src")
    tile(page, 2).locator("summary").click()
    tile(page, 2).get_by_role("button", name="Draw again").click()
    expect(tile(page, 2).get_by_role("img")).not_to_have_attribute("src", before, timeout=60_000)
    expect(tile(page, 1).get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "true")


def test_without_script(page_without_script, live_server, workers, drawn):
    page = page_without_script
    candidate = drawn.candidates.get(slot=2)
    Path(candidate.picture.image.path).unlink()
    rating.rate(drawn.candidates.get(slot=1), "good", uuid.uuid4())
    page.goto(f"{live_server.url}/s/{drawn.session_id}/")
    expect(tile(page, 2)).to_contain_text("The file of this picture is missing: it can be drawn again.")
    expect(tile(page, 2).get_by_role("checkbox")).to_have_count(0)
    workers.start("gpu")
    tile(page, 2).get_by_role("button", name="Draw again").click()
    expect(tile(page, 2).get_by_role("img")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("status")).to_contain_text("3 of 3 images", timeout=60_000)
    assert Candidate.objects.get(pk=candidate.pk).picture == candidate.picture


def test_a_connection_that_is_lost_says_nothing_of_the_file(page, live_server, drawn):
    page.provoked.append("Failed to load resource")
    page.route("**/thumbnail?*", lambda route: route.abort())
    page.goto(f"{live_server.url}/s/{drawn.session_id}/")
    page.wait_for_load_state("networkidle")
    expect(page.locator(".tile.ready")).to_have_count(3)
