"""What hints and extra specs ask for: requirements, and JSON queries."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from stackyard.core.matching import matches

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
DEEPEST = 16

__all__ = ["DEEPEST", "answers", "matches", "parse_query"]


def parse_query(text: str) -> Any:
    """A `query` hint, read; raises ValueError for what is no query."""
    try:
        query = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"it is not valid JSON ({error})") from None
    _check(query, DEEPEST)
    return query


def _check(query: Any, deepest: int) -> None:
    if not isinstance(query, list) or not query or not isinstance(query[0], str):
        raise ValueError("a query is a list that begins with an operator")
    if deepest == 0:
        raise ValueError(f"it is nested deeper than {DEEPEST}")
    if query[0] in ("and", "or", "not"):
        if len(query) < 2:
            raise ValueError(f"'{query[0]}' needs operands")
        for part in query[1:]:
            _check(part, deepest - 1)
    elif query[0] != "in" and query[0] not in _COMPARISONS:
        raise ValueError(f"there is no operator '{query[0]}'")
    elif len(query) < 3:
        raise ValueError(f"'{query[0]}' needs two operands")


def answers(query: Any, facts: Mapping[str, Any]) -> bool:
    """Whether a host with these facts answers a query that `parse_query` read; `$name` stands for a fact."""
    word, operands = query[0], query[1:]
    if word == "and":
        return all(answers(part, facts) for part in operands)
    if word == "or":
        return any(answers(part, facts) for part in operands)
    if word == "not":
        return not any(answers(part, facts) for part in operands)
    first, *rest = (_value(operand, facts) for operand in operands)
    try:
        if word == "in":
            return first is not None and first in rest
        return first is not None and all(_COMPARISONS[word](first, other) for other in rest)
    except TypeError:
        return False


def _value(operand: Any, facts: Mapping[str, Any]) -> Any:
    if isinstance(operand, str) and operand.startswith("$"):
        found: Any = facts
        for name in operand[1:].split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        return found
    return operand
