"""Moments as the oldest of Nova's calls show them: UTC, with microseconds and no zone."""

from __future__ import annotations

from datetime import datetime

from stackyard.core.clock import iso_micro


def naive(moment: datetime) -> str:
    """`2026-01-31T12:00:00.000000`."""
    return iso_micro(moment)[:-1]


def naive_or_none(moment: datetime | None) -> str | None:
    """The same of what may not have happened yet."""
    return None if moment is None else naive(moment)
