"""The peers that take seconds a batch, in four cells of the study: run once, and kept with the docs (kept.py).

What they found is compared with ours on the same seeds whenever the study is reported.
"""

from ipo_site.benchmarks.learning import study
from ipo_site.benchmarks.learning.peers import SLOW_ARMS
from ipo_site.benchmarks.learning.study import TUNED_ON, Job
from ipo_site.benchmarks.learning.trial import Cell

SEEDS = 10


def jobs(quick: bool) -> list[Job]:
    """Ten seeds of the cells with pairs, which is what these peers are made for; `quick`: one seed at d = 20."""
    return [
        (Cell(d, utility, 0.1, "pairs", 50), arm, TUNED_ON + seed)
        for d in ((20,) if quick else (20, 64))
        for utility in ("linear", "target")
        for seed in range(1 if quick else SEEDS)
        for arm in SLOW_ARMS
    ]


# Run, distinguished and reported as the other cells are.
run, key, table = study.run, study.key, study.table
