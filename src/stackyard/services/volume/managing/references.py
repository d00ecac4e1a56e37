"""What names a volume or snapshot in a back end, and which of those there are the cloud does not know of."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from stackyard.core.errors import BadRequest
from stackyard.host.specs import VolumeObservation

SOURCE = "source-name"
GIB = 1 << 30

_ID = re.compile(r"(?:.*[-_])?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", re.ASCII)


def read(given: Any) -> str:
    """The id that a reference names; raises BadRequest (ManageExistingInvalidReference)."""
    text = given.get(SOURCE) if isinstance(given, dict) else given
    found = _ID.fullmatch(text) if isinstance(text, str) and len(text) <= 255 else None
    if found is None:
        raise BadRequest(
            f"Manage existing volume failed due to invalid backend reference {str(given)[:200]}: give the id that it "
            f"has in the back end as '{SOURCE}'.",
            kind="ManageExistingInvalidReference",
        )
    return found[1]


def gib(size: int) -> int:
    """Bytes as GiB, rounded up."""
    return max(-(-size // GIB), 1)


def view(found: VolumeObservation, known: Collection[str], *, detailed: bool) -> dict[str, Any]:
    """One thing of a back end, as lists of what can be taken over show it."""
    is_known = found.id in known
    shown: dict[str, Any] = {
        "reference": {SOURCE: found.id},
        "size": gib(found.size),
        "safe_to_manage": not is_known,
    }
    if detailed:
        shown |= {
            "reason_not_safe": "already managed" if is_known else None,
            "cinder_id": found.id if is_known else None,
            "extra_info": None,
        }
    return shown
