"""What every test may use: a tiny real pipeline, a user's browser without script, a session that waits to be drawn."""

from pathlib import Path

import pytest
from django.conf import settings as django_settings

from generation.manager import ModelManager
from preferences.models import Batch, Session
from tests import factories


@pytest.fixture(scope="session")
def tiny_model() -> str:
    """The key of a real StableDiffusionPipeline with random weights, saved where the registry says."""
    import torch

    from generation.bundled.architecture import TINY, build_pipeline

    torch.set_num_threads(1)
    folder = Path(django_settings.IPO_MODELS["tiny"].source)
    if not folder.exists():
        build_pipeline(TINY, seed=0).save_pretrained(folder, safe_serialization=True)
    return "tiny"


@pytest.fixture(scope="session")
def manager(tiny_model: str) -> ModelManager:
    return ModelManager()


@pytest.fixture(autouse=True)
def own_pictures(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "pictures"


@pytest.fixture
def user(db):
    return factories.local_user()


@pytest.fixture
def session(user) -> Session:
    return factories.SessionFactory(owner=user)


@pytest.fixture
def batch(session) -> Batch:
    return session.batches.get()
