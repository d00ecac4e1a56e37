"""Ends of delegations as clients write them."""

from __future__ import annotations

from datetime import UTC, datetime

from stackyard.core.errors import InvalidField


def future(field: str, text: str | None, now: datetime) -> datetime | None:
    """A moment to come, in UTC where the text names no zone; None for none. InvalidField for what is none, or past."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidField(field, "give a time such as 2026-01-31T12:00:00Z.") from None
    if moment <= now:
        raise InvalidField(field, f"The '{field}' must not be before now.")
    return moment
