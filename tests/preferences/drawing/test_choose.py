"""Several pictures are drawn for a slot, and the one whose looks suit best is kept."""

import dataclasses
import uuid
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from generation.descriptors import describe
from generation.errors import ModelUnavailable, OutOfMemory
from preferences.drawing import choose, keep, run
from preferences.feedback import training_set
from preferences.models import Batch, Candidate, Descriptor, Embedding, Job, Picture, Rating
from preferences.sessions import training
from tests.drawing import draw_batch, draw_whole
from tests.factories import SessionFactory

pytestmark = pytest.mark.django_db(transaction=True)


def rated_session(client, manager, **changes):
    """A session whose first batch is drawn, half of it good and half bad, and whose second is queued."""
    session = SessionFactory(value_model="bayesian", start="avg_good", draws_per_picture=3, **changes)
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    for candidate, value in zip(Candidate.objects.order_by("slot"), ("good", "good", "bad", "bad"), strict=True):
        client.post(f"/candidates/{candidate.pk}/rate", {"value": value, "form_token": str(uuid.uuid4())})
    client.post(f"/s/{session.pk}/1/submit")
    return session


def draw(batch: Batch, manager) -> list[Candidate]:
    draw_whole(batch, manager)
    return list(batch.candidates.order_by("slot"))


def liked(batch: Batch, settings) -> choose.Liked | None:
    known = training.training_set(batch.session, 256)
    return choose.liked(batch, settings.IPO_MODELS["tiny"], known)


@pytest.fixture
def drawn(monkeypatch, manager):
    """Every vector that is drawn from here on, in order."""
    seen: list[np.ndarray] = []
    generate = type(manager).generate

    def spy(self, spec, request, server=""):
        seen.extend(request.vectors)
        assert len(request.vectors) <= 2  # the tiny model's Inference Batch
        return generate(self, spec, request, server)

    monkeypatch.setattr(type(manager), "generate", spy)
    return seen


def test_every_picture_is_looked_at(client, manager):
    session = rated_session(client, manager)
    known = training.training_set(session, 256)
    seen = training_set.feature_set(known)
    assert np.array_equal(seen.X, known.X)
    assert {encoder: rows.shape for encoder, rows in seen.features.items()} == {
        "pocket-siglip": (4, 96),
        "colours": (4, 192),
        "balance": (4, 64),
        "detail": (4, 64),
        "highlights": (4, 28),
    }
    picture = np.asarray(Image.open(Picture.objects.get(pk=known.pictures[2]).image))
    assert np.allclose(seen.features["colours"][2], describe([picture])["colours"][0], atol=1e-6)
    assert [judgment.good for judgment in seen.judgments] == [True, True, False, False]


def test_learned_from_are_those_that_have_the_features_of_every_encoder(client, manager):
    session = rated_session(client, manager)
    known = training.training_set(session, 256)
    Embedding.objects.filter(picture=known.pictures[1], encoder="pocket-siglip").delete()
    seen = training_set.feature_set(known)
    assert np.array_equal(seen.X, known.X[[0, 2, 3]])
    assert [(said.row, said.good) for said in seen.judgments] == [(0, True), (1, False), (2, False)]
    Embedding.objects.filter(encoder="pocket-siglip").delete()
    assert set(training_set.feature_set(known).features) == {"colours", "balance", "detail", "highlights"}
    assert len(training_set.feature_set(known).X) == 4
    Descriptor.objects.all().delete()
    assert training_set.feature_set(known).features == {}


def test_what_another_revision_of_an_encoder_saw_is_not_compared(client, manager):
    session = rated_session(client, manager)
    known = training.training_set(session, 256)
    assert all(Embedding.objects.values_list("revision", flat=True))
    Embedding.objects.filter(picture__in=known.pictures[:3]).update(revision="of before")
    seen = training_set.feature_set(known)
    assert np.array_equal(seen.X, known.X[3:])  # the last that was looked at says which revision is the one of now
    Embedding.objects.update(revision="of now")
    assert len(training_set.feature_set(known).X) == 4


def test_pictures_are_looked_at_as_many_at_once_as_they_are_drawn(client, manager, monkeypatch):
    seen = []
    embed_images = type(manager).embed_images

    def spy(self, encoder, pictures, *args):
        seen.append(len(pictures))
        return embed_images(self, encoder, pictures, *args)

    monkeypatch.setattr(type(manager), "embed_images", spy)
    session = rated_session(client, manager)
    assert seen == [2, 2]  # the tiny model's Inference Batch
    draw(session.batches.get(number=2), manager)
    assert seen == [2, 2] + 4 * [3]


def test_a_batch_knows_by_which_rating_it_was_proposed(client, manager):
    session = rated_session(client, manager)
    assert session.batches.get(number=1).last_rating is None
    draw(session.batches.get(number=2), manager)
    assert session.batches.get(number=2).last_rating == Rating.objects.first().pk


def test_the_best_looking_of_three_is_kept(client, manager, drawn, settings):
    session = rated_session(client, manager)
    batch = session.batches.get(number=2)
    found = liked(batch, settings)
    assert found is not None
    model = found.model
    del drawn[:]
    candidates = draw(batch, manager)
    assert len(drawn) == 3 * 4
    for number, candidate in enumerate(candidates):
        tried = drawn[3 * number : 3 * number + 3]
        features = {seen.encoder: np.asarray(seen.vector)[None] for seen in candidate.picture.embeddings.all()}
        features |= {seen.name: seen.vector[None] for seen in candidate.picture.descriptors.all()}
        assert candidate.score == pytest.approx(float(model.utility(features)[0]), abs=1e-4)
        assert any(np.array_equal(candidate.picture.vector, vector) for vector in tried)
        request = replace(run.request_of(batch), vectors=np.stack(tried)[:2])
        pictures = manager.generate(settings.IPO_MODELS["tiny"], request)
        extractor = choose.Extractor(settings.IPO_MODELS["tiny"], manager)
        others = model.utility(extractor.features([picture.pixels for picture in pictures]).vectors)
        assert candidate.score >= others.max() - 1e-4
        assert candidate.proposed is None


def test_killed_while_drawing_the_same_vectors_are_drawn_again(client, manager, drawn, monkeypatch):
    session = rated_session(client, manager)
    batch = session.batches.get(number=2)
    monkeypatch.setattr(keep, "finish", lambda *arguments: False)
    del drawn[:]
    draw_batch(batch.pk, manager, "gpu@killed")
    first = [vector.tobytes() for vector in drawn[:3]]
    monkeypatch.undo()
    Job.objects.filter(batch=batch).update(lease_expires_at="2000-01-01T00:00Z")
    candidate = draw(batch, manager)[0]
    assert candidate.picture.vector.tobytes() in first


@pytest.mark.parametrize("value_model", ["gaussian", "ridge", "xgboost"])
def test_other_methods_draw_one_a_picture(client, manager, drawn, value_model):
    session = rated_session(client, manager)
    batch = session.batches.get(number=2)
    Batch.objects.filter(pk=batch.pk).update(value_model=value_model)
    del drawn[:]
    draw(batch, manager)
    assert len(drawn) == 4


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModelUnavailable("The image encoder could not be read: try again."), "could not be read: try again."),
        (OutOfMemory("The GPU ran out of memory."), "The GPU ran out of memory."),
        (ImportError("SiglipTokenizer requires the SentencePiece library"), "see the worker&#x27;s log"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "see the worker&#x27;s log"),
    ],
)
def test_whatever_fails_in_the_encoder_costs_only_the_choosing(
    client, manager, drawn, monkeypatch, caplog, error, said
):
    asked = []

    def failing(*arguments):
        asked.append(arguments)
        raise error

    monkeypatch.setattr(type(manager), "embed_images", failing)
    session = rated_session(client, manager)
    del drawn[:]
    draw(session.batches.get(number=2), manager)
    assert len(drawn) == 3 * 4
    assert len(asked) == 2  # once a batch, not once a picture: to look for weights in vain takes long
    assert Descriptor.objects.filter(name="detail").count() == 2 * 4
    assert not Embedding.objects.filter(encoder="pocket-siglip").exists()
    assert "Traceback" in caplog.text
    assert str(error) in caplog.text
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert page.count("The pictures were not looked at, only measured.") == 1
    assert said in page


def test_a_picture_that_failed_is_never_chosen(client, manager, settings):
    session = rated_session(client, manager)
    batch = session.batches.get(number=2)
    spec = settings.IPO_MODELS["tiny"]
    candidate = Candidate.objects.filter(batch__session=session, batch__number=1).first()
    request = replace(run.request_of(batch), vectors=candidate.picture.vector.reshape(1, -1))
    (good,) = manager.generate(spec, request)
    bad = dataclasses.replace(good, pixels=None, error="no colours")
    model, extractor = liked(batch, settings), choose.Extractor(spec, manager)
    first, second = choose.choose([bad, good, bad, bad, bad], [3, 2], extractor, model)
    assert first.place == 1
    assert second.features.vectors == {}


def test_what_was_undone_is_not_learned_from(client, manager, settings):
    session = rated_session(client, manager)
    batch = session.batches.get(number=2)
    Rating.objects.update(undone_at=batch.created_at.replace(year=2100))
    assert liked(batch, settings) is None


def test_too_few_ratings_tell_nothing_of_how_right_it_is(client, manager, settings):
    session = rated_session(client, manager)
    found = liked(session.batches.get(number=2), settings)
    assert found is not None
    assert np.isnan(found.model.held_out_accuracy)  # four ratings are too few to tell


def test_the_page_says_how_it_chose(client, manager):
    session = rated_session(client, manager)
    batch = session.batches.get(number=2)
    draw(batch, manager)
    state = batch.optimizer_states.get()
    assert "Of 3 pictures drawn for each place" in state.note
    state.metrics["looks_held_out_accuracy"] = 0.74
    state.save()
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert state.note in page
    assert "named the better of two pictures by their looks 74 % of the time; guessing gives 50 %." in page
    state.metrics["held_out_accuracy"] = 0.61
    state.save()
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert "named the better of two pictures 61 % of the time, and by their looks 74 %; guessing gives 50 %." in page


def test_the_last_poll_brings_what_was_learned(client, manager):
    session = rated_session(client, manager)
    poll = f"/s/{session.pk}/2/progress"
    assert 'id="learned"' not in client.get(poll, headers={"HX-Request": "true"}).content.decode()
    draw(session.batches.get(number=2), manager)
    assert 'id="learned"' in client.get(poll, headers={"HX-Request": "true"}).content.decode()
