"""Peers that learn a Gaussian process from comparisons and take seconds a batch; the extra [benchmark] has them.

Both search a box, here BOX to either side in each dimension, where nearly all noise lies. What they propose is
brought to the shell before it is shown, which is in their favour, and what was shown is what they are told about.
"""

import warnings

import numpy as np
import optuna
import torch
from botorch.acquisition.preference import qExpectedUtilityOfBestOption
from botorch.exceptions.warnings import BotorchWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models.pairwise_gp import PairwiseGP, PairwiseLaplaceMarginalLogLikelihood
from botorch.models.transforms.input import Normalize
from botorch.optim.optimize import optimize_acqf
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna_dashboard.preferential import PreferentialStudy, create_study
from optuna_dashboard.preferential.samplers.gp import PreferentialGPSampler

from ipo_site.benchmarks.learning.arms import Arm, ArmMaker, RandomArm, Vectors
from ipo_site.benchmarks.learning.peers import SLOW_ARMS
from preferences.learning.feedback import Choice

BOX = 3.0
RESTARTS, RAW_SAMPLES = 4, 64


class ComparingArm(Arm):
    """What both share."""

    @property
    def comparisons(self) -> list[tuple[int, int]]:
        """(better row, worse row) of all judgments."""
        return [(j.best, other) for j in self.judgments if isinstance(j, Choice) for other in j.others]

    def shown(self, boxed: np.ndarray) -> Vectors:
        """What is proposed in the box [n, d], on the shell."""
        return np.asarray(self.geometry.project(np.asarray(boxed, np.float64)), np.float32)


class PreferentialGpArm(ComparingArm):
    """Optuna's PreferentialGPSampler (optuna-dashboard; Takeno et al. 2023), a batch of asks at a time."""

    def __init__(self, anchor: Vectors, rng: np.random.Generator) -> None:
        super().__init__(anchor, rng)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.box: dict[str, BaseDistribution] = {f"{i:04d}": FloatDistribution(-BOX, BOX) for i in range(self.d)}
        self.study: PreferentialStudy | None = None
        self.reported = 0

    def propose(self, n: int) -> Vectors:
        if self.study is None:
            self.study = create_study(n_generate=n, sampler=PreferentialGPSampler(seed=int(self.rng.integers(2**31))))
        trials = self.study.get_trials()
        for row in range(len(trials), len(self.z)):
            values = np.clip(self.z[row], -BOX, BOX).astype(float)
            known = dict(zip(self.box, values, strict=True))
            self.study.add_trial(optuna.create_trial(params=known, distributions=self.box, value=0.0))
        trials = self.study.get_trials()
        for better, worse in self.comparisons[self.reported :]:
            self.study.report_preference(trials[better], trials[worse])
        self.reported = len(self.comparisons)
        sampler, study, trial = self.study._study.sampler, self.study._study, trials[-1]
        found = [sampler.sample_relative(study, trial, self.box) for _ in range(n)]
        return self.shown(np.array([[one[name] for name in self.box] for one in found]))


class QeuboArm(ComparingArm):
    """BoTorch's qEUBO over a PairwiseGP (Astudillo et al. 2023): the batch whose best is expected to be best."""

    def propose(self, n: int) -> Vectors:
        if not self.comparisons:
            return RandomArm(self.anchor, self.rng).propose(n)
        X = torch.tensor(np.clip(self.z, -BOX, BOX), dtype=torch.float64)
        bounds = torch.tensor([[-BOX] * self.d, [BOX] * self.d], dtype=torch.float64)
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore", BotorchWarning)
            torch.manual_seed(int(self.rng.integers(2**31)))
            model = PairwiseGP(X, torch.tensor(self.comparisons), input_transform=Normalize(self.d, bounds=bounds))
            fit_gpytorch_mll(PairwiseLaplaceMarginalLogLikelihood(model.likelihood, model))
            found, _ = optimize_acqf(
                qExpectedUtilityOfBestOption(pref_model=model),
                bounds,
                q=n,
                num_restarts=RESTARTS,
                raw_samples=RAW_SAMPLES,
                options={"maxiter": 100},
            )
        return self.shown(found.numpy())


ARMS: dict[str, ArmMaker] = dict(zip(SLOW_ARMS, (PreferentialGpArm, QeuboArm), strict=True))
