"""Who proposes the next batch: our methods as the product uses them, and those of others."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from generation.registry import BUILTIN
from generation.spaces import LATENT, Space
from preferences.learning.config import LearningConfig
from preferences.learning.feedback import Feedback, Judgment
from preferences.learning.layout import Shape, geometry_of
from preferences.learning.propose import propose

Vectors = NDArray[np.float32]


class Arm(ABC):
    """One method in one session. The first batch is given; `propose` makes the others."""

    def __init__(
        self, anchor: Vectors, rng: np.random.Generator, space: Space = LATENT, shape: Shape | None = None
    ) -> None:
        self.anchor, self.rng, self.space, self.d = anchor, rng, space, len(anchor)
        self.geometry = geometry_of(space.is_noise, self.d, space.start_radius, shape)
        self.shape = shape
        self.z: Vectors = np.zeros((0, self.d), np.float32)
        self.judgments: list[Judgment] = []

    def tell(self, shown: Vectors, judgments: list[Judgment]) -> None:
        """The batch that was shown [n, d] and all judgments of it; they name rows over all batches."""
        self.z = np.concatenate([self.z, shown])
        self.judgments += judgments

    @property
    def feedback(self) -> Feedback:
        """All judgments so far, of deviations from the anchor."""
        return Feedback(self.z - self.anchor, tuple(self.judgments), self.shape)

    @abstractmethod
    def propose(self, n: int) -> Vectors:
        """The next batch [n, d]."""


class RandomArm(Arm):
    """Learns nothing: random directions from the anchor, as far as a first batch goes; on the shell, anywhere."""

    def propose(self, n: int) -> Vectors:
        if self.space.is_noise:
            return np.asarray(self.geometry.project(self.rng.standard_normal((n, self.d))), np.float32)
        centre = np.broadcast_to(self.anchor, (n, self.d))
        return np.asarray(self.geometry.random_move(centre, self.space.start_radius, self.rng), np.float32)


class OurArm(Arm):
    """`preferences.learning.propose` with the product's defaults in the space, and what `changes` says."""

    changes: ClassVar[dict[str, object]] = {}
    parents: Vectors | None = None  # the vectors of the best pictures so far, where there are pictures

    def propose(self, n: int) -> Vectors:
        defaults: dict[str, object] = {
            "value_model": "bayesian",
            "start": "avg_good",
            "step_size": self.space.step_size,
            "max_dist": self.space.max_dist,
            "start_radius": self.space.start_radius,
            "ridge_alpha": self.space.ridge_alpha,
        }
        config = LearningConfig(**(defaults | self.changes))  # type: ignore[arg-type]
        return propose(self.feedback, self.anchor, self.geometry, config, self.rng, n, parents=self.parents).vectors


class BoldArm(OurArm):
    """As OurArm, where the best of several pictures is shown, as many as the bundled model draws."""

    draws: ClassVar[int] = BUILTIN["pocket-landscapes"].draws_per_picture
    changes: ClassVar[dict[str, object]] = {"draws_per_picture": draws}


class RidgeArm(OurArm):
    changes = {"value_model": "ridge"}


class GaussianArm(OurArm):
    changes = {"value_model": "gaussian"}


class IncumbentArm(Arm):
    """Hill climb of the person: each candidate is one of the latest good ones, moved by a third of Start Radius.

    On the shell of noise that is a turn by 30 degrees.
    """

    LATEST = 6

    def propose(self, n: int) -> Vectors:
        good = np.flatnonzero(self.feedback.good)[-self.LATEST :]
        if len(good) == 0:
            return RandomArm(self.anchor, self.rng, self.space).propose(n)
        parents = self.z[self.rng.choice(good, n)]
        return np.asarray(self.geometry.random_move(parents, self.space.start_radius / 3, self.rng), np.float32)


ArmMaker = Callable[[Vectors, np.random.Generator], Arm]
