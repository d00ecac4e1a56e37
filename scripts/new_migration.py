"""Writes the migration from the newest revision to the tables that the code declares: `make migration MESSAGE="..."`.

Read what it wrote before it is committed, and raise HEAD in src/stackyard/migrations/__init__.py to its revision.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.operations.ops import CreateTableOp, MigrationScript
from alembic.script import ScriptDirectory

from stackyard import app, migrations
from stackyard.core.db import Database, metadata
from stackyard.migrations.apply import upgrade


def main() -> None:
    """Upgrade an empty database to the newest revision, compare it with the declared tables, write the difference."""
    message = " ".join(sys.argv[1:])
    if not message:
        sys.exit('say what changes: make migration MESSAGE="add volumes"')
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    number = len(list(scripts.walk_revisions())) + 1
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/empty.sqlite")
        if number > 1:
            upgrade(database)
        for table in metadata.tables.values():
            table.info.clear()  # what the code knows of a table beside its columns is nothing to migrate
        with database.begin_schema_change() as connection:
            config.attributes["connection"] = connection
            made = command.revision(
                config,
                message,
                autogenerate=True,
                rev_id=f"{number:04}",
                process_revision_directives=_without_notes,
            )
        database.close()
    print(
        f"wrote {getattr(made, 'path', made)} for the tables of {len(app.SERVICES)} services; set HEAD to {number:04}"
    )


def _without_notes(_context: object, _revision: object, directives: list[MigrationScript]) -> None:
    """Leave out what a table's `info` holds: it is the program's, and no migration's."""
    for script in directives:
        for operation in script.upgrade_ops.ops if script.upgrade_ops else ():
            if isinstance(operation, CreateTableOp):
                operation.kw.pop("info", None)


if __name__ == "__main__":
    main()
