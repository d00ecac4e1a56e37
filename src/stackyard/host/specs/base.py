"""The base of every spec."""

from __future__ import annotations

import msgspec


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every spec: immutable, comparable, built by keyword only."""
