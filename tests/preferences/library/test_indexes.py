"""Each encoder's vectors have an index, made when the first picture is looked at, and queries use it."""

import numpy as np
import pytest
from django.db import connection

from preferences.library.indexes import LONGEST, index_encoder
from preferences.models import Embedding
from tests.drawing import draw_batch
from tests.factories import SessionFactory

pytestmark = pytest.mark.django_db


def indexes() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname LIKE 'embedding_hnsw%' ORDER BY indexdef")
        return [definition for (definition,) in cursor.fetchall()]


def plan_of_nearest(encoder: str, dimension: int) -> str:
    vector = f"[{','.join('0' * dimension)}]"
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute(
            f"EXPLAIN SELECT picture_id FROM {Embedding._meta.db_table} WHERE encoder = %s"
            f" ORDER BY vector::vector({dimension}) <=> %s::vector LIMIT 5",
            [encoder, vector],
        )
        return "\n".join(line for (line,) in cursor.fetchall())


def test_the_first_picture_that_is_looked_at_makes_its_encoders_index(manager):
    assert indexes() == []
    for _ in range(2):
        draw_batch(SessionFactory(curation_size=2).batches.get().pk, manager, "gpu@test")
    (made,) = indexes()
    assert "pocket-siglip" in made
    assert "vector(96)" in made
    assert "embedding_hnsw" in plan_of_nearest("pocket-siglip", 96)
    assert "embedding_hnsw" not in plan_of_nearest("another", 96)


def test_each_encoder_has_its_own_whatever_it_is_called():
    for encoder, dimension in (("a", 3), ('it\'s "b" %s', 5), ("a", 3), ("too long", LONGEST + 1)):
        index_encoder(encoder, dimension)
    assert len(indexes()) == 2
    assert "embedding_hnsw" in plan_of_nearest('it\'s "b" %s', 5)


def test_vectors_of_two_lengths_stand_in_one_table(session, manager):
    draw_batch(session.batches.get().pk, manager, "gpu@test")
    picture = Embedding.objects.first().picture
    index_encoder("short", 3)
    Embedding.objects.create(picture=picture, encoder="short", revision="1", vector=np.ones(3, np.float32))
    assert {len(one.vector) for one in picture.embeddings.all()} == {3, 96}
