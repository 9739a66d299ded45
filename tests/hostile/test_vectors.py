"""Generation servers whose vectors are not as they should be: each ends in one sentence, none is learned from."""

import socket

import numpy as np
import pytest

from generation import registry, wire
from generation.backends.remote import RemoteBackend
from generation.errors import ServerUnavailable
from generation.types import Embedded
from tests import hostile
from tests.hostile import Behaviour, ndjson

POCKET = registry.ENCODERS["pocket-siglip"]
NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
UNIT = np.eye(2, POCKET.dimension, dtype=np.float32)
SEEN = wire.from_embedded(Embedded(UNIT, POCKET.key, "r1"))


def vectors(values: object) -> Behaviour:
    return ndjson(SEEN | {"vectors": wire.from_vectors(np.asarray(values, np.float32))})


ODD_VECTORS = {
    "too few": vectors(UNIT[:1]),
    "too many": vectors(np.eye(3, POCKET.dimension)),
    "of another size": vectors(np.eye(2, POCKET.dimension + 1)),
    "none": vectors([]),
    "one more number": vectors([*UNIT.ravel(), 0]),
    "no numbers": vectors(np.full_like(UNIT, np.nan)),
    "endless": vectors(np.full_like(UNIT, np.inf)),
    "huge": vectors(UNIT * 1e38),
    "of no length": vectors(UNIT * 0),
    "no float32": ndjson(SEEN | {"vectors": "YWJj"}),
    "no base64": ndjson(SEEN | {"vectors": "\u2603"}),
    "no text": ndjson(SEEN | {"vectors": UNIT.tolist()}),
    "nothing": ndjson(SEEN | {"vectors": None}),
    "of another encoder": ndjson(SEEN | {"encoder": "siglip-base"}),
    "of no encoder": ndjson({"vectors": SEEN["vectors"]}),
    "of no revision": ndjson(SEEN | {"revision": None}),
    "of an empty revision": ndjson(SEEN | {"revision": ""}),
    "of a long revision": ndjson(SEEN | {"revision": "x" * 101}),
    "of a revision that cannot be kept": ndjson(SEEN | {"revision": "a\0"}),
    "of half a character": ndjson(SEEN | {"revision": "\ud800"}),
    "a list": ndjson([SEEN]),
    "a strange phase": ndjson({"phase": "embedding", "done": "much"}),
}


@pytest.mark.parametrize("behaviour", ODD_VECTORS)
def test_vectors_that_are_not_as_they_should_be_are_one_sentence(behaviour):
    with hostile.server(ODD_VECTORS[behaviour]) as url:
        for ask in (
            lambda far: far.embed_images(POCKET.key, [NOISE, NOISE]),
            lambda far: far.embed_texts(POCKET.key, ["a", "b"]),
        ):
            with pytest.raises(ServerUnavailable, match="does not answer as one of IPO does"):
                ask(RemoteBackend(url))


def test_vectors_that_are_as_they_should_be_are_taken():
    with hostile.server(ndjson({"phase": "embedding", "done": 1}, SEEN)) as url:
        seen = RemoteBackend(url).embed_images(POCKET.key, [NOISE, NOISE])
    assert np.array_equal(seen.vectors, UNIT)
    assert seen.revision == "r1"


def test_parts_that_another_encoder_reads_are_one_sentence():
    """As where a server is restarted with other weights between two of them: they could not be compared."""
    revisions = iter("ab")

    def another(connection: socket.socket, asked: bytes) -> None:
        ndjson(wire.from_embedded(Embedded(np.eye(rows.pop(0), 96, dtype=np.float32), POCKET.key, next(revisions))))(
            connection, asked
        )

    rows = [wire.MOST_PICTURES, 1]
    with hostile.server(another) as url, pytest.raises(ServerUnavailable, match="its encoder changes"):
        RemoteBackend(url).embed_texts(POCKET.key, ["a"] * 65)
