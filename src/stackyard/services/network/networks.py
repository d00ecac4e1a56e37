"""Networks: what a tenant plugs ports into, and the external ones that lead out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType, field
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import InvalidField
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Filter, Listing, boolean
from stackyard.core.runtime import Runtime
from stackyard.services.network import marks, owners, resources, seen
from stackyard.services.network.faults import conflict, invalid
from stackyard.services.network.resources import Flag, Text, either, flag
from stackyard.services.network.tables import floating_ips, networks, ports, routers, subnets

NAMES = ("network", "networks")
_DOMAIN = re.compile(
    r"([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?"
)
_LARGEST_MTU = 65521

_INSERT = sa.insert(networks)
_DELETE = sa.delete(networks).where(networks.c.id == bindparam("id"))
_PORTS = sa.select(ports.c.id, ports.c.device_owner, ports.c.project_id).where(ports.c.network_id == bindparam("id"))
_OTHERS_PORTS = (
    sa.select(sa.func.count())
    .select_from(ports)
    .where(
        ports.c.network_id == bindparam("id"),
        ports.c.project_id != bindparam("owner"),
        ports.c.project_id != "",
        ports.c.device_owner.not_in(sorted(owners.TRUSTED)),
    )
)
_GATEWAYS = sa.select(sa.func.count()).select_from(routers).where(routers.c.gateway_network_id == bindparam("id"))
_FLOATING = (
    sa.select(sa.func.count())
    .select_from(ports)
    .where(ports.c.network_id == bindparam("id"), ports.c.device_owner == owners.FLOATING_IP)
)
_UNUSED_FLOATING = sa.select(floating_ips).where(
    floating_ips.c.floating_network_id == bindparam("id"), floating_ips.c.port_id.is_(None)
)
_SUBNETS = sa.select(subnets.c.id, subnets.c.project_id).where(subnets.c.network_id == bindparam("id"))
_UNSET_DEFAULT = sa.update(networks).where(networks.c.is_default, networks.c.external).values(is_default=False)

LISTING = Listing(
    networks,
    resources.standard_filters(networks, "admin_state_up", "status", "shared", "mtu", "is_default", "dns_domain")
    | {
        "router:external": Filter(networks.c.external, boolean),
        "provider:network_type": Filter(networks.c.network_type),
        "provider:physical_network": Filter(networks.c.physical_network),
        "provider:segmentation_id": resources.column_filter(networks.c.segmentation_id),
        "port_security_enabled": Filter(networks.c.port_security_enabled, boolean),
    },
    sort_keys=("name", "project_id", "admin_state_up", "status", "mtu", "created_at", "updated_at", "shared"),
    max_limit=resources.LARGEST_PAGE,
)


class NetworkFields(Body):
    """What a network may be given and changed to."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    admin_state_up: Flag | UnsetType = UNSET
    shared: Flag | UnsetType = UNSET
    external: Flag | UnsetType = field(name="router:external", default=UNSET)
    is_default: Flag | UnsetType = UNSET
    mtu: int | str | UnsetType = UNSET
    port_security_enabled: Flag | UnsetType = UNSET
    dns_domain: Text | UnsetType | None = UNSET


class NewNetwork(NetworkFields):
    """The body of a POST."""

    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET
    availability_zone_hints: list[str] | UnsetType = UNSET
    network_type: str | UnsetType | None = field(name="provider:network_type", default=UNSET)
    physical_network: str | UnsetType | None = field(name="provider:physical_network", default=UNSET)
    segmentation_id: int | str | UnsetType | None = field(name="provider:segmentation_id", default=UNSET)


def load(tx: Transaction, call: Call) -> Any:
    """The network in the path."""
    return seen.network(tx, call.caller, call.path["network_id"])


def view(call: Call, row: Any, *, provider: bool | None = None) -> dict[str, Any]:
    """A network as the API shows it; provider attributes to those who may see them."""
    shown = resources.standard_view(row)
    shown.update({
        "name": row.name,
        "admin_state_up": row.admin_state_up,
        "status": row.status,
        "shared": row.shared,
        "router:external": row.external,
        "mtu": row.mtu,
        "port_security_enabled": row.port_security_enabled,
        "dns_domain": row.dns_domain,
        "subnets": row.subnet_ids,
        "availability_zone_hints": [],
        "availability_zones": [],
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
    })  # fmt: skip
    if row.external:
        shown["is_default"] = row.is_default
    if sees_provider(call) if provider is None else provider:
        shown["provider:network_type"] = row.network_type
        shown["provider:physical_network"] = row.physical_network
        shown["provider:segmentation_id"] = row.segmentation_id
    return shown


def sees_provider(call: Call) -> bool:
    """Whether the caller may see how networks are made."""
    return call.allows("get_network:provider:network_type", {})


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /networks."""
    page = resources.page_of(tx, call.query, LISTING, seen.scope(call.caller, "network"))
    provider = sees_provider(call)
    return resources.listed(call, "networks", page, lambda row: view(call, row, provider=provider))


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /networks/{network_id}."""
    del tx
    return {"network": resources.shown(call, view(call, call.target))}


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
        resources.require_attributes(call, "create_network", target, [
            ("provider:network_type", either(body.network_type, None) is not None),
            ("provider:physical_network", either(body.physical_network, None) is not None),
            ("provider:segmentation_id", either(body.segmentation_id, None) is not None),
        ])  # fmt: skip
        row = insert(tx, call.runtime, project_id, body)
        views.append(view(call, seen.any_network(tx, row["id"])))
    return resources.created(call, NAMES, views, bulk=bulk)


def insert(tx: Transaction, runtime: Runtime, project_id: str, body: NewNetwork) -> dict[str, Any]:
    """Write a new network's row; also for the networks that a new cloud has."""
    _check_provider(body)
    resources.reserve(tx, runtime, project_id, "network")
    row = resources.new_row(tx, new_uuid(), project_id, body)
    external = flag("router:external", body.external, default=False)
    row |= {
        "admin_state_up": flag("admin_state_up", body.admin_state_up, default=True),
        "status": "ACTIVE",
        "status_reason": "",
        "shared": flag("shared", body.shared, default=False),
        "external": external,
        "is_default": external and flag("is_default", body.is_default, default=False),
        "mtu": _mtu(body, runtime),
        "port_security_enabled": flag("port_security_enabled", body.port_security_enabled, default=True),
        "dns_domain": _domain(either(body.dns_domain, "")),
        "network_type": "local",
        "physical_network": None,
        "segmentation_id": None,
        "subnet_ids": [],
    }
    if row["is_default"]:
        tx.execute(_UNSET_DEFAULT)
    tx.execute(_INSERT, row)
    timeline.record(tx, marks.NETWORK, row["id"], "create asked")
    marks.network(tx, row["id"])
    return row


def _require_attributes(call: Call, rule: str, target: Mapping[str, Any], body: NetworkFields) -> None:
    changing = rule.startswith("update")
    given = [
        ("shared", body.shared),
        ("router:external", body.external),
        ("is_default", body.is_default),
        ("port_security_enabled", body.port_security_enabled),
    ]
    resources.require_attributes(
        call, rule, target,
        [(name, value is not UNSET and (changing or flag(name, value, default=False))) for name, value in given],
    )  # fmt: skip


def _check_provider(body: NewNetwork) -> None:
    kind = either(body.network_type, None)
    if kind not in (None, "local"):
        raise invalid(f"Networks of type '{kind}' are not served by this cloud; leave provider:network_type out.")
    if either(body.physical_network, None) is not None or either(body.segmentation_id, None) is not None:
        raise invalid("provider:physical_network and provider:segmentation_id cannot be given for a local network.")
    if either(body.availability_zone_hints, []):
        zone = either(body.availability_zone_hints, [""])[0]
        raise invalid(f"There is no availability zone '{zone}'; leave availability_zone_hints out.")


def _mtu(body: NetworkFields, runtime: Runtime) -> int:
    mtu = 0 if body.mtu is UNSET else resources.integer("mtu", body.mtu)
    if mtu == 0:
        return runtime.settings.network.mtu
    if not 68 <= mtu <= _LARGEST_MTU:
        raise InvalidField("mtu", f"{mtu} is not between 68 and {_LARGEST_MTU} bytes.")
    return mtu


def _domain(text: str | None) -> str:
    if text and (len(text) > 253 or not _DOMAIN.fullmatch(text)):
        raise InvalidField("dns_domain", f"'{text}' is not a valid DNS domain.")
    return text or ""


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /networks/{network_id}."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    _require_attributes(call, "update_network", row._mapping, body)
    changes = _changes(tx, call.runtime, row, body)
    if changes:
        if changes.get("is_default"):
            tx.execute(_UNSET_DEFAULT)
        resources.touch(tx, networks, row.id, **changes)
        timeline.record(tx, marks.NETWORK, row.id, "update asked", ", ".join(sorted(changes)))
        marks.network(tx, row.id)
        if changes.keys() & {"mtu", "admin_state_up"}:
            marks.wired_ports(tx, row.id)
            marks.routers_of(tx, row.id)
    return {"network": view(call, seen.any_network(tx, row.id))}


def _changes(tx: Transaction, runtime: Runtime, row: Any, body: NetworkFields) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, value in body.given():
        if name == "mtu":
            changes[name] = _mtu(body, runtime)
        elif name == "dns_domain":
            changes[name] = _domain(value)
        elif name in ("name", "description"):
            changes[name] = value or ""
        else:
            changes[name] = flag(name, value, default=False)
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
        if tx.scalar(_GATEWAYS, {"id": row.id}) or tx.scalar(_FLOATING, {"id": row.id}):
            raise conflict(
                "ExternalNetworkInUse",
                f"External network {row.id} cannot be updated to be made non-external, since it has existing gateway "
                "ports or floating IPs.",
            )
        changes["is_default"] = False
    return changes


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /networks/{network_id}; an external network takes its unused floating IPs along."""
    from stackyard.services.network import floating as floating_rows
    from stackyard.services.network.ports import rows as port_rows
    from stackyard.services.network.subnets import rows as subnet_rows

    row = call.target
    resources.check_revision(call, row)
    for floating in tx.all(_UNUSED_FLOATING, {"id": row.id}) if row.external else ():
        floating_rows.remove(tx, call.runtime, floating)
    found = tx.all(_PORTS, {"id": row.id})
    using = [port.id for port in found if port.device_owner not in owners.AUTO_DELETE]
    if using:
        raise conflict(
            "NetworkInUse",
            f"Unable to complete operation on network {row.id}. There are one or more ports still in use on the "
            f"network, id for these ports is {','.join(using)}.",
        )
    for port in found:
        port_rows.remove(tx, call.runtime, port.id)
    for subnet in tx.all(_SUBNETS, {"id": row.id}):
        subnet_rows.remove(tx, call.runtime, subnet.id, subnet.project_id)
    resources.forget_tags(tx, row.id)
    tx.execute(_DELETE, {"id": row.id})
    resources.release(tx, call.runtime, row.project_id, "network")
    timeline.record(tx, marks.NETWORK, row.id, "delete asked")
    marks.network(tx, row.id)
