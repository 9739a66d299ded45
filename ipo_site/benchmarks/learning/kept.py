"""Results that are kept beside docs/benchmarks.md: what took hours can be reported and gone on with anywhere."""

import json
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ipo_site.benchmarks.learning.resume import Record

FOLDER = Path(__file__).resolve().parents[3] / "docs"
LIBRARIES = ("numpy", "scipy", "xgboost-cpu", "cma", "torch", "diffusers", "optuna", "optuna-dashboard", "botorch")
POINT = ("mean", "best", "angle", "norm")  # figures of a trial at each checkpoint


def keep(part: str, records: Iterable[Record]) -> Path:
    """Write the records of a part of the study, with the date, the machine and the versions."""
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "versions": {name: found for name in LIBRARIES if (found := _version(name))},
    }
    lines = ",\n".join(json.dumps(row) for row in _packed(records))
    file = _file(part)
    file.write_text(json.dumps(about)[:-1] + f', "records": [\n{lines}\n]}}\n')
    return file


def load(part: str) -> list[Record]:
    """The records that are kept of a part; none where nothing is."""
    file = _file(part)
    return [one for row in json.loads(file.read_text())["records"] for one in _unpacked(row)] if file.exists() else []


def _file(part: str) -> Path:
    return FOLDER / f"benchmarks-{part}.json"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _packed(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One row for all seeds of a trial, for they are many; other records as they are. Three digits."""
    rows: list[dict[str, Any]] = []
    trials: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records:
        if "at" not in record:
            rows.append({name: _short(value) for name, value in record.items()})
            continue
        key = record["cell"], record["arm"]
        if key not in trials:
            same = {name: value for name, value in record.items() if name not in ("seed", "at", "seconds")}
            trials[key] = {**same, "seed": [], "seconds": [], "at": {point: [] for point in record["at"]}}
        row = trials[key]
        row["seed"].append(record["seed"])
        row["seconds"].append(_short(record["seconds"]))
        for point, found in record["at"].items():
            row["at"][point].append([_short(found[name]) for name in POINT])
    return rows + list(trials.values())


def _unpacked(row: dict[str, Any]) -> list[Record]:
    if "at" not in row:
        return [row]
    return [
        {
            **row,
            "seed": seed,
            "seconds": row["seconds"][i],
            "at": {point: dict(zip(POINT, found[i], strict=True)) for point, found in row["at"].items()},
        }
        for i, seed in enumerate(row["seed"])
    ]


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.3g}")
    return [_short(one) for one in value] if isinstance(value, list) else value
