"""Keeps registries' passwords unreadable in the database: encrypted with a key that only this file's folder holds."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from stackyard.core.runtime import Runtime
from stackyard.services.keys import STATE_DIR


def hide(runtime: Runtime, secret: str | None) -> str | None:
    """Encrypt; None stays None."""
    return None if secret is None else _cipher(runtime[STATE_DIR]).encrypt(secret.encode()).decode()


def reveal(runtime: Runtime, hidden: str | None) -> str | None:
    """Decrypt what `hide` gave; None when the key is another one by now."""
    if hidden is None:
        return None
    try:
        return _cipher(runtime[STATE_DIR]).decrypt(hidden.encode()).decode()
    except InvalidToken:
        return None


@lru_cache(maxsize=8)
def _cipher(state_dir: Path) -> Fernet:
    path = state_dir / "containers" / "registry.key"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return Fernet(path.read_bytes())
    with os.fdopen(handle, "wb") as file:
        key = Fernet.generate_key()
        file.write(key)
    return Fernet(key)
