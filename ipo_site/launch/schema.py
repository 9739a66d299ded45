"""Whether the tables of the database are those of this version."""

from django.db import connection
from django.db.migrations.loader import MigrationLoader

FROM_ANOTHER_VERSION = (
    "The database was made by another version of IPO, and this one cannot read its tables: give another IPO_DATA_DIR "
    "(or DATABASE_URL), or go back to that version. Nothing was changed."
)


class Schema:
    """The tables as they are now. Raises DatabaseError."""

    def __init__(self) -> None:
        loader = MigrationLoader(connection)
        applied = set(loader.applied_migrations)
        # Whether something was done to the tables that this version does not know of.
        self.is_from_another_version = any(
            app in loader.migrated_apps for app, _ in applied - set(loader.disk_migrations)
        )
        # How many migrations are still to be applied.
        self.missing = len(set(loader.graph.nodes) - applied)
