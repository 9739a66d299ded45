"""No page asks the database more often the longer the history is, and `benchmark pages` would say so."""

import sys
from types import ModuleType

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.http import HttpResponse
from django.urls import get_resolver, include, path

from ipo_site.benchmarks.pages import history, measure, requests
from preferences.models import Batch, Session

pytestmark = pytest.mark.django_db(transaction=True)
FEW = history.Size(sessions=3, batches=12, pictures=3, attempts=4)


@pytest.fixture
def extra_pages(settings, request):
    """The URL conf with some pages more."""

    def add(*patterns):
        module = ModuleType("tests_with_extra_pages")
        module.urlpatterns = [*patterns, path("", include("ipo_site.urls"))]
        sys.modules[module.__name__] = module
        request.addfinalizer(lambda: sys.modules.pop(module.__name__))
        settings.ROOT_URLCONF = module.__name__

    return add


def databases() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE '%pages%'")
        return {name for (name,) in cursor.fetchall()}


def test_no_page_asks_more_often_with_a_longer_history_and_one_that_does_is_named(extra_pages, user):
    def careless(request):
        return HttpResponse([batch.session.prompt for batch in Batch.objects.all()])

    extra_pages(path("careless/", careless, name="careless"))
    home = connection.settings_dict["NAME"]
    found = measure.run("ipo_test_pages", size=FEW, rounds=1)
    more = [sentence for sentence in measure.missed(found) if "queries" in sentence]
    assert more == ["careless: 38 queries, and 4 with one session."]
    measured = {row["page"].partition(",")[0] for row in found}
    assert measured >= {pattern.name for pattern in requests.patterns(get_resolver())}
    assert {"admin: sessions", "admin: ratings", "admin: users", "careless"} <= measured
    assert "| careless |" in measure.table(found)
    assert (connection.settings_dict["NAME"], databases()) == (home, set())
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        (path("new/<slug:taste>/", lambda request, taste: HttpResponse(), name="new"), "argument taste"),
        (path("new/", lambda request: HttpResponse(status=405), name="new"), "new answers 405: add what it is sent"),
        (path("new/", lambda request: HttpResponse()), "has no name"),
    ],
)
def test_a_page_that_cannot_be_measured_says_what_to_write_and_leaves_nothing(extra_pages, user, pattern, sentence):
    extra_pages(pattern)
    with pytest.raises(CommandError, match=sentence):
        call_command("benchmark", "pages", "--sessions", "1")
    assert databases() == set()


def test_too_slow_is_said():
    row = {"page": "index", "place": "", "limit": 0.1, "queries": 3, "queries_small": 3, "seconds_small": 0.01}
    assert measure.missed([row | {"seconds": 0.099}]) == []
    assert measure.missed([row | {"seconds": 0.1234}]) == ["index: 123 ms, and 100 are allowed."]
