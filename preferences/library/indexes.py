"""An index of its own for the vectors of each encoder: each has its length, and none is compared with another's."""

import hashlib

from django.db import connection, transaction
from psycopg import sql

from preferences.library.models import Embedding

LONGEST = 2000  # that pgvector can index
_LOCK = 0x1B0E_0001  # two workers that see an encoder for the first time wait for each other


@transaction.atomic
def index_encoder(encoder: str, dimension: int) -> None:
    """Make the HNSW index (Malkov and Yashunin 2018) of an encoder's vectors, by cosine distance, if there is none.

    Queries use it that say the same: WHERE encoder = '...' ORDER BY vector::vector(768) <=> '[...]'
    """
    name = f"embedding_hnsw_{hashlib.sha256(encoder.encode()).hexdigest()[:12]}"
    if dimension > LONGEST or _is_there(name):
        return
    statement = sql.SQL(
        "CREATE INDEX {name} ON {table} USING hnsw ((vector::vector({dimension})) vector_cosine_ops)"
        " WHERE encoder = {encoder}"
    ).format(
        name=sql.Identifier(name),
        table=sql.Identifier(Embedding._meta.db_table),
        dimension=sql.Literal(dimension),
        encoder=sql.Literal(encoder),
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        if not _is_there(name):
            connection.check_constraints()  # Postgres makes no index while rows wait for theirs to be checked
            cursor.execute(statement)


def _is_there(name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        return bool(cursor.fetchone()[0])
