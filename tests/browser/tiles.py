"""What a test does with the tiles of a page, and answers that are slow."""

import re

from playwright.sync_api import APIResponse, Locator, Page, Route, expect

from tests.browser.conftest import eventually


class Slow:
    """Keeps the first requests of a kind until they are let go; or their answers: then the server has heard them."""

    def __init__(
        self, page: Page, of: str | re.Pattern[str] = "**/rate", answers: bool = False, first: int = 1
    ) -> None:
        self.kept: list[tuple[Route, APIResponse | None]] = []
        self.keeps_answers = answers
        self.page = page
        page.route(of, self.keep, times=first)

    def keep(self, route: Route) -> None:
        self.kept.append((route, route.fetch() if self.keeps_answers else None))

    def wait(self) -> None:
        eventually(self.page, lambda: bool(self.kept), True)

    def let_go(self) -> None:
        assert self.kept  # otherwise nothing was slow
        for route, answer in self.kept:
            if answer is None:
                route.continue_()
            else:
                route.fulfill(response=answer)


def button(page: Page, number: int, name: str = "Good") -> Locator:
    return page.get_by_role("group", name=f"Candidate {number}", exact=True).get_by_role("button", name=name)


def is_pressed(button: Locator, wanted: bool = True) -> None:
    expect(button).to_have_attribute("aria-pressed", str(wanted).lower())


def settled(page: Page) -> None:
    expect(page.locator(".tile form.htmx-request")).to_have_count(0)
