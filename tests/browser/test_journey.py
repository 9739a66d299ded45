"""What a person does: write a prompt, look, rate, submit; with a mouse, with the keyboard, without script."""

from playwright.sync_api import expect

from preferences.models import Rating, Session
from tests.browser.conftest import eventually
from tests.browser.tiles import is_pressed
from tests.factories import rating_counts


def start(page, live_server, **boxes) -> None:
    page.goto(live_server.url)
    page.get_by_role("textbox", name="Prompt", exact=True).fill("a snowy mountain at dawn")
    page.get_by_text("Advanced", exact=True).click()
    for name, value in boxes.items():
        page.get_by_role("spinbutton", name=name.replace("_", " "), exact=True).fill(str(value))
    page.get_by_role("button", name="Start session").click()


def test_the_names_that_a_person_finds(page, live_server, tiny_model):
    page.goto(live_server.url)
    for name in ("Model", "Space", "Value model", "Start"):
        expect(page.get_by_role("combobox", name=name, exact=True)).to_be_visible()
    for name in ("Curation Size", "Inference Batch"):
        expect(page.get_by_role("spinbutton", name=name, exact=True)).to_be_visible()
    delta = page.get_by_role("spinbutton", name="Delta Scale", exact=True)
    expect(delta).to_be_hidden()
    page.get_by_text("Advanced", exact=True).click()
    expect(delta).to_be_visible()
    for name in ("Noise Seed", "Diff Steps", "Max Dist", "Temperature", "Optim Steps", "Step Size", "Imgs/Row"):
        expect(page.get_by_role("spinbutton", name=name, exact=True)).to_be_visible()


def test_a_journey_with_script(page, live_server, workers):
    workers.start("gpu")
    start(page, live_server, Curation_Size=6, Diff_Steps=12)
    status = page.get_by_role("status")
    first, second, third = (page.get_by_role("group", name=f"Candidate {n}", exact=True) for n in (1, 2, 3))
    expect(first.get_by_role("img")).to_be_visible(timeout=60_000)

    # Rating while the rest is drawn: the tile under the hand stays, and keeps the focus.
    good, bad = (first.get_by_role("button", name=name) for name in ("Good", "Bad"))
    good.click()
    is_pressed(good)
    expect(good).to_be_focused()
    expect(status).to_contain_text("6 of 6 images", timeout=60_000)
    expect(good).to_be_focused()
    is_pressed(good)
    expect(page.locator("[hx-trigger]")).to_have_count(0)  # nothing is drawn: nothing is polled

    # A change of mind, and back to no rating.
    bad.click()
    is_pressed(bad)
    is_pressed(good, False)
    good.click()
    is_pressed(good)

    # With keys alone.
    good.focus()
    for key, tile, name in (("g", second, "Good"), ("b", third, "Bad")):
        page.keyboard.press("ArrowRight")
        page.keyboard.press(key)
        is_pressed(tile.get_by_role("button", name=name))

    session = Session.objects.get()
    eventually(page, lambda: rating_counts(session), (2, 1))
    expect(page.locator("#counts")).to_have_text("2 good, 1 bad so far")
    page.reload()
    is_pressed(second.get_by_role("button", name="Good"))
    page.keyboard.press("b")  # nothing has the focus yet: it is the first picture that is meant
    is_pressed(bad)
    page.keyboard.press("g")
    is_pressed(good)

    page.get_by_role("button", name="Submit batch").click()
    expect(page.get_by_role("link", name="Batch 2", exact=True)).to_have_attribute("aria-current", "page")
    expect(first).to_be_focused()  # the first new one, before it is drawn and after
    expect(status).to_contain_text("6 of 6 images", timeout=60_000)
    expect(first).to_be_focused()
    page.keyboard.press("Tab")
    expect(first.get_by_role("link")).to_be_focused()  # the picture in full
    page.reload()
    expect(page.get_by_text("learned from 2 good and 1 bad")).to_be_visible()


def test_without_form_submit_a_vote_redraws_its_tile(page, live_server, workers):
    workers.start("gpu")
    page.goto(live_server.url)
    page.get_by_role("textbox", name="Prompt", exact=True).fill("a sea")
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_role("checkbox", name="Form Submit").uncheck()
    page.get_by_role("button", name="Start session").click()
    tile = page.get_by_role("group", name="Candidate 2", exact=True)
    expect(page.get_by_role("status")).to_contain_text("4 of 4 images", timeout=60_000)
    before = tile.get_attribute("data-candidate")
    tile.get_by_role("button", name="Good").click()
    expect(tile).not_to_have_attribute("data-candidate", before, timeout=30_000)
    expect(tile.get_by_role("img")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("4 of 4 images", timeout=30_000)
    eventually(page, Rating.objects.count, 1)


def test_stopped_and_drawn_later(page, live_server, workers):
    start(page, live_server, Curation_Size=4)
    status = page.get_by_role("status")
    expect(status).to_contain_text("No worker is drawing")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(status).to_contain_text("Stopped · 0 of 4 images, 4 not drawn")
    workers.start("gpu")
    page.get_by_role("button", name="Draw the rest").click()
    expect(status).to_contain_text("4 of 4 images", timeout=60_000)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)


def test_a_journey_without_script(page_without_script, live_server, workers):
    page = page_without_script
    workers.start("gpu")
    start(page, live_server, Curation_Size=4)
    # The page refreshes itself while something is drawn.
    expect(page.get_by_role("status")).to_contain_text("4 of 4 images", timeout=60_000)
    first = page.get_by_role("group", name="Candidate 1", exact=True)
    first.get_by_role("button", name="Good").click()
    is_pressed(first.get_by_role("button", name="Good"))
    first.get_by_role("button", name="Take back").click()
    is_pressed(first.get_by_role("button", name="Good"), False)
    expect(first.get_by_role("button", name="Take back")).to_have_count(0)
    # The whole batch at once: ticks, then one button.
    for name in ("Candidate 2", "Candidate 4"):
        page.get_by_role("group", name=name, exact=True).get_by_role("checkbox").check()
    page.get_by_role("button", name="Submit batch").click()
    expect(page.get_by_role("link", name="Batch 2", exact=True)).to_have_attribute("aria-current", "page")
    eventually(page, lambda: rating_counts(Session.objects.get()), (2, 0))
    expect(page.get_by_role("status")).to_contain_text("4 of 4 images", timeout=60_000)


def test_a_mistake_in_the_form_is_named_and_nothing_is_lost(page, live_server, tiny_model):
    page.goto(live_server.url)
    page.get_by_role("textbox", name="Prompt", exact=True).fill("a meadow")
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_role("spinbutton", name="Width", exact=True).fill("100")
    page.evaluate("document.querySelector('main form').noValidate = true")
    page.provoked.append("400 (Bad Request)")
    with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        page.get_by_role("button", name="Start session").click()
    assert answer.value.status == 400
    expect(page.get_by_role("alert")).to_contain_text("Width must be a multiple of 8: try 96.")
    expect(page.get_by_role("textbox", name="Prompt", exact=True)).to_have_value("a meadow")
