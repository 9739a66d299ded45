"""Hides every package that `make run` does not install: what works here works in its virtual environment."""

import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
EXTRAS = ("local", "cuda")  # what ipo_site.launch.bootstrap installs where there is an NVIDIA GPU


def installed_by_make_run() -> set[str]:
    """The distributions that the project needs to run, each with all that it needs itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    waiting = [Requirement(line) for line in lines]
    found: set[str] = set()
    asked: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        found.add(name)
        for extra in {"", *requirement.extras} - {extra for known, extra in asked if known == name}:
            asked.add((name, extra))
            for line in _requires(name):
                needed = Requirement(line)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    needed.marker = None
                    waiting.append(needed)
    return found


def _requires(name: str) -> Iterable[str]:
    try:
        return metadata.requires(name) or ()
    except metadata.PackageNotFoundError:  # for another system; whoever misses it says so on import
        return ()


class Only(MetaPathFinder):
    """Finds what the path has, but neither the modules nor the metadata of any distribution that is not allowed."""

    def __init__(self, allowed: set[str]) -> None:
        self.allowed = allowed
        owners = metadata.packages_distributions()
        self.hidden = {
            module for module, names in owners.items() if not allowed & {canonicalize_name(name) for name in names}
        }

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        return None if fullname.partition(".")[0] in self.hidden else PathFinder.find_spec(fullname, path, target)

    def find_distributions(self, *arguments: Any, **options: Any) -> Iterator[metadata.Distribution]:
        for found in PathFinder.find_distributions(*arguments, **options):
            if canonicalize_name(found.metadata["Name"]) in self.allowed:
                yield found

    def invalidate_caches(self) -> None:
        PathFinder.invalidate_caches()


def install() -> None:
    """From here on, in this process. `pip` and the project itself stay, and so do tools of the interpreter."""
    if any(isinstance(finder, Only) for finder in sys.meta_path):
        return
    allowed = installed_by_make_run() | {"pip", "setuptools", "image-preference-optimization"}
    only = Only(allowed)
    sys.meta_path[:] = [only if finder is PathFinder else finder for finder in sys.meta_path]
    for module in [name for name in sys.modules if name.partition(".")[0] in only.hidden]:
        del sys.modules[module]
