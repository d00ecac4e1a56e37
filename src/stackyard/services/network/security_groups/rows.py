"""Writing security groups and their rules, for the API and for other services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.network import default_groups, marks, resources
from stackyard.services.network.faults import conflict, not_found
from stackyard.services.network.tables import (
    default_security_groups,
    port_security_groups,
    security_group_rules,
    security_groups,
)

_INSERT = sa.insert(security_groups)
_INSERT_RULE = sa.insert(security_group_rules)
_GROUP = sa.select(security_groups).where(security_groups.c.id == bindparam("id"))
_RULES = (
    sa.select(security_group_rules)
    .where(security_group_rules.c.security_group_id == bindparam("id"))
    .order_by(security_group_rules.c.id)
)
_RULE = sa.select(security_group_rules).where(security_group_rules.c.id == bindparam("id"))
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
_SAME = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "normalized_cidr", "remote_group_id")


def read(tx: Transaction, group_id: str) -> Any:
    """A group's row; raises SecurityGroupNotFound."""
    row = tx.first(_GROUP, {"id": group_id})
    if row is None:
        raise not_found("SecurityGroup", group_id)
    return row


def rules_of(tx: Transaction, group_id: str) -> Sequence[Any]:
    """A group's rules."""
    return tx.all(_RULES, {"id": group_id})


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
    if tx.scalar(_USED, {"id": row.id}):
        raise conflict("SecurityGroupInUse", f"Security Group {row.id} in use.")
    for rule in tx.all(_NAMED_BY, {"id": row.id}):
        remove_rule(tx, runtime, rule)
    resources.release(tx, runtime, row.project_id, "security_group_rule", len(rules_of(tx, row.id)))
    resources.release(tx, runtime, row.project_id, "security_group")
    for statement in (_DELETE_RULES, _DELETE_DEFAULT, _DELETE):
        tx.execute(statement, {"id": row.id})
    resources.forget_tags(tx, row.id)
    timeline.record(tx, marks.SECURITY_GROUP, row.id, "delete asked")
    marks.security_groups(tx, [row.id])


def read_rule(tx: Transaction, rule_id: str) -> Any:
    """A rule's row; raises SecurityGroupRuleNotFound."""
    row = tx.first(_RULE, {"id": rule_id})
    if row is None:
        raise not_found("SecurityGroupRule", rule_id)
    return row


def insert_rule(tx: Transaction, runtime: Runtime, group: Any, rule: dict[str, Any]) -> str:
    """Add a rule to a group and return its id; raises SecurityGroupRuleExists, OverQuota."""
    resources.touch(tx, security_groups, group.id)
    row = default_groups.new_rule(group.project_id, group.id, rule)
    for other in rules_of(tx, group.id):
        if all(row[name] == getattr(other, name) for name in _SAME):
            raise conflict("SecurityGroupRuleExists", f"Security group rule already exists. Rule id is {other.id}.")
    resources.reserve(tx, runtime, group.project_id, "security_group_rule")
    tx.execute(_INSERT_RULE, row | {"revision_number": 1, "created_at": tx.now, "updated_at": tx.now})
    timeline.record(tx, marks.SECURITY_GROUP, group.id, "rule added", str(row["id"]))
    marks.security_groups(tx, [group.id])
    return str(row["id"])


def remove_rule(tx: Transaction, runtime: Runtime, rule: Any) -> None:
    """Take a rule from its group."""
    tx.execute(_DELETE_RULE, {"id": rule.id})
    resources.touch(tx, security_groups, rule.security_group_id)
    resources.release(tx, runtime, rule.project_id, "security_group_rule")
    timeline.record(tx, marks.SECURITY_GROUP, rule.security_group_id, "rule removed", rule.id)
    marks.security_groups(tx, [rule.security_group_id])
