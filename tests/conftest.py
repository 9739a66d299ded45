"""What every test may use: a tiny real pipeline, a generation service, a session that waits to be drawn."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from huggingface_hub import constants

from generation.manager import ModelManager
from preferences.drawing import keep
from preferences.models import Batch, Session
from tests import factories
from tests.drawing import draw_batch


@pytest.hookimpl(trylast=True)  # after the order of pytest-django
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those marked `longest` begin first: at the end one process would wait for them alone."""
    items.sort(key=lambda item: item.get_closest_marker("longest") is None)


@pytest.fixture(scope="session")
def tiny_model() -> str:
    """The key of a real StableDiffusionPipeline with random weights, saved where the registry says."""
    from generation.bundled.architecture import TINY, build_pipeline

    folder = Path(django_settings.IPO_MODELS["tiny"].source)
    if not folder.exists():
        build_pipeline(TINY, seed=0).save_pretrained(folder, safe_serialization=True)
        tiny_vae(django_settings.IPO_MODELS["tiny"].preview_vae)
    return "tiny"


def tiny_vae(folder: str, latent_channels: int = 4) -> str:
    """Save an AutoencoderTiny with random weights, for previews, in this folder."""
    import torch
    from diffusers import AutoencoderTiny

    sizes = {"encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4}
    few = {"num_encoder_blocks": (1,) * 4, "num_decoder_blocks": (1,) * 4}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoencoderTiny(latent_channels=latent_channels, **sizes, **few).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def manager(tiny_model: str) -> ModelManager:
    return ModelManager()


@dataclass(frozen=True)
class Service:
    url: str
    token: str
    pid: int = 0


@pytest.fixture(scope="session")
def generation_server(tiny_model: str) -> Iterator[Service]:
    """The real HTTP generation service, in a process of its own; it needs no database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = Service(f"http://127.0.0.1:{port}", "s3cret")
    environment = os.environ | {
        "IPO_GENERATION_TOKEN": service.token,
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    }
    command = [sys.executable, "manage.py", "generation_server", "--port", str(port)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], env=environment) as process:
        try:
            for _ in range(600):
                try:
                    with urllib.request.urlopen(f"{service.url}/health", timeout=5):
                        break
                except OSError:
                    assert process.poll() is None, "The service ended by itself."
                    time.sleep(0.1)
            else:
                pytest.fail("The service did not answer.")
            yield replace(service, pid=process.pid)
        finally:
            process.terminate()


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


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """Nothing is kept where the user keeps models."""
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path_factory.mktemp("huggingface")))


@pytest.fixture(autouse=True)
def lasting_lease(settings):
    """In the transaction of a test the thread that renews a lease sees no batch, and would take the lease for lost."""
    settings.IPO_LEASE_SECONDS = 3600


@pytest.fixture
def killed_while_drawing(manager, monkeypatch) -> Callable[[Batch, str], None]:
    """Let a worker draw a batch, and be killed before it saves anything of it."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def draw(batch: Batch, worker: str) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(keep, "finish", killed)
            with pytest.raises(KeyboardInterrupt):
                draw_batch(batch.pk, manager, worker)

    return draw


@pytest.fixture
def bitsandbytes_on_the_cpu(monkeypatch):
    """diffusers quantises for a GPU only; bitsandbytes itself works here as well."""
    from diffusers.quantizers.bitsandbytes import BnB4BitDiffusersQuantizer

    monkeypatch.setattr(BnB4BitDiffusersQuantizer, "validate_environment", lambda self, *args, **kwargs: None)
    monkeypatch.setattr(BnB4BitDiffusersQuantizer, "update_device_map", lambda self, device_map: {"": "cpu"})
