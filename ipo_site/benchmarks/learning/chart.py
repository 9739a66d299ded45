"""The study as a picture: utility of the batch against actions, one small chart a cell."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ipo_site.benchmarks.learning.trial import ARMS, CHECKPOINTS, OURS

COLUMNS = 4


def draw(records: list[dict[str, Any]], file: Path) -> None:
    """Write one SVG or PNG, by the file's ending."""
    cells = list(dict.fromkeys(record["cell"] for record in records))
    rows = -(-len(cells) // COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 2.6 * rows + 0.8), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True).ravel()
    colours = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
    for axis, cell in zip(axes, cells, strict=False):
        for colour, arm in zip(colours, ARMS, strict=False):
            found = [record["at"] for record in records if record["cell"] == cell and record["arm"] == arm]
            points = [point for point in CHECKPOINTS if found and all(str(point) in at for at in found)]
            means = [np.mean([at[str(point)]["mean"] for at in found]) for point in points]
            axis.plot(points, means, label=arm, color=colour, linewidth=3 if arm == OURS else 1.2, marker=".")
        axis.set_title(cell, fontsize=9)
        axis.grid(alpha=0.3)
    for axis in axes[len(cells) :]:
        axis.set_visible(False)
    figure.supxlabel("actions")
    figure.supylabel("utility of the batch (0 random, 1 best of 100,000)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
