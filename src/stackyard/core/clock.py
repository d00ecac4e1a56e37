"""The time, in one place, so that a test can turn it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache

_SET_BACK = 60.0
"""Seconds that the system's clock may be set back and not be believed."""
_NEXT = 1e-6
"""Seconds from one reading to the next meanwhile: what moments are kept to."""


class Clock:
    """The system's clock. `now` is an aware UTC datetime; `time` is seconds since 1970.

    When the system's clock is set back a little (by time synchronisation, or by a virtual machine's host), this one
    creeps on until that has caught up: what comes after a revocation, say, must not bear an earlier time than that.
    Set back by more than a minute it is believed.
    """

    def __init__(self) -> None:
        self._latest = 0.0

    def now(self) -> datetime:
        """The present moment in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def time(self) -> float:
        """Seconds since the epoch."""
        found = time.time()
        if 0.0 <= self._latest - found < _SET_BACK:
            found = self._latest + _NEXT
        self._latest = found
        return found


class SteppedClock(Clock):
    """A clock that stands still until it is told to move."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        super().__init__()
        self._time = start

    def time(self) -> float:
        """The time it was set to."""
        return self._time

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`."""
        self._time += seconds


# Lists show the same moments again and again: remembering the text takes a quarter of making it (and that a sixth of
# what strftime takes).
_KEPT = 8192


@lru_cache(_KEPT)
def iso_z(moment: datetime) -> str:
    """`2026-01-31T12:00:00Z`: Neutron, Glance."""
    return moment.isoformat()[:19] + "Z"


@lru_cache(_KEPT)
def iso_micro(moment: datetime) -> str:
    """`2026-01-31T12:00:00.000000Z`: Keystone."""
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


@lru_cache(_KEPT)
def iso_offset(moment: datetime) -> str:
    """`2026-01-31 12:00:00+00:00`: Zun."""
    return moment.isoformat(" ")[:19] + "+00:00"


@lru_cache(_KEPT)
def iso_naive(moment: datetime) -> str:
    """`2026-01-31T12:00:00.000000`, in UTC: Cinder, and the oldest of Nova's calls."""
    return moment.isoformat(timespec="microseconds")[:26]
