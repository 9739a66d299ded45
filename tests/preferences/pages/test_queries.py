"""How often a page asks the database, whatever the size of a batch."""

import pytest

from tests.drawing import draw_batch
from tests.factories import SessionFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("size", [2, 40])
def test_a_status_poll_takes_at_most_three_queries(client, manager, django_assert_max_num_queries, size):
    session = SessionFactory(curation_size=size, inference_batch=16, diff_steps=1)
    url = f"/s/{session.pk}/1/progress"
    for done in (False, True):
        if done:
            draw_batch(session.batches.get().pk, manager, "gpu@test")
        with django_assert_max_num_queries(3):
            answer = client.get(url, headers={"HX-Request": "true"})
        assert f"{size if done else 0} of {size} images" in answer.content.decode()


@pytest.mark.parametrize("size", [2, 40])
def test_a_session_page_takes_at_most_twelve_queries(client, manager, django_assert_max_num_queries, size):
    session = SessionFactory(curation_size=size, inference_batch=16, diff_steps=1)
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    with django_assert_max_num_queries(12):
        assert client.get(f"/s/{session.pk}/").content.count(b'role="group"') == size


def test_polling_stops_by_itself(client, manager, session):
    url = f"/s/{session.pk}/1/progress"
    first = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert 'hx-trigger="every 1s"' in first
    assert first.count("hx-swap-oob") == 1  # the counts
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    last = client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "hx-trigger" not in last
    assert last.count('id="tile-') == 4
    assert 'id="submit-batch"' in last


def test_a_poll_brings_only_what_is_new(client, manager, session):
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    second = session.batches.get().candidates.order_by("drawn_at")[1]
    answer = client.get(
        f"/s/{session.pk}/1/progress", {"after": second.drawn_at.isoformat()}, headers={"HX-Request": "true"}
    )
    assert answer.content.decode().count('id="tile-') == 2  # of two forward passes, the second
