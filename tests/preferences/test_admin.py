"""Every table in the admin, with thumbnails."""

import uuid

import pytest

from preferences import drawing, services
from preferences.models import Embedding

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("table", "has_pictures"),
    [
        ("session", True),
        ("batch", True),
        ("candidate", True),
        ("embedding", True),
        ("rating", True),
        ("optimizerstate", True),
        ("search", False),
        ("worker", False),
    ],
)
def test_list_and_form_open(client, manager, batch, table, has_pictures):
    drawing.draw_batch(batch.pk, manager, "gpu@test")
    candidate = batch.candidates.first()
    services.rate(candidate, "good", uuid.uuid4())
    Embedding.objects.create(candidate=candidate, encoder="test", vector=[0.0, 1.0])
    page = client.get(f"/admin/preferences/{table}/")
    assert page.status_code == 200
    assert ("/thumbnail" in page.content.decode()) == has_pictures
    assert client.get(f"/admin/preferences/{table}/add/").status_code == 200


def test_a_batch_form_shows_its_candidates(client, manager, batch):
    drawing.draw_batch(batch.pk, manager, "gpu@test")
    page = client.get(f"/admin/preferences/batch/{batch.pk}/change/").content.decode()
    assert page.count("/thumbnail") == 4
