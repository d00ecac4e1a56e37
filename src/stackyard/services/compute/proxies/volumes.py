"""Volumes and snapshots as Nova's API has them until 2.35: the block storage service's, when the cloud has one.

There is none in this cloud's catalogue, so what passes its rule is answered as unavailable. A block storage service
takes the place of `_unavailable` here, with its API asked as images.py asks the image service's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import NotImplementedHere
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute.rules import MEMBER, READER

_BASE = "os_compute_api:os-volumes"
_LAST = Microversion(2, 35)
_VOLUMES = "/v2.1/os-volumes"
_SNAPSHOTS = "/v2.1/os-snapshots"


def _unavailable(what: str) -> Callable[[Transaction, Call], Any]:
    def refuse(tx: Transaction, call: Call) -> None:
        del tx, call
        raise NotImplementedHere(
            f"This cloud has no block storage service in its catalogue, so it cannot {what}.",
            kind="CinderConnectionFailed",
        )

    refuse.__doc__ = f"To {what}: a block storage service's, which there is none of."
    return refuse


ROUTES = (
    Route("GET", _VOLUMES, _unavailable("list volumes"), f"{_BASE}:list", until=_LAST),
    Route("POST", _VOLUMES, _unavailable("make a volume"), f"{_BASE}:create", until=_LAST),
    Route("GET", f"{_VOLUMES}/detail", _unavailable("list volumes"), f"{_BASE}:detail", until=_LAST),
    Route("GET", f"{_VOLUMES}/{{volume_id}}", _unavailable("show a volume"), f"{_BASE}:show", until=_LAST),
    Route("DELETE", f"{_VOLUMES}/{{volume_id}}", _unavailable("delete a volume"), f"{_BASE}:delete", until=_LAST),
    Route("GET", _SNAPSHOTS, _unavailable("list snapshots"), f"{_BASE}:snapshots:list", until=_LAST),
    Route("POST", _SNAPSHOTS, _unavailable("make a snapshot"), f"{_BASE}:snapshots:create", until=_LAST),
    Route("GET", f"{_SNAPSHOTS}/detail", _unavailable("list snapshots"), f"{_BASE}:snapshots:detail", until=_LAST),
    Route("GET", f"{_SNAPSHOTS}/{{snapshot_id}}", _unavailable("show a snapshot"), f"{_BASE}:snapshots:show",
          until=_LAST),
    Route("DELETE", f"{_SNAPSHOTS}/{{snapshot_id}}", _unavailable("delete a snapshot"), f"{_BASE}:snapshots:delete",
          until=_LAST),
)  # fmt: skip

POLICIES = (
    Rule(f"{_BASE}:list", READER, "List volumes."),
    Rule(f"{_BASE}:detail", READER, "List volumes with all that they have."),
    Rule(f"{_BASE}:show", READER, "See a volume."),
    Rule(f"{_BASE}:create", MEMBER, "Make a volume."),
    Rule(f"{_BASE}:delete", MEMBER, "Delete a volume."),
    Rule(f"{_BASE}:snapshots:list", READER, "List snapshots."),
    Rule(f"{_BASE}:snapshots:detail", READER, "List snapshots with all that they have."),
    Rule(f"{_BASE}:snapshots:show", READER, "See a snapshot."),
    Rule(f"{_BASE}:snapshots:create", MEMBER, "Make a snapshot."),
    Rule(f"{_BASE}:snapshots:delete", MEMBER, "Delete a snapshot."),
)
