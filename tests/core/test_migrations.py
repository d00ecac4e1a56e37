"""The schema's history ends where the code's tables are, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import stackyard.app  # noqa: F401  declares every table
from stackyard import migrations
from stackyard.core.db import Database, metadata
from stackyard.migrations.apply import (
    SchemaTooNewError,
    bring_up_to_date,
    current_version,
    drop_schema,
    upgrade,
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    yield made
    made.close()


def script() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(migrations.__path__[0]))
    return ScriptDirectory.from_config(config)


def differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, metadata)
        # Other tests of this process may have tables of their own.
        return [item for item in found if not (item[0] == "add_table" and item[1].name.startswith("test_"))]


def test_head_is_the_newest_revision() -> None:
    assert script().get_current_head() == migrations.HEAD


def test_migrating_an_empty_database_gives_todays_tables(database: Database) -> None:
    upgrade(database)
    assert differences(database) == []
    assert current_version(database) == migrations.HEAD


def test_a_new_database_gets_todays_tables_at_once(database: Database) -> None:
    bring_up_to_date(database)
    bring_up_to_date(database)
    assert differences(database) == []
    assert current_version(database) == migrations.HEAD


def test_a_database_of_a_newer_program_is_left_alone(database: Database) -> None:
    bring_up_to_date(database)
    with database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNewError, match="9999"):
        bring_up_to_date(database)
    assert differences(database) == []


def test_dropping_leaves_what_is_not_ours(database: Database) -> None:
    with database.begin_schema_change() as connection:
        connection.execute(sa.text("CREATE TABLE somebody_elses (id INTEGER)"))
    bring_up_to_date(database)
    drop_schema(database)
    with database.engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["somebody_elses"]


def test_rows_survive_a_table_that_is_made_anew(database: Database) -> None:
    upgrade(database, "0001")
    yes, now = ("1" if database.is_sqlite else "true"), "'2026-01-31 12:00:00+00:00'"
    rows = {
        "identity_projects (id, name, domain_id, is_domain, enabled, description, options, extra, created_at)": (
            f"'default', 'Default', '', {yes}, {yes}, '', '{{}}', '{{}}', {now}"
        ),
        "identity_users (id, name, domain_id, enabled, options, extra, created_at)": (
            f"'u', 'demo', 'default', {yes}, '{{}}', '{{}}', {now}"
        ),
        "identity_groups (id, name, domain_id, description, extra, created_at)": (
            f"'g', 'crew', 'default', '', '{{}}', {now}"
        ),
        "identity_group_members (group_id, user_id)": "'g', 'u'",
    }
    with database.engine.begin() as connection:
        for into, values in rows.items():
            connection.exec_driver_sql(f"INSERT INTO {into} VALUES ({values})")
    upgrade(database)
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT user_id FROM identity_group_members").scalar() == "u"
        assert connection.exec_driver_sql("SELECT name FROM identity_users").scalar() == "demo"
        with pytest.raises(sa.exc.IntegrityError):
            connection.exec_driver_sql("INSERT INTO identity_group_members (group_id, user_id) VALUES ('g', 'nobody')")
