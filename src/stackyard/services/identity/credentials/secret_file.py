"""The cloud's own secret, which the credential keys in the database are locked with: a file that only its owner reads.

It is kept apart from the database, so that neither a dump of the database nor a stray copy of it opens a credential.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from weakref import WeakKeyDictionary

from stackyard.core.db import Database

NAME = "credential.secret"
"""The file in the state directory, where the settings name no other."""

SHORTEST = 32
_locks: WeakKeyDictionary[Database, Callable[[], bytes]] = WeakKeyDictionary()


class SecretFileError(Exception):
    """The secret cannot be read or is too short; the text says which file, and what to do."""


def use(database: Database, state_dir: Path, configured: str) -> None:
    """Say where the secret of this database's credential keys is; it is read when it is first needed.

    `configured` is the operator's file, empty for the one in the state directory, which is made when it is missing.
    """
    known: list[bytes] = []

    def read() -> bytes:
        if not known:
            known.append(_read(Path(configured)) if configured else _read_or_make(state_dir / NAME))
        return known[0]

    _locks[database] = read


def secret_of(database: Database) -> bytes:
    """The secret; raises SecretFileError when there is none to be had."""
    if database not in _locks:
        raise SecretFileError("nobody said where the secret of the credential keys is")
    return _locks[database]()


def _read(path: Path) -> bytes:
    try:
        found = path.read_bytes().strip()
    except OSError as error:
        raise SecretFileError(f"the secret of the credential keys, {path}, cannot be read: {error.strerror}") from None
    if len(found) < SHORTEST:
        raise SecretFileError(f"the secret of the credential keys, {path}, is shorter than {SHORTEST} characters")
    return found


def _read_or_make(path: Path) -> bytes:
    if not path.exists():
        # Written whole under another name first, and linked: of two processes that make it, one wins and both read it.
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(32) + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(temporary)
        finally:
            temporary.unlink()
    return _read(path)
