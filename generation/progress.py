"""How far getting a model ready has come, and whether anybody still wants it: plain data, no torch."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from generation.errors import Cancelled
from generation.types import ModelSpec

log = logging.getLogger(__name__)
LOG_SECONDS = 30.0  # between two lines of the log about one stage
SOON = 2.0  # seconds of a stage after which its speed says something


class Stage(StrEnum):
    FETCHING = "fetching"
    CONVERTING = "converting"
    READING = "reading"


@dataclass(frozen=True)
class Progress:
    """`done` of `total`: bytes while fetching, parts otherwise; 0 is the total of a stage that cannot tell."""

    model: str  # its key
    stage: Stage
    done: int = 0
    total: int = 0
    seconds_left: int | None = None  # of this stage; None while its speed is not known

    @property
    def done_gb(self) -> float:
        return self.done / 1e9

    @property
    def total_gb(self) -> float:
        return self.total / 1e9

    @property
    def minutes_left(self) -> int:
        return -(-(self.seconds_left or 0) // 60)

    def __str__(self) -> str:
        """A phrase for the log and the terminal."""
        if not self.total:
            return str(self.stage)
        if self.stage == Stage.FETCHING:
            so_far = f"{self.done_gb:.2f} of {self.total_gb:.2f} GB"
        else:
            so_far = f"{self.done} of {self.total} parts"
        left = "" if self.seconds_left is None else f", about {self.seconds_left} s left"
        return f"{self.stage} {so_far}{left}"


class Report:
    """One load tells it how far it has come, and learns there whether it is to stop. For one thread at a time."""

    def __init__(
        self,
        spec: ModelSpec,
        on_progress: Callable[[Progress], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        self._spec = spec
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._stage: tuple[Stage, int] | None = None  # with its total
        self._began, self._first, self._logged = 0.0, 0, 0.0

    def should_stop(self) -> bool:
        return self._should_stop is not None and self._should_stop()

    def tell(self, stage: Stage, done: int = 0, total: int = 0) -> None:
        """To be called between two steps, none of which leaves anything half-done. Raises Cancelled."""
        if self.should_stop():
            raise Cancelled(f"Stopped while {self._spec.label} was got ready.")
        now = time.monotonic()
        if self._stage != (stage, total) or done < self._first:
            self._stage, self._began, self._first, self._logged = (stage, total), now, done, -LOG_SECONDS
        gained, spent = done - self._first, now - self._began
        left = round(spent / gained * (total - done)) if gained > 0 and spent > SOON else None
        progress = Progress(self._spec.key, stage, done, total, left)
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            log.info("%s: %s.", self._spec.label, progress)
        if self._on_progress is not None:
            self._on_progress(progress)
