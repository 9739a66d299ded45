"""Batches of which not all can be drawn."""

from itertools import count

import pytest

from generation.pipelines import base
from generation.types import Picture
from preferences.models import Batch
from tests.drawing import draw


@pytest.fixture
def failing(monkeypatch):
    """Call it with the numbers (from 0) of the pictures that the model fails to draw, of all it draws from then on."""
    to_picture = base.to_picture

    def fail(*numbers: int) -> None:
        drawn = count()
        bad = Picture(None, "No paint.")
        monkeypatch.setattr(base, "to_picture", lambda image: bad if next(drawn) in numbers else to_picture(image))

    return fail


@pytest.fixture
def drawn(batch, manager) -> Batch:
    return draw(batch, manager)
