"""Where the embedded servers of a data folder listen, computed from its path alone, whether they run or not."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

DATABASE = "ipo"
ROLE = "postgres"


@dataclass(frozen=True)
class Urls:
    """Addresses as a user would write them: DATABASE_URL and REDIS_URL."""

    database: str
    redis: str


def socket_dir(data_dir: Path) -> Path:
    """The folder of the sockets: short, and computed from the path alone, whether the servers run or not."""
    # Always /tmp: XDG_RUNTIME_DIR and TMPDIR differ between a login, a service and sudo.
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    return Path("/tmp") / f"ipo-{os.geteuid()}-{digest}"


def urls(data_dir: Path) -> Urls:
    """The addresses of the embedded servers of a data folder, computed from its path alone."""
    folder = quote(str(socket_dir(data_dir)))
    return Urls(
        database=f"postgresql://{ROLE}@/{DATABASE}?host={folder}",
        redis=f"unix://{folder}/redis.sock?db=0",
    )


def celery_url(redis_url: str) -> str:
    """A REDIS_URL as Celery understands it: `unix:` becomes `redis+socket:`, `db` `virtual_host`."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    names = {"db": "virtual_host"}
    query = urlencode([(names.get(name, name), value) for name, value in parse_qsl(parts.query)])
    return f"redis+socket://{parts.path}?{query}"
