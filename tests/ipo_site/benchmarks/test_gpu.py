"""The one command for the day when there is a GPU, rehearsed: its parts, one that ends early, the table."""

import json
from dataclasses import asdict

import pytest
import torch
from django.core.management import CommandError, call_command

from ipo_site.benchmarks.speed import gpu, gpu_parts
from ipo_site.benchmarks.speed.gpu import Part, Row


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Random weights, written once for all parts."""
    return tmp_path_factory.mktemp("random-weights")


@pytest.fixture(autouse=True)
def compiles_without_a_compiler(monkeypatch):
    """Generated C++ takes half a minute a model; what is compiled is the same."""
    compile_ = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda call, *args, **kwargs: compile_(call, *args, backend="eager", **kwargs)
    )


@pytest.mark.parametrize("part", gpu_parts.PARTS)
def test_each_part_can_be_rehearsed(part, folder):
    rows = list(gpu_parts.PARTS[part](gpu_parts.Bench(folder, is_rehearsal=True)))
    said = " ".join(f"{row.what} {row.value}" for row in rows)
    assert not [row for row in rows if row.is_met is False], said
    expected = {
        "machine": ["Draws on", "TFLOP/s"],
        "sd-turbo": ["4 steps, 2 in a pass", "1 step, 1 in a pass", "over a loop of single calls", "share of the peak"],
        "flux-schnell": ["4 steps, 2 in a pass", "peak", "over one bare batched call"],
        "sd-turbo-speedups": ["channels_last", "fused_projections", "compiled", "all together"],
        "flux-schnell-speedups": ["channels_last", "fused_projections", "compiled", "all together"],
        "sd-turbo-previews": ["2 in a pass", "% of a pass"],
        "flux-schnell-previews": ["2 in a pass", "% of a pass"],
    }
    assert [text for text in expected[part] if text not in said] == []


def test_every_part_has_a_limit_and_they_come_in_order():
    assert set(gpu.LIMITS) == {*gpu_parts.PARTS, "replicas"}


def test_a_speedup_that_fails_costs_only_itself(folder, monkeypatch):
    def broken(pipe):
        raise RuntimeError("no compiler\nfor this card")

    monkeypatch.setitem(gpu_parts.SPEEDUPS, "compiled", broken)
    rows = {row.what: row for row in gpu_parts.PARTS["sd-turbo-speedups"](gpu_parts.Bench(folder, is_rehearsal=True))}
    assert rows["compiled"] == Row("compiled", "failed: for this card", is_met=False)
    assert "times as fast" in rows["channels_last"].value


def test_what_a_part_wrote_is_kept_when_its_time_is_up(folder):
    told: list[str] = []
    (part,) = gpu.measure_all(folder, 5, is_rehearsal=True, tell=told.append, only="machine")
    assert [row.what for row in part.rows][:2] == ["Draws on", "torch, CUDA"]
    assert any("TFLOP/s" in line for line in told)
    (none_left,) = gpu.measure_all(folder, 0.1, is_rehearsal=True, tell=told.append, only="machine")
    assert none_left.rows == [Row("all", "failed: no time left", is_met=False)]


def test_a_part_that_hangs_or_crashes_says_so(folder, monkeypatch):
    """Its process is ended, and the next part follows."""
    monkeypatch.setattr(gpu, "SHORTEST", 0.0)
    monkeypatch.setattr(gpu, "LIMITS", {"machine": 0.5, "unknown": 60})
    hung, crashed = gpu.measure_all(folder, 5, is_rehearsal=True, tell=str)
    assert hung.rows[-1].value.startswith("failed: stopped after")
    assert crashed.rows[-1].value == "failed: KeyError: 'unknown'"


def test_what_the_replicas_say_becomes_rows():
    assert gpu.row_of("ok      manage.py doctor (4.0 s)") == Row("manage.py doctor (4.0 s)", "ok", is_met=True)
    assert gpu.row_of("FAILED  sd-turbo: All are alike.") == Row("sd-turbo: All are alike.", "failed", is_met=False)
    assert gpu.row_of("Loading weights: 100%") is None
    assert gpu.row_of('{"what": "cut o') is None


def test_the_table_and_what_is_missed():
    rows = [Row.ratio("over a loop", 2.5, 3.0), Row.ratio("over a call", 1.2, 1.0), Row("speed", "3 img/s")]
    found = [Part("sd-turbo", rows, 12.0)]
    assert gpu.missed(found) == ["sd-turbo: over a loop: 2.50, asked 3."]
    assert gpu.table(found).splitlines()[2:] == [
        "| **sd-turbo** (12 s) | | | |",
        "| over a loop | 2.50 | 3 | **not met** |",
        "| over a call | 1.20 | 1 | met |",
        "| speed | 3 img/s |  |  |",
    ]


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gpu, "LIMITS", {"unknown": 60})
    with pytest.raises(CommandError, match="unknown: the rest: failed: KeyError"):
        call_command("benchmark", "gpu", rehearse=True, json=tmp_path / "gpu.json", check=True)
    (part,) = json.loads((tmp_path / "gpu.json").read_text())
    assert part["name"] == "unknown"
    assert part["rows"] == [asdict(Row.failed("the rest", "KeyError: 'unknown'"))]
    assert "| **unknown** (" in capsys.readouterr().out
