"""What a test does with the tiles of a batch, by requests."""

import re
import uuid
from pathlib import Path

from preferences.models import Batch, Candidate

MISSING = "The file of this picture is missing"


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
