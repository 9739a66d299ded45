"""Haste and slow answers on the page of pairs: what nobody has seen is not answered, and each answer counts once."""

import re

from playwright.sync_api import expect

from preferences.models import Rating, Session
from preferences.sessions import training
from tests.browser.conftest import eventually
from tests.browser.tiles import Slow


def pairs(page, drawn) -> Session:
    session = drawn(asking="pairs", curation_size=6, inference_batch=6)
    page.get_by_role("link", name="Compare pairs").click()
    expect(page.locator("form.pair")).to_have_attribute("data-seen", "")
    return session


def test_a_held_key_answers_one_pair(page, drawn):
    pairs(page, drawn)
    for _ in range(5):
        page.keyboard.down("ArrowLeft")
        page.wait_for_timeout(250)
    page.keyboard.up("ArrowLeft")
    expect(page.get_by_role("status")).to_contain_text("1 answered, at most 5")
    eventually(page, Rating.objects.count, 1)


def test_a_pair_that_nobody_has_seen_is_not_answered(page, drawn):
    session = pairs(page, drawn)
    slow = Slow(page, re.compile(r"/image\?"), first=2)  # the next pictures do not come yet
    first = page.get_by_role("button", name="The left one")
    first.dblclick()
    expect(page.get_by_role("status")).to_contain_text("1 answered")
    first.click()
    page.wait_for_timeout(500)
    first.click()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)  # an answer would be at the server by then
    assert Rating.objects.count() == 1
    slow.let_go()
    expect(page.locator("form.pair")).to_have_attribute("data-seen", "")
    first.click()
    expect(page.get_by_role("status")).to_contain_text("2 answered")
    assert [one.values for one in training.training_set(session, 256).said] == [(1.0, -1.0)] * 2


def test_an_answer_on_its_way_goes_along_with_next_batch(page, drawn):
    session = pairs(page, drawn)
    slow = Slow(page, "**/pairs")
    page.keyboard.press("ArrowLeft")
    slow.wait()
    page.get_by_role("button", name="Enough: next batch").click()
    assert session.batches.count() == 1
    slow.let_go()
    expect(page.get_by_role("link", name="Batch 2", exact=True)).to_have_attribute("aria-current", "page")
    assert Rating.objects.count() == 1
