"""The benchmark itself: its people err as often as they should, its scale is right, and it resumes."""

import json
from pathlib import Path

import numpy as np
import pytest

from ipo_site.benchmarks.learning import chart, kept, predecessor, resume, study
from ipo_site.benchmarks.learning.people import KINDS, Person, noise_scale
from ipo_site.benchmarks.learning.trial import ARMS, BATCH, OURS, Cell, run_trial
from ipo_site.benchmarks.learning.utilities import OFF_SHELL_COST, UTILITIES
from preferences.learning.feedback import Choice, Label
from preferences.learning.geometry import Shell

SMALL = Cell(20, "linear", 0.1, "labels", 25)


@pytest.mark.parametrize("name", UTILITIES)
def test_utility_of_random_vectors_has_the_right_distribution(name):
    rng = np.random.default_rng(0)
    utility = UTILITIES[name](30, rng)
    drawn = utility(Shell(30).project(rng.standard_normal((20_000, 30))), 0.7)
    short = utility.of_random(20_000, rng, 0.7)
    np.testing.assert_allclose(np.quantile(short, [0.05, 0.5, 0.95]), np.quantile(drawn, [0.05, 0.5, 0.95]), atol=0.08)


def test_norms_matter_only_where_they_should():
    z = Shell(30).project(np.random.default_rng(1).standard_normal((5, 30)))
    linear, on_shell = (UTILITIES[name](30, np.random.default_rng(2)) for name in ("linear", "on_shell"))
    np.testing.assert_allclose(linear(2 * z), linear(z))
    np.testing.assert_allclose(on_shell(z) - on_shell(1.5 * z), OFF_SHELL_COST / 4)
    np.testing.assert_allclose(on_shell(z) - on_shell(9 * z), OFF_SHELL_COST)  # no more than broken


@pytest.mark.parametrize("errors", [0.1, 0.3])
def test_people_err_as_often_as_they_should(errors):
    rng = np.random.default_rng(3)
    utility = rng.standard_normal(8)
    scale = noise_scale(utility, errors)
    felt = utility + scale * rng.gumbel(size=(20_000, 8))
    upper = np.triu_indices(8, 1)
    wrong = np.sign(felt[:, upper[0]] - felt[:, upper[1]]) != np.sign(utility[upper[0]] - utility[upper[1]])
    assert wrong.mean() == pytest.approx(errors, abs=0.01)


@pytest.mark.parametrize(("kind", "actions"), [("labels", 8), ("stars", 8), ("pairs", 4), ("best", 1), ("ranking", 7)])
def test_judgments_without_errors_are_true(kind, actions):
    utility = np.random.default_rng(4).standard_normal(8)
    judged = Person(0.0, np.random.default_rng(5)).judge(kind, utility, utility[:0], 40, 5)
    assert len(judged) == actions
    judgments = [judgment for action in judged for judgment in action]
    for judgment in judgments:
        if isinstance(judgment, Choice):
            assert all(utility[judgment.best - 40] > utility[other - 40] for other in judgment.others)
    goods = {j.row - 40 for j in judgments if isinstance(j, Label) and j.good}
    assert all(utility[list(goods)].min() > utility[i] for i in set(range(8)) - goods) if goods else True
    assert set(KINDS) == {"labels", "stars", "pairs", "best", "ranking"}


def test_a_trial_is_the_same_twice_and_all_begin_alike():
    first, again, other = run_trial(SMALL, OURS, 3), run_trial(SMALL, OURS, 3), run_trial(SMALL, "random", 3)
    assert first["at"] == again["at"]
    assert set(first["at"]) == {"10", "25"}
    early = Cell(20, "linear", 0.1, "best", 10)
    starts = {run_trial(early, arm, 3)["at"]["10"]["norm"] == pytest.approx(1, abs=1e-5) for arm in (OURS, "random")}
    assert starts == {True}
    assert first["at"]["25"]["mean"] > other["at"]["25"]["mean"]


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_finishes_a_session_with_every_way_of_asking(arm):
    for kind in KINDS:
        at = run_trial(Cell(12, "linear", 0.0, kind, 10), arm, 0)["at"]["10"]
        assert np.isfinite([at["mean"], at["best"], at["angle"], at["norm"]]).all()


def test_a_study_goes_on_where_it_was_killed(tmp_path: Path):
    file = tmp_path / "trials.jsonl"
    wanted = [(SMALL, arm, seed) for seed in (0, 1) for arm in ("random", OURS)]
    assert len(list(study.run(wanted[:2], file, 1))) == 2
    file.write_text(file.read_text() + '{"cell": "cut of')  # killed while writing
    assert len(list(study.run(wanted, file, 1))) == 2
    assert list(study.run(wanted, file, 1)) == []
    records = resume.load(file)
    assert {study.key(record) for record in records} == {(job[0].name, job[1], job[2]) for job in wanted}
    chart.draw(records, tmp_path / "plot.svg")
    assert "<svg" in (tmp_path / "plot.svg").read_text()
    assert f"| {SMALL.name} |" in study.table(records)


def record(arm: str, seed: int, mean: float, d: int = 20) -> dict:
    return {"cell": f"cell {d}", "d": d, "arm": arm, "seed": seed, "at": {"50": {"mean": mean}}}


def test_verdicts_compare_the_same_seeds_and_name_what_is_missed():
    noise = np.random.default_rng(0).normal(0, 0.05, 10)
    records = [record(OURS, seed, 0.8 + noise[seed]) for seed in range(10)]
    records += [record("random", seed, 0.0) for seed in range(10)] + [record("better", seed, 1.0) for seed in range(10)]
    records += [record("equal", seed, 0.8 - noise[seed]) for seed in range(10)] + [record("once", 0, 5.0)]
    found = {verdict.arm: verdict for verdict in study.verdicts(records)}
    assert set(found) == {"random", "better", "equal"}
    assert found["random"].is_ahead
    assert found["better"].is_behind
    assert not found["equal"].is_ahead
    assert not found["equal"].is_behind
    problems = study.missed(list(found.values()))
    assert any(text.startswith("better is ahead of ours in cell 20: 0.2") for text in problems)
    assert any("leads equal in 0%" in text for text in problems)
    assert not any("random" in text for text in problems)
    assert study.missed([]) == ["There are no trials yet."]


def test_the_whole_study_has_every_cell_and_arm():
    wanted = study.jobs(quick=False)
    assert len(wanted) == len(set(wanted))
    assert {job[0].d for job in wanted} == {10, 20, 64, 1024, 16384}
    assert {job[1] for job in wanted} == set(ARMS)
    assert min(job[2] for job in wanted) >= study.TUNED_ON
    assert {job[0].kind for job in wanted} == set(KINDS)
    assert json.dumps(BATCH) == "8"


def test_the_summary_counts_cells_and_names_those_not_ahead():
    ahead = study.Verdict("d=20 linear", 20, "random", 0.5, 0.1, 6)
    even = study.Verdict("d=20 drift", 20, "random", 0.05, 0.1, 6)
    behind = study.Verdict("d=20 drift", 20, "CMA-ES", -0.5, 0.1, 6)
    text = study.summary([ahead, even, behind])
    assert "| random | 1 of 2 |" in text
    assert "| CMA-ES | 0 of 1, behind in 1 |" in text
    assert "| d=20 drift | random | +0.05 ± 0.10 |" in text
    assert "d=20 linear" not in text


def test_what_is_kept_can_be_reported_and_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept, "FOLDER", tmp_path)
    assert kept.load("learning") == []
    records = [run_trial(SMALL, arm, seed) for arm in ("random", OURS) for seed in (1, 2, 3)]
    session = {"space": "latent", "taste": "warm", "arm": OURS, "seed": 1, "percentiles": [0.12345], "contrast": [0.1]}
    file = kept.keep("learning", [*records, session])
    assert json.loads(file.read_text())["versions"]["numpy"] == np.__version__
    known = kept.load("learning")
    assert {**session, "percentiles": [0.123]} in known
    trials = [record for record in known if "at" in record]
    assert sorted(map(study.key, trials)) == sorted(map(study.key, records))
    for record in records:
        (same,) = [one for one in trials if study.key(one) == study.key(record)]
        assert same["at"]["25"] == pytest.approx(record["at"]["25"], rel=6e-3)
    (tmp_path / "trials.jsonl").write_text('{"cell": "cut of')  # killed while writing
    resume.add(trials, study.key, tmp_path / "trials.jsonl")
    resume.add(trials, study.key, tmp_path / "trials.jsonl")
    assert len(resume.load(tmp_path / "trials.jsonl")) == len(records)
    again = list(study.run([(SMALL, "random", seed) for seed in (1, 2, 4)], tmp_path / "trials.jsonl", 1))
    assert [record["seed"] for record in again] == [4]


def test_the_slow_cells_come_last_and_the_hopeless_ones_not_at_all():
    wanted = study.jobs(quick=False)
    order = [study.slowness(cell, arm) for cell, arm, _ in wanted]
    assert order == sorted(order)
    assert set(order) == {0, 1, 2}
    kinds = {(cell.kind, cell.actions) for cell, arm, _ in wanted if cell.d == 16384 and "XGBoost" in arm}
    assert kinds == {("labels", 50), ("stars", 50), ("pairs", 50), ("ranking", 50)}
    assert len({(cell.name, arm, seed) for cell, arm, seed in wanted}) == len(wanted)


def told(arm: type, d: int = 400, rows: int = 16) -> predecessor.Predecessor:
    """A method of the predecessor that was told of good and bad rows far from its anchor."""
    rng = np.random.default_rng(8)
    method = arm(Shell(d).project(rng.standard_normal((1, d)))[0].astype(np.float32), rng)
    z = Shell(d).project(rng.standard_normal((rows, d))).astype(np.float32)
    method.tell(z, [Label(row, bool(z[row, 0] > 0), 0) for row in range(rows)])
    return method


def test_the_predecessors_gaussian_draws_deviations_without_the_anchor():
    method = told(predecessor.PredecessorGaussian)
    X, y = method.rows()
    drawn = method.propose(2000)
    np.testing.assert_allclose(drawn.mean(0), X[y > 0].mean(0), atol=0.2)
    np.testing.assert_allclose(drawn.std(0), X[y > 0].std(0), rtol=0.15)
    assert np.abs(drawn.mean(0) - method.anchor - X[y > 0].mean(0)).mean() > 0.5  # with the anchor it would be off


def test_the_predecessors_hill_moves_every_number_and_takes_ties(monkeypatch):
    method = told(predecessor.PredecessorHill)
    starts = method.starts(6)
    monkeypatch.setattr(method, "value", lambda z: np.zeros(len(z)))  # ties wherever it looks
    monkeypatch.setattr(predecessor, "STEPS", 1)
    moved = np.linalg.norm(method.climb(starts, starts[0]) - starts, axis=1)
    np.testing.assert_allclose(moved, 10 * np.sqrt(400), rtol=0.15)  # 10 N(0, 1) for each number: 200 in all
    monkeypatch.setattr(predecessor, "STEPS", 20)
    far = np.linalg.norm(method.climb(starts, starts[0]) - starts, axis=1)
    assert far.max() <= 200.001
    worse = iter(range(0, -100, -1))
    monkeypatch.setattr(method, "value", lambda z: np.full(len(z), next(worse)))
    np.testing.assert_array_equal(method.climb(starts, starts[0]), starts)


def test_the_predecessors_grad_has_gaussian_directions_and_a_velocity_as_it_comes(monkeypatch):
    """On a slope of 0.001 a number, velocity and steps stay small: it isn't stretched to a length of its own."""
    method = told(predecessor.PredecessorGrad)
    slope = np.full(400, 1e-3, np.float32)
    looked: list[np.ndarray] = []

    def value(z):
        looked.append(z)
        return z @ slope

    monkeypatch.setattr(method, "value", value)
    monkeypatch.setattr(predecessor, "STEPS", 1)
    starts = method.starts(50)
    moved = method.climb(starts, starts[0]) - starts
    apart = looked[0] - looked[1]  # twice 0.5 times a standard normal direction
    assert apart.std() == pytest.approx(1.0, rel=0.05)
    np.testing.assert_allclose(moved, 10 * (apart @ slope)[:, None] * apart, rtol=1e-2, atol=1e-5)
    monkeypatch.setattr(predecessor, "SPSA_SECONDS", -1.0)
    np.testing.assert_array_equal(method.climb(starts, starts[0]), starts)
