"""What all starts and optimisers of one proposal share."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from preferences.learning.config import LearningConfig
from preferences.learning.geometry import Floats, Geometry, Vectors


@dataclass(frozen=True, eq=False)
class SearchContext:
    """Around which point, in which space, by which controls and by which chance candidates are searched for."""

    anchor: Vectors  # [d] the prompt's own vector: models see deviations from it
    geometry: Geometry
    config: LearningConfig
    rng: np.random.Generator  # who draws from it in another order proposes something else

    @property
    def reach(self) -> float:
        """How far a candidate may come from its start: all its steps, at most max_dist."""
        length = self.config.optim_steps * self.config.step_size
        return min(length, self.config.max_dist) if self.config.max_dist else length

    def random_move(self, z: Vectors, amount: ArrayLike) -> Floats:
        """Move each row of z [n, d] by `amount` in a random direction of its own."""
        return self.geometry.random_move(z, amount, self.rng)

    def limit(self, z: Vectors, starts: Vectors) -> Floats:
        """Pull z [n, d] back to within max_dist of its starts [n, d]."""
        return self.geometry.limit(z, starts, self.config.max_dist)

    def steps_in_time(self) -> Iterator[int]:
        """0, 1, ... up to optim_steps, or until optim_seconds are over, so that no proposal keeps a person waiting."""
        deadline = time.monotonic() + self.config.optim_seconds
        for step in range(self.config.optim_steps):
            if step and time.monotonic() > deadline:
                return
            yield step
