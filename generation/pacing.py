"""How many pictures to draw in one forward pass, found out from the passes that are drawn anyway."""

from dataclasses import dataclass, field

LARGEST = 16
GAIN = 1.05  # so much faster a larger pass must be, or it is not worth its memory and the wait for its first picture
TRIES = 2  # passes of a size that are timed, the fastest counts: the first of a size also sets things up


@dataclass
class Pace:
    """Doubles the size of a pass as long as more pictures a second come of it. The first picture comes alone, and soon.

    A pass that had no room and was drawn in halves is slower, and so ends the doubling too.
    """

    size: int = 1
    _last: float = 0.0  # pictures a second of the size before
    _speeds: list[float] = field(default_factory=list)
    _found: bool = False

    def saw(self, pictures: int, seconds: float) -> None:
        """Hear of a pass. One that is much smaller than the present size says nothing of it."""
        if self._found or pictures <= self.size // 2:
            return
        self._speeds.append(pictures / seconds)
        if len(self._speeds) < TRIES:
            return
        speed = max(self._speeds)
        self._speeds.clear()
        if speed < GAIN * self._last:
            self.size, self._found = self.size // 2, True
        elif self.size == LARGEST:
            self._found = True
        else:
            self.size, self._last = 2 * self.size, speed
