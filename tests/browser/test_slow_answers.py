"""Haste and slow answers: what a person said last is what is saved, once, and nobody undoes what he did not mean to."""

import re
import uuid

import pytest
from playwright.sync_api import expect

from preferences.models import Candidate, Rating, Session
from preferences.sessions import rating
from tests.browser.conftest import eventually
from tests.browser.tiles import Slow, button, is_pressed, settled
from tests.drawing import draw_batch
from tests.factories import SessionFactory, rating_counts


def counted(session: Session):
    return lambda: rating_counts(session)


def test_an_answer_that_comes_while_a_button_is_held_down_takes_it_from_nobody(page, drawn):
    drawn()
    slow = Slow(page, answers=True)
    button(page, 1).click()
    slow.wait()
    page.get_by_role("button", name="Submit batch").hover()
    page.mouse.down()
    slow.let_go()
    expect(page.locator("#counts")).to_have_text("1 good, 0 bad so far")
    settled(page)
    page.mouse.up()
    expect(page.get_by_role("link", name="Batch 2", exact=True)).to_have_attribute("aria-current", "page")


def test_a_second_press_in_haste_undoes_nothing(page, drawn):
    session = drawn()
    button(page, 1).dblclick()
    is_pressed(button(page, 1))
    button(page, 2).focus()
    page.keyboard.press("g")
    page.keyboard.press("g")
    is_pressed(button(page, 2))
    page.keyboard.press("ArrowRight")
    for _ in range(4):
        page.keyboard.down("b")  # held: all but the first are repeats
        page.wait_for_timeout(250)
    page.keyboard.up("b")
    is_pressed(button(page, 3, "Bad"))
    button(page, 4, "Bad").focus()
    for _ in range(4):
        page.keyboard.down("Enter")
        page.wait_for_timeout(250)
    page.keyboard.up("Enter")
    is_pressed(button(page, 4, "Bad"))
    eventually(page, counted(session), (2, 2))
    settled(page)
    assert Rating.objects.count() == 4
    assert not Rating.objects.filter(undone_at__isnull=False).exists()

    button(page, 1).click()  # at leisure: taken back
    is_pressed(button(page, 1), False)
    eventually(page, counted(session), (1, 2))
    page.reload()
    is_pressed(button(page, 1), False)
    is_pressed(button(page, 2))


def test_a_double_click_redraws_a_tile_once(page, drawn):
    session = drawn(form_submit=False)
    button(page, 1).dblclick()
    settled(page)
    eventually(page, counted(session), (1, 0))
    assert session.batches.get().candidates.filter(slot=1).count() == 2


def test_the_last_of_three_words_stands_however_slow_the_answers(page, drawn):
    session = drawn()
    slow = Slow(page)
    for name in ("Good", "Bad", "Good", "Bad"):
        button(page, 1, name).click()
        is_pressed(button(page, 1, name))  # at once, long before any answer
    slow.wait()
    slow.let_go()
    eventually(page, counted(session), (0, 1))
    settled(page)
    is_pressed(button(page, 1, "Bad"))
    is_pressed(button(page, 1), False)
    expect(page.locator("#counts")).to_have_text("0 good, 1 bad so far")
    assert Rating.objects.count() == 2  # the first, which was on its way, and the last


def test_the_last_best_stands_however_slow_the_answers(page, drawn):
    session = drawn(asking="best")
    slow = Slow(page)
    for number in (1, 2, 3):
        button(page, number, "Best").click()
        is_pressed(button(page, number, "Best"))
    expect(page.locator("[aria-pressed=true]")).to_have_count(1)
    slow.wait()
    slow.let_go()
    third = session.batches.get().candidates.get(slot=3)
    best = Rating.objects.filter(undone_at__isnull=True, items__value__gt=0).values_list(
        "items__picture__candidate", flat=True
    )
    eventually(page, lambda: list(best.all()), [third.pk])
    settled(page)
    expect(page.locator("[aria-pressed=true]")).to_have_count(1)
    is_pressed(button(page, 3, "Best"))


def test_a_ranking_keeps_the_order_of_the_clicks(page, drawn):
    drawn(asking="ranking")
    slow = Slow(page)
    for number in (4, 2):
        button(page, number, "Next best").click()
    slow.wait()
    slow.let_go()
    expect(button(page, 4, "1st")).to_be_visible()
    expect(button(page, 2, "2nd")).to_be_visible()


def test_an_older_answer_shows_nothing_older(page, drawn):
    session = drawn()
    slow = Slow(page, answers=True)
    button(page, 1).click()
    slow.wait()
    button(page, 2, "Bad").click()
    counts = page.locator("#counts")
    expect(counts).to_have_text("1 good, 1 bad so far")
    slow.let_go()
    settled(page)
    expect(counts).to_have_text("1 good, 1 bad so far")
    expect(page.get_by_role("status")).to_contain_text("2 of 4 rated")
    is_pressed(button(page, 1))
    is_pressed(button(page, 2, "Bad"))
    assert rating_counts(session) == (1, 1)


def test_submit_waits_for_ratings_on_their_way(page, drawn):
    session = drawn()
    slow = Slow(page)
    button(page, 1).click()
    button(page, 1, "Bad").click()  # queues behind the first
    slow.wait()
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#batch-form")).to_have_attribute("aria-busy", "true")
    assert session.batches.count() == 1
    slow.let_go()
    expect(page.get_by_role("link", name="Batch 2", exact=True)).to_have_attribute("aria-current", "page")
    assert rating_counts(session) == (0, 1)


def test_a_button_of_what_is_polled_keeps_the_focus_and_can_be_held_down(page, drawn):
    drawn(value_model="xgboost")
    page.get_by_role("button", name="Search for settings").click()
    stop = page.get_by_role("button", name="Stop, and take the best so far")
    stop.focus()
    for _ in range(2):
        with page.expect_response("**/search"):
            pass
    expect(stop).to_be_focused()
    stop.hover()
    page.mouse.down()
    for _ in range(2):
        with page.expect_response("**/search"):
            pass
    page.mouse.up()
    expect(page.locator("#search")).to_contain_text("Stopped before anything was tried.")


def test_a_search_waits_for_ratings_on_their_way(page, drawn):
    session = drawn(value_model="xgboost")
    slow = Slow(page)
    button(page, 1).click()
    slow.wait()
    page.get_by_role("button", name="Search for settings").click()
    expect(page.locator("#search-form")).to_have_attribute("aria-busy", "true")
    assert not session.searches.exists()
    slow.let_go()
    expect(page.locator("#search")).to_contain_text("Tried 0 of 100 settings")
    assert rating_counts(session) == (1, 0)


def change_back(page, drawn) -> tuple[Session, Slow]:
    """What is shown is what was saved before the first word went out; another is on its way nevertheless."""
    session = drawn()
    button(page, 1).click()
    eventually(page, counted(session), (1, 0))
    settled(page)
    slow = Slow(page)
    button(page, 1, "Bad").click()
    slow.wait()
    button(page, 1).click()
    return session, slow


def test_submit_waits_for_a_mind_that_was_changed_back(page, drawn):
    session, slow = change_back(page, drawn)
    page.get_by_role("button", name="Submit batch").click()
    expect(page.locator("#batch-form")).to_have_attribute("aria-busy", "true")
    assert session.batches.count() == 1
    slow.let_go()
    expect(page.get_by_role("link", name="Batch 2", exact=True)).to_have_attribute("aria-current", "page")
    assert rating_counts(session) == (1, 0)


def test_who_leaves_after_changing_back_loses_nothing(page, drawn):
    session, _ = change_back(page, drawn)
    tile = session.batches.get().candidates.get(slot=1)
    page.get_by_role("link", name="Models").click()
    expect(page).to_have_url(re.compile("/models/$"))
    eventually(page, lambda: Candidate.objects.get(pk=tile.pk).heard_turn, 4)
    assert rating_counts(session) == (1, 0)
    # The first of the two, kept back until now, is heard too late.
    rating.rate(tile, "bad", uuid.uuid4(), Candidate.objects.get(pk=tile.pk).heard_page, 2)
    assert rating_counts(session) == (1, 0)


def test_who_leaves_at_once_loses_nothing(page, drawn):
    session = drawn()
    slow = Slow(page)
    button(page, 1).click()
    slow.wait()
    page.get_by_role("link", name="Models").click()
    expect(page).to_have_url(re.compile("/models/$"))
    eventually(page, counted(session), (1, 0))


def test_a_refused_rating_is_shown_as_it_is_saved(page, drawn):
    session = drawn()
    button(page, 1).click()
    eventually(page, counted(session), (1, 0))
    settled(page)
    page.provoked.append("500 (Internal Server Error)")
    page.provoked.append("Response Status Error Code 500")
    page.route("**/rate", lambda route: route.fulfill(status=500, body="no"), times=1)
    button(page, 1, "Bad").click()
    expect(page.get_by_role("status")).to_contain_text("That did not work")
    is_pressed(button(page, 1))
    is_pressed(button(page, 1, "Bad"), False)


def test_rating_in_an_old_batch_leaves_the_way_to_the_newest(page, drawn, live_server, manager):
    session = drawn()
    page.get_by_role("button", name="Submit batch").click()
    expect(page.get_by_role("link", name="Batch 2", exact=True)).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="Batch 1", exact=True).click()
    button(page, 1).click()
    eventually(page, counted(session), (1, 0))
    settled(page)
    expect(page.get_by_role("link", name="To the newest batch")).to_be_visible()
    expect(page.get_by_role("button", name="Submit batch")).to_have_count(0)


def test_what_is_there_without_script_is_not_there_with_it(page, live_server, manager):
    """HTMX parses what it swaps in as a page without script: a check box in <noscript> would become a real one."""
    session = SessionFactory()
    page.goto(f"{live_server.url}/s/{session.pk}/")
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    expect(button(page, 4)).to_be_visible()
    expect(page.locator(".tile input[type=checkbox]")).to_have_count(0)


@pytest.mark.parametrize("choice", ["Best", "Top three"])
def test_a_choice_leaves_what_was_said_of_others(page, drawn, choice):
    """Their frame shows what stands, also where the choice is refused or taken back."""
    session = drawn(asking="top_three" if choice == "Top three" else "best")
    for slot in (1, 4):
        rating.rate(session.batches.get().candidates.get(slot=slot), "good", uuid.uuid4())
    page.reload()
    tiles = [page.get_by_role("group", name=f"Candidate {n}", exact=True) for n in (1, 2, 3, 4)]
    for number in (2, 3):
        button(page, number, choice).click()
        is_pressed(button(page, number, choice))
    settled(page)
    for tile in (tiles[0], tiles[3]):
        expect(tile).to_have_class(re.compile(r"\bgood\b"))
    if choice == "Top three":
        button(page, 1, choice).click()
        settled(page)
        page.provoked += ["409 (Conflict)", "Response Status Error Code 409"]
        button(page, 4, choice).click()  # a fourth
        expect(page.get_by_role("status")).to_contain_text("take one of them back first")
        expect(tiles[3]).to_have_class(re.compile(r"\bgood\b"))
        page.wait_for_timeout(500)  # at leisure: a second press in haste is the same press
        button(page, 1, choice).click()
        is_pressed(button(page, 1, choice), False)
        expect(tiles[0]).to_have_class(re.compile(r"\bgood\b"))
