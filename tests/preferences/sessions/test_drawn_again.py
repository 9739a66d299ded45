"""A picture that is lost, or there, is drawn again from its vector, into its own place."""

import re
import uuid
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from django.utils import timezone
from PIL import Image

from preferences.drawing import keep
from preferences.errors import NotAllowed
from preferences.jobs import leases
from preferences.models import Candidate, Job, Picture
from preferences.sessions import rating, redrawing, training
from preferences.sessions import services as session_services
from tests.drawing import claim_batch, draw
from tests.factories import SessionFactory, rating_counts
from tests.preferences.sessions.tiles import again, first, lose, page_of, say, tile_of

pytestmark = pytest.mark.django_db(transaction=True)


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


@pytest.mark.parametrize("weights", ["other", "", None])
def test_other_weights_than_before_are_told(client, manager, weights):
    batch = draw(SessionFactory().batches.get(), manager)
    candidate = first(batch)
    if weights is not None:
        Picture.objects.filter(pk=candidate.picture.pk).update(model_revision=weights)
    say(client, candidate, "good")
    again(client, candidate)
    draw(batch, manager)
    page = page_of(client, batch)
    assert ("The model has other weights than before" in page) is (weights is not None)
    assert first(batch).picture.model_revision not in ("other", "")
    assert rating_counts(batch.session) == (1, 0)


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


def test_a_rating_that_waited_meanwhile_is_of_what_is_there_now(client, drawn, manager):
    asked = first(drawn)  # as a request read it before it waited
    again(client, asked)
    with pytest.raises(NotAllowed, match="not there yet"):
        rating.rate(asked, "good", uuid.uuid4())
    draw(drawn, manager)
    rating.rate(asked, "good", uuid.uuid4())
    assert rating_counts(drawn.session) == (1, 0)


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
    assert say(client, first(second), "good").status_code == 302  # kept, and not drawn anew
    assert first(second).attempt == 1
    answer = client.post(f"/s/{drawn.session_id}/2/submit", {"bad": [second.candidates.get(slot=2).pk]})
    assert answer.status_code == 409
    assert "Batch 1 of this session is being drawn" in answer.content.decode()
    assert rating_counts(drawn.session) == (1, 1)  # what the form said is kept too
    draw(drawn, manager)
    assert client.post(f"/s/{drawn.session_id}/2/submit").status_code == 302


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
