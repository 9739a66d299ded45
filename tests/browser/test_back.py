"""Back, with pages from the browser's own memory as well as without."""

import shutil

import pytest
from playwright.sync_api import expect

from preferences.models import Session
from tests.browser.conftest import FLAGS
from tests.factories import SessionFactory


@pytest.fixture(params=[True, False], ids=["from memory", "loaded anew"])
def page_going_back(request, browser):
    """A page of a browser with, or without, its back-forward cache, which Playwright switches off."""
    if request.param:
        without = ["--disable-back-forward-cache"]
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = browser.browser_type.launch(executable_path=path, args=FLAGS, ignore_default_args=without)
    context = browser.new_context()
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.add_init_script("addEventListener('pageshow', (event) => { document.body.dataset.memory = event.persisted; })")
    page.is_from_memory = request.param
    yield page
    context.close()
    if request.param:
        browser.close()


def start(page, prompt: str) -> None:
    page.get_by_role("textbox", name="Prompt", exact=True).fill(prompt)
    page.get_by_role("button", name="Start session").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(prompt)


def test_another_prompt_after_back_is_another_session(page_going_back, live_server, tiny_model):
    page = page_going_back
    page.goto(live_server.url)
    used = page.locator("main form [name=id]").input_value()
    start(page, "a sea at night")
    page.go_back(wait_until="commit")  # from memory nothing is loaded
    # Not by wait_for_function: what is not so at once it asks by eval, which our Content-Security-Policy forbids.
    expect(page.locator("body")).to_have_attribute("data-memory", "true" if page.is_from_memory else "false")
    expect(page.get_by_role("button", name="Start session")).to_be_visible()
    if page.is_from_memory:
        expect(page.locator("main form [name=id]")).not_to_have_value(used)
    start(page, "a forest at noon")
    assert sorted(Session.objects.values_list("prompt", flat=True)) == ["a forest at noon", "a sea at night"]


def test_after_a_search_back_leads_to_the_page(page_going_back, live_server, tiny_model):
    page = page_going_back
    session = SessionFactory()
    page.goto(f"{live_server.url}/s/{session.pk}/")
    page.get_by_text("Settings of XGBoost").click()
    page.get_by_role("button", name="Search for settings").click()
    expect(page.locator("#search")).to_contain_text("Tried 0 of 100 settings")
    page.get_by_role("button", name="Stop, and take the best so far").click()
    expect(page.locator("#search")).to_contain_text("Stopped before anything was tried.")
    assert page.url == f"{live_server.url}/s/{session.pk}/"
    page.get_by_role("link", name="Models").click()
    expect(page).to_have_url(f"{live_server.url}/models/")
    page.go_back(wait_until="commit")
    expect(page.get_by_role("heading", level=1)).to_have_text(session.title)
