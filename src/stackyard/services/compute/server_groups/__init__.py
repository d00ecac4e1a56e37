"""Server groups: which servers shall be together on a host, or apart.

rows.py: groups and members as other parts of compute use them; operations.py: what callers may ask.
"""

from __future__ import annotations

from stackyard.services.compute.server_groups.operations import POLICIES, ROUTES
from stackyard.services.compute.server_groups.rows import add_member, find, members, remove_member

__all__ = ["POLICIES", "ROUTES", "add_member", "find", "members", "remove_member"]
