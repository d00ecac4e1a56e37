"""Bringing a database to the schema that this version of the program needs."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from stackyard.core.db import Database, metadata
from stackyard.migrations import HEAD

_VERSION = sa.table("alembic_version", sa.column("version_num", sa.String))


class SchemaTooNewError(RuntimeError):
    """The database was written by a newer program than this one."""


def bring_up_to_date(database: Database) -> None:
    """Make or migrate the schema; nothing to do costs one small read. Raises SchemaTooNewError."""
    version = current_version(database)
    if version == HEAD:
        return
    if version is None:
        with database.begin_schema_change() as connection:
            metadata.create_all(connection)
            connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
            connection.execute(_VERSION.insert(), {"version_num": HEAD})
        return
    upgrade(database)


def current_version(database: Database) -> str | None:
    """The revision of the database, None when it is empty."""
    with database.engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.select(_VERSION.c.version_num)).scalar()


def upgrade(database: Database, revision: str = "head") -> None:
    """Run the migrations that the database lacks."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    script = ScriptDirectory.from_config(config)
    version = current_version(database)
    if version is not None and version not in {found.revision for found in script.walk_revisions()}:
        raise SchemaTooNewError(
            f"The database is at schema revision {version}, which this version of Stackyard does not know; "
            "run the newer version that wrote it, or restore an older snapshot."
        )
    with database.begin_schema_change() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def drop_schema(database: Database) -> None:
    """Remove the cloud's tables, with all that is in them, and nothing else of the database."""
    import stackyard.app  # noqa: F401  declares every table

    with database.begin_schema_change() as connection:
        metadata.drop_all(connection)
        connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
