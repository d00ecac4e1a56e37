"""Databases to begin with: making and seeding a cloud's tables takes longer than most tests of them.

Each test process makes one for each kind of database when it is first asked for, and every test gets a copy of its own.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from tests import pooled

import stackyard.app  # noqa: F401  with it all services' tables are known
from stackyard.core.db import Database

Make = Callable[[str, Path], None]
"""Makes and seeds a cloud at a database's URL, with its state directory, and closes it."""

_made: dict[str, Path] = {}
"""By a database's kind and what it begins with: where the state directory and, for SQLite, the file are."""


def copy(url: str, state_dir: Path, make: Make) -> None:
    """Have an empty database, and a state directory that has nothing in it, be those of a cloud just seeded."""
    template = _copy_file(url, "seeded", make) if _is_file(url) else _shape(url, "seeded", make)
    if template is not None:
        shutil.copytree(template / "state", state_dir, dirs_exist_ok=True)


def tables(url: str) -> None:
    """Have an empty database hold a cloud's tables, which are empty."""
    if _is_file(url):
        _copy_file(url, "tables", _create)
    else:
        _shape(url, "tables", _create)


def _create(url: str, state_dir: Path) -> None:
    del state_dir
    database = Database(url)
    database.create_all()
    database.close()


def _shape(url: str, begin: str, make: Make) -> Path | None:
    """The template's directory when a pooled database was empty and has been given its tables and rows."""
    database = pooled.find(url)
    if not database.is_untouched():
        return None
    directory = _scratch(f"{database.url.database} {begin}")
    database.take(begin, lambda: make(url, directory / "state"))
    return directory


def _is_file(url: str) -> bool:
    return sa.make_url(url).get_backend_name() == "sqlite"


def _scratch(key: str) -> Path:
    if key not in _made:
        _made[key] = Path(tempfile.mkdtemp(prefix="stackyard-seeded-"))
        atexit.register(shutil.rmtree, _made[key], ignore_errors=True)
    return _made[key]


def _copy_file(url: str, begin: str, make: Make) -> Path | None:
    """The template's directory when the file was empty and has become a copy."""
    path = Path(sa.make_url(url).database or "")
    if path.exists() and path.stat().st_size:
        return None
    key = f"sqlite {begin}"
    if key not in _made:
        directory = _scratch(key)
        make(f"sqlite:///{directory / 'cloud.sqlite'}", directory / "state")
    shutil.copyfile(_made[key] / "cloud.sqlite", path)
    return _made[key]
