"""The arms named "predecessor" do what the predecessor does, its faults included."""

import numpy as np
import pytest

from ipo_site.benchmarks.learning import kept, predecessor, study
from ipo_site.benchmarks.learning.predecessor import (
    PredecessorGaussian,
    PredecessorGrad,
    PredecessorHill,
    PredecessorTrees,
)
from ipo_site.benchmarks.learning.trial import Cell, run_trial
from preferences.learning.feedback import Label

N = 6


def rng(seed=0):
    return np.random.default_rng(seed)


def arm(kind, d, anchor=0.0, **methods):
    """An arm of this kind around a constant anchor, some of its methods replaced."""
    made = type("Made", (kind,), methods)
    return made(np.full(d, anchor, np.float32), rng())


def flat(self, z):
    """All points are predicted alike."""
    self.asked = [*getattr(self, "asked", []), z]
    return np.zeros(len(z), np.float32)


def starts(d, anchor=0.0):
    return np.full((N, d), anchor, np.float32)


def test_a_step_of_hill_is_ten_times_a_normal_draw_for_each_number():
    climber = arm(PredecessorHill, 100, value=flat)
    climber.climb(starts(100), np.zeros(100))
    first = climber.asked[1]
    assert np.linalg.norm(first, axis=1) == pytest.approx(np.full(N, 10 * np.sqrt(100)), rel=0.3)
    assert first.std() == pytest.approx(10, rel=0.1)


def test_hill_takes_what_predicts_as_much_and_stays_within_max_dist():
    climber = arm(PredecessorHill, 1024, anchor=3.0, value=flat)
    reached = climber.climb(starts(1024, 3.0), np.zeros(1024))
    for trial in climber.asked[1:]:  # a step is 320 long
        np.testing.assert_allclose(np.linalg.norm(trial - 3, axis=1), 200, rtol=1e-3)
    np.testing.assert_array_equal(reached, climber.asked[-1])
    assert len(climber.asked) == 101


def test_hill_leaves_what_predicts_less():
    climber = arm(PredecessorHill, 20, value=lambda self, z: -np.linalg.norm(z, axis=1))
    np.testing.assert_array_equal(climber.climb(starts(20), np.zeros(20)), starts(20))


def test_grad_looks_half_a_normal_draw_to_both_sides():
    climber = arm(PredecessorGrad, 400, value=flat)
    reached = climber.climb(starts(400), np.zeros(400))
    np.testing.assert_array_equal(reached, starts(400))  # no slope, no step
    ahead, behind = climber.asked[:2]
    np.testing.assert_allclose(ahead, -behind)
    assert ahead.std() == pytest.approx(0.5, rel=0.1)
    assert np.abs(ahead).max() > 1.0  # Gaussian, not signs
    assert len(climber.asked) == 200


@pytest.mark.parametrize("height", [1e-4, 2e-4])
def test_a_velocity_of_grad_is_not_normalised_and_fades_by_a_tenth(height):
    def slope_at_first(self, z):
        self.calls = getattr(self, "calls", 0) + 1
        return np.full(len(z), height if self.calls == 1 else 0.0, np.float32)

    reached = arm(PredecessorGrad, 30, value=slope_at_first).climb(starts(30), np.zeros(30))
    way = rng().standard_normal((N, 30), dtype=np.float32)
    first = 10 * height / (2 * 0.5) * way  # twice the slope, twice as far
    np.testing.assert_allclose(reached, first * (1 - 0.9**100) / (1 - 0.9), rtol=1e-3, atol=1e-8)


def test_grad_stays_within_max_dist():
    steep = arm(PredecessorGrad, 30, value=lambda self, z: 1e3 * z[:, 0])
    away = np.linalg.norm(steep.climb(starts(30), np.zeros(30)), axis=1)
    np.testing.assert_allclose(away, 200, rtol=1e-3)


def test_grad_stops_when_its_time_is_up(monkeypatch):
    monkeypatch.setattr(predecessor, "SPSA_SECONDS", 0.0)
    steep = arm(PredecessorGrad, 30, value=lambda self, z: z[:, 0])
    np.testing.assert_array_equal(steep.climb(starts(30), np.zeros(30)), starts(30))


def test_gaussian_draws_deviations_and_omits_the_anchor():
    goods = rng(1).normal(2.0, 0.5, (200, 8)).astype(np.float32)
    learner = arm(PredecessorGaussian, 8, anchor=50.0)
    learner.tell(50 + goods, [Label(row, True, 0) for row in range(200)])
    drawn = learner.propose(5_000)
    np.testing.assert_allclose(drawn.mean(axis=0), goods.mean(axis=0), atol=0.05)  # not around 52
    np.testing.assert_allclose(drawn.std(axis=0), goods.std(axis=0), rtol=0.1)


def test_gaussian_clips_each_number_and_needs_two_good_ones():
    learner = arm(PredecessorGaussian, 8, anchor=50.0)
    learner.tell(np.full((1, 8), 51.0, np.float32), [Label(0, True, 0)])
    np.testing.assert_allclose(np.linalg.norm(learner.propose(N) - 50, axis=1), 0.8, rtol=1e-3)
    learner.tell(np.full((1, 8), 1e4, np.float32), [Label(1, True, 1)])
    drawn = learner.propose(500)
    away = drawn - (1 + 1e4 - 50) / 2  # the mean of the two
    assert np.abs(away).max() == pytest.approx(200, rel=1e-4)
    assert (np.linalg.norm(away, axis=1) > 200).any()  # each number by itself, not the length


@pytest.mark.parametrize("good", [True, False])
def test_trees_need_both_classes(good):
    learner = arm(PredecessorTrees, 8, anchor=50.0)
    learner.tell(np.full((4, 8), 51.0, np.float32), [Label(row, good, 0) for row in range(4)])
    np.testing.assert_allclose(np.linalg.norm(learner.propose(N) - 50, axis=1), 0.8, rtol=1e-3)


def test_a_method_that_is_run_later_meets_what_the_kept_sessions_met():
    cell = Cell(10, "linear", 0.1, "labels", 50)
    wanted = cell.name, "predecessor: Ridge", study.TUNED_ON  # it starts at the anchor
    (before,) = [record for record in kept.load("learning") if study.key(record) == wanted]
    again = run_trial(cell, wanted[1], wanted[2])
    for point, figures in again["at"].items():
        assert figures == pytest.approx(before["at"][point], rel=0.01, abs=0.01)
