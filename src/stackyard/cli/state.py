"""What commands share: the state directory asked for, and its database and settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stackyard.core.config import Settings, default_state_dir
from stackyard.core.db import Database
from stackyard.state import StateDirectory, StateError


def chosen(state_dir: Path | None) -> StateDirectory:
    """The directory given, or the default one."""
    return StateDirectory((state_dir or default_state_dir()).absolute())


def settings_of(state: StateDirectory) -> Settings:
    """The settings that the cloud was last started with. Raises StateError when there is no cloud."""
    from stackyard.server import load_settings

    cloud = state.read()
    return load_settings(cloud.config_file, cloud.settings)


@contextmanager
def database_of(state: StateDirectory, *, seeded: bool = True) -> Iterator[Database]:
    """The cloud's database, whether the cloud runs or not. Raises StateError when it must be seeded and is empty."""
    from stackyard.migrations.apply import current_version

    settings = settings_of(state)
    database = Database(settings.database.url or state.sqlite_url(), pool_size=2)
    try:
        if seeded and current_version(database) is None:
            raise StateError(f"The cloud in {state.path} was never up; `stackyard up` starts it.")
        yield database
    finally:
        database.close()
