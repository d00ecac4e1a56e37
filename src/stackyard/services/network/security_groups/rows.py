"""Writing security groups and their rules, for the API and for other services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.network import default_groups, marks, resources, seen, sharing
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.security_groups.bodies import meaning
from stackyard.services.network.tables import (
    default_security_groups,
    port_security_groups,
    security_group_rules,
    security_groups,
)

_INSERT = sa.insert(security_groups)
_INSERT_RULE = sa.insert(security_group_rules)
GROUPS_SHOWN = sa.select(security_groups, sharing.shared_label("security_group", security_groups))
"""Groups as bindparam("caller") sees them."""

IN_DEFAULT_GROUP = sa.exists().where(
    default_security_groups.c.security_group_id == security_group_rules.c.security_group_id
)
RULES_SHOWN = sa.select(security_group_rules, IN_DEFAULT_GROUP.label("belongs_to_default_sg"))
_GROUP = GROUPS_SHOWN.where(security_groups.c.id == bindparam("id"))
_RULES = RULES_SHOWN.where(security_group_rules.c.security_group_id == bindparam("id")).order_by(
    security_group_rules.c.id
)
_RULES_OF = RULES_SHOWN.where(security_group_rules.c.security_group_id.in_(bindparam("groups", expanding=True)))
_RULE = RULES_SHOWN.where(security_group_rules.c.id == bindparam("id"))
_USED = sa.select(sa.func.count()).select_from(port_security_groups).where(
    port_security_groups.c.security_group_id == bindparam("id")
)  # fmt: skip
_NAMED_BY = sa.select(security_group_rules).where(
    security_group_rules.c.remote_group_id == bindparam("id"),
    security_group_rules.c.security_group_id != bindparam("id"),
)
_DELETE_RULES = sa.delete(security_group_rules).where(security_group_rules.c.security_group_id == bindparam("id"))
_DELETE_RULE = sa.delete(security_group_rules).where(security_group_rules.c.id == bindparam("id"))
_DELETE_DEFAULT = sa.delete(default_security_groups).where(
    default_security_groups.c.security_group_id == bindparam("id")
)
_DELETE = sa.delete(security_groups).where(security_groups.c.id == bindparam("id"))


def read(tx: Transaction, group_id: str, project_id: str | None = None) -> Any:
    """A group's row, as a project sees it; raises SecurityGroupNotFound."""
    row = tx.first(_GROUP, {"id": group_id, "caller": project_id})
    if row is None:
        raise not_found("SecurityGroup", group_id)
    return row


def visible(tx: Transaction, caller: Caller, group_id: str) -> seen.Found:
    """A group that the caller may see, and as he sees it; raises SecurityGroupNotFound."""
    row = read(tx, group_id, caller.project_id)
    if not (caller.is_admin or row.project_id == caller.project_id or row.shared_with_caller):
        raise not_found("SecurityGroup", group_id)
    return seen.Found(row._mapping, shared=bool(row.shared_with_caller))


def rules_of(tx: Transaction, group_id: str) -> Sequence[Any]:
    """A group's rules."""
    return tx.all(_RULES, {"id": group_id})


def rules_of_all(tx: Transaction, group_ids: Sequence[str]) -> Mapping[str, list[Any]]:
    """The rules of several groups, by group."""
    found: dict[str, list[Any]] = {group_id: [] for group_id in group_ids}
    for rule in tx.all(_RULES_OF, {"groups": list(found)}) if found else ():
        found[rule.security_group_id].append(rule)
    return found


def is_used(tx: Transaction, group_id: str) -> bool:
    """Whether ports are in the group."""
    return bool(tx.scalar(_USED, {"id": group_id}))


def insert(tx: Transaction, runtime: Runtime, row: dict[str, Any], rules: Sequence[dict[str, Any]]) -> None:
    """Write a group with its first rules (columns that are not None); raises OverQuota."""
    project_id, group_id = row["project_id"], row["id"]
    resources.reserve(tx, runtime, project_id, "security_group")
    resources.reserve(tx, runtime, project_id, "security_group_rule", len(rules))
    tx.execute(_INSERT, row)
    moment = {"revision_number": 1, "created_at": tx.now, "updated_at": tx.now}
    if rules:
        tx.execute(_INSERT_RULE, [default_groups.new_rule(project_id, group_id, rule) | moment for rule in rules])
    timeline.record(tx, marks.SECURITY_GROUP, group_id, "create asked")
    marks.security_groups(tx, [group_id])


def remove(tx: Transaction, runtime: Runtime, row: Any) -> None:
    """Delete a group with its rules, and the rules of others that name it; raises SecurityGroupInUse."""
    if is_used(tx, row.id):
        raise conflict("SecurityGroupInUse", f"Security Group {row.id} in use.")
    for rule in tx.all(_NAMED_BY, {"id": row.id}):
        remove_rule(tx, runtime, rule)
    resources.release(tx, runtime, row.project_id, "security_group_rule", len(rules_of(tx, row.id)))
    resources.release(tx, runtime, row.project_id, "security_group")
    for statement in (_DELETE_RULES, _DELETE_DEFAULT, _DELETE):
        tx.execute(statement, {"id": row.id})
    resources.forget_tags(tx, row.id)
    sharing.forget(tx, "security_group", row.id)
    timeline.record(tx, marks.SECURITY_GROUP, row.id, "delete asked")
    marks.security_groups(tx, [row.id])


def read_rule(tx: Transaction, rule_id: str) -> Any:
    """A rule's row; raises SecurityGroupRuleNotFound."""
    row = tx.first(_RULE, {"id": rule_id})
    if row is None:
        raise not_found("SecurityGroupRule", rule_id)
    return row


def insert_rules(tx: Transaction, runtime: Runtime, group: Any, rules: Sequence[dict[str, Any]]) -> list[str]:
    """Add rules, no two of which mean the same, to a group; returns their ids.

    Raises SecurityGroupRuleExists, OverQuota.
    """
    # First, so that of two transactions that add rules to one group the later sees the earlier one's.
    resources.touch(tx, security_groups, group.id)
    known = {meaning(other._mapping): other.id for other in rules_of(tx, group.id)}
    for rule in rules:
        if (other_id := known.get(meaning(rule))) is not None:
            raise conflict("SecurityGroupRuleExists", f"Security group rule already exists. Rule id is {other_id}.")
    resources.reserve(tx, runtime, group.project_id, "security_group_rule", len(rules))
    moment = {"revision_number": 1, "created_at": tx.now, "updated_at": tx.now}
    made = [default_groups.new_rule(group.project_id, group.id, rule) | moment for rule in rules]
    tx.execute(_INSERT_RULE, made)
    found = [str(row["id"]) for row in made]
    for rule_id in found:
        timeline.record(tx, marks.SECURITY_GROUP, group.id, "rule added", rule_id)
    marks.security_groups(tx, [group.id])
    return found


def remove_rule(tx: Transaction, runtime: Runtime, rule: Any) -> None:
    """Take a rule from its group."""
    tx.execute(_DELETE_RULE, {"id": rule.id})
    resources.touch(tx, security_groups, rule.security_group_id)
    resources.release(tx, runtime, rule.project_id, "security_group_rule")
    timeline.record(tx, marks.SECURITY_GROUP, rule.security_group_id, "rule removed", rule.id)
    marks.security_groups(tx, [rule.security_group_id])
