"""What workloads need of the network service beyond a port of their own: a port that exists, a group of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict
from stackyard.core.ids import new_uuid
from stackyard.core.runtime import Runtime
from stackyard.services.network import default_groups, default_rules, default_statefulness, marks, resources, seen
from stackyard.services.network.faults import not_found
from stackyard.services.network.security_groups import rows as group_rows
from stackyard.services.network.tables import networks, ports, security_groups

_OLDEST = (
    sa.select(networks)
    .where(sa.not_(networks.c.external), sa.or_(networks.c.project_id == bindparam("project"), seen.NETWORK_SHARED))
    .order_by((networks.c.project_id == bindparam("project")).desc(), networks.c.created_at, networks.c.id)
    .limit(1)
)
_PORT = sa.select(ports.c.id).where(ports.c.id == bindparam("id"))
_GROUP = sa.select(security_groups).where(security_groups.c.id == bindparam("id"))


def oldest_network(tx: Transaction, caller: Caller) -> Any:
    """The network for a container that names none, as Zun picks it: of the project, or shared; the oldest."""
    found = tx.first(_OLDEST, {"project": caller.project_id, "caller": caller.project_id})
    if found is None:
        raise Conflict(f"There is no network available to project {caller.project_id}; create one with a subnet.")
    return found


def ensure_default_group(tx: Transaction, runtime: Runtime, project_id: str) -> str:
    """The id of a project's default security group, which is made if need be."""
    return default_groups.ensure(tx, runtime, project_id)


def claim_port(tx: Transaction, port_id: str, *, device_id: str, device_owner: str) -> None:
    """Say which workload a port belongs to; empty texts say that it belongs to none any more."""
    if tx.first(_PORT, {"id": port_id}) is None:
        raise not_found("Port", port_id)
    resources.touch(tx, ports, port_id, device_id=device_id, device_owner=device_owner)
    timeline.record(tx, marks.PORT, port_id, "claimed" if device_id else "released", device_id)


def create_security_group(
    tx: Transaction,
    runtime: Runtime,
    project_id: str,
    name: str,
    *,
    description: str = "",
    rules: Sequence[dict[str, Any]] = (),
) -> str:
    """Make a group that allows all that goes out and what `rules` (columns of a rule) say; returns its id."""
    row: dict[str, Any] = {
        "id": new_uuid(),
        "project_id": project_id,
        "name": name,
        "description": description,
        "tags": [],
    }
    stateful = default_statefulness.of_project(tx, project_id)
    row |= {"revision_number": 1, "created_at": tx.now, "updated_at": tx.now, "stateful": stateful}
    wanted = [*default_rules.rules_for(tx, row["id"], default=False), *rules]
    group_rows.insert(tx, runtime, row, wanted)
    return str(row["id"])


def delete_security_group(tx: Transaction, runtime: Runtime, group_id: str) -> None:
    """Delete a group and the rules that name it; gone is fine. Raises Conflict while ports are in it."""
    row = tx.first(_GROUP, {"id": group_id})
    if row is not None:
        group_rows.remove(tx, runtime, row)
