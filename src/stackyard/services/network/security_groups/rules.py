"""What the API does with the rules of security groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.paging import Filter, Listing, Page
from stackyard.services.network import default_groups, resources, seen, sharing
from stackyard.services.network.address_groups import rows as address_group_rows
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.resources import either
from stackyard.services.network.security_groups import rows
from stackyard.services.network.security_groups.bodies import NewRule, meaning, read_rule
from stackyard.services.network.tables import security_group_rules

NAMES = ("security_group_rule", "security_group_rules")

_COLUMNS = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix",
            "remote_group_id", "remote_address_group_id", "security_group_id")  # fmt: skip
LISTING = Listing(
    security_group_rules,
    resources.standard_filters(security_group_rules, *_COLUMNS)
    | {
        "normalized_cidr": Filter(security_group_rules.c.normalized_cidr),
        "belongs_to_default_sg": sharing.flag_filter(rows.IN_DEFAULT_GROUP),
    },
    sort_keys=(*_COLUMNS, "project_id", "created_at", "updated_at"),
    max_limit=resources.LARGEST_PAGE,
    select=rows.RULES_SHOWN,
)


def rule_view(row: Any) -> dict[str, Any]:
    """A rule as the API shows it."""
    shown = resources.standard_view(seen.Found(row._mapping, tags=[]))
    shown.update({name: getattr(row, name) for name in _COLUMNS})
    shown["normalized_cidr"] = row.normalized_cidr
    shown["belongs_to_default_sg"] = bool(row.belongs_to_default_sg)
    return shown


async def make_default_group(call: Call) -> None:
    """Make the default group of the caller's project when there is none."""
    project_id = call.caller.project_id
    if project_id and await call.read("find default group", default_groups.find, project_id) is None:
        await call.write("make default group", default_groups.ensure, call.runtime, project_id)


async def list_(call: Call) -> dict[str, Any]:
    """GET /security-group-rules; the first time in a project, its default group is made."""
    await make_default_group(call)
    return await call.read("list security group rules", _list, call)


def _list(tx: Transaction, call: Call) -> dict[str, Any]:
    page: Page = resources.page_of(tx, call.query, LISTING, seen.own(call.caller, security_group_rules))
    return resources.listed(call, "security_group_rules", page, rule_view)


def load(tx: Transaction, call: Call) -> Mapping[str, Any]:
    """The rule in the path; raises SecurityGroupRuleNotFound."""
    row = rows.read_rule(tx, call.path["security_group_rule_id"])
    if not (call.caller.is_admin or row.project_id == call.caller.project_id):
        raise not_found("SecurityGroupRule", row.id)
    return seen.Found(row._mapping, **{"security_group:project_id": row.project_id, "row": row})


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /security-group-rules/{security_group_rule_id}."""
    del tx
    return {"security_group_rule": resources.shown(call, rule_view(call.target["row"]))}


def load_new(tx: Transaction, call: Call) -> dict[str, Any]:
    """What the rule create_security_group_rule looks at: the group that the new rules go to, which is one."""
    bodies, bulk = resources.read_bodies(call, NewRule, *NAMES)
    if len({body.security_group_id for body in bodies}) > 1:
        raise BadRequest(
            "Only allowed to update rules for one security profile at a time", kind="SecurityGroupNotSingleGroupRules"
        )
    if len({either(body.project_id, None) or either(body.tenant_id, None) for body in bodies}) > 1:
        raise BadRequest(
            "Multiple project_ids in bulk security group rule create not allowed",
            kind="SecurityGroupRulesNotSingleProject",
        )
    group = rows.visible(tx, call.caller, bodies[0].security_group_id)
    return {
        "project_id": group.project_id,
        "security_group:project_id": group.project_id,
        "bodies": bodies,
        "group": group,
        "bulk": bulk,
    }


def create(tx: Transaction, call: Call) -> Reply:
    """POST /security-group-rules, one or many of one group."""
    group = call.target["group"]
    found = [read_rule(body) for body in call.target["bodies"]]
    _refuse_twice(found)
    for group_id in {rule["remote_group_id"] for rule in found} - {None}:
        rows.visible(tx, call.caller, group_id)
    for group_id in {rule["remote_address_group_id"] for rule in found} - {None}:
        address_group_rows.find(tx, call.caller, group_id)
    made = rows.insert_rules(tx, call.runtime, group, found)
    views = [rule_view(rows.read_rule(tx, rule_id)) for rule_id in made]
    return resources.created(call, NAMES, views, bulk=call.target["bulk"])


def _refuse_twice(found: Sequence[Mapping[str, Any]]) -> None:
    if len({meaning(rule) for rule in found}) < len(found):
        raise conflict("DuplicateSecurityGroupRuleInPost", "Duplicate Security Group Rule in POST.")


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /security-group-rules/{security_group_rule_id}."""
    resources.check_revision(call, call.target["row"])
    rows.remove_rule(tx, call.runtime, call.target["row"])
