"""How much is used: of a provider, and by a project."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.microversion import Microversion
from stackyard.core.routes import Route
from stackyard.services.placement.allocations import UNKNOWN
from stackyard.services.placement.answers import fresh, shows
from stackyard.services.placement.faults import bad_query
from stackyard.services.placement.inventories import rows_of
from stackyard.services.placement.providers import find
from stackyard.services.placement.queries import check_keys
from stackyard.services.placement.tables import allocations, consumers

ALL = "all"
_TYPE = re.compile("[A-Z0-9_]+|all|unknown")

_OF_PROJECT = (
    sa.select(allocations.c.consumer, allocations.c.resource_class, allocations.c.used, consumers.c.consumer_type)
    .join_from(allocations, consumers, consumers.c.uuid == allocations.c.consumer)
    .where(consumers.c.project_id == bindparam("project"))
)
_SUMS = _OF_PROJECT.with_only_columns(
    consumers.c.consumer_type, allocations.c.resource_class, sa.func.sum(allocations.c.used).label("used")
).group_by(consumers.c.consumer_type, allocations.c.resource_class)
_COUNTS = _OF_PROJECT.with_only_columns(
    consumers.c.consumer_type, sa.func.count(sa.distinct(consumers.c.uuid)).label("holders")
).group_by(consumers.c.consumer_type)
_BY_USER = consumers.c.user_id == bindparam("user")
_SUMS_OF_USER, _COUNTS_OF_USER = _SUMS.where(_BY_USER), _COUNTS.where(_BY_USER)


def of_provider(tx: Transaction, call: Call) -> Reply:
    """GET .../usages."""
    row = find(tx, call.path["uuid"])
    used = {name: one.used for name, one in rows_of(tx, row.uuid).items()}
    return fresh(call, {"resource_provider_generation": row.generation, "usages": used}, tx.now)


def target(tx: Transaction, call: Call) -> dict[str, Any]:
    """The project that is asked about, for the rule to look at."""
    del tx
    return {"project_id": call.query.get("project_id")}


def of_project(tx: Transaction, call: Call) -> Reply:
    """GET /usages: of a project, of a user in it; since 1.38 by type of consumer."""
    typed = call.since(1, 38)
    check_keys(call, ("project_id", "user_id", *(("consumer_type",) if typed else ())))
    given = {key: call.query.get(key) for key in ("project_id", "user_id", "consumer_type")}
    if given["project_id"] is None:
        raise bad_query("Invalid query string parameters: 'project_id' is a required property")
    for key, value in given.items():
        if value is not None and not 1 <= len(value) <= 255:
            raise bad_query(f"Invalid query string parameters: {key} must have 1 to 255 characters")
    kind = given["consumer_type"]
    if kind is not None and not _TYPE.fullmatch(kind):
        raise bad_query(f"Invalid query string parameters: '{kind}' does not match '^[A-Z0-9_]+$|^all|^unknown$'")
    parameters = {"project": given["project_id"]}
    sums, counts = _SUMS, _COUNTS
    if given["user_id"] is not None:
        parameters["user"] = given["user_id"]
        sums, counts = _SUMS_OF_USER, _COUNTS_OF_USER
    rows = tx.all(sums, parameters)
    if not typed:
        return fresh(call, {"usages": _added_up(rows)}, tx.now)
    found = {row.consumer_type or UNKNOWN: row.holders for row in tx.all(counts, parameters)}
    usages: dict[str, dict[str, int]] = {}
    if kind == ALL:
        if found:
            usages[ALL] = _added_up(rows) | {"consumer_count": sum(found.values())}
    else:
        for row in rows:
            name = row.consumer_type or UNKNOWN
            if kind in (None, name):
                usages.setdefault(name, {"consumer_count": found[name]})[row.resource_class] = int(row.used)
    return fresh(call, {"usages": usages}, tx.now)


def _added_up(rows: Any) -> dict[str, int]:
    used: dict[str, int] = {}
    for row in rows:
        used[row.resource_class] = used.get(row.resource_class, 0) + int(row.used)
    return used


ROUTES = (
    Route("GET", "/resource_providers/{uuid}/usages", shows(of_provider), "placement:resource_providers:usages"),
    Route("GET", "/usages", shows(of_project), "placement:usages", since=Microversion(1, 9), target=target),
)
