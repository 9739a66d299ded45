"""A scratch database beside the configured one."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection


@contextmanager
def scratch(name: str, *, keep: bool = False) -> Iterator[bool]:
    """Within, everything goes to a database of this name, with all tables; it is dropped at the end, unless kept.

    Gives whether it was there before.
    """
    home = connection.settings_dict["NAME"]
    quoted = connection.ops.quote_name(name)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        found = cursor.fetchone() is not None
        if found and not keep:
            cursor.execute(f"DROP DATABASE {quoted}")  # of a run that was killed
            found = False
        if not found:
            cursor.execute(f"CREATE DATABASE {quoted}")
    try:
        _use(name)
        call_command("migrate", verbosity=0, interactive=False)
        yield found
    finally:
        _use(home)
        if not keep:
            with connection.cursor() as cursor:
                cursor.execute(f"DROP DATABASE {quoted}")


def _use(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name
    ContentType.objects.clear_cache()  # their ids are another database's
