"""The peers that take seconds a batch, in four cells of the study: run once, and kept with the docs.

What they found is compared with ours on the same seeds whenever the study is reported.
"""

import json
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from ipo_site.benchmarks.learning import resume, study
from ipo_site.benchmarks.learning.resume import Record
from ipo_site.benchmarks.learning.study import TUNED_ON, Job
from ipo_site.benchmarks.learning.trial import SLOW_ARMS, Cell

FILE = Path(__file__).resolve().parents[3] / "docs" / "benchmarks-peers.json"
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


def run(wanted: list[Job], file: Path, processes: int) -> Iterator[Record]:
    """As study.run."""
    return study.run(wanted, file, processes)


def table(records: list[Record]) -> str:
    """As study.table."""
    return study.table(records)


def keep(file: Path) -> bool:
    """Write FILE if `file` holds every trial of the whole study; False if some are missing."""
    records = {study.key(record): record for record in resume.load(file)}
    wanted = [(cell.name, arm, seed) for cell, arm, seed in jobs(quick=False)]
    if not all(key in records for key in wanted):
        return False
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("optuna", "optuna-dashboard", "botorch", "gpytorch", "torch")},
    }
    FILE.write_text(json.dumps(about | {"records": [records[key] for key in wanted]}, indent=1) + "\n")
    return True


def kept() -> list[Record]:
    """The trials in FILE; none where it is missing."""
    return list(json.loads(FILE.read_text())["records"]) if FILE.exists() else []
