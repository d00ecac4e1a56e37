"""Host aggregates: groups of hosts that administrators make, with metadata; one of them may be a zone's name.

rows.py: as the scheduler and others use them; operations.py: what administrators may ask.
"""

from __future__ import annotations

from stackyard.services.compute.aggregates.operations import POLICIES, ROUTES
from stackyard.services.compute.aggregates.rows import all_

__all__ = ["POLICIES", "ROUTES", "all_"]
