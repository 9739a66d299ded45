"""All cells of the study without pictures, and what they show."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy import stats

from ipo_site.benchmarks.learning import resume
from ipo_site.benchmarks.learning.peers import SLOW_ARMS
from ipo_site.benchmarks.learning.people import KINDS
from ipo_site.benchmarks.learning.resume import Record
from ipo_site.benchmarks.learning.trial import ARMS, OURS, Cell, run_trial
from ipo_site.benchmarks.learning.utilities import UTILITIES

TUNED_ON = 10  # seeds 0 to 9 were used to choose settings: the report uses later ones
ERRORS = (0.0, 0.1, 0.3)
OWN_METHODS = {"our Ridge", "our Gaussian"}
AHEAD = {20: 0.8, 64: 0.8, 1024: 0.8, 16384: 0.6, 10: 0.8}  # share of the cells in which ours must lead each other arm
AT = "50"

Job = tuple[Cell, str, int]
Place = tuple[str, int, str]  # cell, d, arm


def jobs(quick: bool) -> list[Job]:
    """Every trial of the study: good and bad everywhere, the other ways of asking on two utilities."""
    dimensions = (20, 1024) if quick else (10, 20, 64, 1024, 16384)
    found: list[Job] = []
    for d in dimensions:
        count = 6 if quick else 30 if d <= 64 else 10
        cells = [Cell(d, name, errors, "labels", 50) for name in UTILITIES for errors in ((0.1,) if quick else ERRORS)]
        kinds = [] if quick else [kind for kind in KINDS if kind != "labels"]
        cells += [Cell(d, name, 0.1, kind, 50) for name in ("linear", "target") for kind in kinds]
        if not quick:
            cells += [Cell(d, name, 0.1, "labels", 200) for name in ("linear", "target")]
        found += [(cell, arm, TUNED_ON + seed) for cell in cells for seed in range(count) for arm in ARMS]
    # The slow ones last, and these seed by seed: a run that is stopped has nearly everything, and a part of each cell.
    return sorted((job for job in found if not is_out_of_reach(*job[:2])), key=_turn)


def _turn(job: Job) -> tuple[int, int]:
    cell, arm, seed = job
    slow = slowness(cell, arm)
    return slow, seed if slow else 0


def slowness(cell: Cell, arm: str) -> int:
    """Trees on a thousand columns or more are trained anew for each batch, of which "best" has one an action."""
    if "XGBoost" not in arm or cell.d < 1024:
        return 0
    return 2 if cell.kind == "best" else 1


def is_out_of_reach(cell: Cell, arm: str) -> bool:
    """The same on 16,384 columns and hundreds of pictures: half a minute a batch, 30 hours for these cells alone."""
    return slowness(cell, arm) > 0 and cell.d == 16384 and (cell.kind == "best" or cell.actions > 50)


def key(record: Record) -> tuple[str, str, int]:
    """What makes a trial the same trial."""
    return record["cell"], record["arm"], record["seed"]


def run(wanted: list[Job], file: Path, processes: int) -> Iterator[Record]:
    """Run what is missing in `file`, adding to it; yields the trials as they are done."""
    return resume.run(run_trial, {(job[0].name, job[1], job[2]): job for job in wanted}, key, file, processes)


@dataclass(frozen=True)
class Verdict:
    """Ours against one other arm in one cell: mean paired difference and its 95 % interval."""

    cell: str
    d: int
    arm: str
    difference: float
    margin: float
    seeds: int

    @classmethod
    def of(cls, cell: str, d: int, arm: str, ours: Mapping[Any, float], other: Mapping[Any, float]) -> Self | None:
        """From what both reached, by seed; None where they have less than two seeds in common."""
        gaps = np.array([ours[seed] - other[seed] for seed in sorted(ours.keys() & other.keys())])
        if len(gaps) < 2:
            return None
        margin = float(stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps)))
        return cls(cell, d, arm, float(gaps.mean()), margin, len(gaps))

    @property
    def is_ahead(self) -> bool:
        return self.difference - self.margin > 0

    @property
    def is_behind(self) -> bool:
        return self.difference + self.margin < 0


def verdicts(records: Iterable[Record], at: str = AT) -> list[Verdict]:
    """One for each cell and other arm that have two common seeds or more."""
    means: dict[Place, dict[int, float]] = {}
    for record in records:
        if at in record["at"]:
            means.setdefault((record["cell"], record["d"], record["arm"]), {})[record["seed"]] = record["at"][at][
                "mean"
            ]
    return compared(means)


def compared(reached: Mapping[Place, Mapping[Any, float]]) -> list[Verdict]:
    """Ours against each other arm in its cell. reached: by cell, d and arm, what each seed's session came to."""
    found = [
        Verdict.of(cell, d, arm, reached.get((cell, d, OURS), {}), values)
        for (cell, d, arm), values in reached.items()
        if arm != OURS
    ]
    return [verdict for verdict in found if verdict is not None]


def missed(found: list[Verdict]) -> list[str]:
    """One sentence for each thing that the study must show and does not."""
    problems = arms_ahead(found)
    for d in sorted({v.d for v in found}):
        for arm in sorted({v.arm for v in found if v.arm not in OWN_METHODS}):
            cells = [v for v in found if v.d == d and v.arm == arm]
            share = sum(v.is_ahead for v in cells) / max(1, len(cells))
            if cells and share < AHEAD[d]:
                problems.append(f"Ours leads {arm} in {share:.0%} of the cells with d={d}, it must in {AHEAD[d]:.0%}")
    return problems if found else ["There are no trials yet."]


def arms_ahead(found: list[Verdict]) -> list[str]:
    """One sentence for each arm that is significantly better than ours somewhere."""
    return [f"{v.arm} is ahead of ours in {v.cell}: {-v.difference:.2f} ± {v.margin:.2f}" for v in found if v.is_behind]


def summary(found: list[Verdict]) -> str:
    """In how many cells ours is ahead of each arm, a Markdown row an arm and a column a number of dimensions.

    Below it the cells in which ours is not significantly ahead of everybody, and by how much it leads or trails.
    """
    dimensions = sorted({v.d for v in found})
    rows = ["| Ours is ahead of | " + " | ".join(f"d={d}" for d in dimensions) + " |"]
    rows.append("| --- |" + " ---: |" * len(dimensions))
    for arm in dict.fromkeys(v.arm for v in found):
        counts = []
        for d in dimensions:
            cells = [v for v in found if v.d == d and v.arm == arm]
            behind = sum(v.is_behind for v in cells)
            counts.append(
                f"{sum(v.is_ahead for v in cells)} of {len(cells)}" + (f", behind in {behind}" if behind else "")
            )
        rows.append(f"| {arm} | " + " | ".join(counts) + " |")
    rows += ["", "| Not ahead in | of | by |", "| --- | --- | ---: |"]
    rows += [f"| {v.cell} | {v.arm} | {v.difference:+.2f} ± {v.margin:.2f} |" for v in found if not v.is_ahead]
    return "\n".join(rows)


def table(records: list[Record], at: str = AT) -> str:
    """Mean scaled utility after `at` actions: a Markdown row for each cell, a column for each arm."""
    known = [arm for arm in (*ARMS, *SLOW_ARMS) if any(record["arm"] == arm for record in records)]
    rows = ["| Cell | " + " | ".join(known) + " |", "| --- |" + " ---: |" * len(known)]
    for cell in dict.fromkeys(record["cell"] for record in records):
        shown = []
        for arm in known:
            values = [r["at"][at]["mean"] for r in records if r["cell"] == cell and r["arm"] == arm and at in r["at"]]
            shown.append(f"{np.mean(values):.2f}" if values else "")
        rows.append(f"| {cell} | " + " | ".join(shown) + " |")
    return "\n".join(rows)
