"""Users by when their password ends: `password_expires_at=lt:2026-01-31T12:00:00Z`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call
from stackyard.core.db import Moment
from stackyard.core.errors import BadRequest
from stackyard.core.paging import Scope
from stackyard.services.identity.users.tables import users

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}


def narrowed(scope: Scope, call: Call) -> Scope:
    """The scope, narrowed by what the query says of passwords' ends; BadRequest for an unknown operator or no time."""
    asked = call.query.get("password_expires_at")
    if asked is None:
        return scope
    word, _, moment = asked.rpartition(":") if asked.count(":") == 0 else asked.partition(":")
    if word not in _OPERATORS:
        word, moment = "eq", asked
    parameter = bindparam("password_end", type_=Moment)
    clause = _OPERATORS[word](users.c.password_expires_at, parameter)
    where = clause if scope.where is None else sa.and_(clause, scope.where)
    return Scope(f"{scope.name} {word}", where, {**scope.parameters, "password_end": _moment(moment)})


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(
            "Invalid input for password_expires_at: give an operator (lt, lte, gt, gte, eq, neq), a colon, and a time "
            "such as 2026-01-31T12:00:00Z."
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
