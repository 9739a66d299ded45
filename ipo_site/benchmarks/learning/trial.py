"""One session of one simulated person with one method."""

import hashlib
import time
import zlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ipo_site.benchmarks.learning import arms, peers, predecessor
from ipo_site.benchmarks.learning.arms import ArmMaker
from ipo_site.benchmarks.learning.people import MEMORY, Person
from ipo_site.benchmarks.learning.utilities import UTILITIES, Utility
from preferences.learning.geometry import Shell

OURS = "ours"
ARMS: dict[str, ArmMaker] = {
    "random": arms.RandomArm,
    OURS: arms.OurArm,
    "our Ridge": arms.RidgeArm,
    "our Gaussian": arms.GaussianArm,
    "incumbent hill climb": arms.IncumbentArm,
    "CMA-ES": peers.CmaArm,
    "predecessor: Gaussian": predecessor.PredecessorGaussian,
    "predecessor: Ridge": predecessor.PredecessorRidge,
    "predecessor: XGBoost, Hill": predecessor.PredecessorHill,
    "predecessor: XGBoost, Line": predecessor.PredecessorLine,
    "predecessor: XGBoost, Grad": predecessor.PredecessorGrad,
}
CHECKPOINTS = (10, 25, 50, 100, 200)
BATCH = 8
REFERENCE = 100_000


@dataclass(frozen=True)
class Cell:
    """What is simulated, whoever proposes."""

    d: int
    utility: str
    errors: float
    kind: str
    actions: int

    @property
    def name(self) -> str:
        return f"d={self.d} {self.utility} {round(100 * self.errors)}% {self.kind} {self.actions}"


def run_trial(cell: Cell, arm: str, seed: int) -> dict[str, Any]:
    """Figures of one session at each checkpoint that it reaches.

    Person, first batch and anchor depend on cell and seed, not on the arm. `mean` and `best` are scaled: 0 is the mean
    of random pictures, 1 the mean of the best BATCH of REFERENCE random ones, by the taste at that time.
    """
    rngs = [np.random.default_rng([seed, zlib.crc32(cell.name.encode()), part]) for part in range(5)]
    utility = UTILITIES[cell.utility](cell.d, rngs[0])
    person = Person(cell.errors, rngs[1])
    anchor = anchor_of(seed, cell.d)
    method = maker(arm)(anchor, rngs[2])
    shown = np.asarray(Shell(cell.d).project(rngs[3].standard_normal((BATCH, cell.d))), np.float32)
    scales = {half: scale(utility, half, seed) for half in (0.0, 0.999)}
    seen = shown[:0]
    done, number, best, seconds = 0, 0, -np.inf, []
    found: dict[str, Any] = {}
    while True:
        progress = min(done / cell.actions, 0.999)
        felt = utility(shown, progress)
        zero, one = scales[0.0 if progress < 0.5 else 0.999]
        scaled = (felt - zero) / (one - zero)
        best = max(best, float(scaled.max()))
        actions = person.judge(cell.kind, felt, utility(seen, progress), number * BATCH, number)
        for point in CHECKPOINTS:
            if done <= point < done + len(actions) and point <= cell.actions:
                found[str(point)] = {"mean": float(scaled.mean()), "best": best} | geometry(shown)
        seen = np.concatenate([seen, shown])[-MEMORY:]
        done, number = done + len(actions), number + 1
        if done > cell.actions:
            break
        method.tell(shown, [judgment for action in actions for judgment in action])
        began = time.perf_counter()
        shown = method.propose(BATCH)
        seconds.append(time.perf_counter() - began)
    return {
        **asdict(cell),
        "cell": cell.name,
        "arm": arm,
        "seed": seed,
        "at": found,
        "seconds": float(np.mean(seconds)),
    }


def anchor_of(seed: int, d: int) -> NDArray[np.float32]:
    """The anchor of a session [d]: any prompt's would do, but the trials that are kept began at these."""
    digits = hashlib.sha1(f"prompt {seed}".encode(), usedforsecurity=False).hexdigest()[:8]
    noise = np.random.default_rng(int(digits, 16)).standard_normal((1, d))
    return np.asarray(Shell(d).project(noise)[0], np.float32)


def maker(arm: str) -> ArmMaker:
    """Raises ImportError for one of peers.SLOW_ARMS where its library is missing."""
    if arm not in peers.SLOW_ARMS:
        return ARMS[arm]
    # They need the extra [benchmark], so they are imported only where they are run.
    from ipo_site.benchmarks.learning import preferential  # noqa: PLC0415

    return preferential.ARMS[arm]


def scale(utility: Utility, progress: float, seed: int) -> tuple[float, float]:
    """Utility of a random picture, and the mean of the best BATCH of REFERENCE."""
    felt = utility.of_random(REFERENCE, np.random.default_rng([seed, 77]), progress)
    return float(felt.mean()), float(np.sort(felt)[-BATCH:].mean())


def geometry(shown: NDArray[np.float32]) -> dict[str, float]:
    """Mean angle between the pictures of a batch, in degrees, and their mean norm as a share of the shell's."""
    norm = np.linalg.norm(shown, axis=1)
    unit = shown / norm[:, None]
    cosines = (unit @ unit.T)[np.triu_indices(len(shown), 1)]
    angle = float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).mean())
    return {"angle": angle, "norm": float(norm.mean() / np.sqrt(shown.shape[1]))}
