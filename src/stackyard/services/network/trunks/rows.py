"""Trunks in the database, and how their subports follow the parent: they are wired where it is, and as long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.network import marks, resources
from stackyard.services.network.faults import conflict
from stackyard.services.network.tables import ports, trunk_subports, trunks

KIND = "trunk"

_parents = ports.alias("parents")
_members = ports.alias("members")
_OF_TRUNK = sa.select(sa.func.count()).select_from(
    trunk_subports.join(_members, _members.c.id == trunk_subports.c.port_id)
).where(trunk_subports.c.trunk_id == trunks.c.id)  # fmt: skip
_ANY_FAILED = _OF_TRUNK.where(_members.c.status == "ERROR").scalar_subquery()
_ANY_WAITING = _OF_TRUNK.where(
    _members.c.status.not_in(("ACTIVE", "ERROR")), _members.c.admin_state_up
).scalar_subquery()
_REASON = (
    sa.select(sa.func.max(_members.c.status_reason))
    .select_from(trunk_subports.join(_members, _members.c.id == trunk_subports.c.port_id))
    .where(trunk_subports.c.trunk_id == trunks.c.id, _members.c.status == "ERROR")
    .scalar_subquery()
)
STATUS = sa.case(
    (sa.or_(_parents.c.netns.is_(None), sa.not_(trunks.c.admin_state_up)), "DOWN"),
    (_parents.c.status == "ERROR", "ERROR"),
    (_ANY_FAILED > 0, "DEGRADED"),
    (sa.or_(_parents.c.status == "BUILD", _ANY_WAITING > 0), "BUILD"),
    else_="ACTIVE",
)
"""A trunk is as its ports are: nothing else is kept of its status, so nothing can contradict them."""

VIEWED = sa.select(
    trunks, STATUS.label("status"), _REASON.label("subport_reason"), _parents.c.status_reason.label("parent_reason")
).join(_parents, _parents.c.id == trunks.c.port_id)
ONE = VIEWED.where(trunks.c.id == bindparam("id"))

_SUBPORTS = (
    sa.select(trunk_subports)
    .where(trunk_subports.c.trunk_id.in_(bindparam("trunks", expanding=True)))
    .order_by(trunk_subports.c.segmentation_id, trunk_subports.c.port_id)
)
_TRUNK_OF_PARENT = sa.select(trunks).where(trunks.c.port_id == bindparam("port"))
_TRUNK_OF_SUBPORT = sa.select(trunk_subports.c.trunk_id).where(trunk_subports.c.port_id == bindparam("port"))
_PORT = sa.select(ports).where(ports.c.id == bindparam("id"))
_INSERT = sa.insert(trunk_subports)
_DROP = sa.delete(trunk_subports).where(trunk_subports.c.port_id == bindparam("port"))
_DELETE = sa.delete(trunks).where(trunks.c.id == bindparam("id"))
_WIRE = (
    sa.update(ports)
    .where(ports.c.id == bindparam("key"))
    .values(
        netns=bindparam("netns_"), device=None, binding_host=bindparam("host_"), wire=bindparam("wire_"),
        status=bindparam("status_"), status_reason="",
    )
)  # fmt: skip


def subports(tx: Transaction, trunk_ids: Iterable[str]) -> dict[str, list[Any]]:
    """The subports of trunks, by trunk."""
    found: dict[str, list[Any]] = {trunk_id: [] for trunk_id in trunk_ids}
    for row in tx.all(_SUBPORTS, {"trunks": list(found)}) if found else ():
        found[row.trunk_id].append(row)
    return found


def trunk_of_parent(tx: Transaction, port_id: str) -> Any:
    """The trunk whose parent a port is, or None."""
    return tx.first(_TRUNK_OF_PARENT, {"port": port_id})


def trunk_of_subport(tx: Transaction, port_id: str) -> str | None:
    """The id of the trunk that a port is a subport of, or None."""
    found: str | None = tx.scalar(_TRUNK_OF_SUBPORT, {"port": port_id})
    return found


def refuse_port_of_trunk(tx: Transaction, port_id: str) -> None:
    """Keep a port that a trunk needs; raises PortInUseAsSubPort, PortInUseAsTrunkParent."""
    above = trunk_of_subport(tx, port_id)
    if above is not None:
        raise conflict("PortInUseAsSubPort", f"Port {port_id} is currently a subport for trunk {above}.")
    own = trunk_of_parent(tx, port_id)
    if own is not None:
        raise conflict("PortInUseAsTrunkParent", f"Port {port_id} is currently a parent port for trunk {own.id}.")


def add(tx: Transaction, trunk_id: str, parent_id: str, given: Sequence[dict[str, Any]]) -> None:
    """Write subports, and wire them when the parent is wired."""
    if given:
        tx.execute(_INSERT, [{"trunk_id": trunk_id, **item} for item in given])
        _follow(tx, parent_id, [item["port_id"] for item in given])


def drop(tx: Transaction, port_ids: Sequence[str]) -> None:
    """Take subports from their trunk, which unwires them."""
    for port_id in port_ids:
        tx.execute(_DROP, {"port": port_id})
        _unwire(tx, port_id)


def follow(tx: Transaction, parent_id: str) -> None:
    """The parent was bound or unbound: so are its subports. A port without a trunk is fine."""
    own = trunk_of_parent(tx, parent_id)
    if own is not None:
        _follow(tx, parent_id, [row.port_id for row in subports(tx, [own.id])[own.id]])


def _follow(tx: Transaction, parent_id: str, port_ids: Sequence[str]) -> None:
    parent = tx.first(_PORT, {"id": parent_id})
    if parent is None:
        return
    for port_id in port_ids:
        if parent.netns is None:
            _unwire(tx, port_id)
            continue
        _wire(tx, port_id, parent)


def _wire(tx: Transaction, port_id: str, parent: Any) -> None:
    before = tx.first(_PORT, {"id": port_id})
    if before is None:
        return
    host = parent.binding_host
    values = {"netns_": parent.netns, "host_": host, "wire_": "vlan", "status_": "BUILD"}
    tx.execute(_WIRE, {"key": port_id, **values})
    timeline.record(tx, marks.PORT, port_id, "bound", f"with its trunk's parent on {host}")
    left = before.binding_host if before.netns is not None and before.binding_host != host else ""
    marks.bound(tx, before.network_id, before.security_group_ids, host=host, left=left)
    if left:
        marks.port_left(tx, port_id, left)
    marks.port(tx, port_id, delay=marks.SOON)


def _unwire(tx: Transaction, port_id: str) -> None:
    before = tx.first(_PORT, {"id": port_id})
    if before is None or before.netns is None:
        return
    tx.execute(_WIRE, {"key": port_id, "netns_": None, "host_": "", "wire_": "veth", "status_": "DOWN"})
    timeline.record(tx, marks.PORT, port_id, "unbound")
    marks.port_left(tx, port_id, before.binding_host)
    marks.bound(tx, before.network_id, (), host="", left=before.binding_host)
    marks.security_groups(tx, before.security_group_ids)


def remove(tx: Transaction, runtime: Runtime, row: Any) -> None:
    """Delete a trunk; its ports stay."""
    drop(tx, [sub.port_id for sub in subports(tx, [row.id])[row.id]])
    resources.forget_tags(tx, row.id)
    tx.execute(_DELETE, {"id": row.id})
    resources.release(tx, runtime, row.project_id, "trunk")
    timeline.record(tx, KIND, row.id, "deleted")


def forget_port(tx: Transaction, runtime: Runtime, port_id: str) -> None:
    """A port is being deleted with the workload that had it: so is its trunk, or its place on one."""
    own = trunk_of_parent(tx, port_id)
    if own is not None:
        remove(tx, runtime, own)
    if trunk_of_subport(tx, port_id) is not None:
        drop(tx, [port_id])
