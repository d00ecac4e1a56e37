"""The password that a guest has made and encrypted for its owner: kept in the server's system metadata, in pieces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PIECES, _LENGTH = 4, 255
LIMIT = _PIECES * _LENGTH
"""Bytes that it may have."""


def read(system_metadata: Mapping[str, Any]) -> str:
    """The password; empty when there is none."""
    return "".join(str(system_metadata.get(f"password_{number}", "")) for number in range(_PIECES))


def stored(system_metadata: Mapping[str, Any], password: str) -> dict[str, Any]:
    """The system metadata with this password, or with none when it is empty."""
    rest = {name: value for name, value in system_metadata.items() if not name.startswith("password_")}
    pieces = [password[start : start + _LENGTH] for start in range(0, len(password), _LENGTH)]
    return rest | {f"password_{number}": piece for number, piece in enumerate(pieces)}
