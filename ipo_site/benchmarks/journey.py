"""How long a person waits: from "Start session" to the first picture, and to the whole batch, over HTTP."""

import re
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.cookiejar import CookieJar

TICK_SECONDS = 0.05
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Waits:
    """Seconds from sending the form."""

    first_picture: float
    whole_batch: float


class Visitor:
    """A browser without script, for one session with a running IPO at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._cookies = CookieJar()
        self._open = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self._cookies)
        ).open

    def start(self, prompt: str, curation_size: int) -> Waits:
        """Start a session and watch it as the page does. Raises TimeoutError when no batch is ready in time."""
        form = self._form(self._get("/"))
        form |= {"prompt": prompt, "curation_size": str(curation_size)}
        began = time.monotonic()
        request = urllib.request.Request(self.url + "/", urllib.parse.urlencode(form).encode())
        with self._open(request) as answer:
            place = urllib.parse.urlsplit(answer.url).path
        first: float | None = None
        while time.monotonic() - began < PATIENCE_SECONDS:
            match = re.search(r"(\d+) of (\d+) images", self._get(f"{place}1/progress", htmx=True))
            drawn, total = map(int, match.groups()) if match else (0, 1)
            if drawn and first is None:
                first = time.monotonic() - began
            if first is not None and drawn == total:
                return Waits(first, time.monotonic() - began)
            time.sleep(TICK_SECONDS)
        raise TimeoutError(f"No whole batch within {PATIENCE_SECONDS:.0f} s: is a worker running?")

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
