"""What the API does with security groups and rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.ids import new_uuid
from stackyard.core.paging import Filter, Listing, Page
from stackyard.services.network import default_groups, marks, resources, seen
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.resources import flag
from stackyard.services.network.security_groups import rows
from stackyard.services.network.security_groups.bodies import NewGroup, NewRule, read_rule
from stackyard.services.network.tables import default_security_groups, security_group_rules, security_groups

GROUP_NAMES = ("security_group", "security_groups")
RULE_NAMES = ("security_group_rule", "security_group_rules")

_RULES_OF = sa.select(security_group_rules).where(
    security_group_rules.c.security_group_id.in_(bindparam("groups", expanding=True))
)
_IS_DEFAULT = sa.select(default_security_groups.c.project_id).where(
    default_security_groups.c.security_group_id == bindparam("id")
)

GROUPS = Listing(
    security_groups,
    resources.standard_filters(security_groups, "stateful"),
    sort_keys=("name", "project_id", "created_at", "updated_at", "stateful"),
    max_limit=resources.LARGEST_PAGE,
)
_RULE_COLUMNS = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix",
                 "remote_group_id", "security_group_id")  # fmt: skip
RULES = Listing(
    security_group_rules,
    resources.standard_filters(security_group_rules, *_RULE_COLUMNS)
    | {"normalized_cidr": Filter(security_group_rules.c.normalized_cidr)},
    sort_keys=(*_RULE_COLUMNS, "project_id", "created_at", "updated_at"),
    max_limit=resources.LARGEST_PAGE,
)


def rule_view(row: Any) -> dict[str, Any]:
    """A rule as the API shows it."""
    shown = resources.standard_view(seen.Found(row._mapping, tags=[]))
    shown.update({name: getattr(row, name) for name in _RULE_COLUMNS})
    shown["normalized_cidr"] = row.normalized_cidr
    shown["remote_address_group_id"] = None
    return shown


def view(row: Any, rules: list[Any]) -> dict[str, Any]:
    """A group with its rules as the API shows it."""
    shown = resources.standard_view(row)
    shown.update(
        name=row.name,
        stateful=row.stateful,
        shared=False,
        security_group_rules=[rule_view(rule) for rule in rules],
    )
    return shown


def load(tx: Transaction, call: Call) -> Any:
    """The group in the path; raises SecurityGroupNotFound."""
    return group_of(tx, call, call.path["security_group_id"])


def group_of(tx: Transaction, call: Call, group_id: str) -> Any:
    """A group that the caller may see."""
    row = rows.read(tx, group_id)
    if not (call.caller.is_admin or row.project_id == call.caller.project_id):
        raise not_found("SecurityGroup", group_id)
    return row


async def list_(call: Call) -> dict[str, Any]:
    """GET /security-groups; the first time in a project, its default group is made."""
    project_id = call.caller.project_id
    if project_id and await call.read("find default group", default_groups.find, project_id) is None:
        await call.write("make default group", default_groups.ensure, call.runtime, project_id)
    return await call.read("list security groups", _list, call)


def _list(tx: Transaction, call: Call) -> dict[str, Any]:
    page = resources.page_of(tx, call.query, GROUPS, seen.own(call.caller, security_groups))
    found: dict[str, list[Any]] = {row.id: [] for row in page.rows}
    for rule in tx.all(_RULES_OF, {"groups": list(found)}) if found else ():
        found[rule.security_group_id].append(rule)
    return resources.listed(call, "security_groups", page, lambda row: view(row, found[row.id]))


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /security-groups/{security_group_id}."""
    row = call.target
    return {"security_group": resources.shown(call, view(row, list(rows.rules_of(tx, row.id))))}


def create(tx: Transaction, call: Call) -> Reply:
    """POST /security-groups, one or many."""
    bodies, bulk = resources.read_bodies(call, NewGroup, *GROUP_NAMES)
    views = []
    for body in bodies:
        project_id = resources.owner(call, body)
        if project_id != call.caller.project_id:
            call.require("create_security_group", {"project_id": project_id})
        default_groups.ensure(tx, call.runtime, project_id)
        row = resources.new_row(tx, new_uuid(), project_id, body)
        if row["name"] == default_groups.NAME:
            raise conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
        row["stateful"] = flag("stateful", body.stateful, default=True)
        _refuse_stateless(stateful=row["stateful"])
        rows.insert(tx, call.runtime, row, default_groups.default_rules(row["id"], itself=False))
        views.append(view(seen.Found(row), list(rows.rules_of(tx, row["id"]))))
    return resources.created(call, GROUP_NAMES, views, bulk=bulk)


def _refuse_stateless(*, stateful: bool) -> None:
    if not stateful:
        raise conflict("SecurityGroupStatelessNotServed", "Stateless security groups are not served by this cloud.")


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /security-groups/{security_group_id}."""
    row, body = call.target, call.body
    resources.check_revision(call, row)
    changes = {name: value or "" for name, value in body.given() if name != "stateful"}
    is_default = tx.scalar(_IS_DEFAULT, {"id": row.id}) is not None
    if "name" in changes and changes["name"] != row.name and default_groups.NAME in (changes["name"], row.name):
        if is_default:
            raise conflict("SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
        raise conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
    _refuse_stateless(stateful=flag("stateful", body.stateful, default=True))
    if changes:
        resources.touch(tx, security_groups, row.id, **changes)
        timeline.record(tx, marks.SECURITY_GROUP, row.id, "update asked", ", ".join(sorted(changes)))
    return {"security_group": view(rows.read(tx, row.id), list(rows.rules_of(tx, row.id)))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /security-groups/{security_group_id}; a default group only by an administrator."""
    row = call.target
    resources.check_revision(call, row)
    if not call.caller.is_admin and tx.scalar(_IS_DEFAULT, {"id": row.id}) is not None:
        raise conflict("SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group.")
    rows.remove(tx, call.runtime, row)


def list_rules(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /security-group-rules."""
    page: Page = resources.page_of(tx, call.query, RULES, seen.own(call.caller, security_group_rules))
    return resources.listed(call, "security_group_rules", page, rule_view)


def load_rule(tx: Transaction, call: Call) -> Mapping[str, Any]:
    """The rule in the path; raises SecurityGroupRuleNotFound."""
    row = rows.read_rule(tx, call.path["security_group_rule_id"])
    if not (call.caller.is_admin or row.project_id == call.caller.project_id):
        raise not_found("SecurityGroupRule", row.id)
    return seen.Found(row._mapping, **{"security_group:project_id": row.project_id, "row": row})


def show_rule(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /security-group-rules/{security_group_rule_id}."""
    del tx
    return {"security_group_rule": resources.shown(call, rule_view(call.target["row"]))}


def load_new_rules(tx: Transaction, call: Call) -> dict[str, Any]:
    """What the rule create_security_group_rule looks at: the group that the (first) new rule goes to."""
    bodies, bulk = resources.read_bodies(call, NewRule, *RULE_NAMES)
    items = [(body, group_of(tx, call, body.security_group_id)) for body in bodies]
    return _rule_target(items[0][1]) | {"items": items, "bulk": bulk}


def _rule_target(group: Any) -> dict[str, Any]:
    return {"project_id": group.project_id, "security_group:project_id": group.project_id}


def create_rule(tx: Transaction, call: Call) -> Reply:
    """POST /security-group-rules, one or many."""
    views = []
    for body, group in call.target["items"]:
        call.require("create_security_group_rule", _rule_target(group))
        rule = read_rule(body)
        if rule["remote_group_id"] is not None:
            group_of(tx, call, rule["remote_group_id"])
        rule_id = rows.insert_rule(tx, call.runtime, group, rule)
        views.append(rule_view(rows.read_rule(tx, rule_id)))
    return resources.created(call, RULE_NAMES, views, bulk=call.target["bulk"])


def delete_rule(tx: Transaction, call: Call) -> None:
    """DELETE /security-group-rules/{security_group_rule_id}."""
    resources.check_revision(call, call.target["row"])
    rows.remove_rule(tx, call.runtime, call.target["row"])
