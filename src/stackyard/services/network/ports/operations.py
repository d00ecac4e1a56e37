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
from stackyard.services.network import default_groups, floating, marks, owners, resources, seen
from stackyard.services.network.addresses import read_mac
from stackyard.services.network.faults import conflict
from stackyard.services.network.ports import rows
from stackyard.services.network.ports.bodies import (
    NewPortBody,
    PortFields,
    check_port_security,
    read_dns_name,
    read_groups,
    read_pairs,
    read_vnic_type,
)
from stackyard.services.network.ports.choice import Wish, choose
from stackyard.services.network.ports.views import sees_binding, view
from stackyard.services.network.resources import either, flag
from stackyard.services.network.tables import ip_allocations, networks, port_security_groups, ports

NAMES = ("port", "ports")

_VIEWED = sa.select(ports, networks.c.dns_domain.label("network_domain")).join(
    networks, networks.c.id == ports.c.network_id
)
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
        "port_security_enabled", "dns_name",
    )
    | {
        "binding:host_id": Filter(ports.c.binding_host),
        "binding:vnic_type": Filter(ports.c.binding_vnic_type),
        "security_groups": Filter(where=_having(port_security_groups, port_security_groups.c.security_group_id)),
        "fixed_ips": Filter(read=_fixed_ip, where=_with_address),
    },
    sort_keys=("name", "network_id", "project_id", "admin_state_up", "status", "mac_address", "device_id",
               "device_owner", "created_at", "updated_at"),
    max_limit=resources.LARGEST_PAGE,
    select=_VIEWED,
)  # fmt: skip


_MOST_PARTS = 10


def load(tx: Transaction, call: Call) -> Any:
    """The port in the path."""
    return seen.port(tx, call.caller, call.path["port_id"])


def domain_of(call: Call, row: Any) -> str:
    """The domain of a port's names."""
    return row.network_domain or call.runtime.settings.network.dns_domain


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /ports."""
    query, scope = _with_parts(call.query, seen.scope(call.caller, "port"))
    page = resources.page_of(tx, query, LISTING, scope)
    binding = sees_binding(call)
    return resources.listed(call, "ports", page, lambda row: view(row, domain_of(call, row), binding=binding))


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
    del tx
    row = call.target
    return {"port": resources.shown(call, view(row, domain_of(call, row), binding=sees_binding(call)))}


def load_new(tx: Transaction, call: Call) -> dict[str, Any]:
    """What the rule create_port looks at: the network that the (first) new port is to be on."""
    bodies, bulk = resources.read_bodies(call, NewPortBody, *NAMES)
    items = []
    for body in bodies:
        network = seen.network(tx, call.caller, body.network_id)
        target = seen.on_network(network, resources.owner(call, body))
        target |= seen.port_facts(either(body.device_owner, "") or "")
        items.append((body, network, target))
    return items[0][2] | {"items": items, "bulk": bulk}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /ports, one or many."""
    views = []
    binding = sees_binding(call)
    for body, network, target in call.target["items"]:
        call.require("create_port", target)
        if target["project_id"] != call.caller.project_id:
            call.require("create_network", target)
        _require_attributes(call, "create_port", target, body)
        row = rows.insert(tx, call.runtime, _new_port(tx, call, body, network, target["project_id"]))
        domain = network.dns_domain or call.runtime.settings.network.dns_domain
        views.append(view(seen.Found(row), domain, binding=binding))
    return resources.created(call, NAMES, views, bulk=call.target["bulk"])


def _new_port(tx: Transaction, call: Call, body: NewPortBody, network: Any, project_id: str) -> rows.NewPort:
    owner = either(body.device_owner, "") or ""
    secure = flag("port_security_enabled", body.port_security_enabled, default=network.port_security_enabled)
    mac = read_mac("mac_address", body.mac_address) if isinstance(body.mac_address, str) else None
    given = either(body.security_groups, None)
    groups: Sequence[str] = ()
    if given is not None:
        groups = read_groups(tx, given, usable_by(call, project_id))
    elif secure and not owner.startswith("network:"):
        groups = [default_groups.ensure(tx, call.runtime, project_id)]
    pairs = read_pairs(either(body.allowed_address_pairs, None), mac or "")
    check_port_security(secure, groups, pairs)
    fixed_ips = either(body.fixed_ips, None)
    domain = network.dns_domain or call.runtime.settings.network.dns_domain
    return rows.NewPort(
        network_id=network.id,
        project_id=project_id,
        name=either(body.name, ""),
        description=either(body.description, "") or "",
        mac=mac,
        fixed_ips=fixed_ips,
        device_id=either(body.device_id, "") or "",
        device_owner=owner,
        admin_state_up=flag("admin_state_up", body.admin_state_up, default=True),
        port_security=secure,
        security_groups=groups,
        address_pairs=pairs,
        dns_name=read_dns_name(either(body.dns_name, ""), domain),
        binding_host=either(body.binding_host, "") or "",
        vnic_type=read_vnic_type(either(body.vnic_type, "normal")),
        binding_profile=either(body.binding_profile, None) or {},
    )


def usable_by(call: Call, project_id: str) -> frozenset[str | None] | None:
    """Whose security groups a port of this project may be put into by the caller."""
    return None if call.caller.is_admin else frozenset({project_id, call.caller.project_id})


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
    ])  # fmt: skip


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /ports/{port_id}."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    target = dict(row) | seen.port_facts(either(body.device_owner, None) or "")
    if either(body.mac_address, None) == row.mac_address:
        body.mac_address = UNSET
    _require_attributes(call, "update_port", target, body)
    changes = _changes(tx, call, row, body)
    if changes:
        resources.touch(tx, ports, row.id, **changes)
        timeline.record(tx, marks.PORT, row.id, "update asked", ", ".join(sorted(changes)))
        mark_changed(tx, row, changes)
    shown = tx.first(_ONE, {"id": row.id})
    return {"port": view(shown, domain_of(call, row), binding=sees_binding(call))}


def mark_changed(tx: Transaction, row: Any, changes: Mapping[str, Any]) -> None:
    """Queue the work that a change of a port leads to."""
    if changes.keys() & {"fixed_ips", "mac_address", "dns_name", "name"}:
        marks.network(tx, row.network_id)
    if row.netns is not None:
        marks.port(tx, row.id)
        if changes.keys() & {"fixed_ips", "security_group_ids", "allowed_address_pairs"}:
            marks.security_groups(tx, {*row.security_group_ids, *changes.get("security_group_ids", ())})


_PLAIN = {"name": "name", "description": "description", "device_id": "device_id", "device_owner": "device_owner",
          "binding_host": "binding_host"}  # fmt: skip


def _changes(tx: Transaction, call: Call, row: Any, body: PortFields) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, value in body.given():
        if name in _PLAIN:
            changes[_PLAIN[name]] = value or ""
    if body.admin_state_up is not UNSET:
        changes["admin_state_up"] = flag("admin_state_up", body.admin_state_up, default=True)
    if body.dns_name is not UNSET:
        changes["dns_name"] = read_dns_name(body.dns_name, domain_of(call, row))
    if body.vnic_type is not UNSET:
        changes["binding_vnic_type"] = read_vnic_type(body.vnic_type)
    if body.binding_profile is not UNSET:
        changes["binding_profile"] = body.binding_profile or {}
    if isinstance(body.mac_address, str):
        changes["mac_address"] = _new_mac(tx, row, body.mac_address)
    mac = changes.get("mac_address", row.mac_address)
    if body.fixed_ips is not UNSET:
        changes["fixed_ips"] = _new_addresses(tx, row, mac, body.fixed_ips or [])
    _security_changes(tx, call, row, body, changes)
    return changes


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
        groups = read_groups(tx, body.security_groups or [], usable_by(call, row.project_id))
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
    floating.disassociate_port(tx, row.id)
    rows.remove(tx, call.runtime, row.id)
