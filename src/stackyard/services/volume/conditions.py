"""Conditions of lists that no column compares by itself: on metadata, and on times (`gt:2026-01-01T00:00:00`)."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.sql.elements import ColumnElement

from stackyard.core.call import Call
from stackyard.core.errors import BadRequest
from stackyard.core.paging import Scope

_COMPARISONS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "gt": operator.gt, "gte": operator.ge, "eq": operator.eq, "neq": operator.ne, "lt": operator.lt,
    "lte": operator.le,
}  # fmt: skip
_MOST = 50
"""Conditions of one query parameter."""


def narrow(scope: Scope, name: str, clause: ColumnElement[bool], parameters: dict[str, Any]) -> Scope:
    """A scope with one more condition; `name` says what is in the clause besides the parameters."""
    where = clause if scope.where is None else sa.and_(scope.where, clause)
    return Scope(f"{scope.name} {name}", where, {**scope.parameters, **parameters})


def by_metadata(scope: Scope, call: Call, parameter: str, column: ColumnElement[Any]) -> Scope:
    """Narrowed to what has all that `?metadata={'key': 'value'}` names; raises BadRequest."""
    text = call.query.get(parameter)
    if text is None:
        return scope
    try:
        wanted = ast.literal_eval(text) if len(text) < 20_000 else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        wanted = None
    if not isinstance(wanted, dict) or len(wanted) > _MOST:
        raise BadRequest(
            f"Invalid input for {parameter}: '{text[:80]}' is not a dictionary of at most {_MOST} keys and values."
        )
    for index, (key, value) in enumerate(wanted.items()):
        names = f"{parameter}_key_{index}", f"{parameter}_value_{index}"
        held = column[bindparam(names[0], type_=sa.JSON.JSONStrIndexType())].as_string()
        given = {names[0]: _sound(str(key)), names[1]: _sound(str(value))}
        scope = narrow(scope, names[0], held == bindparam(names[1], type_=sa.String), given)
    return scope


def _sound(text: str) -> str:
    return text.replace("\0", "")


def by_time(scope: Scope, call: Call, parameter: str, column: ColumnElement[Any]) -> Scope:
    """Narrowed to what is `gt:<time>`, `gte:`, `eq:`, `neq:`, `lt:`, `lte:` (several by commas); raises BadRequest."""
    text = call.query.get(parameter)
    if text is None:
        return scope
    for index, part in enumerate(text.split(",")[:_MOST]):
        word, _, value = part.partition(":")
        compare = _COMPARISONS.get(word)
        if compare is None:
            raise BadRequest(f"Invalid {word[:40]} operator: {parameter} takes {', '.join(_COMPARISONS)}.")
        name = f"{parameter}_{index}"
        clause = compare(column, bindparam(name, type_=column.type))
        scope = narrow(scope, f"{name} {word}", clause, {name: _moment(parameter, value)})
    return scope


def _moment(parameter: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip().replace(" ", "+"))
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"Invalid {text[:80]} value: {parameter} takes times in ISO 8601.") from None
