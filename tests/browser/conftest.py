"""Debian's Chromium, driven by Playwright, against a live server and a real worker."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from preferences.models import Session
from tests.drawing import draw_batch
from tests.factories import SessionFactory
from tests.recovery.conftest import wait_until_quiet, workers

__all__ = ["workers"]

# Playwright's own event loop runs in this thread; Django would take that for asynchronous code.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

expect.set_options(timeout=30_000)  # only how long a failure takes: on a busy machine 5 seconds are soon gone

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def eventually(page: Page, read: Callable[[], Any], wanted: Any, seconds: float = 60) -> None:
    """Like Playwright's expect, for what only the database says: the page may be ahead of it."""
    end = time.monotonic() + seconds
    while (found := read()) != wanted and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert found == wanted


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing, and CI must not skip the browser tests: apt-get install chromium")
        pytest.skip("Chromium is missing: apt-get install chromium, then run make test again")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, transactional_db) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(30_000)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.provoked = []  # what a test makes the browser complain of; a complaint may come late, so it is weighed here
    yield page
    context.close()
    wait_until_quiet()
    left = [text for text in problems if not any(part in text for part in page.provoked)]
    assert not left, f"the browser complained: {left}"


@pytest.fixture
def page_without_script(browser, transactional_db) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()
    wait_until_quiet()


@pytest.fixture
def drawn(live_server, page, manager) -> Callable[..., Session]:
    """Opens a session of this kind whose first batch is drawn, in a browser whose requests can be kept back."""
    # A page that is there already may let its next request past the first route that is set: this one comes before it.
    page.route("**/nobody-asks-for-this", lambda route: route.abort())

    def open_session(**fields) -> Session:
        session = SessionFactory(**fields)
        draw_batch(session.batches.get().pk, manager, "gpu@test")
        page.goto(f"{live_server.url}/s/{session.pk}/")
        return session

    return open_session
