"""What is left on this host of servers that are elsewhere: it goes, once no move needs it any more."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.host.errors import HostError
from stackyard.services import keys
from stackyard.services.compute import migrations as moves
from stackyard.services.compute.tables import migrations, servers

log = logging.getLogger("stackyard.compute")

UNDER_WAY = (
    "accepted", "queued", "preparing", "running", "pre-migrating", "migrating", "post-migrating", "finished",
    "reverting", "confirming",
)  # fmt: skip
"""States of a move in which either host may be needed."""

_m, _s = migrations.c, servers.c
_NEEDED = sa.select(_m.id).where(
    _m.server_id == bindparam("server"),
    _m.status.in_(UNDER_WAY),
    _m.migration_type != "evacuation",
    sa.or_(_m.source_compute == bindparam("host"), _m.dest_compute == bindparam("host")),
)
_EVACUATED = (
    sa.select(_m.uuid, _m.server_id, _s.kind, _s.host, _s.deleted_at)
    .join_from(migrations, servers, _s.id == _m.server_id)
    .where(
        _m.migration_type == "evacuation",
        _m.source_compute == bindparam("host"),
        _m.status.in_(("accepted", "pre-migrating", "done")),
    )
)


def clear(runtime: Runtime, row: Any) -> None:
    """Remove what this host has of a server that is on another one. Raises HostError."""
    driver = runtime[keys.MACHINES].get(row.kind)
    if driver is None or runtime.database.read("server.remains", _is_needed, row.id, runtime[keys.HOST_NAME]):
        return
    driver.remove(row.id)


def _is_needed(tx: Transaction, server_id: str, host: str) -> bool:
    row = tx.first(sa.select(_s.deleted_at).where(_s.id == server_id))
    gone = row is None or row.deleted_at is not None
    return not gone and tx.first(_NEEDED, {"server": server_id, "host": host}) is not None


def clear_evacuated(runtime: Runtime) -> None:
    """Remove what was evacuated while this host was down, before anything else is done with servers here.

    What runs still was left running by a host that was only cut off, and must not go on beside the one made anew.
    """
    host = runtime[keys.HOST_NAME]
    for row in runtime.database.read("server.evacuated", _evacuated, host):
        driver = runtime[keys.MACHINES].get(row.kind)
        if driver is None:
            continue
        try:
            if row.host != host or row.deleted_at is not None:
                driver.remove(row.server_id)
        except HostError as error:
            log.warning("a server that was evacuated is still here", extra={"id": row.server_id, "reason": str(error)})
            continue
        runtime.database.write("server.evacuated", _completed, row.uuid)


def _completed(tx: Transaction, move_id: str) -> None:
    moves.update(tx, move_id, status="completed")


def _evacuated(tx: Transaction, host: str) -> Sequence[Any]:
    return tx.all(_EVACUATED, {"host": host})
