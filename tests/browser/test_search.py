"""Searching for the settings of XGBoost, with a bar that moves and a way to stop."""

import re

from playwright.sync_api import expect


def test_searched_and_stopped(page, live_server, workers):
    workers.start("gpu")
    workers.start("cpu")
    page.goto(live_server.url)
    page.get_by_role("textbox", name="Prompt", exact=True).fill("a sea at night")
    page.get_by_role("combobox", name="Value model", exact=True).select_option(label="XGBoost")
    page.get_by_role("spinbutton", name="Curation Size", exact=True).fill("8")
    page.get_by_role("button", name="Start session").click()
    expect(page.get_by_role("status").first).to_contain_text("8 of 8 images", timeout=60_000)
    for number in range(1, 9):
        tile = page.get_by_role("group", name=f"Candidate {number}", exact=True)
        button = tile.get_by_role("button", name="Good" if number % 2 else "Bad", exact=True)
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
    search = page.locator("#search")
    search.get_by_role("button", name="Search for settings").click()
    expect(search).to_contain_text(re.compile(r"Tried [1-9]\d* of 100 settings"), timeout=60_000)
    search.get_by_role("button", name="Stop, and take the best so far").click()
    expect(search).to_contain_text("The next batch will use them.")
    trees = re.search(r"settings, (\d+) trees", search.inner_text()).group(1)
    page.get_by_text("Controls for the next batch").click()
    page.locator(".controls details details summary").click()
    expect(page.get_by_label("Trees", exact=True)).to_have_value(trees)
