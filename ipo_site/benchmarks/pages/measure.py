"""How long the server takes for each page, and how often it asks the database, with a long history and a short one."""

import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from typing import Any
from unittest.mock import patch

from django.db import connection, transaction
from django.test.utils import override_settings

from ipo_site.benchmarks.pages import history, requests
from ipo_site.benchmarks.pages.requests import NoRow, Row
from ipo_site.benchmarks.pages.scratch import scratch
from preferences.jobs import services as jobs
from preferences.models import Session


@dataclass(frozen=True)
class Figure:
    """What a request took: seconds (median) and queries."""

    page: str
    place: str
    seconds: float
    queries: int
    limit: float

    @property
    def key(self) -> tuple[str, str]:
        return self.page, self.place


def run(name: str, *, size: history.Size = history.LARGE, rounds: int = 5, keep: bool = False) -> list[dict[str, Any]]:
    """Measure all pages on a small and on a large history, in scratch databases whose names begin with this.

    Rows of page, place, limit, and seconds and queries of each. Raises NoRow.
    """
    found: dict[str, dict[tuple[str, str], Figure]] = {}
    requests.client.cache_clear()
    for which, this in (("small", history.SMALL), ("large", size)):
        with (
            tempfile.TemporaryDirectory() as pictures,
            override_settings(MEDIA_ROOT=pictures),
            patch.object(jobs, "wake"),  # no worker is woken: its database knows nothing of these batches
            scratch(f"{name}_{which}", keep=keep) as was_there,
        ):
            if was_there and Session.objects.exists():
                history.write_files(this.pictures)
            else:
                history.fill(this)
            figures = [_figure(row, rounds) for row in requests.rows()]
            found[which] = {figure.key: figure for figure in figures}
    return [
        {
            **asdict(large),
            "seconds_small": found["small"][key].seconds if key in found["small"] else None,
            "queries_small": found["small"][key].queries if key in found["small"] else None,
        }
        for key, large in found["large"].items()
    ]


def missed(found: list[dict[str, Any]]) -> list[str]:
    """A sentence for each page that is too slow, or asks more often than with one session."""
    said = []
    for row in found:
        name = f"{row['page']}, {row['place']}" if row["place"] else row["page"]
        if row["seconds"] >= row["limit"]:
            said.append(f"{name}: {1000 * row['seconds']:.0f} ms, and {1000 * row['limit']:.0f} are allowed.")
        if row["queries_small"] is not None and row["queries"] > row["queries_small"]:
            said.append(f"{name}: {row['queries']} queries, and {row['queries_small']} with one session.")
    return said


def table(found: list[dict[str, Any]]) -> str:
    """As Markdown: each page where it is slowest."""
    lines = ["| Page | ms | with one session | Queries |", "|---|---:|---:|---:|"]
    for page in dict.fromkeys(row["page"] for row in found):
        of_page = [row for row in found if row["page"] == page]
        ms, small = (round(1000 * max(row[name] or 0 for row in of_page)) for name in ("seconds", "seconds_small"))
        lines.append(f"| {page} | {ms} | {small} | {max(row['queries'] for row in of_page)} |")
    return "\n".join(lines)


def _figure(row: Row, rounds: int) -> Figure:
    """What is too slow is tried a few times more, and the least counts: something else may have had the machine."""
    figure = _measure(row, rounds)
    for _ in range(4):
        if figure.seconds >= row.limit:
            figure = min(figure, _measure(row, rounds), key=lambda one: one.seconds)
    return figure


def _measure(row: Row, rounds: int) -> Figure:
    """Median of some rounds after one that is not counted (templates are compiled then)."""
    times, queries = [], 0
    for _ in range(1 + rounds):
        queries = 0

        def count(execute: Any, *args: Any) -> Any:
            nonlocal queries
            queries += 1
            return execute(*args)

        with transaction.atomic(), connection.execute_wrapper(count):
            began = time.perf_counter()
            answer = requests.ask(row.url, row.form, row.headers)
            b"".join(getattr(answer, "streaming_content", ()))
            times.append(time.perf_counter() - began)
            transaction.set_rollback(True)
        if answer.status_code >= 400:
            raise NoRow(f"{row.page} ({row.url}) answers {answer.status_code}: see FORMS in {requests.__name__}.")
    return Figure(row.page, row.place, statistics.median(times[1:]), queries, row.limit)
