"""What the tests of loading share."""

import pytest
from huggingface_hub import constants


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """Nothing is kept where the user keeps models."""
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path_factory.mktemp("huggingface")))


@pytest.fixture
def bitsandbytes_on_the_cpu(monkeypatch):
    """diffusers quantises for a GPU only; bitsandbytes itself works here as well."""
    from diffusers.quantizers.bitsandbytes import BnB4BitDiffusersQuantizer

    monkeypatch.setattr(BnB4BitDiffusersQuantizer, "validate_environment", lambda self, *args, **kwargs: None)
    monkeypatch.setattr(BnB4BitDiffusersQuantizer, "update_device_map", lambda self, device_map: {"": "cpu"})
