"""The scheduler: which host a server runs on.

decision.py decides, purely, on a snapshot (hosts.py) by filters.py; snapshot.py reads and remembers that; placing.py
claims what was decided. Filters that Nova has as options are always on here, and concern only requests that ask for it.
"""

from __future__ import annotations

from stackyard.services.compute.scheduler.placing import claim_on, hold, place, release, revert
from stackyard.services.compute.scheduler.request import NoValidHost, Request

__all__ = ["NoValidHost", "Request", "claim_on", "hold", "place", "release", "revert"]
