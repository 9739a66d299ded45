"""Workers as forks of one process that has read torch and diffusers: reading them takes each five seconds.

What runs in them is the Procfile's own line. That the line itself starts a worker is tried in
tests/ipo_site/launch/test_run.py.
"""

import multiprocessing
import os
import runpy
import shlex
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from string import Template

# A server of forks for this process and whatever it tests; it ends with it.
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["generation.backends.local"])


def start(line: str, folder: Path, environment: dict[str, str], log: Path) -> BaseProcess:
    """Run `exec "$PYTHON" -m MODULE ARGUMENTS` in `folder`, as the leader of a group of its own."""
    execute, python, as_module, *module = shlex.split(Template(line).substitute(environment))
    assert (execute, python, as_module) == ("exec", sys.executable, "-m"), line
    process = _forks.Process(target=_run, args=(module, folder, environment, log))
    process.start()
    return process


def _run(module: list[str], folder: Path, environment: dict[str, str], log: Path) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    sys.argv = module
    runpy.run_module(module[0], run_name="__main__", alter_sys=True)
