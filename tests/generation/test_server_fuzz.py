"""The HTTP generation service against its own description: whatever is sent, it never fails by itself (no 5xx).

`IPO_FUZZ_EXAMPLES=250 make test ARGS=tests/generation/test_server_fuzz.py` sends more than a thousand requests.
"""

import os
from collections import Counter

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from generation.server import api as routes
from generation.server.service import Service
from ipo_site.wsgi import application

EXAMPLES = int(os.environ.get("IPO_FUZZ_EXAMPLES", "20"))  # of each route, well-formed and ill-formed


def test_whatever_is_sent_it_never_fails_by_itself(tiny_model, monkeypatch, settings, db):
    """The service has no use for the database; Django looks after connections that earlier tests have left open."""
    monkeypatch.setattr(routes, "service", Service())
    settings.ROOT_URLCONF, settings.MIDDLEWARE, settings.IPO_GENERATION_TOKEN = "generation.server.urls", [], ""
    answers: Counter[tuple[str, int]] = Counter()
    for found in schemathesis.openapi.from_wsgi("/openapi.json", application).get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:
            send(operation, mode, answers)
    assert not [route for route in answers if route[1] >= 500], answers
    print(sum(answers.values()), "requests:", dict(sorted(answers.items())))
    assert answers["POST /generate", 200]
    assert answers["POST /generate", 422]


def send(operation, mode: GenerationMode, answers: Counter) -> None:
    """Send EXAMPLES requests of this kind and count the answers by route and status."""

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def once(case):
        answers[operation.label, case.call().status_code] += 1

    try:
        once()
    except Exception as error:
        if "Unsatisfiable" not in type(error).__name__:  # a route without input has no ill-formed one
            raise
