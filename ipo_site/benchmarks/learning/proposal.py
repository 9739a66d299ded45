"""What one proposal costs at the size of a Stable Diffusion latent: seconds, fit included, and memory."""

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np

from generation.spaces import LATENT
from ipo_site.benchmarks.learning.arms import OurArm, Vectors
from ipo_site.benchmarks.learning.predecessor import PredecessorHill
from preferences.learning.feedback import Label
from preferences.learning.geometry import Shell
from preferences.learning.propose import anchor_for

SHAPE = (4, 64, 64)  # of the latents of a picture of 512 x 512
ROWS, CANDIDATES, BATCH, REPEATS = 500, 48, 8, 5
SECONDS, MEGABYTES = 0.5, 1000.0  # what ours may take


class RowAtATime(PredecessorHill):
    """As the predecessor itself does it: each candidate is scored alone."""

    def value(self, z: Vectors) -> Vectors:
        return np.concatenate([super(RowAtATime, self).value(row[None]) for row in z])


ARMS: dict[str, tuple[type, int]] = {
    "ours": (OurArm, REPEATS),
    "predecessor: XGBoost, Hill": (RowAtATime, 1),
    "the same, all candidates at once": (PredecessorHill, 1),
}


def cost(arm: str) -> dict[str, Any]:
    """Median seconds of proposing CANDIDATES from ROWS judged rows, and peak memory in MB, libraries included.

    The judgments are kept anew for each repeat, so that nothing of an earlier fit is there.
    """
    kind, repeats = ARMS[arm]
    rng = np.random.default_rng(7)
    d = int(np.prod(SHAPE))
    anchor = anchor_for("a landscape", Shell(d))
    z = Shell(d).project(rng.standard_normal((ROWS, d))).astype(np.float32)
    utility = z @ rng.standard_normal(d)
    labels = [Label(row, bool(utility[row] > np.median(utility)), row // BATCH) for row in range(ROWS)]
    seconds = []
    for _ in range(repeats):
        method = kind(anchor, rng, LATENT, SHAPE)
        method.tell(z, labels)
        began = time.perf_counter()
        method.propose(CANDIDATES)
        seconds.append(time.perf_counter() - began)
    return {"arm": arm, "seconds": float(np.median(seconds)), "worst": max(seconds), "megabytes": peak()}


def peak() -> float:
    """Most memory that this process has held so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def costs() -> list[dict[str, Any]]:
    """Of every arm, each in a fresh process."""
    found = []
    for arm in ARMS:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found.append(pool.submit(cost, arm).result())
    return found


def missed(found: list[dict[str, Any]]) -> list[str]:
    """One sentence for each limit that ours is over."""
    (ours,) = [row for row in found if row["arm"] == "ours"]
    problems = []
    if ours["seconds"] > SECONDS:
        problems.append(f"A proposal takes {ours['seconds']:.2f} s, it may take {SECONDS} s")
    if ours["megabytes"] > MEGABYTES:
        problems.append(f"A proposal takes {ours['megabytes']:.0f} MB, it may take {MEGABYTES:.0f} MB")
    return problems
