"""The default security group that every project has, made when it is first needed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.errors import OverQuota
from stackyard.core.ids import new_uuid
from stackyard.core.runtime import Runtime
from stackyard.services.network import default_rules, default_statefulness, marks
from stackyard.services.network.tables import default_security_groups, security_group_rules, security_groups

NAME = "default"

_FIND = sa.select(default_security_groups.c.security_group_id).where(
    default_security_groups.c.project_id == bindparam("project")
)
_INSERT_DEFAULT = sa.insert(default_security_groups)
_INSERT = sa.insert(security_groups)
_INSERT_RULE = sa.insert(security_group_rules)


def find(tx: Transaction, project_id: str) -> str | None:
    """The id of a project's default group, when there is one."""
    found: str | None = tx.scalar(_FIND, {"project": project_id})
    return found


def ensure(tx: Transaction, runtime: Runtime, project_id: str) -> str:
    """The id of a project's default group, which is made if need be. Its quota is counted but never refused."""
    found = find(tx, project_id)
    if found is not None:
        return found
    group_id = new_uuid()
    moment = {"revision_number": 1, "created_at": tx.now, "updated_at": tx.now}
    row = {"id": group_id, "project_id": project_id, "name": NAME, "description": "Default security group"}
    tx.execute(_INSERT, row | moment | {"tags": [], "stateful": default_statefulness.of_project(tx, project_id)})
    tx.insert_once(_INSERT_DEFAULT, {"project_id": project_id, "security_group_id": group_id})
    rules = default_rules.rules_for(tx, group_id, default=True)
    if rules:
        tx.execute(_INSERT_RULE, [new_rule(project_id, group_id, rule) | moment for rule in rules])
    for resource, amount in (("network.security_group", 1), ("network.security_group_rule", len(rules))):
        try:
            runtime.quotas.reserve(tx, project_id, {resource: amount})
        except OverQuota:
            continue
    timeline.record(tx, marks.SECURITY_GROUP, group_id, "created", "the project's default group")
    marks.security_groups(tx, [group_id])
    return group_id


def new_rule(project_id: str, group_id: str, rule: dict[str, Any]) -> dict[str, Any]:
    """A rule's row without its times, from the fields that are not None."""
    empty: dict[str, Any] = dict.fromkeys(
        ("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "normalized_cidr", "remote_group_id",
         "remote_address_group_id")
    )  # fmt: skip
    owned = {"id": new_uuid(), "project_id": project_id, "security_group_id": group_id, "description": ""}
    return empty | owned | rule
