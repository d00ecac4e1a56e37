"""What the API does with ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.call import Call, Query, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.paging import Filter, Listing, Scope
from stackyard.services.network import floating, marks, owners, resources, seen
from stackyard.services.network.addresses import new_mac, read_mac
from stackyard.services.network.faults import conflict
from stackyard.services.network.ports import attributes, creation, kept, rows
from stackyard.services.network.ports.bindings import vif_type
from stackyard.services.network.ports.bodies import (
    NewPortBody,
    PortChanges,
    PortFields,
    check_port_security,
    read_dns_name,
    read_groups,
    read_pairs,
    read_vnic_type,
)
from stackyard.services.network.ports.choice import Wish, choose
from stackyard.services.network.ports.views import NETWORK_COLUMNS, facts, of_network, view
from stackyard.services.network.qos import api as qos
from stackyard.services.network.resources import either, flag
from stackyard.services.network.tables import ip_allocations, networks, port_security_groups, ports
from stackyard.services.network.trunks import rows as trunk_rows

NAMES = ("port", "ports")

_VIEWED = sa.select(ports, *NETWORK_COLUMNS).join(networks, networks.c.id == ports.c.network_id)
_ONE = _VIEWED.where(ports.c.id == bindparam("id"))


def _having(table: sa.Table, column: sa.Column[Any]) -> Any:
    return lambda values: ports.c.id.in_(sa.select(table.c.port_id).where(column.in_(values)))


def _fixed_ip(name: str, value: str) -> object:
    """`fixed_ips=ip_address=10.0.0.5` or `fixed_ips=subnet_id=...`, the value alone."""
    del name
    return value.partition("=")[2] or value


def _with_address(values: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    matching = sa.or_(ip_allocations.c.ip_address.in_(values), ip_allocations.c.subnet_id.in_(values))
    return ports.c.id.in_(sa.select(ip_allocations.c.port_id).where(matching))


LISTING = Listing(
    ports,
    resources.standard_filters(
        ports, "network_id", "admin_state_up", "status", "mac_address", "device_id", "device_owner",
        "port_security_enabled", "dns_name", "dns_domain", "qos_policy_id", "data_plane_status", "ip_allocation",
        "propagate_uplink_status", "numa_affinity_policy", "device_profile", "hardware_offload_type",
    )
    | {
        "binding:host_id": Filter(ports.c.binding_host),
        "binding:vnic_type": Filter(ports.c.binding_vnic_type),
        "qos_network_policy_id": Filter(networks.c.qos_policy_id),
        "security_groups": Filter(where=_having(port_security_groups, port_security_groups.c.security_group_id)),
        "fixed_ips": Filter(read=_fixed_ip, where=_with_address),
    },
    sort_keys=("name", "network_id", "project_id", "admin_state_up", "status", "mac_address", "device_id",
               "device_owner", "created_at", "updated_at"),
    max_limit=resources.LARGEST_PAGE,
    select=kept.SELECT,
)  # fmt: skip


_MOST_PARTS = 10


def load(tx: Transaction, call: Call) -> Any:
    """The port in the path."""
    return seen.port(tx, call.caller, call.path["port_id"])


def domain_of(call: Call, row: Any) -> str:
    """The domain of a port's names."""
    return row.network_domain or call.runtime.settings.network.dns_domain


def list_(tx: Transaction, call: Call) -> Reply:
    """GET /ports."""
    query, scope = _with_parts(call.query, seen.scope(call.caller, "port"))
    page = resources.page_of(tx, query, LISTING, scope)
    known = facts(tx, call, page.rows)
    return resources.listed_encoded(call, "ports", page, kept.encoded(page.rows, known))


_PART = "ip_address_substr="


def _with_parts(query: Query, scope: Scope) -> tuple[Query, Scope]:
    """Narrow a list to ports with one of the parts of addresses that `fixed_ips=ip_address_substr=` asks for."""
    parts = [value.removeprefix(_PART) for value in query.all("fixed_ips") if value.startswith(_PART)]
    if not parts:
        return query, scope
    if len(parts) > _MOST_PARTS:
        raise BadRequest(f"At most {_MOST_PARTS} parts of addresses may be given in a query.")
    rest = [pair for pair in query.pairs() if not (pair[0] == "fixed_ips" and pair[1].startswith(_PART))]
    alike = sa.or_(
        *(
            ip_allocations.c.ip_address.contains(bindparam(f"part_{index}", type_=sa.String))
            for index in range(len(parts))
        )
    )
    found = ports.c.id.in_(sa.select(ip_allocations.c.port_id).where(alike))
    where = found if scope.where is None else sa.and_(scope.where, found)
    values = {f"part_{index}": part for index, part in enumerate(parts)}
    return Query(urlencode(rest)), Scope(f"{scope.name}, {len(parts)} parts", where, {**scope.parameters, **values})


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /ports/{port_id}."""
    row = call.target
    return {"port": resources.shown(call, view(row, facts(tx, call, [row])))}


def load_new(tx: Transaction, call: Call) -> dict[str, Any]:
    """What the rule create_port looks at: the network that the (first) new port is to be on."""
    bodies, bulk = resources.read_bodies(call, NewPortBody, *NAMES)
    seen_networks: dict[str, Any] = {}
    items = []
    for body in bodies:
        network = seen_networks.get(body.network_id)
        if network is None:
            network = seen_networks[body.network_id] = seen.network(tx, call.caller, body.network_id)
        target = seen.on_network(network, resources.owner(call, body))
        target |= seen.port_facts(either(body.device_owner, "") or "")
        items.append((body, network, target))
    return items[0][2] | {"items": items, "bulk": bulk}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /ports, one or many: a single one is a bulk of one."""
    making = creation.Creation(tx, call)
    news = []
    allowed: set[tuple[str, str, str]] = set()
    for body, network, target in call.target["items"]:
        alike = (network.id, target["project_id"], str(either(body.device_owner, "")))
        if alike not in allowed:
            _require_create(call, target)
            allowed.add(alike)
        _require_attributes(call, "create_port", target, body)
        resources.require_attributes(call, "create_port", target, [("tags", bool(either(body.tags, None)))])
        news.append(making.new_port(body, network, target["project_id"]))
    made = rows.insert_all(tx, call.runtime, news)
    shown = [
        seen.Found(row, **of_network(network)) for row, (_, network, _) in zip(made, call.target["items"], strict=True)
    ]
    known = facts(tx, call, shown, new=True)
    return resources.created(call, NAMES, [view(row, known) for row in shown], bulk=call.target["bulk"])


def _require_create(call: Call, target: Mapping[str, Any]) -> None:
    call.require("create_port", target)
    if target["project_id"] != call.caller.project_id:
        call.require("create_network", target)


def _require_attributes(call: Call, rule: str, target: Mapping[str, Any], body: PortFields) -> None:
    fixed = either(body.fixed_ips, None) or []
    pairs = either(body.allowed_address_pairs, None) or []
    resources.require_attributes(call, rule, target, [
        ("fixed_ips:ip_address", any("ip_address" in item for item in fixed)),
        ("fixed_ips:subnet_id", any("subnet_id" in item for item in fixed)),
        ("mac_address", bool(either(body.mac_address, None))),
        ("port_security_enabled", body.port_security_enabled is not UNSET),
        ("allowed_address_pairs", bool(pairs)),
        ("device_owner", bool(either(body.device_owner, None))),
        ("device_id", bool(either(body.device_id, None))),
        ("binding:host_id", bool(either(body.binding_host, None))),
        ("binding:profile", bool(either(body.binding_profile, None))),
        ("binding:vnic_type", body.vnic_type is not UNSET),
        ("hints", either(body.hints, None) is not None),
        ("trusted", either(body.trusted, None) is not None),
    ])  # fmt: skip


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /ports/{port_id}."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    target = dict(row) | seen.port_facts(either(body.device_owner, None) or "")
    if either(body.mac_address, None) == row.mac_address:
        body.mac_address = UNSET
    _require_attributes(call, "update_port", target, body)
    resources.require_attributes(call, "update_port", target, [
        ("data_plane_status", body.data_plane_status is not UNSET),
        ("mac_address", body.mac_address is None),
    ])  # fmt: skip
    changes = _changes(tx, call, row, body)
    if changes:
        resources.touch(tx, ports, row.id, **changes)
        timeline.record(tx, marks.PORT, row.id, "update asked", ", ".join(sorted(changes)))
        mark_changed(tx, row, changes)
    shown = tx.first(_ONE, {"id": row.id})
    return {"port": view(shown, facts(tx, call, [shown]))}


def mark_changed(tx: Transaction, row: Any, changes: Mapping[str, Any]) -> None:
    """Queue the work that a change of a port leads to."""
    if changes.keys() & {"fixed_ips", "mac_address", "dns_name", "name", "dns_domain", "extra_dhcp_opts"}:
        marks.network(tx, row.network_id)
    if row.netns is not None:
        marks.port(tx, row.id)
        if changes.keys() & {"fixed_ips", "security_group_ids", "allowed_address_pairs"}:
            marks.security_groups(tx, {*row.security_group_ids, *changes.get("security_group_ids", ())})


_PLAIN = {"name": "name", "description": "description", "device_id": "device_id", "device_owner": "device_owner",
          "binding_host": "binding_host"}  # fmt: skip


def _changes(tx: Transaction, call: Call, row: Any, body: PortChanges) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, value in body.given():
        if name in _PLAIN:
            changes[_PLAIN[name]] = value or ""
    if body.admin_state_up is not UNSET:
        changes["admin_state_up"] = flag("admin_state_up", body.admin_state_up, default=True)
    changes |= attributes.read(body, row.extra_dhcp_opts)
    changes |= _policy_changes(tx, call, row, body)
    if body.data_plane_status is not UNSET:
        changes["data_plane_status"] = attributes.read_data_plane_status(body.data_plane_status)
    if body.dns_name is not UNSET:
        changes["dns_name"] = read_dns_name(body.dns_name, domain_of(call, row))
    _binding_changes(tx, call, row, body, changes)
    if body.mac_address is not UNSET:
        changes["mac_address"] = _new_mac(tx, row, body.mac_address or new_mac())
    mac = changes.get("mac_address", row.mac_address)
    if body.fixed_ips is not UNSET:
        changes["fixed_ips"] = _new_addresses(tx, row, mac, body.fixed_ips or [])
        changes["ip_allocation"] = "immediate" if changes["fixed_ips"] else "none"
    creation.check_device(tx, call, row.project_id, changes.get("device_owner", row.device_owner), body.device_id)
    _security_changes(tx, call, row, body, changes)
    return changes


def _binding_changes(tx: Transaction, call: Call, row: Any, body: PortChanges, changes: dict[str, Any]) -> None:
    if body.vnic_type is not UNSET:
        changes["binding_vnic_type"] = read_vnic_type(body.vnic_type)
        if row.netns is not None and changes["binding_vnic_type"] != row.binding_vnic_type:
            raise conflict(
                "PortInUse",
                f"Unable to complete operation on port {row.id} for network {row.network_id}. Port is wired: its "
                "binding:vnic_type can change when it is not.",
            )
    if body.binding_profile is not UNSET:
        changes["binding_profile"] = attributes.read_profile(body.binding_profile)
    if changes.keys() & {"binding_host", "binding_vnic_type"}:
        host = changes.get("binding_host", row.binding_host)
        changes["vif_type"] = vif_type(tx, call.runtime, host, changes.get("binding_vnic_type", row.binding_vnic_type))


def _policy_changes(tx: Transaction, call: Call, row: Any, body: PortChanges) -> dict[str, Any]:
    if body.qos_policy_id is UNSET:
        return {}
    if body.qos_policy_id and body.qos_policy_id != row.qos_policy_id:
        qos.usable(tx, call.caller, body.qos_policy_id)
    return {"qos_policy_id": body.qos_policy_id or None}


def _new_mac(tx: Transaction, row: Any, given: str) -> str:
    mac = read_mac("mac_address", given)
    if mac != row.mac_address:
        if row.netns is not None:
            raise conflict(
                "PortBound",
                f"Unable to complete operation on port {row.id}, port is already bound, port type: bridge, "
                f"old_mac {row.mac_address}, new_mac {mac}.",
            )
        rows.refuse_taken_mac(tx, row.network_id, mac)
    return mac


def _new_addresses(tx: Transaction, row: Any, mac: str, wanted: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    wish = Wish(row.network_id, mac, row.device_owner, wanted, row.fixed_ips, port_id=row.id)
    fixed_ips = rows.change_addresses(tx, row, choose(tx, wish))
    floating.drop_lost(tx, row.id, fixed_ips)
    return fixed_ips


def _security_changes(tx: Transaction, call: Call, row: Any, body: PortFields, changes: dict[str, Any]) -> None:
    secure = flag("port_security_enabled", body.port_security_enabled, default=row.port_security_enabled)
    groups, pairs = row.security_group_ids, row.allowed_address_pairs
    if body.security_groups is not UNSET:
        groups = read_groups(tx, body.security_groups or [], creation.usable_by(call, row.project_id))
    if body.allowed_address_pairs is not UNSET:
        pairs = read_pairs(body.allowed_address_pairs, changes.get("mac_address", row.mac_address))
    check_port_security(secure, groups, pairs)
    if secure != row.port_security_enabled:
        changes["port_security_enabled"] = secure
    if groups != row.security_group_ids:
        rows.change_groups(tx, row.id, groups)
        changes["security_group_ids"] = groups
    if pairs != row.allowed_address_pairs:
        changes["allowed_address_pairs"] = pairs


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /ports/{port_id}; ports of routers and floating IPs go with these."""
    row = call.target
    resources.check_revision(call, row)
    if row.device_owner in owners.ROUTER or row.device_owner == owners.FLOATING_IP:
        raise conflict(
            "ServicePortInUse",
            f"Port {row.id} cannot be deleted directly via the port API: has device owner {row.device_owner}.",
        )
    trunk_rows.refuse_port_of_trunk(tx, row.id)
    floating.disassociate_port(tx, row.id)
    rows.remove(tx, call.runtime, row.id)
