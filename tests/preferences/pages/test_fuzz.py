"""Whatever is sent to any address of the pages and of the admin, nothing fails by itself (no 5xx).

Plain random numbers, the same in each run: strategies of hypothesis send much the same request many times, and to make
a failure smaller takes longer than to read it.
`IPO_FUZZ_EXAMPLES=530 make test ARGS=tests/preferences/pages/test_fuzz.py` sends ten thousand requests.
"""

import io
import os
import random
import re
import traceback
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import transaction
from django.forms import BaseForm
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from preferences.drawing import keep
from preferences.feedback import forms as feedback_forms
from preferences.feedback.kinds import ANSWERS, WORDS
from preferences.jobs import leases, worker
from preferences.models import Batch, Candidate, Session, Worker
from preferences.sessions import forms as session_forms
from preferences.sessions import rating
from preferences.sessions import services as session_services
from preferences.tuning import services as tuning_services
from tests.drawing import claim_batch, draw_batch
from tests.factories import SessionFactory, start_form

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(3600)]

Known = dict[str, list[str]]
ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = int(os.environ.get("IPO_FUZZ_EXAMPLES", "20"))  # of each page; of all of the admin, five times as many
METHODS = ("GET",) * 8 + ("POST",) * 8 + ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "QUERY")

# Numbers, texts, moments, addresses.
HOSTILE = (
    (
        *("", " ", "0", "-1", "00001", "1.5", "1e400", "nan", "-Infinity", "1_000", "+5", "null", "true", "[]", "{}"),
        *(str(2**31), str(2**63 - 1), str(2**63), str(10**30), "9" * 5000, "٣", "१२"),  # not only ASCII has digits
    ),
    (
        *("\x00", "a\x00b", "\x07\x1b[0m", "\ud800", "a\udfffb", "\ufffe", "🦊" * 50, "e\u0301" * 300, "\u202e"),
        *("x" * 3000, "\r\nA: b", "%00", "%zz", "';--", "<script>", "{{ 7|add:7 }}", "[object Object]"),
    ),
    (
        *("2020-01-01T00:00", "2020-01-01", "2020-01-01T00:00Z", "2020-01-01T00:00:00+23:59", "2020-13-45T99:99"),
        *("0001-01-01T00:00+14:00", "9999-12-31T23:59:59.999999-12:00", "0000-00-00T00:00", "2020-01-01T00:00+99:99"),
    ),
    ("../../etc/passwd", "..", "/", "//evil.example/", "http://[", "http://127.0.0.1:1", "http://a:99999999", "a:b()"),
)


def routes(patterns: list[Any], before: str = "") -> Iterator[str]:
    """Every address of a URL conf, as Django writes it: s/<uuid:session_id>/."""
    for one in patterns:
        here = before + str(one.pattern).replace("(?P<url>.*)$", "<path:url>")
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, here)
        elif isinstance(one, URLPattern):
            yield here


ALL = sorted(set(routes(get_resolver("ipo_site.urls").url_patterns)))
ADMIN = [route for route in ALL if route.startswith("admin/")]
PAGES = [route for route in ALL if route not in ADMIN]


# Every name that a view or a form of ours reads, and some of the admin's.
SOURCE = "\n".join(path.read_text() for path in (ROOT / "preferences").rglob("*.py"))
READ = sorted(set(re.findall(r"""request\.(?:GET|POST)(?:\.get(?:list)?\(|\[)\s*["'](\w+)["']""", SOURCE)))
FIELDS = sorted(
    {
        name
        for kind in (vars(feedback_forms) | vars(session_forms)).values()
        if isinstance(kind, type) and issubclass(kind, BaseForm)
        for name in getattr(kind, "base_fields", {})
    }
)
OF_ADMIN = (
    *("p", "q", "o", "all", "e", "_popup", "_to_field", "_changelist_filters", "next", "action", "post", "_continue"),
    *("_selected_action", "_save", "_saveasnew", "state__exact", "session__id__exact", "id__in", "session", "state"),
    *("prompt", "number", "slot", "app_label", "model_name", "field_name", "term", "csrfmiddlewaretoken", "unknown"),
)


def sessions_of_every_kind(manager, media: Path) -> list[Session]:
    """With batches, searches and workers in every state."""
    ready = SessionFactory(value_model="xgboost")
    first = ready.batches.get()
    draw_batch(first.pk, manager, "gpu@a")
    for candidate, word in zip(first.candidates.order_by("slot"), ("good", "bad", "5", "none"), strict=True):
        rating.rate(candidate, word, uuid.uuid4())
    running = session_services.submit_batch(ready, 1, [], [])
    claim_batch(running.pk, "gpu@a")
    tuning_services.start_search(ready)

    pairs = SessionFactory(asking="pairs", space="pooled_embed")
    draw_batch(pairs.batches.get().pk, manager, "gpu@a")
    one, two = pairs.batches.get().candidates.order_by("slot")[:2]
    rating.compare(pairs.batches.get(), one.pk, two.pk, "first", uuid.uuid4())

    without_files = SessionFactory(form_submit=False, asking="ranking")
    draw_batch(without_files.batches.get().pk, manager, "gpu@a")
    for path in (media / "batches" / str(without_files.batches.get().pk)).iterdir():
        path.unlink()

    failed = SessionFactory()
    broken = failed.batches.get()
    keep.fail(claim_batch(broken.pk, "gpu@a"), broken.pk, "No more paint.")
    waiting = SessionFactory(generation_mode="server", server_url="http://127.0.0.1:9", asking="stars")
    without_model = SessionFactory(asking="best")
    Session.objects.filter(pk=without_model.pk).update(model="gone")
    ended = tuning_services.start_search(pairs)
    leases.fail(leases.claim_job(ended.job_id, "cpu@a"), "There are no ratings yet.")
    worker.report_worker("gpu@a", state=Worker.State.FAILED, error="No room.")
    Worker.objects.update_or_create(name="gpu@b", defaults={"seen_at": timezone.now() - timedelta(days=1)})
    assert set(Batch.objects.values_list("job__state", flat=True)) == {"done", "running", "failed", "queued"}
    return [ready, pairs, without_files, failed, waiting, without_model]


@pytest.fixture
def known(manager, settings) -> Known:
    """Rows of every kind: what there is of them, by the name that it has in addresses."""
    sessions = sessions_of_every_kind(manager, Path(settings.MEDIA_ROOT))
    ids = [str(one.pk) for one in sessions]
    candidates = [str(pk) for pk in Candidate.objects.order_by("pk").values_list("pk", flat=True)]
    return {
        "session_id": ids,
        "candidate_id": candidates,
        "number": ["1", "1", "1", "2", "3"],
        "kind": ["image", "thumbnail", "preview"],
        "object": [*candidates, *ids, *(str(pk) for pk in Batch.objects.values_list("pk", flat=True)), "gpu@a"],
        "words": [
            *WORDS,
            *ANSWERS,
            "none",
            "on",
            "tiny",
            "latent",
            "xgboost",
            "server",
            "delete_selected",
        ],
    }


def mostly(rng: random.Random) -> bool:
    return rng.random() < 0.9


def text(rng: random.Random) -> str:
    if rng.random() < 0.8:
        return rng.choice(rng.choice(HOSTILE))
    return "".join(chr(rng.randrange(rng.choice([0x80, 0x3000, 0x110000]))) for _ in range(rng.randrange(20)))


def path_of(rng: random.Random, route: str, known: Known) -> str:
    """An address of a route: most often with values that exist."""

    def value(match: re.Match[str]) -> str:
        found = rng.choice(known.get(match[1], known["object"])) if mostly(rng) else text(rng)
        return quote(found.encode("utf-8", "surrogatepass"), safe=rng.choice(["", "/"]))

    path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", value, route)
    return path if mostly(rng) else path + rng.choice(["%ff%fe", "%00", "%ED%A0%80", "//", ";a"])


def fields(rng: random.Random, known: Known) -> list[tuple[str, str]]:
    """What a form or the end of an address may hold: a real form with changes, some names twice."""
    there = [*known["object"], *known["words"]]
    token = {"form_token": str(uuid.UUID(int=rng.getrandbits(128)))}
    two = {"first": rng.choice(known["candidate_id"]), "second": rng.choice(known["candidate_id"])}
    pairs = [
        (name, str(value))
        for name, value in rng.choice(
            [
                {},
                start_form(id=token["form_token"]),
                {"value": rng.choice([*WORDS, "none"])} | token,
                {"answer": rng.choice(sorted(ANSWERS))} | two | token,
            ]
        ).items()
    ]
    for _ in range(rng.randrange(4)):
        name = rng.choice(rng.choice([READ, READ, FIELDS, OF_ADMIN]))
        if rng.random() < 0.5:
            pairs = [pair for pair in pairs if pair[0] != name]
        pairs.append((name, rng.choice(there) if rng.random() < 0.5 else text(rng)))
    return pairs


def encoded(pairs: list[tuple[str, str]]) -> str:
    return urlencode([(name, value.encode("utf-8", "surrogatepass")) for name, value in pairs])


def body_of(rng: random.Random, pairs: list[tuple[str, str]]) -> tuple[bytes, str]:
    """A body and its type."""
    form, urlencoded = encoded(pairs).encode(), "application/x-www-form-urlencoded"
    parts = encode_multipart(BOUNDARY, {name: value.encode("utf-8", "replace") for name, value in pairs})
    file = io.BytesIO(b"no picture")
    file.name = rng.choice(["a.png", "../a", "\x00", "x" * 300])
    noise = rng.choice([b"", b"\x00", b"--", b"\r\n\r\n", b"Content-Transfer-Encoding: base64\r\n\r\n!"])
    boundary = rng.choice(["", "; boundary=", "; boundary=é", f"; boundary={'x' * 300}", f"; boundary={BOUNDARY}"])
    return rng.choice(
        [
            *[(form, urlencoded)] * 6,
            (parts, MULTIPART_CONTENT),
            (encode_multipart(BOUNDARY, {"file": file}), MULTIPART_CONTENT),
            (parts[: rng.randrange(len(parts))] + noise, "multipart/form-data" + boundary),
            (b'{"value": ', "application/json"),
            (rng.randbytes(100), rng.choice([urlencoded, "", "a/b;c"])),
            (b"a=1&" * 2000, urlencoded),
            (b"prompt=" + b"x" * 3_000_000, urlencoded),
            (form, urlencoded + "; charset=" + rng.choice(["utf-16", "klingon", "é"])),
        ]
    )


HEADERS = {
    "HTTP_HOST": ("127.0.0.1:8577", "evil.example", "", "a b", "[::1", "127.0.0.1:x", "localhost\x00", "é"),
    "HTTP_HX_REQUEST": ("true", "false", "x"),
    "HTTP_HX_CURRENT_URL": ("http://testserver/", "http://[", "", "%ff"),
    "HTTP_HX_CURRENT_URL_URI_AUTOENCODED": ("true",),
    "HTTP_HX_TRIGGER": ("progress", "%ff", "{"),
    "HTTP_HX_BOOSTED": ("true",),
    "HTTP_ORIGIN": ("null", "http://evil.example", "http://["),
    "HTTP_REFERER": ("http://evil.example", "http://[", "é"),
    "HTTP_COOKIE": (
        "a=b",
        "ipo_session_8577=x:y:z",
        "ipo_csrf_8577=short",
        "messages=x:y; a=\x00",
        ";;=;",
        "a=" + "x" * 5000,
    ),
    "HTTP_ACCEPT_ENCODING": ("gzip", "é"),
    "HTTP_IF_MODIFIED_SINCE": ("Thu, 01 Jan 1970 00:00:00 GMT", "yesterday"),
    "HTTP_IF_NONE_MATCH": ("*", '"'),
    "HTTP_RANGE": ("bytes=0-1", "bytes=9-1", "x"),
    "HTTP_X_FORWARDED_PROTO": ("https",),
}


def headers(rng: random.Random) -> dict[str, str]:
    chosen = rng.sample(sorted(HEADERS), rng.choice([0, 0, 1, 2]))
    found = {name: rng.choice(HEADERS[name]) for name in chosen}
    return found | ({"HTTP_HX_REQUEST": "true"} if rng.random() < 0.5 else {})


def send(of: list[str], known: Known, count: int) -> set[int]:
    """Send so many requests to these routes, each as if it were the first one. Returns the statuses that came."""
    answers: Counter[tuple[str, int]] = Counter()
    failures: dict[str, str] = {}
    for number in range(count):
        rng = random.Random(f"{of[0]} {number}")
        method, path = rng.choice(METHODS), path_of(rng, rng.choice(of), known)
        body, kind = (b"", "") if method == "GET" else body_of(rng, fields(rng, known))
        query = encoded(fields(rng, known)) if rng.random() < 0.7 else ""
        extra = {"QUERY_STRING": query, **headers(rng)}
        client = Client(enforce_csrf_checks=not mostly(rng), raise_request_exception=False)
        with transaction.atomic():
            answer = client.generic(method, f"http://testserver{path}", body, kind, **extra)
            b"".join(answer)  # a file is read while it is sent
            transaction.set_rollback(True)
        answers[method, answer.status_code] += 1
        if answer.status_code >= 500:
            trace = "".join(traceback.format_exception(*answer.exc_info)[-3:]) if answer.exc_info else ""
            failures.setdefault(trace, f"{answer.status_code}: {method} {path} {extra} {body[:300]!r}\n{trace}")
    print(count, "requests:", dict(sorted(answers.items())))
    assert not failures, "\n".join(failures.values())
    return {status for _, status in answers}


def test_no_page_fails_by_itself(known):
    statuses: set[int] = set()
    for route in PAGES:
        print(route, end=": ")
        statuses |= send([route], known, EXAMPLES)
    assert {200, 302, 400, 403, 404, 405} <= statuses  # not only what is refused at the door


def test_the_admin_never_fails_by_itself(known):
    assert send(ADMIN, known, EXAMPLES * 5) >= {200, 302, 403, 404}


def test_the_names_of_what_views_read_are_found():
    assert "after" in READ
