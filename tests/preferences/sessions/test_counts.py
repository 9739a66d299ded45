"""The counts that are kept beside a session are those of a recount, whatever was said and taken back."""

import random
import uuid
from contextlib import suppress

import pytest

from preferences.errors import NotAllowed
from preferences.feedback.kinds import ANSWERS, KINDS, WORDS
from preferences.models import Candidate, Session
from preferences.sessions import counts, rating
from preferences.sessions import services as session_services
from tests.factories import SessionFactory, finish

pytestmark = pytest.mark.django_db
NAMES = ("good_count", "bad_count", "rated_count")


def kept(session: Session) -> dict[str, int]:
    return Session.objects.values(*NAMES).get(pk=session.pk)


def say_something(session: Session, chance: random.Random) -> str:
    """One thing of all that a person can do, allowed or not."""
    batch = chance.choice(list(session.batches.all()))
    candidates = list(Candidate.objects.filter(batch=batch))
    what = chance.choice(["rate", "rate", "rate", "compare", "undo", "submit", "switch"])
    with suppress(NotAllowed):
        if what == "rate":
            word = chance.choice([*WORDS, "none"])
            what = f"rate {word}"
            rating.rate(chance.choice(candidates), word, uuid.uuid4())
        elif what == "compare":
            two = chance.sample([one.pk for one in candidates], 2)
            rating.compare(batch, *two, chance.choice(list(ANSWERS)), uuid.uuid4())
        elif what == "undo":
            rating.undo_compare(batch)
        elif what == "submit":
            good = chance.sample([one.pk for one in candidates], 1)
            session_services.submit_batch(session, batch.number, good, [])
        else:
            names = ("form_submit", "regenerate_all", "unrated_is_bad")
            changes = {name: chance.random() < 0.5 for name in names}
            session_services.update_controls(session, changes | {"asking": chance.choice(list(KINDS))})
    for active in session.batches.filter(job__state="queued"):
        finish(active)
    return what


@pytest.mark.parametrize("seed", range(6))
def test_a_recount_finds_the_same_after_each_of_many_actions(user, seed):
    chance = random.Random(seed)
    session = SessionFactory(curation_size=3)
    finish(session.batches.get())
    done, most = [], 0
    for _ in range(60):
        done.append(say_something(session, chance))
        found = kept(session)
        assert found == counts.recount(session.pk), done
        most = max(most, *found.values())
    assert most > 3
    assert len(session.batches.all()) > 1


def test_a_picture_that_is_rated_often_is_one_rated_picture(client, batch):
    finish(batch)
    for word in ("good", "bad", "good", "5", "1", "bad"):
        rating.rate(batch.candidates.first(), word, uuid.uuid4())
    assert "1 batch, 1 rated<" in client.get("/").content.decode()
    rating.rate(batch.candidates.first(), "none", uuid.uuid4())
    assert kept(batch.session) == dict.fromkeys(NAMES, 0)


def test_neither_good_nor_bad_is_rated_all_the_same(batch):
    finish(batch)
    first, second, third, fourth = batch.candidates.all()
    rating.rate(first, "3", uuid.uuid4())
    rating.rate(second, "best", uuid.uuid4())
    rating.compare(batch, third.pk, fourth.pk, "skip", uuid.uuid4())
    assert kept(batch.session) == {"good_count": 1, "bad_count": 0, "rated_count": 2}
    rating.compare(batch, third.pk, fourth.pk, "tie", uuid.uuid4())
    assert kept(batch.session)["rated_count"] == 4


def test_rows_that_came_another_way_are_counted_anew(user):
    for seed in range(2):
        session = SessionFactory(curation_size=3)
        finish(session.batches.get())
        chance = random.Random(100 + seed)
        for _ in range(40):
            say_something(session, chance)
    before = list(Session.objects.order_by("pk").values(*NAMES))
    assert all(row["rated_count"] for row in before)
    Session.objects.update(**dict.fromkeys(NAMES, 0))
    for pk in Session.objects.values_list("pk", flat=True):
        counts.recount(pk)
    assert list(Session.objects.order_by("pk").values(*NAMES)) == before
