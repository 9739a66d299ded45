"""How long a person waits for the first picture, the whole batch, and the next one that learned from it, over HTTP."""

import re
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar

TICK_SECONDS = 0.05
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Waits:
    """Seconds from sending a form."""

    first_picture: float
    whole_batch: float
    later_batch: float  # the whole second batch, which draws several pictures for each place


class Visitor:
    """A browser without script, for one session with a running IPO at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._cookies = CookieJar()
        self._open = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self._cookies)
        ).open

    def go(self, prompt: str, curation_size: int) -> Waits:
        """Start a session, say that every other picture is good, and submit, watching each batch as the page does.

        Raises TimeoutError when a batch is not ready in time.
        """
        form = self._form(self._get("/")) | {"prompt": prompt, "curation_size": str(curation_size)}
        began = time.monotonic()
        place = self._post("/", form)
        first, whole = self._watch(f"{place}1/progress", began)
        page = self._get(place)
        good = re.findall(r'name="good" value="(\d+)"', page)[::2]
        began = time.monotonic()
        self._post(f"{place}1/submit", self._form(page) | {"good": good})
        _, later = self._watch(f"{place}2/progress", began)
        return Waits(first, whole, later)

    def _watch(self, progress: str, began: float) -> tuple[float, float]:
        """Seconds from `began` to a batch's first picture and to all of them."""
        first: float | None = None
        while time.monotonic() - began < PATIENCE_SECONDS:
            match = re.search(r"(\d+) of (\d+) images", self._get(progress, htmx=True))
            drawn, total = map(int, match.groups()) if match else (0, 1)
            if drawn and first is None:
                first = time.monotonic() - began
            if first is not None and drawn == total:
                return first, time.monotonic() - began
            time.sleep(TICK_SECONDS)
        raise TimeoutError(f"No whole batch within {PATIENCE_SECONDS:.0f} s: is a worker running?")

    def _post(self, path: str, form: Mapping[str, str | list[str]]) -> str:
        """The path of the page to which it leads."""
        request = urllib.request.Request(self.url + path, urllib.parse.urlencode(form, doseq=True).encode())
        with self._open(request) as answer:
            place: str = urllib.parse.urlsplit(answer.url).path
        return place

    def _get(self, path: str, *, htmx: bool = False) -> str:
        headers = {"HX-Request": "true"} if htmx else {}
        with self._open(urllib.request.Request(self.url + path, headers=headers)) as answer:
            text: str = answer.read().decode()
        return text

    @staticmethod
    def _form(page: str) -> dict[str, str]:
        """The start form as a browser would send it untouched: hidden, filled and preselected values."""
        found = dict(re.findall(r'<input type="(?:hidden|number)" name="(\w+)" value="([^"]*)"', page))
        selects = re.findall(r'<select name="(\w+)".*?</select>', page, re.DOTALL)
        for name in selects:
            block = page.split(f'<select name="{name}"', 1)[1].split("</select>", 1)[0]
            chosen = re.search(r'<option value="([^"]*)" selected', block)
            found[name] = chosen.group(1) if chosen else ""
        return found | {"form_submit": "on"}
