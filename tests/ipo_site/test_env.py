"""What the environment says: a value that cannot be read ends the process with one sentence, whatever reads it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ipo_site import predecessor
from ipo_site.launch.addresses import urls

ROOT = Path(__file__).resolve().parents[2]


def read(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A new process that reads the environment."""
    command = [sys.executable, "-c", f"from ipo_site import env; {code}"]
    merged = {name: value for name, value in os.environ.items() if name != "IPO_DEFAULT_MODEL"} | environment
    return subprocess.run(command, cwd=ROOT, env=merged, text=True, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("IPO_PORT", "many", "IPO_PORT is 'many', which is not a whole number"),
        ("IPO_PORT", "70000", "give a number from 1 to 65535"),
        ("DATABASE_URL", "mysql://host/name", "DATABASE_URL must be a Postgres address"),
        ("IPO_GENERATION_SERVER", "gpu-box:8580", "it looks like http://gpu-box:8580"),
        ("IPO_GENERATION_SERVER", "http://me@gpu-box", "it looks like http://gpu-box:8580"),
        ("IPO_DEFAULT_MODEL", "sd-turbot", "correct it in .env to one of pocket-landscapes, sd-turbo,"),
        ("IPO_SPEEDUPS", "compiled, turbo", "IPO_SPEEDUPS: there is no “turbo”: choose among channels_last,"),
        ("IPO_DATA_DIR", "~nosuchuser/x", "there is no such user: give another folder"),
        ("IPO_DEBUG", "ja", "IPO_DEBUG is 'ja': say yes or no"),
        ("IPO_EMBED_SETTINGS", "maybe", "IPO_EMBED_SETTINGS is 'maybe': say yes or no"),
        ("FLUX_LOCAL_MODEL", "/nowhere", "no folder of FLUX as diffusers saves it"),
        ("IPO_EXTRA_MODELS", "{oops", "IPO_EXTRA_MODELS is not JSON"),
        ("IPO_EXTRA_MODELS", '{"mine": {"label": 5}}', "IPO_EXTRA_MODELS: “mine” lacks source: give it"),
    ],
)
def test_a_value_that_cannot_be_read_ends_with_one_sentence(name: str, value: str, sentence: str):
    result = read("print('went on')", **{name: value})
    assert result.returncode == 1
    assert result.stdout == ""
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_folder_is_the_same_from_wherever_a_command_is_called(tmp_path: Path):
    code = f"import os; os.chdir({str(tmp_path)!r}); from ipo_site import env; print(env.DATA_DIR)"
    given = os.environ | {"IPO_DATA_DIR": "my data", "PYTHONPATH": str(ROOT), "SECRET_KEY": "x"}
    found = subprocess.run([sys.executable, "-c", code], env=given, text=True, capture_output=True, check=True)
    assert found.stdout == f"{ROOT / 'my data'}\n"


@pytest.mark.parametrize(("programs", "model"), [((), "pocket-landscapes"), (("nvidia-smi",), "sd-turbo")])
def test_new_sessions_begin_with_a_model_for_this_machine(tmp_path: Path, programs: tuple[str, ...], model: str):
    for name in programs:
        (tmp_path / name).touch(mode=0o755)
    assert read("print(env.DEFAULT_MODEL)", PATH=str(tmp_path)).stdout == f"{model}\n"


def test_new_sessions_begin_with_a_model_that_a_worker_may_load():
    assert read("print(env.DEFAULT_MODEL)", IPO_WORKER_MODELS="flux-dev, flux-schnell").stdout == "flux-dev\n"


@pytest.mark.parametrize(("guidance", "key"), [("true", "flux-dev"), ("false", "flux-schnell")])
def test_flux_in_a_folder_is_the_model_that_its_files_say(tmp_path: Path, guidance: str, key: str):
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "config.json").write_text(f'{{"guidance_embeds": {guidance}}}')
    code = f"print([key for key, spec in env.MODELS.items() if spec.source == {str(tmp_path)!r}])"
    found = read(code, FLUX_LOCAL_MODEL=str(tmp_path))
    assert found.stdout == f"{[key]}\n", found.stderr


def test_names_that_mean_nothing_any_more_are_told_so():
    told = list(predecessor.notes({"IPO_DATA_ROOT": "/old", "CLIP_DB_URL": "", "HOME": "/"}))
    assert len(told) == 1
    assert told[0].startswith("IPO_DATA_ROOT is not read: IPO_DATA_DIR says")


def test_the_tests_use_servers_of_their_own_unless_some_are_given(settings):
    """Not those of a developer's `.env`: tests empty the queue."""
    given = os.environ["IPO_TESTS_GIVEN"].split()
    own = urls(settings.DATA_DIR)
    assert "REDIS_URL" in given or own.redis == settings.REDIS_URL
    assert "DATABASE_URL" in given or own.database == os.environ["DATABASE_URL"]
