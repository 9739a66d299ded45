"""What was not drawn is tried again; what was lost says so, is not rated, and is drawn again from its vector."""

import re
import uuid
from datetime import timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from django.utils import timezone
from PIL import Image

from generation.pipelines import base
from generation.types import Picture
from preferences.drawing import keep
from preferences.errors import NotAllowed
from preferences.feedback.kinds import WORDS
from preferences.jobs import leases
from preferences.models import Batch, Candidate, Job, RatedPicture, Rating
from preferences.pages import pairs
from preferences.sessions import rating, redrawing, training
from preferences.sessions import services as session_services
from tests.drawing import claim_batch, draw_batch
from tests.factories import SessionFactory, rating_counts

pytestmark = pytest.mark.django_db(transaction=True)
MISSING = "The file of this picture is missing"
DAMAGED = "The file of this picture is damaged"


@pytest.fixture
def failing(monkeypatch):
    """Call it with the numbers (from 0) of the pictures that the model fails to draw, of all it draws from then on."""
    to_picture = base.to_picture

    def fail(*numbers: int) -> None:
        drawn = count()
        bad = Picture(None, "No paint.")
        monkeypatch.setattr(base, "to_picture", lambda image: bad if next(drawn) in numbers else to_picture(image))

    return fail


def draw(batch: Batch, manager) -> Batch:
    draw_batch(batch.pk, manager, "gpu@test")
    batch.refresh_from_db()
    return batch


@pytest.fixture
def drawn(batch, manager) -> Batch:
    return draw(batch, manager)


def first(batch: Batch) -> Candidate:
    return batch.candidates.order_by("slot", "-attempt")[0]


def vectors(batch: Batch) -> list[bytes]:
    return [
        (one.picture.vector if one.picture else one.proposed).tobytes()
        for one in batch.newest_attempts().order_by("slot")
    ]


def page_of(client, batch: Batch) -> str:
    return client.get(f"/s/{batch.session_id}/{batch.number}/").content.decode()


def tile_of(page: str, slot: int) -> str:
    return re.search(rf'id="tile-{slot}".*?(?=role="group"|</section>)', page, re.S).group()


def say(client, candidate: Candidate, value: str):
    return client.post(f"/candidates/{candidate.pk}/rate", {"value": value, "form_token": str(uuid.uuid4())})


def again(client, candidate: Candidate):
    return client.post(f"/candidates/{candidate.pk}/again")


def lose(*candidates: Candidate) -> None:
    for candidate in candidates:
        Path(candidate.picture.thumbnail.path).unlink()


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
    drawn.session.unrated_is_bad = True
    session_services.submit_batch(drawn.session, 1, [], [])
    bad = RatedPicture.objects.filter(rating__kind="good_bad", rating__undone_at=None, value=-1)
    assert not bad.filter(picture__candidate__in=[one, two]).exists()


def test_an_earlier_best_that_is_lost_makes_room_for_another(client, drawn):
    one, two, *_ = drawn.candidates.order_by("slot")
    say(client, one, "best")
    lose(one)
    say(client, two, "best")
    assert Rating.objects.filter(kind="best", undone_at=None).get().items.get(value=1).picture.candidate == two


# --- drawn again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["latent", "pooled_embed", "prompt_embed"])
def test_the_same_picture_into_the_same_place(client, manager, space):
    # One picture in a pass: beside others it is rounded otherwise, and random weights make much of that.
    batch = draw(SessionFactory(space=space, noise_seed=7, inference_batch=1).batches.get(), manager)
    candidate = first(batch)
    say(client, candidate, "good")
    # Of the next batch, not of this one.
    session_services.update_controls(batch.session, {"noise_seed": 8, "diff_steps": 5})
    before = np.asarray(Image.open(candidate.picture.image.path))
    address = re.search(r'src="(/candidates/\d+/thumbnail[^"]*)"', tile_of(page_of(client, batch), 1)).group(1)
    lose(candidate)
    Path(candidate.picture.image.path).unlink()
    answer = again(client, candidate)
    assert answer.url == f"/s/{batch.session_id}/1/#tile-1"
    assert 'aria-busy="true"' in tile_of(page_of(client, batch), 1)
    draw(batch, manager)
    assert batch.job.state == Job.State.DONE
    now = first(batch)
    assert now.picture.vector.tobytes() == candidate.picture.vector.tobytes()
    assert (now.pk, now.attempt, now.score, now.picture) == (candidate.pk, 1, candidate.score, candidate.picture)
    np.testing.assert_array_equal(np.asarray(Image.open(now.picture.image.path)), before)
    tile = tile_of(page_of(client, batch), 1)
    assert 'value="good" data-rating="good" aria-pressed="true"' in tile
    renewed = re.search(r'src="(/candidates/\d+/thumbnail[^"]*)"', tile).group(1)
    assert renewed != address
    assert "immutable" in client.get(renewed).headers["Cache-Control"]
    assert "immutable" not in client.get(renewed.split("?")[0]).headers["Cache-Control"]
    assert rating_counts(batch.session) == (1, 0)
    assert batch.optimizer_states.count() == 1  # nothing was learned for it


def test_a_picture_that_is_there_can_be_drawn_again_too(client, drawn, manager):
    candidate = first(drawn)
    assert "Draw again" in tile_of(page_of(client, drawn), 1)
    again(client, candidate)
    again(client, candidate)  # a double click
    assert drawn.candidates.filter(state=Candidate.State.PENDING).count() == 1
    draw(drawn, manager)
    assert drawn.job.state == Job.State.DONE
    assert first(drawn).drawn_at > candidate.drawn_at


def test_killed_while_it_is_drawn_again(client, drawn, manager, killed_while_drawing):
    candidate = first(drawn)
    say(client, candidate, "good")
    again(client, candidate)
    killed_while_drawing(drawn, "gpu@test")
    assert len(training.training_set(drawn.session, 256).X) == 1  # what was said stands meanwhile
    assert leases.release_all_of("gpu@test") == [drawn.job_id]
    draw(drawn, manager)
    assert (drawn.job.state, first(drawn).state) == (Job.State.DONE, Candidate.State.READY)
    assert first(drawn).picture.vector.tobytes() == candidate.picture.vector.tobytes()


def test_while_its_batch_is_drawn_it_is_drawn_along(client, batch, manager, failing):
    failing(3)
    draw(batch, manager)
    client.post(f"/s/{batch.session_id}/1/retry")
    lease = claim_batch(batch.pk, "gpu@test")
    assert again(client, first(batch)).status_code == 302
    assert not keep.close(lease, batch)
    Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    failing()
    draw(batch, manager)
    assert batch.shown().count() == 4


def test_one_batch_of_a_session_is_drawn_at_a_time(client, drawn, manager):
    client.post(f"/s/{drawn.session_id}/1/submit")
    answer = again(client, first(drawn))
    assert answer.status_code == 409
    assert "Batch 2 of this session is being drawn" in answer.content.decode()
    assert first(drawn).state == Candidate.State.READY
    second = draw(drawn.session.batches.get(number=2), manager)
    assert again(client, first(drawn)).status_code == 302
    drawn.session.form_submit = False
    drawn.session.save()
    answer = say(client, first(second), "good")  # would be drawn anew
    assert answer.status_code == 409
    assert not Rating.objects.exists()


def test_refused_where_there_is_nothing_to_draw_again(client, batch, manager, failing):
    assert again(client, first(batch)).status_code == 409  # it was not drawn yet
    failing(0)
    draw(batch, manager)
    assert again(client, first(batch)).status_code == 409  # it never was
    batch.session.form_submit = False
    batch.session.save()
    rated = batch.candidates.get(slot=2)
    say(client, rated, "good")
    draw(batch, manager)
    answer = again(client, rated)
    assert answer.status_code == 409
    assert "taken the place" in answer.content.decode()
    assert client.get(f"/candidates/{rated.pk}/again").status_code == 302


def test_another_s_picture_is_not_there(client, drawn, django_user_model):
    candidate = first(drawn)
    type(drawn.session).objects.update(owner=django_user_model.objects.create(username="somebody"))
    assert again(client, candidate).status_code == 404
    assert first(drawn).state == Candidate.State.READY


@pytest.mark.parametrize("whole_batch", [True, False])
def test_what_cannot_be_drawn_again_stays_what_it_was(client, drawn, manager, failing, whole_batch):
    candidate = first(drawn)
    say(client, candidate, "good")
    redrawing.draw_again(candidate)
    if whole_batch:
        keep.fail(claim_batch(drawn.pk, "gpu@test"), drawn.pk, "No paint.")
    else:
        failing(0)
        draw(drawn, manager)
    page = page_of(client, drawn)
    assert "It could not be drawn again. No paint." in tile_of(page, 1)
    assert 'aria-pressed="true"' in tile_of(page, 1)
    assert client.get(f"/candidates/{candidate.pk}/thumbnail").status_code == 200
    assert ("Try the failed ones again" in page) == whole_batch
    failing()
    client.post(f"/s/{drawn.session_id}/1/retry") if whole_batch else again(client, candidate)
    draw(drawn, manager)
    assert drawn.job.state == Job.State.DONE
    assert (first(drawn).error, first(drawn).picture.vector.tobytes()) == ("", candidate.picture.vector.tobytes())
    assert "could not be drawn again" not in page_of(client, drawn)
