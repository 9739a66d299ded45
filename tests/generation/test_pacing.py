"""The size of a pass is found from how fast passes of each size are, without a pass more than is drawn anyway."""

from collections.abc import Callable

import pytest

from generation.manager import ModelManager
from generation.pacing import LARGEST, Pace
from tests.generation.requests import request_for


def settled(seconds: Callable[[int], float], passes: int = 40) -> tuple[int, list[int]]:
    """The size in the end, and the sizes of all passes, on hardware that takes `seconds(n)` for n pictures."""
    pace, sizes = Pace(), []
    for _ in range(passes):
        sizes.append(pace.size)
        pace.saw(pace.size, seconds(pace.size))
    return pace.size, sizes


def test_where_a_pass_costs_the_same_however_large_it_grows_to_the_largest():
    size, sizes = settled(lambda n: 1.0)
    assert size == LARGEST
    assert sizes[:6] == [1, 1, 2, 2, 4, 4]


def test_where_more_at_once_is_no_faster_it_stays_at_one():
    assert settled(lambda n: 1.0 * n)[0] == 1


@pytest.mark.parametrize("best", [2, 4, 8])
def test_it_stops_where_nothing_is_gained_any_longer_and_stays_there(best):
    size, sizes = settled(lambda n: 1.0 + max(0, n - best))
    assert size == best
    assert set(sizes[-20:]) == {best}


def test_a_slow_first_pass_of_a_size_is_forgiven():
    seen: set[int] = set()

    def seconds(n: int) -> float:
        first = n not in seen
        seen.add(n)
        return 10.0 if first else 1.0

    assert settled(seconds)[0] == LARGEST


def test_smaller_passes_say_nothing_of_a_larger_size():
    pace = Pace()
    for _ in range(2):
        pace.saw(1, 1.0)
    for _ in range(2):
        pace.saw(2, 1.0)
    assert pace.size == 4
    for _ in range(9):
        pace.saw(2, 0.01)  # the rest of a batch
    assert pace.size == 4
    for _ in range(2):
        pace.saw(3, 1.0)
    assert pace.size == 8


def test_the_manager_learns_it_while_it_draws(settings, tiny_model):
    manager, spec = ModelManager(), settings.IPO_MODELS[tiny_model]
    passes: list[int] = []
    request = request_for(spec, n=7, on_step=lambda done, of: passes.append(done))
    assert manager.fastest_size(spec, request) == 1
    assert len(list(manager.generate_all(spec, request))) == 7
    assert 4 <= passes.count(1) <= 7  # 1, 1, 2, 2, 1 or fewer at once
    manager.pace(spec, request).size = 4
    passes.clear()
    assert len(list(manager.generate_all(spec, request))) == 7
    assert passes.count(1) in (2, 3)  # 4 and 3, unless it learns something on the way
    assert manager.fastest_size(spec, request_for(spec, steps=9)) == 1  # of other work it knows nothing
