"""`manage.py fetch_models`: a model of a hub is downloaded, found to be there, and drawn with once the hub has gone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from generation.bundled.architecture import TINY, build_pipeline
from tests.generation import hub
from tests.servers import TINY as FIELDS

ROOT = Path(__file__).resolve().parents[2]
NAME, LOCKED = "somebody/tiny", "somebody/locked"
DRAW = """
import numpy as np
import django; django.setup()
from django.conf import settings
from generation.manager import ModelManager
from tests.generation.requests import request_for
spec = settings.IPO_MODELS["far"]
print(sum(picture.pixels is not None for picture in ModelManager().generate(spec, request_for(spec))), "pictures")
"""


LOOK = """
import django; django.setup()
from django.conf import settings
from generation import installed
print(installed.look(settings.IPO_MODELS["far"]).place)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    build_pipeline(TINY, seed=0).save_pretrained(folder, safe_serialization=True)
    (folder / "all_in_one.safetensors").write_bytes(b"x" * 1000)  # what diffusers does not need
    return folder


# Once as it is, and once as where another program takes the room meanwhile.
FETCH_TWICE = """
from django.core.management import execute_from_command_line
from generation.pipelines import loading
try:
    execute_from_command_line(["manage.py", "fetch_models", "far"])
except SystemExit as refused:
    assert refused.code == 1
loading.require_room = lambda *_: None
execute_from_command_line(["manage.py", "fetch_models", "far"])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_disk_that_fills_up_says_so_and_nothing_looks_complete(folder, python, tmp_path):
    place = tmp_path / "huggingface"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "small", str(place)], check=False)
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        with hub.serving(NAME, folder) as address:
            fetched = python(address, "-c", FETCH_TWICE)
        assert fetched.returncode == 1
        refused, _, full = fetched.stderr.partition("GB more on the disk of")
        assert "Traceback" not in fetched.stderr
        assert "is full" not in refused
        assert f"the disk of {place} is full. Free some space there, or set HF_HOME" in full
        with hub.serving(NAME, folder) as address:
            looked = python(address, "-c", LOOK)
        assert looked.stdout.strip() == "None", looked.stderr
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def python(tmp_path):
    """Run Python with a cache of its own that knows the hub at this address."""
    sources = {"far": NAME, "locked": LOCKED}
    models = json.dumps({key: FIELDS | {"source": name, "encoder": ""} for key, name in sources.items()})
    environment = {
        "HF_HOME": str(tmp_path / "huggingface"),
        "IPO_EXTRA_MODELS": models,
        "IPO_DEFAULT_MODEL": "far",
        "DJANGO_SETTINGS_MODULE": "ipo_site.settings",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }

    def run(address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        given = os.environ | environment | {"HF_ENDPOINT": address}
        return subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=given, capture_output=True, text=True, check=False
        )

    return run


def test_a_model_is_fetched_once_and_drawn_with_offline(folder, python, tmp_path):
    with hub.serving(NAME, folder) as address:
        fetched = python(address, "manage.py", "fetch_models", "far")
    assert fetched.returncode == 0, fetched.stderr
    assert "far is here" in fetched.stdout
    names = {file.name for file in (tmp_path / "huggingface").rglob("snapshots/*/**/*")}
    assert "diffusion_pytorch_model.safetensors" in names
    assert "all_in_one.safetensors" not in names
    with hub.silent() as address:  # what is here is read without a look at the hub
        drawn = python(address, "-c", DRAW)
    assert "3 pictures" in drawn.stdout, drawn.stderr


def test_gated_cut_off_and_out_of_reach_are_one_sentence_each(folder, python):
    with hub.serving_all({NAME: folder, LOCKED: folder}, {LOCKED}, cut=True) as far:
        failed = python(far.address, "manage.py", "fetch_models", "locked", "far").stderr
    assert f"Accept the licence at {far.address}/{LOCKED}" in failed
    assert "the network cannot be reached" in failed
    unreachable = python("http://127.0.0.1:1", "manage.py", "fetch_models", "far", "pocket-landscapes")
    assert "the network cannot be reached" in unreachable.stderr
    assert "pocket-landscapes is here" in unreachable.stdout  # one failure does not stop the others
    assert "Traceback" not in failed + unreachable.stderr


def test_what_the_disk_has_no_room_for_is_refused_before_a_byte_of_it_comes(folder, python, tmp_path):
    huge = tmp_path / "huge"
    shutil.copytree(folder, huge)
    os.truncate(huge / "unet" / "diffusion_pytorch_model.safetensors", 8 * 10**12)  # sparse
    with hub.serving_all({NAME: huge}) as far:
        refused = python(far.address, "manage.py", "fetch_models", "far").stderr
    assert "Tiny needs 8000 GB more on the disk of" in refused
    assert "Traceback" not in refused
    assert not [name for name in far.sent if name.endswith((".safetensors", ".bin"))]


def test_an_unknown_key_is_refused_before_anything_is_fetched():
    with pytest.raises(CommandError, match="There is no model “nope”"):
        call_command("fetch_models", "pocket-landscapes", "nope")
