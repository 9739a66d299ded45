"""Other ways to say what one likes: stars, the best of the batch, the better of two; and what the form shows."""

import pytest
from playwright.sync_api import expect

from preferences.models import Rating, Session
from preferences.sessions import training
from tests.browser.conftest import eventually


def start(page, live_server, asking: str, size: int = 4) -> None:
    page.goto(live_server.url)
    page.get_by_role("textbox", name="Prompt", exact=True).fill("a sea at night")
    page.get_by_role("combobox", name="You say", exact=True).select_option(label=asking)
    page.get_by_role("spinbutton", name="Curation Size", exact=True).fill(str(size))
    page.get_by_role("button", name="Start session").click()
    expect(page.get_by_role("status")).to_contain_text(f"{size} of {size} images", timeout=60_000)


def tile(page, number: int):
    return page.get_by_role("group", name=f"Candidate {number}", exact=True)


def said() -> list[tuple]:
    """Best first: what is said of two pictures may arrive in any order."""
    known = training.training_set(Session.objects.get(), 256)
    return sorted(((one.kind, one.values) for one in known.said), reverse=True)


@pytest.mark.parametrize(
    ("model", "shown", "hidden"),
    [
        ("Bayesian", ["Temperature", "Optim Steps"], ["Ridge Alpha", "Trees"]),
        ("Gaussian", ["Temperature"], ["Ridge Alpha", "Trees", "Optim Steps", "Step Size"]),
        ("Ridge", ["Ridge Alpha", "Step Size"], ["Temperature", "Trees"]),
        ("XGBoost", ["Trees", "Depth", "Learning Rate", "Optim Steps"], ["Temperature"]),
    ],
)
def test_the_form_shows_what_the_value_model_listens_to(page, live_server, tiny_model, model, shown, hidden):
    page.goto(live_server.url)
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_role("combobox", name="Value model", exact=True).select_option(label=model)
    for name in shown:
        expect(page.get_by_label(name, exact=True)).to_be_visible()
    for name in hidden:
        expect(page.get_by_label(name, exact=True)).to_be_hidden()


def test_momentum_is_shown_for_the_optimiser_that_has_it(page, live_server, tiny_model):
    page.goto(live_server.url)
    page.get_by_text("Advanced", exact=True).click()
    momentum = page.get_by_label("Momentum", exact=True)
    expect(momentum).to_be_hidden()
    page.get_by_role("combobox", name="Optimiser", exact=True).select_option(label="Grad (SPSA)")
    expect(momentum).to_be_visible()
    page.get_by_role("combobox", name="Value model", exact=True).select_option(label="Gaussian")
    expect(momentum).to_be_hidden()  # it has no optimiser to choose


def test_stars_by_mouse_and_key(page, live_server, workers):
    workers.start("gpu")
    start(page, live_server, "1 to 5 stars")
    tile(page, 1).get_by_role("button", name="4 stars").click()
    expect(tile(page, 1).get_by_role("button", name="4 stars")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("1")
    expect(tile(page, 2).get_by_role("button", name="1 star", exact=True)).to_have_attribute("aria-pressed", "true")
    eventually(page, said, [("stars", (0.5,)), ("stars", (-1.0,))])
    page.reload()
    expect(tile(page, 1).get_by_role("button", name="4 stars")).to_have_attribute("aria-pressed", "true")


def test_one_best_of_the_batch(page, live_server, workers):
    workers.start("gpu")
    start(page, live_server, "The best of the batch")
    best = [tile(page, number).get_by_role("button", name="Best") for number in (1, 3)]
    best[0].click()
    expect(best[0]).to_have_attribute("aria-pressed", "true")
    best[1].click()
    expect(best[1]).to_have_attribute("aria-pressed", "true")
    expect(best[0]).to_have_attribute("aria-pressed", "false")
    eventually(page, said, [("best", (1.0, -1.0, -1.0, -1.0))])


def test_all_in_order(page, live_server, workers):
    workers.start("gpu")
    start(page, live_server, "All in order, best first")
    tile(page, 3).get_by_role("button", name="Next best").click()
    expect(tile(page, 3).get_by_role("button", name="1st")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    expect(tile(page, 4).get_by_role("button", name="2nd")).to_be_visible()
    page.wait_for_timeout(500)  # sooner it would be the same press, by a finger that shook
    tile(page, 3).get_by_role("button", name="1st").click()
    expect(tile(page, 4).get_by_role("button", name="1st")).to_be_visible()
    expect(tile(page, 3).get_by_role("button", name="Next best")).to_have_attribute("aria-pressed", "false")
    eventually(page, said, [("rank", (1.0, -1.0, -1.0))])
    page.reload()
    expect(tile(page, 4).get_by_role("button", name="1st")).to_have_attribute("aria-pressed", "true")


def test_pairs_with_keys(page, live_server, workers):
    workers.start("gpu")
    start(page, live_server, "The better of two")
    page.get_by_role("link", name="Compare pairs").click()
    page.wait_for_url("**/pairs")
    status = page.get_by_role("status")
    before = page.evaluate("history.length")
    for key, count in (("ArrowLeft", 1), ("s", 2)):
        expect(page.locator("form.pair")).to_have_attribute("data-seen", "")
        page.keyboard.press(key)
        expect(page.locator("main")).to_contain_text(f"{count} answered" if count < 2 else "All pairs", timeout=10_000)
    expect(page.locator("form.undo")).to_have_attribute("data-seen", "")
    page.keyboard.press("u")
    expect(status).to_contain_text("1 answered")
    expect(page.locator("form.pair")).to_have_attribute("data-seen", "")
    page.keyboard.press("ArrowUp")
    expect(status).to_contain_text("All pairs of this batch are answered")
    eventually(page, said, [("pair", (1.0, -1.0)), ("pair", (-1.0, -1.0))])
    eventually(page, Rating.objects.filter(undone_at__isnull=False).count, 1)
    assert page.evaluate("history.length") == before  # Back leads to the batch, not to an answer
    page.get_by_role("button", name="Next batch").click()
    expect(page.get_by_role("link", name="Batch 2", exact=True)).to_have_attribute("aria-current", "page")
