"""`manage.py benchmark gpu`: all that is to be known of a GPU, in one go, most important first and within its time.

Each part is a process of its own (gpu_parts.py): what crashes or hangs in one costs that part only. This file needs
neither Django nor torch: `python -m ipo_site.benchmarks.speed.gpu` also runs where only the drawing is installed.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from generation.management import arguments

ROOT = Path(__file__).resolve().parents[3]
# What the replicas and each part may take, in seconds; in this order. What has no time left is named in the table.
LIMITS = {
    "machine": 60,
    "replicas": 180,
    "sd-turbo": 120,
    "flux-schnell": 240,
    "sd-turbo-speedups": 150,
    "sd-turbo-previews": 60,
    "flux-schnell-speedups": 240,
    "flux-schnell-previews": 90,
}
SHORTEST = 20.0  # seconds: nothing begins with less


@dataclass(frozen=True)
class Row:
    """One figure: what it is, its value with its unit, and whether it is what was asked (None: nothing was)."""

    what: str
    value: str
    asked: str = ""
    is_met: bool | None = None

    @classmethod
    def ratio(cls, what: str, value: float, least: float | None) -> Self:
        """`value` times; at least `least` of it, if that is asked."""
        if least is None:
            return cls(what, f"{value:.2f}")
        return cls(what, f"{value:.2f}", f"{least:g}", value >= least)

    @classmethod
    def failed(cls, what: str, error: BaseException | str) -> Self:
        """What could not be measured, and why: the last line of it."""
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return cls(what, f"failed: {lines[-1]}", is_met=False)


@dataclass(frozen=True)
class Part:
    """What was measured of a part, and how long it took."""

    name: str
    rows: list[Row]
    seconds: float


def measure_all(
    folder: Path, minutes: float, *, is_rehearsal: bool, tell: Callable[[str], object], only: str = ""
) -> list[Part]:
    """Measure the parts, or `only` one of them; `tell` hears of each row. `folder` keeps the random weights."""
    ends = time.monotonic() + 60 * minutes
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name in [only] if only else LIMITS:
        left = min(LIMITS[name], ends - time.monotonic())
        began = time.monotonic()
        rows = _measured(name, folder, left, is_rehearsal) if left >= SHORTEST else [Row.failed("all", "no time left")]
        found.append(Part(name, rows, time.monotonic() - began))
        tell(f"{name}, {found[-1].seconds:.0f} s")
        for row in rows:
            tell(f"  {row.what}: {row.value}" + (f" (asked: {row.asked})" if row.asked else ""))
    return found


def _measured(name: str, folder: Path, seconds: float, is_rehearsal: bool) -> list[Row]:
    """The rows of a part as far as it came, and what stopped it, if it was stopped."""
    kind = "rehearsal" if is_rehearsal else "real"
    with TemporaryDirectory() as scratch:
        into = Path(scratch) / "rows.jsonl"
        if name == "replicas":  # nothing of them is patched where there is CUDA
            stopped = _stopped(["-m", "tests.replicas"], seconds, into)
        else:
            command = ["-m", "ipo_site.benchmarks.speed.gpu_parts", name, str(folder), str(into), kind]
            stopped = _stopped(command, seconds, Path(os.devnull))
        lines = into.read_text().splitlines() if into.exists() else []
    rows = list(filter(None, map(row_of, lines)))
    return rows if stopped is None else [*rows, Row.failed("the rest", stopped)]


def row_of(line: str) -> Row | None:
    """Of a line that a part has written; None for one that was cut off, or is of no interest."""
    verdict, _, said = line.partition(" ")
    if line.startswith("{") and line.endswith("}"):
        return Row(**json.loads(line))
    if verdict == "ok":
        return Row(said.strip(), "ok", is_met=True)
    return Row(said.strip(), "failed", is_met=False) if verdict == "FAILED" else None


def _stopped(arguments: list[str], seconds: float, out: Path) -> str | None:
    """Run Python with these; why it did not come to its end, if it did not. What it says goes into `out`."""
    command = [sys.executable, *arguments]
    try:
        with out.open("w") as said:
            ended = subprocess.run(
                command, cwd=ROOT, stdout=said, stderr=subprocess.PIPE, text=True, timeout=seconds, check=False
            )
    except subprocess.TimeoutExpired:
        return f"stopped after {seconds:.0f} s"
    if ended.returncode == 0:
        return None
    sys.stderr.write("\n".join(ended.stderr.splitlines()[-30:]) + "\n")
    return ended.stderr.strip() or f"exit status {ended.returncode}"


def table(found: list[Part]) -> str:
    """For docs/benchmarks.md."""
    lines = ["| | Measured | Asked | |", "|---|---|---|---|"]
    for part in found:
        lines.append(f"| **{part.name}** ({part.seconds:.0f} s) | | | |")
        for row in part.rows:
            verdict = "" if row.is_met is None else "met" if row.is_met else "**not met**"
            lines.append(f"| {row.what} | {row.value} | {row.asked} | {verdict} |")
    return "\n".join(line.replace("\n", " ") for line in lines)


def missed(found: list[Part]) -> list[str]:
    """A sentence for each figure that is not reached, and each that could not be measured."""
    return [
        f"{part.name}: {row.what}: {row.value}" + (f", asked {row.asked}." if row.asked else ".")
        for part in found
        for row in part.rows
        if row.is_met is False
    ]


def as_json(found: list[Part]) -> list[dict[str, Any]]:
    return [asdict(part) for part in found]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of the command, here and in manage.py."""
    parser.add_argument("--minutes", type=arguments.minutes, default=9.0, help="how long it may take in all")
    parser.add_argument("--only", choices=LIMITS, default="", help="one part")
    parser.add_argument("--rehearse", action="store_true", help="narrow models, few rounds, on the CPU too")
    parser.add_argument("--json", type=arguments.new_file, metavar="FILE", help="write the figures here too")
    parser.add_argument("--check", action="store_true", help="exit status 1 if a figure is missed")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what docs/benchmarks.md says of a GPU.")
    add_arguments(parser)
    parser.add_argument("--folder", type=Path, default=ROOT / "data" / "benchmarks", help="for random weights")
    asked = parser.parse_args()
    found = measure_all(asked.folder, asked.minutes, is_rehearsal=asked.rehearse, tell=print, only=asked.only)
    print(table(found))
    if asked.json is not None:
        asked.json.write_text(json.dumps(as_json(found), indent=2))
    if asked.check and missed(found):
        sys.exit("\n".join(missed(found)))


if __name__ == "__main__":
    main()
