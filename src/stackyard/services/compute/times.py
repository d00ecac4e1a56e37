"""Moments as the oldest of Nova's calls show them (UTC, with microseconds and no zone), and as clients give them."""

from __future__ import annotations

from datetime import UTC, datetime

from stackyard.core.clock import iso_micro
from stackyard.core.errors import InvalidField


def naive(moment: datetime) -> str:
    """`2026-01-31T12:00:00.000000`."""
    return iso_micro(moment)[:-1]


def naive_or_none(moment: datetime | None) -> str | None:
    """The same of what may not have happened yet."""
    return None if moment is None else naive(moment)


def moment(name: str, text: str) -> datetime:
    """What a query parameter in ISO 8601 says; without a zone it is UTC. Raises InvalidField."""
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidField(name, f"'{text[:80]}' is not a time in ISO 8601") from None
