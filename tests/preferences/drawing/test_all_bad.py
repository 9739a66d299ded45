"""Who finds everything bad goes on seeing different pictures, and is told so."""

import uuid

import numpy as np
import pytest
from PIL import Image

from generation import registry, spaces
from preferences.learning.reasons import WhyWide
from preferences.models import Batch, Session
from preferences.sessions import rating
from preferences.sessions import services as session_services
from tests.drawing import draw_whole
from tests.factories import SessionFactory

pytestmark = pytest.mark.django_db(transaction=True)
MODEL = registry.BUILTIN["pocket-landscapes"]


def draw(batch: Batch, manager) -> np.ndarray:
    """Its pictures [n, height, width, 3]."""
    draw_whole(batch, manager)
    return np.stack([np.asarray(Image.open(one.picture.image).convert("RGB"), float) for one in batch.candidates.all()])


def difference(pictures: np.ndarray) -> float:
    """Mean absolute difference of two of them, of 255."""
    return float(np.mean([np.abs(pictures[i] - pictures[j]).mean() for i in range(len(pictures)) for j in range(i)]))


@pytest.mark.parametrize("key", spaces.SPACES)
def test_five_batches_without_a_good_one_stay_different(key, manager, settings):
    settings.IPO_MODELS = settings.IPO_MODELS | {MODEL.key: MODEL}
    space = spaces.SPACES[key]
    session = SessionFactory(
        prompt=MODEL.example_prompt,
        model=MODEL.key,
        space=key,
        width=MODEL.width,
        height=MODEL.height,
        curation_size=8,
        inference_batch=8,
        diff_steps=MODEL.steps,
        delta_scale=MODEL.delta_scale,
        draws_per_picture=MODEL.draws_per_picture,
        start_radius=space.start_radius,
        max_dist=space.max_dist,
        step_size=space.step_size,
    )
    Session.objects.filter(pk=session.pk).update(seed=1)
    batch, differences = session.batches.get(), []
    for number in range(1, 6):
        differences.append(difference(draw(batch, manager)))
        ids = list(batch.candidates.values_list("pk", flat=True))
        batch = session_services.submit_batch(session, number, [], ids)
    # First batches of eight differ among themselves too: of five in Latent the least had 0.66 of another's difference.
    assert min(differences) >= 0.6 * differences[0], differences
    assert np.mean(differences[1:]) >= 0.9 * differences[0], differences


@pytest.mark.parametrize("asking", ["good_bad", "stars", "pairs"])
def test_the_page_says_so_and_advises(client, manager, asking):
    session = SessionFactory(value_model="bayesian", start="avg_good", draws_per_picture=3, asking=asking)
    batch = session.batches.get()
    draw(batch, manager)
    one, two, three, four = batch.candidates.all()
    if asking == "pairs":
        for first, second in ((one, two), (three, four)):
            rating.compare(batch, first.pk, second.pk, "both_bad", uuid.uuid4())
    else:
        for candidate in (one, two, three, four):
            rating.rate(candidate, "bad" if asking == "good_bad" else "2", uuid.uuid4())
    second = session_services.submit_batch(session, 1, [], [])
    assert draw(second, manager).shape[0] == 4
    assert second.optimizer_states.get().reason == WhyWide.NOTHING_LIKED
    assert set(second.candidates.values_list("proposed", flat=True)) == {None}
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert "Nothing you have seen before was good, so these pictures are more different." in page
    assert 'href="#controls-form"' in page
    rating.rate(second.candidates.first(), "good", uuid.uuid4())
    draw(session_services.submit_batch(session, 2, [], []), manager)
    page = client.get(f"/s/{session.pk}/").content.decode()
    assert "so these pictures are more different" not in page
