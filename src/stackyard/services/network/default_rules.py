"""Default security group rules: templates of the rules that every new security group begins with."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core.call import Call, Reply
from stackyard.core.clock import iso_z
from stackyard.core.db import Transaction
from stackyard.core.errors import InvalidField, NotFound
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Listing, Scope
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.network import resources
from stackyard.services.network.checks import ADMIN, rules
from stackyard.services.network.faults import conflict
from stackyard.services.network.resources import Flag, Text, flag
from stackyard.services.network.security_groups.bodies import RuleFields, meaning, read_rule
from stackyard.services.network.tables import address_groups, security_groups
from stackyard.services.network.tables import security_group_default_rules as templates

NAMES = ("default_security_group_rule", "default_security_group_rules")
PARENT = "PARENT"
"""Stands in a template for the group that is being made."""

_BUILT_IN = 5
"""Version of the built-in templates' UUIDs, which are made of names; those of others are random."""

_INSERT = sa.insert(templates)
_ONE = sa.select(templates).where(templates.c.id == bindparam("id"), sa.not_(templates.c.withdrawn))
_ALL = sa.select(templates).where(sa.not_(templates.c.withdrawn)).order_by(templates.c.id)
_FOR = {
    True: _ALL.where(templates.c.used_in_default_sg),
    False: _ALL.where(templates.c.used_in_non_default_sg),
}
_WITHDRAW = sa.update(templates).where(templates.c.id == bindparam("key")).values(withdrawn=True)
_DELETE = sa.delete(templates).where(templates.c.id == bindparam("id"))
_ANY = sa.select(templates.c.id).limit(1)
_EXISTS = {
    "remote_group_id": sa.select(security_groups.c.id).where(security_groups.c.id == bindparam("id")),
    "remote_address_group_id": sa.select(address_groups.c.id).where(address_groups.c.id == bindparam("id")),
}

_RULE_COLUMNS = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix",
                 "remote_group_id", "remote_address_group_id")  # fmt: skip
_COPIED = (*_RULE_COLUMNS, "normalized_cidr")
_SHOWN = (*_RULE_COLUMNS, "used_in_default_sg", "used_in_non_default_sg")
LISTING = Listing(
    templates,
    {name: resources.column_filter(templates.c[name]) for name in ("id", "description", *_SHOWN)}
    | {"revision_number": resources.column_filter(templates.c.revision_number)},
    sort_keys=(*_RULE_COLUMNS, "created_at", "updated_at"),
    max_limit=resources.LARGEST_PAGE,
)
_SCOPE = Scope("in force", sa.not_(templates.c.withdrawn))


class NewTemplate(RuleFields, kw_only=True):
    """The body of a POST."""

    used_in_default_sg: Flag | UnsetType = UNSET
    used_in_non_default_sg: Flag | UnsetType = UNSET
    project_id: Text | UnsetType | None = UNSET
    tenant_id: Text | UnsetType | None = UNSET


def _built_in() -> list[dict[str, Any]]:
    """What a new cloud has: all may go out, and in a project's default group its members may talk to each other."""
    found = []
    for ethertype in ("IPv4", "IPv6"):
        egress = {"direction": "egress", "ethertype": ethertype}
        found.append(egress | {"used_in_default_sg": True, "used_in_non_default_sg": True})
        ingress = {"direction": "ingress", "ethertype": ethertype, "remote_group_id": PARENT}
        found.append(ingress | {"used_in_default_sg": True, "used_in_non_default_sg": False})
    return found


def seed(tx: Transaction) -> None:
    """Write the built-in templates into a cloud that has never had any."""
    if tx.scalar(_ANY) is None:
        for item in _built_in():
            name = f"stackyard:default-rule:{item['direction']}:{item['ethertype']}"
            row = dict.fromkeys(_COPIED) | item | {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, name))}
            tx.insert_once(_INSERT, row | _beginnings(tx, ""))


def _beginnings(tx: Transaction, description: str) -> dict[str, Any]:
    moment = {"revision_number": 0, "created_at": tx.now, "updated_at": tx.now}
    return {"description": description, "withdrawn": False} | moment


def rules_for(tx: Transaction, group_id: str, *, default: bool) -> list[dict[str, Any]]:
    """The rules' columns with which a group begins, a project's default one or another."""
    seed(tx)
    found = []
    for row in tx.all(_FOR[default]):
        rule = {name: getattr(row, name) for name in _COPIED}
        if rule["remote_group_id"] == PARENT:
            rule["remote_group_id"] = group_id
        if all(_is_there(tx, name, rule[name], group_id) for name in _EXISTS):
            found.append(rule)
    return found


def _is_there(tx: Transaction, name: str, resource_id: str | None, group_id: str) -> bool:
    """What a template names may have been deleted since: then the rule would allow nothing anyway."""
    return resource_id in (None, group_id) or tx.scalar(_EXISTS[name], {"id": resource_id}) is not None


def view(row: Any) -> dict[str, Any]:
    """A template as the API shows it."""
    return {
        "id": row.id,
        "description": row.description,
        **{name: getattr(row, name) for name in _SHOWN},
        "revision_number": row.revision_number,
        "created_at": iso_z(row.created_at),
        "updated_at": iso_z(row.updated_at),
    }


def load(tx: Transaction, call: Call) -> Any:
    """The template in the path; raises DefaultSecurityGroupRuleNotFound."""
    rule_id = call.path["default_security_group_rule_id"]
    row = tx.first(_ONE, {"id": rule_id})
    if row is None:
        raise NotFound(
            f"Default Security Group rule {rule_id} does not exist.", kind="DefaultSecurityGroupRuleNotFound"
        )
    return row


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /default-security-group-rules."""
    page = resources.page_of(tx, call.query, LISTING, _SCOPE)
    return resources.listed(call, NAMES[1], page, view)


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /default-security-group-rules/{default_security_group_rule_id}."""
    del tx
    return {NAMES[0]: resources.shown(call, view(call.target))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /default-security-group-rules, one or many."""
    bodies, bulk = resources.read_bodies(call, NewTemplate, *NAMES)
    seed(tx)
    return resources.created(call, NAMES, [_create(tx, body) for body in bodies], bulk=bulk)


def _create(tx: Transaction, body: NewTemplate) -> dict[str, Any]:
    rule = read_rule(body)
    for name in ("used_in_default_sg", "used_in_non_default_sg"):
        if getattr(body, name) is UNSET:
            raise InvalidField(name, "it is required: true or false.")
        rule[name] = flag(name, getattr(body, name), default=False)
    for name, statement in _EXISTS.items():
        named = rule[name]
        if named is not None and named != PARENT and tx.scalar(statement, {"id": named}) is None:
            raise InvalidField(name, f"there is no '{named}'; give an id, or {PARENT} for the new group itself.")
    for other in tx.all(_ALL):
        both = any(rule[name] and getattr(other, name) for name in ("used_in_default_sg", "used_in_non_default_sg"))
        if both and meaning(rule) == meaning(other._mapping):
            raise conflict(
                "DefaultSecurityGroupRuleExists",
                f"Default Security group rule already exists. Rule id is {other.id}.",
            )
    row = rule | {"id": new_uuid()} | _beginnings(tx, rule["description"])
    tx.execute(_INSERT, row)
    return view(tx.first(_ONE, {"id": row["id"]}))


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /default-security-group-rules/{default_security_group_rule_id}; groups that exist stay as they are."""
    resources.check_revision(call, call.target)
    rule_id = call.target.id
    if uuid.UUID(rule_id).version == _BUILT_IN:
        tx.execute(_WITHDRAW, {"key": rule_id})
    else:
        tx.execute(_DELETE, {"id": rule_id})


_TEMPLATE = "/v2.0/default-security-group-rules/{default_security_group_rule_id}"

ROUTES = (
    Route("GET", "/v2.0/default-security-group-rules", list_, "get_default_security_group_rule"),
    Route("POST", "/v2.0/default-security-group-rules", create, "create_default_security_group_rule", body=dict,
          status=201),
    Route("GET", _TEMPLATE, show, "get_default_security_group_rule", target=load),
    Route("DELETE", _TEMPLATE, delete, "delete_default_security_group_rule", target=load, status=204),
)  # fmt: skip

POLICIES = (
    *rules(
        ADMIN,
        "create_default_security_group_rule",
        "delete_default_security_group_rule",
        about="Change the rules that every new security group begins with.",
    ),
    Rule("get_default_security_group_rule", "role:reader", "See the rules that every new security group begins with."),
)
