"""Security groups and their rules as Nova's API has them until 2.35, and those of a server, which it still has."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import unquote

from msgspec import UNSET, Meta, UnsetType

from stackyard.core import ids
from stackyard.core.body import Body, OpenBody
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, Forbidden, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.rules import MEMBER, READER
from stackyard.services.compute.servers import finding
from stackyard.services.compute.servers.action_routes import Action
from stackyard.services.network import api as network

_BASE = "os_compute_api:os-security-groups"
_LAST = Microversion(2, 35)
_Text = Annotated[str, Meta(max_length=255)]
_PROTOCOLS = ("TCP", "UDP", "ICMP")


class Group(OpenBody, kw_only=True):
    """What a group is made of and changed to."""

    name: _Text
    description: _Text


class NewRule(OpenBody, kw_only=True):
    """A rule that lets traffic in; ports may be texts, as old clients send them."""

    parent_group_id: str
    group_id: str | None = None
    ip_protocol: int | str | None = None
    from_port: int | str | None = None
    to_port: int | str | None = None
    cidr: str | None = None


class GroupName(Body, kw_only=True):
    """The group that a server is put into or taken out of."""

    name: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET


def _neutron(tx: Transaction, call: Call) -> network.Inward:
    return network.Inward(tx, call.runtime, call.caller)


def _named(tx: Transaction, call: Call, group_id: str) -> dict[str, Any]:
    if not ids.is_uuid(group_id):
        raise BadRequest("Security group id should be uuid")
    return _neutron(tx, call).show("security_group", group_id)


def _rule_view(tx: Transaction, call: Call, rule: dict[str, Any], known: dict[str, Any]) -> dict[str, Any] | None:
    """A rule in Nova's words; None for one whose other group the caller cannot see any more."""
    ports: tuple[int | None, int | None] = rule["port_range_min"], rule["port_range_max"]
    if rule["protocol"] and ports == (None, None):
        ports = (1, 65535) if rule["protocol"].upper() in ("TCP", "UDP") else (-1, -1)
    view = {
        "id": rule["id"],
        "parent_group_id": rule["security_group_id"],
        "ip_protocol": rule["protocol"],
        "from_port": ports[0],
        "to_port": ports[1],
        "group": {},
        "ip_range": {},
    }
    other = rule["remote_group_id"]
    if other:
        if other not in known:
            try:
                known[other] = _named(tx, call, other)
            except NotFound:
                return None
        view["group"] = {"name": known[other]["name"], "tenant_id": known[other]["tenant_id"]}
    else:
        view["ip_range"] = {"cidr": rule["remote_ip_prefix"] or "0.0.0.0/0"}
    return view


def _order(group: dict[str, Any]) -> tuple[str, str]:
    return group["tenant_id"], group["name"]


def _views(tx: Transaction, call: Call, groups: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {group["id"]: group for group in groups}
    found = []
    for group in groups:
        incoming = [rule for rule in group["security_group_rules"] if rule["direction"] == "ingress"]
        rules = [view for rule in incoming if (view := _rule_view(tx, call, rule, known)) is not None]
        view = {name: group[name] for name in ("id", "name", "description", "tenant_id")}
        found.append(view | {"rules": rules})
    return sorted(found, key=_order)


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-security-groups."""
    everybody = call.caller.is_admin and call.query.get("all_tenants") is not None
    if call.caller.project_id:
        network.ensure_default_group(tx, call.runtime, call.caller.project_id)
    query = [] if everybody else [("tenant_id", call.caller.project_id or "")]
    groups = _neutron(tx, call).security_groups(query)
    return {"security_groups": _views(tx, call, lists.offset_page(call, sorted(groups, key=_order)))}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-security-groups/{id}."""
    return {"security_group": _views(tx, call, [_named(tx, call, call.path["group_id"])])[0]}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /os-security-groups."""
    try:
        made = _neutron(tx, call).create("security_group", name=call.body.name, description=call.body.description)
    except Conflict as error:
        raise Forbidden(error.message, kind="SecurityGroupLimitExceeded") from None
    return {"security_group": _views(tx, call, [made])[0]}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /os-security-groups/{id}."""
    group = _named(tx, call, call.path["group_id"])
    fields = {"name": call.body.name, "description": call.body.description}
    try:
        changed = _neutron(tx, call).update("security_group", group["id"], **fields)
    except Conflict as error:
        raise BadRequest(error.message) from None
    return {"security_group": _views(tx, call, [changed])[0]}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /os-security-groups/{id}."""
    group = _named(tx, call, call.path["group_id"])
    try:
        _neutron(tx, call).delete("security_group", group["id"])
    except Conflict as error:
        raise BadRequest(error.message) from None


def create_rule(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /os-security-group-rules."""
    body: NewRule = call.body
    for name in ("parent_group_id", "group_id"):
        given = getattr(body, name)
        if given is not None and not ids.is_uuid(given):
            raise BadRequest(f"Invalid input for field/attribute {name}. Value: {given[:80]}. It is not a 'uuid'")
    parent = _named(tx, call, body.parent_group_id)
    if body.group_id is not None:
        _named(tx, call, body.group_id)
    rule = _ingress(body)
    same = ("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id")
    for other in parent["security_group_rules"]:
        if other["direction"] == "ingress" and all(other[name] == rule.get(name) for name in same):
            raise BadRequest(f"This rule already exists in group {parent['id']}")
    try:
        made = _neutron(tx, call).create("security_group_rule", **rule)
    except Conflict as error:
        raise Forbidden(error.message, kind="SecurityGroupLimitExceeded") from None
    return {"security_group_rule": _rule_view(tx, call, made, {})}


def _ingress(body: NewRule) -> dict[str, Any]:
    """The rule in Neutron's words; raises BadRequest."""
    rule: dict[str, Any] = {"direction": "ingress", "security_group_id": body.parent_group_id, "ethertype": "IPv4"}
    first, last = body.from_port, body.to_port
    protocol = None if body.ip_protocol is None else str(body.ip_protocol)
    if body.group_id is not None:
        rule["remote_group_id"] = body.group_id
        if first is None and last is None and protocol is not None:
            first, last = (-1, -1) if protocol.upper() == "ICMP" else (1, 65535)
    else:
        rule |= _range(body.cidr)
        if not protocol or first is None or last is None:
            raise BadRequest("Not enough parameters to build a valid rule.")
    if protocol and first is not None and last is not None:
        ports = _ports(protocol, first, last)
        rule["protocol"] = protocol.lower()
        rule |= {
            name: port for name, port in zip(("port_range_min", "port_range_max"), ports, strict=True) if port >= 0
        }
    return rule


def _range(cidr: str | None) -> dict[str, Any]:
    text = unquote(cidr or "") or "0.0.0.0/0"
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise BadRequest(f"{text[:80]} is not a valid IP network.", kind="InvalidCidr") from None
    if found.prefixlen == 0 and text.partition("/")[0] != str(found.network_address):
        raise BadRequest(f"Bad prefix for network in cidr {text}")
    return {"ethertype": f"IPv{found.version}", "remote_ip_prefix": text if "/" in text else str(found)}


def _ports(protocol: str, first: int | str, last: int | str) -> tuple[int, int]:
    kind = protocol.upper()
    try:
        lowest, highest = int(first), int(last)
    except ValueError:
        what = "Type and Code must be integers for ICMP protocol type" if kind == "ICMP" else (
            "To and From ports must be integers"
        )  # fmt: skip
        raise BadRequest(f"Invalid input received: {what}") from None
    if kind not in _PROTOCOLS:
        raise BadRequest(f"Invalid IP protocol {protocol[:40]}.", kind="InvalidIpProtocol")
    if kind == "ICMP":
        fits, reason = min(lowest, highest) >= -1 and max(lowest, highest) <= 255, "the type:code must be valid"
    elif lowest > highest:
        fits, reason = False, "Former value cannot be greater than the later"
    else:
        fits, reason = lowest >= 1 and highest <= 65535, f"Valid {kind} ports should be between 1-65535"
    if not fits:
        raise BadRequest(f"Invalid port range {lowest}:{highest}. {reason}", kind="InvalidPortRange")
    return lowest, highest


def delete_rule(tx: Transaction, call: Call) -> None:
    """DELETE /os-security-group-rules/{id}."""
    if not ids.is_uuid(call.path["rule_id"]):
        raise BadRequest("Security group id should be uuid")
    _neutron(tx, call).delete("security_group_rule", call.path["rule_id"])


def of_server(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /servers/{server_id}/os-security-groups."""
    lists.query_of(call, (), strict=call.since(2, 102))
    ports = network.ports_of_device(tx, call.target.id)
    wanted = {group_id for port in ports for group_id in port.security_group_ids}
    if not wanted:
        return {"security_groups": []}
    groups = _neutron(tx, call).security_groups([("id", group_id) for group_id in sorted(wanted)])
    return {"security_groups": _views(tx, call, groups)}


def _group_of_action(tx: Transaction, call: Call, body: GroupName) -> tuple[str, str]:
    if body.name is UNSET:
        raise BadRequest("Security group not specified")
    if not body.name.strip():
        raise BadRequest("Security group name cannot be empty")
    return body.name, network.find_security_group(tx, call.caller, body.name).id


def _ports_of(tx: Transaction, server: Any) -> Sequence[Any]:
    ports = network.ports_of_device(tx, server.id)
    if not ports:
        raise NotFound(f"instance_id {server.id} could not be found as device id on any ports")
    return ports


def add(tx: Transaction, call: Call, body: GroupName) -> None:
    """addSecurityGroup: every port of the server is put into the group."""
    _, group_id = _group_of_action(tx, call, body)
    for port in _ports_of(tx, call.target):
        if not (port.port_security_enabled and port.fixed_ips):
            raise BadRequest(
                "Network requires port_security_enabled and subnet associated in order to apply security groups.",
                kind="SecurityGroupCannotBeApplied",
            )
        network.set_security_groups(tx, port.id, list(dict.fromkeys([*port.security_group_ids, group_id])))


def remove(tx: Transaction, call: Call, body: GroupName) -> None:
    """removeSecurityGroup: every port of the server that is in the group is taken out of it."""
    name, group_id = _group_of_action(tx, call, body)
    within = [port for port in _ports_of(tx, call.target) if group_id in port.security_group_ids]
    if not within:
        raise NotFound(f"Security group {name} not associated with the instance {call.target.id}")
    for port in within:
        network.set_security_groups(tx, port.id, [one for one in port.security_group_ids if one != group_id])


ACTIONS = (
    Action(name="addSecurityGroup", operation=add, rule=f"{_BASE}:add", body=GroupName),
    Action(name="removeSecurityGroup", operation=remove, rule=f"{_BASE}:remove", body=GroupName),
)

_ALL = "/v2.1/os-security-groups"
_ONE = "/v2.1/os-security-groups/{group_id}"

ROUTES = (
    Route("GET", _ALL, list_, f"{_BASE}:get", until=_LAST, writes=True, query=("limit", "offset", "all_tenants")),
    Route("POST", _ALL, create, f"{_BASE}:create", body=Group, envelope="security_group", until=_LAST),
    Route("GET", _ONE, show, f"{_BASE}:show", until=_LAST),
    Route("PUT", _ONE, update, f"{_BASE}:update", body=Group, envelope="security_group", until=_LAST),
    Route("DELETE", _ONE, delete, f"{_BASE}:delete", status=202, until=_LAST),
    Route(
        "POST", "/v2.1/os-security-group-rules", create_rule, f"{_BASE}:rule:create", body=NewRule,
        envelope="security_group_rule", until=_LAST,
    ),
    Route(
        "DELETE", "/v2.1/os-security-group-rules/{rule_id}", delete_rule, f"{_BASE}:rule:delete", status=202,
        until=_LAST,
    ),
    Route("GET", "/v2.1/servers/{server_id}/os-security-groups", of_server, f"{_BASE}:list", target=finding.load),
)  # fmt: skip

POLICIES = (
    Rule(f"{_BASE}:get", READER, "List security groups."),
    Rule(f"{_BASE}:show", READER, "See a security group."),
    Rule(f"{_BASE}:create", MEMBER, "Make a security group."),
    Rule(f"{_BASE}:update", MEMBER, "Change a security group."),
    Rule(f"{_BASE}:delete", MEMBER, "Delete a security group."),
    Rule(f"{_BASE}:rule:create", MEMBER, "Make a rule of a security group."),
    Rule(f"{_BASE}:rule:delete", MEMBER, "Delete a rule of a security group."),
    Rule(f"{_BASE}:list", READER, "List a server's security groups."),
    Rule(f"{_BASE}:add", MEMBER, "Put a server into a security group."),
    Rule(f"{_BASE}:remove", MEMBER, "Take a server out of a security group."),
)
