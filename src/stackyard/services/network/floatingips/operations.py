"""What the API does with floating IPs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from stackyard.core import timeline
from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction, TryAgain
from stackyard.core.errors import BadRequest, Conflict
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Listing
from stackyard.services.network import dns_names, floating, marks, owners, resources, seen
from stackyard.services.network.addresses import read_address
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.floatingips.association import associate
from stackyard.services.network.networks.bodies import read_domain
from stackyard.services.network.ports import choice
from stackyard.services.network.ports import rows as port_rows
from stackyard.services.network.ports.bodies import read_dns_name
from stackyard.services.network.qos import api as qos
from stackyard.services.network.resources import Text, either
from stackyard.services.network.tables import floating_ips, networks, ports

NAMES = ("floatingip", "floatingips")

_DETAILS = ("name", "network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner")
_SHOWN = (
    sa.select(
        floating_ips,
        networks.c.qos_policy_id.label("network_policy_id"),
        *(ports.c[name].label(f"port_{name}") for name in _DETAILS),
    )
    .join(networks, networks.c.id == floating_ips.c.floating_network_id)
    .outerjoin(ports, ports.c.id == floating_ips.c.port_id)
)
_ONE = _SHOWN.where(floating_ips.c.id == bindparam("id"))
_INSERT = sa.insert(floating_ips)

_COLUMNS = ("floating_network_id", "floating_ip_address", "port_id", "fixed_ip_address", "router_id", "status",
            "dns_name", "dns_domain", "qos_policy_id")  # fmt: skip
LISTING = Listing(
    floating_ips,
    resources.standard_filters(floating_ips, *_COLUMNS),
    sort_keys=(*_COLUMNS, "project_id", "created_at", "updated_at"),
    max_limit=resources.LARGEST_PAGE,
    select=_SHOWN,
)


class FloatingFields(Body):
    """What a floating IP may be changed to."""

    port_id: str | UnsetType | None = UNSET
    fixed_ip_address: str | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    qos_policy_id: Text | UnsetType | None = UNSET


class NewFloating(FloatingFields, kw_only=True):
    """The body of a POST."""

    floating_network_id: str
    floating_ip_address: str | UnsetType | None = UNSET
    subnet_id: str | UnsetType | None = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET
    dns_name: Text | UnsetType | None = UNSET
    dns_domain: Text | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET


def _read(tx: Transaction, floating_id: str) -> Any:
    row = tx.first(_ONE, {"id": floating_id})
    if row is None:
        raise not_found("FloatingIP", floating_id)
    return row


def load(tx: Transaction, call: Call) -> Any:
    """The floating IP in the path; raises FloatingIPNotFound."""
    row = _read(tx, call.path["floatingip_id"])
    if not (call.caller.is_admin or row.project_id == call.caller.project_id):
        raise not_found("FloatingIP", row.id)
    return row


def view(row: Any) -> dict[str, Any]:
    """A floating IP as the API shows it."""
    shown = resources.standard_view(row)
    for name in _COLUMNS:
        shown[name] = getattr(row, name)
    shown["qos_network_policy_id"] = row.network_policy_id
    shown["port_forwardings"] = row.port_forwardings
    shown["port_details"] = None
    if row.port_id is not None:
        shown["port_details"] = {name: getattr(row, f"port_{name}") for name in _DETAILS}
    return shown


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /floatingips."""
    page = resources.page_of(tx, call.query, LISTING, seen.own(call.caller, floating_ips))
    return resources.listed(call, "floatingips", page, view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /floatingips/{floatingip_id}."""
    del tx
    return {"floatingip": resources.shown(call, view(call.target))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /floatingips, one or many."""
    bodies, bulk = resources.read_bodies(call, NewFloating, *NAMES)
    return resources.created(call, NAMES, [view(_read(tx, _create(tx, call, body))) for body in bodies], bulk=bulk)


def _create(tx: Transaction, call: Call, body: NewFloating) -> str:
    project_id = resources.owner(call, body)
    target = {"project_id": project_id}
    call.require("create_floatingip", target)
    given = bool(either(body.floating_ip_address, None))
    resources.require_attributes(call, "create_floatingip", target, [("floating_ip_address", given)])
    network = seen.network(tx, call.caller, body.floating_network_id)
    if not network.external:
        raise BadRequest(f"Network {network.id} is not a valid external network", kind="BadRequest")
    _check_policy(tx, call, body)
    resources.reserve(tx, call.runtime, project_id, "floatingip")
    row = _row(tx, call, project_id, body)
    row |= _outer_port(tx, call, network.id, row["id"], body)
    row |= _association(tx, call, body, row)
    try:
        tx.execute(_INSERT, row)
    except IntegrityError as error:
        raise TryAgain(str(error.orig)) from error
    resources.store_tags(tx, [row])
    dns_names.changed(tx, row)
    timeline.record(tx, "floatingip", row["id"], "created")
    if row["router_id"]:
        marks.router(tx, row["router_id"])
    return str(row["id"])


def _row(tx: Transaction, call: Call, project_id: str, body: NewFloating) -> dict[str, Any]:
    """A new floating IP that leads nowhere yet, its address apart."""
    row = resources.new_row(tx, new_uuid(), project_id, body) | _names(call, body)
    del row["name"]
    return row | {
        "port_id": None,
        "fixed_ip_address": None,
        "router_id": None,
        "status": "DOWN",
        "qos_policy_id": either(body.qos_policy_id, None) or None,
        "port_forwardings": [],
        "tags": resources.read_tags(either(body.tags, [])),
    }


def _outer_port(tx: Transaction, call: Call, network_id: str, floating_id: str, body: NewFloating) -> dict[str, str]:
    """Make the port on the external network that holds the address."""
    new = port_rows.NewPort(
        network_id=network_id, project_id="", fixed_ips=[_wanted(tx, network_id, body)], device_id=floating_id,
        device_owner=owners.FLOATING_IP, port_security=False,
    )  # fmt: skip
    port = port_rows.insert(tx, call.runtime, new)
    return {
        "floating_network_id": network_id,
        "floating_ip_address": port["fixed_ips"][0]["ip_address"],
        "floating_port_id": port["id"],
    }


def _check_policy(tx: Transaction, call: Call, body: FloatingFields) -> None:
    policy = either(body.qos_policy_id, None)
    if policy:
        qos.usable(tx, call.caller, policy)


def _names(call: Call, body: NewFloating) -> dict[str, str]:
    """Its name and domain for an outside DNS: both or neither."""
    domain = read_domain(either(body.dns_domain, "") or "")
    name = read_dns_name(either(body.dns_name, "") or "", domain or call.runtime.settings.network.dns_domain)
    if domain and not name:
        raise BadRequest("dns_domain cannot be specified without a dns_name", kind="BadRequest")
    if name and not domain:
        raise BadRequest("dns_name cannot be specified without a dns_domain", kind="BadRequest")
    return {"dns_name": name, "dns_domain": domain}


def _wanted(tx: Transaction, network_id: str, body: NewFloating) -> dict[str, str]:
    """The address asked for, or any of the external network's IPv4 subnets."""
    address, subnet_id = either(body.floating_ip_address, None), either(body.subnet_id, None)
    wanted = {}
    if address:
        if read_address("floating_ip_address", address).version != 4:
            raise BadRequest(f"Floating IP address {address} is not an IPv4 address.", kind="BadRequest")
        wanted["ip_address"] = address
    if subnet_id:
        wanted["subnet_id"] = subnet_id
    if not wanted:
        family = [subnet for subnet in choice.subnets_of(tx, network_id) if subnet.ip_version == 4]
        if not family:
            raise BadRequest(f"Network {network_id} does not contain any IPv4 subnet", kind="BadRequest")
        wanted["subnet_id"] = choice.roomiest(tx, family).id
    return wanted


def _association(tx: Transaction, call: Call, body: FloatingFields, row: Any) -> dict[str, Any]:
    """What changes when a body names a port (or none) and an address of it."""
    port_id, fixed_ip = either(body.port_id, None), either(body.fixed_ip_address, None)
    if not port_id:
        if fixed_ip:
            raise BadRequest("fixed_ip_address cannot be specified without a port_id", kind="BadRequest")
        return {"port_id": None, "fixed_ip_address": None, "router_id": None, "status": "DOWN"}
    port = seen.port(tx, call.caller, port_id)
    if port.project_id != row["project_id"] and not call.caller.is_admin:
        raise BadRequest(
            f"Port {port_id} is associated with a different tenant than Floating IP {row['id']} and therefore cannot "
            "be bound.",
            kind="BadRequest",
        )
    return associate(tx, row["floating_network_id"], port, fixed_ip, row["id"])


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /floatingips/{floatingip_id}; port_id null leaves it without a port."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    changes: dict[str, Any] = {}
    if body.description is not UNSET:
        changes["description"] = body.description or ""
    if body.qos_policy_id is not UNSET:
        _check_policy(tx, call, body)
        changes["qos_policy_id"] = body.qos_policy_id or None
    if body.port_id and row.port_forwardings:
        raise _in_use(row.id)
    if body.port_id is not UNSET and (body.port_id or not row.port_forwardings):
        changes |= _association(tx, call, body, row._mapping)
    elif either(body.fixed_ip_address, None) is not None and row.port_id:
        body.port_id = row.port_id
        changes |= _association(tx, call, body, row._mapping)
    if changes:
        resources.touch(tx, floating_ips, row.id, **changes)
        timeline.record(tx, "floatingip", row.id, "update asked", ", ".join(sorted(changes)))
        for router_id in {row.router_id, changes.get("router_id")} - {None}:
            marks.router(tx, router_id)
    return {"floatingip": view(_read(tx, row.id))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /floatingips/{floatingip_id}."""
    row = call.target
    resources.check_revision(call, row)
    if row.port_forwardings:
        raise _in_use(row.id)
    floating.remove(tx, call.runtime, row)


def _in_use(floating_id: str) -> Conflict:
    return conflict("FipInUseByPortForwarding", f"Floating IP {floating_id} in use by Port Forwarding resources.")
