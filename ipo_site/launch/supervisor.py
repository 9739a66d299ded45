"""Runs the processes of the Procfile until it is told to stop, and starts again what dies.

honcho reads the Procfile, and `honcho start` runs it too, but its manager ends everything as soon as one process
ends, in one long loop that offers no place to change that. Here a killed worker comes back.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from honcho.environ import parse_procfile  # type: ignore[import-untyped]

from ipo_site.launch.processes import tied

GRACE_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# One that has lived this long was well: its next death begins with the short pause again.
WELL_SECONDS = 60.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say(text: str) -> None:
    """Print a line for the user; the terminal may have gone."""
    with suppress(OSError):
        print(text, flush=True)


@dataclass
class Child:
    """One line of the Procfile."""

    name: str
    command: str
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = FIRST_PAUSE_SECONDS
    start_at: float = field(default_factory=time.monotonic)


class Supervisor:
    """Starts every line of a Procfile as a process group of its own; `tick` is called a few times a second."""

    def __init__(self, procfile: Path, environment: dict[str, str], tick: Callable[[], None]) -> None:
        commands = parse_procfile(procfile.read_text()).processes
        self._children = [Child(name, command) for name, command in commands.items()]
        self._cwd = procfile.parent
        self._environment = environment
        self._tick = tick
        self._stops = 0

    def run(self) -> None:
        """Keep all processes running until SIGINT, SIGTERM or SIGHUP; then none is left."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)
        try:
            while not self._stops:
                for child in self._children:
                    self._look_after(child)
                self._tick()
                time.sleep(0.1)
        finally:
            self._stop()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stops += 1

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._start(child)
            return
        code = child.process.poll()
        if code is None:
            return
        # Its own children may have outlived it and hold memory or the port.
        _signal_group(child.process, signal.SIGKILL)
        if now - child.started_at > WELL_SECONDS:
            child.pause = FIRST_PAUSE_SECONDS
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        say(f"{child.name} {how}; it is started again in {child.pause:.0f} s.")
        child.process = None
        child.start_at = now + child.pause
        child.pause = min(2 * child.pause, LONGEST_PAUSE_SECONDS)

    def _start(self, child: Child) -> None:
        child.started_at = time.monotonic()
        child.process = subprocess.Popen(
            tied(["/bin/sh", "-c", child.command], signal.SIGTERM),
            cwd=self._cwd,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        threading.Thread(target=self._relay, args=(child.name, child.process), daemon=True).start()

    def _stop(self) -> None:
        say("Stopping")
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            # The leader alone: a worker that lets its pool finish must not find the pool gone.
            process.terminate()
        stops = self._stops
        deadline = time.monotonic() + GRACE_SECONDS
        # A second Ctrl-C means now.
        while any(process.poll() is None for process in running) and self._stops == stops:
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        for process in running:
            _signal_group(process, signal.SIGKILL)
            process.wait()

    def _relay(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Print what a process prints, line by line, until the stop: the goodbyes are of no use to anyone."""
        if process.stdout is None:
            return
        with process.stdout as lines:
            for line in lines:
                text = line.decode(errors="replace").rstrip()
                if text and not self._stops:
                    say(f"{name:>4} | {text}")


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
