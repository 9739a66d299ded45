"""`manage.py doctor`: what is well, what is not, and what to do about it."""

import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError

from generation.types import Hardware
from ipo_site.launch import doctor
from preferences.jobs import worker
from preferences.models import Worker


@pytest.mark.django_db
def test_all_is_well_with_a_worker_and_not_without(capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_s3cret")
    with pytest.raises(CommandError, match="1 problem, see above"):
        call_command("doctor")
    assert "Workers: none was heard of lately: start IPO (make run)" in capsys.readouterr().out
    worker.report_worker("gpu@here", state=Worker.State.READY, model="tiny", device="a card", memory_gb=8)
    call_command("doctor")
    said = capsys.readouterr().out
    assert "Worker gpu@here: Ready (tiny)" in said
    assert "All is well." in said
    assert "Hugging Face token: set" in said
    assert "s3cret" not in said


@pytest.mark.django_db
def test_a_worker_that_could_not_load_is_a_problem_with_its_own_sentence(capsys):
    worker.report_worker("gpu@here", state=Worker.State.FAILED, error="It is gated: accept the licence.")
    with pytest.raises(CommandError):
        call_command("doctor")
    assert "Worker gpu@here: It is gated: accept the licence." in capsys.readouterr().out


@pytest.mark.django_db
def test_a_default_model_that_no_worker_may_load_is_a_problem(capsys, settings):
    settings.IPO_WORKER_MODELS = ("sd-turbo",)
    with pytest.raises(CommandError):
        call_command("doctor")
    assert "New sessions begin with: tiny, which no worker here may load" in capsys.readouterr().out


def test_whoever_reads_its_output_may_stop_early():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "manage.py", "help"]
    result = subprocess.run(
        command, cwd=settings.BASE_DIR, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.django_db
def test_servers_that_do_not_answer(settings, monkeypatch):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"

    def refuse(*_):
        raise OperationalError("connection refused")

    monkeypatch.setattr(doctor.job_selectors, "workers", refuse)
    found = {finding.about: finding for finding in doctor.servers()}
    for name in ("Redis", "Postgres"):
        assert found[name].is_problem
        assert "make run" in found[name].said
    assert "connection refused" in found["Postgres"].said


def test_models_that_need_more_than_there_is(settings):
    from generation import installed

    def said(key: str, hardware: Hardware) -> str:
        return ", ".join(doctor.of_model(installed.look(settings.IPO_MODELS[key]), hardware))

    laptop, card = Hardware("2 CPU cores", 8, is_gpu=False), Hardware("a card", 8, is_gpu=True)
    assert "installed" in said("pocket-landscapes", laptop)
    assert said("sd-turbo", laptop).endswith("needs an NVIDIA GPU")
    assert "needs about" not in said("sd-turbo", card)
    assert "gated: accept its licence at" in said("flux-dev", card)
    assert said("flux-dev", card).endswith("needs about 9 GB of memory, more than there is")


@pytest.mark.django_db
def test_a_driver_that_torch_cannot_use_is_a_problem(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert doctor.device(Hardware("2 CPU cores", 8, is_gpu=False)).is_problem
    assert not doctor.device(Hardware("a card", 8, is_gpu=True)).is_problem
    (found,) = [finding for finding in doctor.findings() if finding.about == "Draws on"]
    assert found.is_problem  # of this machine, which has no GPU
