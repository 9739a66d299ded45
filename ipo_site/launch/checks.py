"""What `manage.py run` looks at before it starts anything. Each problem is one CannotStart, one sentence."""

import errno
import shutil
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis

from ipo_site.launch.errors import CannotStart

NEEDED_BYTES = 1_000_000_000


def check_disk(folder: Path) -> None:
    """Raises CannotStart if less than 1 GB is free where the data lie."""
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise CannotStart(
            f"The disk of {folder} is nearly full ({free / 1e9:.1f} GB free): free at least 1 GB, or set "
            "IPO_DATA_DIR to a folder on another disk."
        )


def check_port(host: str, port: int) -> None:
    """Raises CannotStart if the web server could not listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStart(
                    f"Port {port} is in use: end the program that uses it (perhaps another IPO), or choose another "
                    f"port: IPO_PORT={port + 1 if port < 65535 else port - 1} make run"
                ) from error
            raise CannotStart(
                f"Port {port} cannot be used ({error.strerror}): choose another with IPO_PORT."
            ) from error


def check_database(config: dict[str, Any]) -> None:
    """Raises CannotStart if the user's own Postgres does not answer or has no pgvector.

    `config` is Django's settings of the database. The extension is created where the role may do so.
    """
    if not config.get("USER") and str(config.get("HOST", "")).startswith("/"):
        # Without one libpq takes the name of whoever runs this process, in a container a name that no Postgres knows.
        raise CannotStart(
            "DATABASE_URL names no role: give the one that owns the database before the @, as in "
            f"postgresql://tom@/{config.get('NAME') or 'ipo'}?host={config['HOST']}, and start again."
        )
    given = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "NAME": "dbname"}
    values = {name: config[key] for key, name in given.items() if config.get(key)}
    try:
        connection = psycopg.connect(**values, **config.get("OPTIONS", {}), connect_timeout=5, autocommit=True)
    except psycopg.Error as error:  # also of an option that libpq does not know
        reason = " ".join(str(error).split())
        raise CannotStart(
            f"The Postgres of DATABASE_URL does not answer ({reason}): start it, or correct DATABASE_URL."
        ) from error
    with connection:
        installed = connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone()
        if installed:
            return
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except psycopg.errors.InsufficientPrivilege as error:
            raise CannotStart(
                f"The role of DATABASE_URL may not create the extension pgvector: run, as a superuser of that "
                f'Postgres, CREATE EXTENSION vector in the database "{connection.info.dbname}".'
            ) from error
        except (psycopg.errors.UndefinedFile, psycopg.errors.FeatureNotSupported) as error:
            major = connection.info.server_version // 10_000
            raise CannotStart(
                "The Postgres of DATABASE_URL has no pgvector: install it on that machine (Debian: apt install "
                f"postgresql-{major}-pgvector) and start again."
            ) from error


def check_redis(url: str) -> None:
    """Raises CannotStart if the user's own Redis does not answer."""
    if urlsplit(url).scheme not in ("redis", "rediss", "unix"):
        raise CannotStart("REDIS_URL cannot be read: it looks like redis://host:6379/0.")
    try:
        client = redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5)
        client.ping()
        client.close()
    except (redis.RedisError, ValueError) as error:
        raise CannotStart(
            f"The Redis of REDIS_URL does not answer ({error}): start it, or correct REDIS_URL."
        ) from error
