"""Whether the tables of the database are those of this version."""

from django.db import connection
from django.db.migrations.loader import MigrationLoader

FROM_ANOTHER_VERSION = (
    "The database was made by another version of IPO, and this one cannot read its tables: give another IPO_DATA_DIR "
    "(or DATABASE_URL), or go back to that version. Nothing was changed."
)


def is_from_another_version() -> bool:
    """Whether something was done to the tables that this version does not know of. Raises DatabaseError."""
    loader = MigrationLoader(connection)
    unheard_of = set(loader.applied_migrations) - set(loader.disk_migrations)
    return any(app in loader.migrated_apps for app, _ in unheard_of)


def missing() -> int:
    """How many migrations are still to be applied. Raises DatabaseError."""
    loader = MigrationLoader(connection)
    return len(set(loader.graph.nodes) - set(loader.applied_migrations))
