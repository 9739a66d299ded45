"""What was not drawn is tried again; what was lost says so, and is not rated."""

import uuid
from pathlib import Path

import pytest

from preferences.errors import NotAllowed
from preferences.feedback.kinds import WORDS
from preferences.models import Candidate, Job, RatedPicture, Rating
from preferences.pages import pairs
from preferences.sessions import rating
from preferences.sessions import services as session_services
from tests.drawing import draw
from tests.preferences.sessions.tiles import MISSING, first, lose, page_of, say, tile_of, vectors

pytestmark = pytest.mark.django_db(transaction=True)
DAMAGED = "The file of this picture is damaged"


# --- nothing, or not all, could be drawn ------------------------------------------------------------------


def test_a_batch_of_which_nothing_could_be_drawn_has_failed(client, batch, manager, failing):
    failing(0, 1, 2, 3)
    draw(batch, manager)
    assert batch.job.state == Job.State.FAILED
    page = page_of(client, batch)
    assert "Drawing failed" in page
    assert batch.job.error in page
    assert page.count("No paint.") == 4
    assert "Try again</button>" in page
    assert "which ones do you like" not in page
    before = vectors(batch)
    failing()
    assert client.post(f"/s/{batch.session_id}/1/retry").status_code == 302
    draw(batch, manager)
    assert (batch.job.state, batch.job.error) == (Job.State.DONE, "")
    assert batch.shown().count() == 4
    assert not set(before) & set(vectors(batch))  # the same ones would have failed again


def test_some_that_failed_are_tried_again_by_themselves(client, batch, manager, failing):
    failing(1, 2)
    draw(batch, manager)
    assert batch.job.state == Job.State.DONE
    page = page_of(client, batch)
    assert "2 of 4 images, 2 failed" in " ".join(page.split())
    assert "Try the failed ones again</button>" in page
    before = dict(batch.candidates.values_list("slot", "drawn_at"))
    failing()
    client.post(f"/s/{batch.session_id}/1/retry")
    assert batch.candidates.filter(state=Candidate.State.PENDING).count() == 2
    draw(batch, manager)
    after = dict(batch.candidates.values_list("slot", "drawn_at"))
    assert [slot for slot in before if before[slot] != after[slot]] == [2, 3]
    assert "Try the failed ones again" not in page_of(client, batch)
    moments = dict(batch.candidates.values_list("slot", "drawn_at"))
    client.post(f"/s/{batch.session_id}/1/retry")  # a form that was sent twice
    draw(batch, manager)
    assert dict(batch.candidates.values_list("slot", "drawn_at")) == moments


def test_an_older_batch_can_be_tried_again_unless_another_is_drawn(client, batch, manager, failing):
    failing(0)
    draw(batch, manager)
    client.post(f"/s/{batch.session_id}/1/submit")
    answer = client.post(f"/s/{batch.session_id}/1/retry")
    assert answer.status_code == 409
    assert "Batch 2 of this session is being drawn" in answer.content.decode()
    draw(batch.session.batches.get(number=2), manager)
    assert "Try the failed ones again</button>" in page_of(client, batch)
    client.post(f"/s/{batch.session_id}/1/retry")
    answer = client.post(f"/s/{batch.session_id}/2/submit")
    assert answer.status_code == 409
    assert "Batch 1 of this session is being drawn" in answer.content.decode()
    assert draw(batch, manager).shown().count() == 4
    assert client.post(f"/s/{batch.session_id}/2/submit").status_code == 302


def test_the_last_poll_of_a_failed_batch_offers_to_try_again(client, batch, manager, failing):
    failing(0, 1, 2, 3)
    draw(batch, manager)
    poll = client.get(f"/s/{batch.session_id}/1/progress", headers={"HX-Request": "true"}).content.decode()
    assert "Try again</button>" in poll
    assert "hx-trigger" not in poll


# --- files that cannot be seen ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["image", "thumbnail"])
@pytest.mark.parametrize("content", [None, b""])
def test_a_missing_picture_says_so_and_cannot_be_rated(client, drawn, kind, content):
    candidate = first(drawn)
    path = Path(getattr(candidate.picture, kind).path)
    path.unlink() if content is None else path.write_bytes(content)
    page = page_of(client, drawn)
    assert "3 of 4 images, 1 missing" in " ".join(page.split())
    tile = tile_of(page, 1)
    assert MISSING in tile
    assert "data-rating" not in tile
    assert "checkbox" not in tile
    assert f'action="/candidates/{candidate.pk}/again"' in tile
    assert "data-rating" in tile_of(page, 2)
    answer = client.get(f"/candidates/{candidate.pk}/{kind}")
    assert answer.status_code == 404
    assert MISSING in answer.content.decode()
    assert "Cache-Control" not in answer.headers


@pytest.mark.parametrize("kind", ["image", "thumbnail"])
@pytest.mark.parametrize("cut", [1, 12, 100])
def test_a_truncated_picture_is_not_served_and_cannot_be_rated(client, drawn, kind, cut):
    candidate = first(drawn)
    path = Path(getattr(candidate.picture, kind).path)
    path.write_bytes(path.read_bytes()[:-cut])
    answer = client.get(f"/candidates/{candidate.pk}/{kind}")
    assert answer.status_code == 404
    assert DAMAGED in answer.content.decode()
    answer = say(client, candidate, "good")
    assert answer.status_code == 409
    assert DAMAGED in answer.content.decode()
    assert not Rating.objects.exists()


def test_what_cannot_be_seen_is_not_rated_in_any_way(client, drawn, manager):
    one, two, three, four = drawn.candidates.order_by("slot")
    say(client, one, "bad")
    lose(one, two)
    for word in WORDS:
        with pytest.raises(NotAllowed, match=MISSING):
            rating.rate(one, word, uuid.uuid4())
    with pytest.raises(NotAllowed, match=MISSING):
        rating.compare(drawn, two.pk, three.pk, "first", uuid.uuid4())
    pair, _ = pairs.next_pair(drawn)
    assert (pair.first, pair.second, pair.total) == (three, four, 1)
    with pytest.raises(NotAllowed, match=MISSING):
        session_services.submit_batch(drawn.session, 1, [two.pk], [])
    say(client, one, "none")  # what was said before can be taken back
    rating.rate(three, "best", uuid.uuid4())
    assert set(Rating.objects.get(kind="best").items.values_list("picture__candidate", "value")) == {
        (three.pk, 1),
        (four.pk, -1),
    }
    session_services.update_controls(drawn.session, {"unrated_is_bad": True})
    session_services.submit_batch(drawn.session, 1, [], [])
    bad = RatedPicture.objects.filter(rating__kind="good_bad", rating__undone_at=None, value=-1)
    assert not bad.filter(picture__candidate__in=[one, two]).exists()


def test_an_earlier_best_that_is_lost_makes_room_for_another(client, drawn):
    one, two, *_ = drawn.candidates.order_by("slot")
    say(client, one, "best")
    lose(one)
    say(client, two, "best")
    assert Rating.objects.filter(kind="best", undone_at=None).get().items.get(value=1).picture.candidate == two
