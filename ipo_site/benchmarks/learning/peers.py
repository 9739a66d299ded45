"""Well-known optimisers from libraries of their own."""

import cma
import numpy as np

from ipo_site.benchmarks.learning.arms import Arm, Vectors
from preferences.learning.feedback import Judgment

# Those of preferential.py, by name: that needs the extra [benchmark], the names do not.
SLOW_ARMS = ("Optuna PreferentialGP", "BoTorch qEUBO")
DIAGONAL_FROM = 2000  # dimensions; a full covariance matrix costs d^3


class CmaArm(Arm):
    """CMA-ES (Hansen & Ostermeier 2001) with spread 1 around the prompt; the ratings of a batch are its fitness."""

    def __init__(self, anchor: Vectors, rng: np.random.Generator) -> None:
        super().__init__(anchor, rng)
        self.strategy: cma.CMAEvolutionStrategy | None = None

    def tell(self, shown: Vectors, judgments: list[Judgment]) -> None:
        super().tell(shown, judgments)
        if self.strategy is None:
            options = {
                "popsize": len(shown),
                "seed": int(self.rng.integers(1, 2**31)),
                "verbose": -9,
                "CMA_diagonal": self.d >= DIAGONAL_FROM,
                "AdaptSigma": cma.sigma_adaptation.CMAAdaptSigmaCSA,  # the other one checks for samples of its own
            }
            self.strategy = cma.CMAEvolutionStrategy(self.anchor.astype(float), 1.0, options)
            self.strategy.ask()  # it insists on having been asked before it is told; the first batch is not its own
        liked = np.nan_to_num(self.feedback.ratings[-len(shown) :])
        self.strategy.tell(list(shown.astype(float)), list(-liked), check_points=False)

    def propose(self, n: int) -> Vectors:
        assert self.strategy is not None
        return np.asarray(self.strategy.ask(n), np.float32)
