"""Seeded databases to copy: making and seeding a cloud's tables takes longer than most tests of them.

Each test process makes one for each kind of database when it is first asked for, and every test gets a copy of its own.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import psycopg
import sqlalchemy as sa

Make = Callable[[str, Path], None]
"""Makes and seeds a cloud at a database's URL, with its state directory, and closes it."""

_TEMPLATE = "seeded_cloud"
_made: dict[str, Path] = {}
"""By SQLite, or a PostgreSQL server's directory: the template's state directory."""


def _scratch() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="stackyard-seeded-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def copy(url: str, state_dir: Path, make: Make) -> None:
    """Have an empty database, and a state directory that has nothing in it, be those of a cloud just seeded."""
    found = sa.make_url(url)
    if found.get_backend_name() == "sqlite":
        _copy_file(Path(found.database or ""), state_dir, make)
    else:
        _copy_database(found, state_dir, make)


def _copy_file(path: Path, state_dir: Path, make: Make) -> None:
    if path.exists() and path.stat().st_size:
        return
    if "sqlite" not in _made:
        directory = _scratch()
        make(f"sqlite:///{directory / 'cloud.sqlite'}", directory / "state")
        _made["sqlite"] = directory / "state"
    template = _made["sqlite"]
    shutil.copyfile(template.parent / "cloud.sqlite", path)
    shutil.copytree(template, state_dir, dirs_exist_ok=True)


def _copy_database(url: sa.URL, state_dir: Path, make: Make) -> None:
    server, name = str(url.query["host"]), str(url.database)
    if not _is_empty(server, name):
        return
    with psycopg.connect(host=server, user="postgres", dbname="postgres", autocommit=True) as admin:
        if server not in _made:
            directory = _scratch()
            admin.execute(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
            make(url.set(database=_TEMPLATE).render_as_string(), directory / "state")
            _made[server] = directory / "state"
        admin.execute(f"DROP DATABASE {name}")  # type: ignore[call-overload]
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")  # type: ignore[call-overload]
    shutil.copytree(_made[server], state_dir, dirs_exist_ok=True)


def _is_empty(server: str, name: str) -> bool:
    with psycopg.connect(host=server, user="postgres", dbname=name, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM pg_class WHERE relname = 'work'").fetchone()
    return row is not None and row[0] == 0
