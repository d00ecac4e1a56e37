"""What the API does with networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.paging import Filter, Listing, Scope, boolean
from stackyard.core.runtime import Runtime
from stackyard.services.network import marks, owners, resources, seen, sharing
from stackyard.services.network.faults import conflict, invalid
from stackyard.services.network.networks import rows
from stackyard.services.network.networks.bodies import NetworkFields, NewNetwork, read_domain, read_segments
from stackyard.services.network.networks.views import facts, view
from stackyard.services.network.qos import api as qos
from stackyard.services.network.resources import either, flag
from stackyard.services.network.segments import provider
from stackyard.services.network.tables import (
    floating_ips,
    network_rbacs,
    network_segments,
    networks,
    ports,
    subnets,
)

NAMES = ("network", "networks")

_PORTS = sa.select(ports.c.id, ports.c.device_owner, ports.c.project_id).where(ports.c.network_id == bindparam("id"))
_OTHERS_PORTS = (
    sa.select(sa.func.count())
    .select_from(ports)
    .where(
        ports.c.network_id == bindparam("id"),
        ports.c.project_id != bindparam("owner"),
        ports.c.project_id != "",
        ports.c.device_owner.not_in(sorted(owners.TRUSTED)),
        ports.c.project_id.not_in(sharing.by_name("network")),
    )
)
_OUTSIDE = (
    sa.select(sa.func.count())
    .select_from(ports)
    .where(ports.c.network_id == bindparam("id"), ports.c.device_owner.in_((owners.FLOATING_IP, owners.ROUTER_GATEWAY)))
)
"""What can only be on an external network."""

_UNUSED_FLOATING = sa.select(floating_ips).where(
    floating_ips.c.floating_network_id == bindparam("id"),
    floating_ips.c.port_id.is_(None),
    floating_ips.c.router_id.is_(None),
)
_SEGMENTS = (
    sa.select(sa.func.count()).select_from(network_segments).where(network_segments.c.network_id == bindparam("id"))
)
_WIRED = (
    sa.select(sa.func.count())
    .select_from(ports)
    .where(ports.c.network_id == bindparam("id"), ports.c.netns.is_not(None))
)
_SUBNETS = sa.select(subnets.c.id, subnets.c.project_id).where(subnets.c.network_id == bindparam("id"))

_SHARED = sa.or_(
    networks.c.shared,
    networks.c.id.in_(
        sa.select(network_rbacs.c.object_id).where(
            network_rbacs.c.object_type == "network",
            network_rbacs.c.action == sharing.SHARED,
            network_rbacs.c.target_project == bindparam("caller"),
        )
    ),
)

LISTING = Listing(
    networks,
    resources.standard_filters(
        networks, "admin_state_up", "status", "mtu", "is_default", "dns_domain", "qos_policy_id", "vlan_transparent"
    )
    | {
        "shared": Filter(read=boolean, where=_SHARED.in_),
        "router:external": Filter(networks.c.external, boolean),
        "provider:network_type": Filter(networks.c.network_type),
        "provider:physical_network": Filter(networks.c.physical_network),
        "provider:segmentation_id": resources.column_filter(networks.c.segmentation_id),
        "port_security_enabled": Filter(networks.c.port_security_enabled, boolean),
    },
    sort_keys=("name", "project_id", "admin_state_up", "status", "mtu", "created_at", "updated_at", "shared"),
    max_limit=resources.LARGEST_PAGE,
)


def load(tx: Transaction, call: Call) -> Any:
    """The network in the path."""
    return seen.network(tx, call.caller, call.path["network_id"])


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /networks."""
    scope = seen.scope(call.caller, "network")
    scope = Scope(scope.name, scope.where, {**scope.parameters, "caller": call.caller.project_id})
    page = resources.page_of(tx, call.query, LISTING, scope)
    known = facts(tx, call, page.rows)
    return resources.listed(call, "networks", page, lambda row: view(row, known))


def shown(tx: Transaction, call: Call, network_id: str) -> dict[str, Any]:
    """A network as it is now, for the answer to a change."""
    row = seen.any_network(tx, network_id)
    return view(row, facts(tx, call, [row]))


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /networks/{network_id}."""
    row = call.target
    return {"network": resources.shown(call, view(row, facts(tx, call, [row])))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /networks, one or many."""
    bodies, bulk = resources.read_bodies(call, NewNetwork, *NAMES)
    views = []
    for body in bodies:
        project_id = resources.owner(call, body)
        target = {"project_id": project_id}
        if project_id != call.caller.project_id:
            call.require("create_network", target)
        _require_attributes(call, "create_network", target, body)
        if either(body.qos_policy_id, None):
            qos.usable(tx, call.caller, str(body.qos_policy_id))
        views.append(shown(tx, call, rows.insert(tx, call.runtime, project_id, body)["id"]))
    return resources.created(call, NAMES, views, bulk=bulk)


def _require_attributes(call: Call, rule: str, target: Mapping[str, Any], body: NetworkFields) -> None:
    changing = rule.startswith("update")
    given = [
        ("shared", body.shared),
        ("router:external", body.external),
        ("is_default", body.is_default),
        ("port_security_enabled", body.port_security_enabled),
    ]
    provider_given = [
        ("segments", body.segments),
        ("provider:network_type", body.network_type),
        ("provider:physical_network", body.physical_network),
        ("provider:segmentation_id", body.segmentation_id),
    ]
    resources.require_attributes(
        call, rule, target,
        [
            *((name, value is not UNSET and (changing or flag(name, value, default=False))) for name, value in given),
            *((name, either(value, None) is not None) for name, value in provider_given),
            ("tags", bool(either(getattr(body, "tags", None), None))),
        ],
    )  # fmt: skip


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /networks/{network_id}."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    _require_attributes(call, "update_network", row._mapping, body)
    changes = _changes(tx, call, row, body)
    if changes:
        if changes.get("is_default"):
            rows.refuse_second_default(tx, row.id)
        _share(tx, row, changes)
        resources.touch(tx, networks, row.id, **changes)
        timeline.record(tx, marks.NETWORK, row.id, "update asked", ", ".join(sorted(changes)))
        marks.network(tx, row.id)
        if changes.keys() & {"mtu", "admin_state_up", "qos_policy_id", "segmentation_id"}:
            marks.wired_ports(tx, row.id)
            marks.routers_of(tx, row.id)
    return {"network": shown(tx, call, row.id)}


def _share(tx: Transaction, row: Any, changes: Mapping[str, Any]) -> None:
    if "shared" in changes:
        sharing.share_with_all(tx, "network", row.id, row.project_id, changes["shared"])
    if "external" in changes:
        sharing.share_with_all(tx, "network", row.id, row.project_id, changes["external"], action=sharing.EXTERNAL)


_PROVIDER = frozenset({"network_type", "physical_network", "segmentation_id", "segments"})


def _changes(tx: Transaction, call: Call, row: Any, body: NetworkFields) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, value in body.given():
        if name == "mtu":
            changes[name] = rows.mtu_of(call.runtime, body, row)
        elif name == "dns_domain":
            changes[name] = read_domain(value)
        elif name in ("name", "description"):
            changes[name] = value or ""
        elif name == "qos_policy_id":
            changes[name] = value or None
            if value and value != row.qos_policy_id:
                qos.usable(tx, call.caller, value)
        elif name not in _PROVIDER:
            changes[name] = flag(name, value, default=False)
    changes |= _new_number(tx, call, row, body)
    _check_sharing(tx, call.runtime, row, changes)
    return changes


def _new_number(tx: Transaction, call: Call, row: Any, body: NetworkFields) -> dict[str, Any]:
    """Of a network's segment, the number alone can change, and only while nothing is on it."""
    wishes = read_segments(body)
    if not wishes:
        return {}
    wish = provider.Segment(
        wishes[0].network_type or row.network_type,
        wishes[0].physical_network or row.physical_network,
        wishes[0].segmentation_id if wishes[0].segmentation_id is not None else row.segmentation_id,
    )
    if len(wishes) == 1 and wish == provider.Segment(row.network_type, row.physical_network, row.segmentation_id):
        return {}
    provider.check(tx, call.runtime.settings.network, wish)
    same = (wish.network_type, wish.physical_network) == (row.network_type, row.physical_network)
    if len(wishes) > 1 or not same or tx.scalar(_SEGMENTS, {"id": row.id}) > 1:
        raise invalid(
            "Plugin does not support updating the following provider network attributes: network_type, "
            "physical_network, segments. Make another network."
        )
    if tx.scalar(_WIRED, {"id": row.id}):
        raise conflict(
            "NetworkInUse",
            f"Unable to complete operation on network {row.id}. There are ports wired on the network: its "
            "provider:segmentation_id can change when there are none.",
        )
    rows.renumber(tx, row, wish)
    return {"segmentation_id": wish.segmentation_id}


def _check_sharing(tx: Transaction, runtime: Runtime, row: Any, changes: dict[str, Any]) -> None:
    if (
        row.shared
        and changes.get("shared") is False
        and tx.scalar(_OTHERS_PORTS, {"id": row.id, "owner": row.project_id})
    ):
        raise conflict(
            "InvalidSharedSetting",
            f"Unable to reconfigure sharing settings for network {row.id}. Multiple tenants are using it.",
        )
    if row.external and changes.get("external") is False:
        _drop_unused_floating(tx, runtime, row)
        if tx.scalar(_OUTSIDE, {"id": row.id}):
            raise conflict(
                "ExternalNetworkInUse",
                f"External network {row.id} cannot be updated to be made non-external, since it has existing gateway "
                "ports or floating IPs.",
            )
        changes["is_default"] = False


def _drop_unused_floating(tx: Transaction, runtime: Runtime, row: Any) -> None:
    """Delete the floating IPs of an external network that lead nowhere."""
    from stackyard.services.network import floating as floating_rows

    for floating in tx.all(_UNUSED_FLOATING, {"id": row.id}):
        floating_rows.remove(tx, runtime, floating)


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /networks/{network_id}."""
    resources.check_revision(call, call.target)
    discard(tx, call.runtime, call.target)


def discard(tx: Transaction, runtime: Runtime, row: Any) -> None:
    """Delete a network with its subnets, an external one also with its unused floating IPs; raises NetworkInUse."""
    from stackyard.services.network.ports import rows as port_rows
    from stackyard.services.network.subnets import rows as subnet_rows

    if row.external:
        _drop_unused_floating(tx, runtime, row)
    found = tx.all(_PORTS, {"id": row.id})
    using = [port.id for port in found if port.device_owner not in owners.AUTO_DELETE]
    if using:
        raise conflict(
            "NetworkInUse",
            f"Unable to complete operation on network {row.id}. There are one or more ports still in use on the "
            f"network, id for these ports is {','.join(using)}.",
        )
    for port in found:
        port_rows.remove(tx, runtime, port.id)
    for subnet in tx.all(_SUBNETS, {"id": row.id}):
        subnet_rows.remove(tx, runtime, subnet.id, subnet.project_id)
    sharing.forget(tx, "network", row.id)
    rows.remove(tx, runtime, row)
