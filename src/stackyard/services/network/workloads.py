"""What workloads need of the network service beyond a port of their own: a port that exists, a group of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.core.ids import new_uuid
from stackyard.core.runtime import Runtime
from stackyard.services.network import default_groups, marks, resources
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.tables import (
    networks,
    port_security_groups,
    ports,
    security_group_rules,
    security_groups,
)

_OLDEST = (
    sa.select(networks)
    .where(sa.not_(networks.c.external), sa.or_(networks.c.project_id == bindparam("project"), networks.c.shared))
    .order_by((networks.c.project_id == bindparam("project")).desc(), networks.c.created_at, networks.c.id)
    .limit(1)
)
_PORT = sa.select(ports.c.id).where(ports.c.id == bindparam("id"))
_GROUP = sa.select(security_groups).where(security_groups.c.id == bindparam("id"))
_USED = sa.select(port_security_groups.c.port_id).where(port_security_groups.c.security_group_id == bindparam("id"))
_NAMING = sa.select(security_group_rules).where(
    sa.or_(
        security_group_rules.c.security_group_id == bindparam("id"),
        security_group_rules.c.remote_group_id == bindparam("id"),
    )
)
_DROP_RULE = sa.delete(security_group_rules).where(security_group_rules.c.id == bindparam("rule"))
_DROP_GROUP = sa.delete(security_groups).where(security_groups.c.id == bindparam("id"))


def oldest_network(tx: Transaction, caller: Caller) -> Any:
    """The network for a container that names none, as Zun picks it: of the project, or shared; the oldest."""
    found = tx.first(_OLDEST, {"project": caller.project_id})
    if found is None:
        raise NotFound(f"Project {caller.project_id} has no network; create one with a subnet.", kind="NetworkNotFound")
    return found


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
    group_id = new_uuid()
    moment = {"revision_number": 1, "created_at": tx.now, "updated_at": tx.now}
    wanted = [*default_groups.default_rules(group_id, itself=False), *rules]
    resources.reserve(tx, runtime, project_id, "security_group")
    resources.reserve(tx, runtime, project_id, "security_group_rule", len(wanted))
    row = {"id": group_id, "project_id": project_id, "name": name, "description": description}
    tx.execute(sa.insert(security_groups), row | moment | {"tags": [], "stateful": True})
    new = [default_groups.new_rule(project_id, group_id, rule) | moment for rule in wanted]
    tx.execute(sa.insert(security_group_rules), new)
    timeline.record(tx, marks.SECURITY_GROUP, group_id, "created", description)
    marks.security_groups(tx, [group_id])
    return group_id


def delete_security_group(tx: Transaction, runtime: Runtime, group_id: str) -> None:
    """Delete a group and the rules that name it; gone is fine. Raises Conflict while ports are in it."""
    row = tx.first(_GROUP, {"id": group_id})
    if row is None:
        return
    if tx.first(_USED, {"id": group_id}) is not None:
        raise conflict("SecurityGroupInUse", f"Security Group {group_id} in use.")
    for rule in tx.all(_NAMING, {"id": group_id}):
        tx.execute(_DROP_RULE, {"rule": rule.id})
        resources.release(tx, runtime, rule.project_id, "security_group_rule")
        if rule.security_group_id != group_id:
            marks.security_groups(tx, [rule.security_group_id])
    resources.forget_tags(tx, group_id)
    tx.execute(_DROP_GROUP, {"id": group_id})
    resources.release(tx, runtime, row.project_id, "security_group")
    timeline.record(tx, marks.SECURITY_GROUP, group_id, "delete asked")
    marks.security_groups(tx, [group_id])
