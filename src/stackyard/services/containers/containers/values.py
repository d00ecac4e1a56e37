"""Values as Zun's clients send them: numbers and flags also as text, in the body and in the query alike."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from stackyard.core.body import convert
from stackyard.core.call import Call, Query
from stackyard.core.errors import BadRequest, InvalidField

T = TypeVar("T")

Number = int | float | str | None
Flag = bool | str

_DIGITS = re.compile(r"[0-9]+")
_DECIMAL = re.compile(r"[0-9]*(\.[0-9]+)?")
_TRUE = frozenset({"true", "1", "on", "yes", "t", "y"})
_FALSE = frozenset({"false", "0", "off", "no", "f", "n"})


def flag(name: str, value: Flag | None, default: bool = False) -> bool:
    """A boolean, or its name."""
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    word = value.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise InvalidField(name, f"'{value}' is not a boolean; it must be true or false.", kind="InvalidValue")


def whole(name: str, value: Number, lowest: int, highest: int) -> int | None:
    """A whole number between two bounds, both included."""
    if value is None:
        return None
    if isinstance(value, float) or (isinstance(value, str) and not _DIGITS.fullmatch(value)) or len(str(value)) > 18:
        raise _invalid(name, f"'{value}' is not a whole number.")
    number = int(value)
    if not lowest <= number <= highest:
        raise _invalid(name, f"{number} is not between {lowest} and {highest}.")
    return number


def decimal(name: str, value: Number, lowest: float, highest: float) -> float | None:
    """A number between two bounds, both included."""
    if value is None:
        return None
    if isinstance(value, str) and (not value or not _DECIMAL.fullmatch(value)):
        raise _invalid(name, f"'{value}' is not a number.")
    number = float(value)
    if not lowest <= number <= highest:
        raise _invalid(name, f"{number:g} is not between {lowest:g} and {highest:g}.")
    return number


def nothing_for_none(value: str | None) -> str | None:
    """Clients write None as text in a query."""
    return None if value in (None, "None") else value


def parameters(kind: type[T], query: Query, body: dict[str, Any] | None = None) -> T:
    """The arguments of an action, which Zun takes from the query, the body, or both."""
    given: dict[str, Any] = dict(query.pairs())
    if body is not None:
        given |= body
    return convert(given, kind, "query")


def of_call(kind: type[T], call: Call) -> T:
    """The same, of a call whose body was decoded as a mapping."""
    return parameters(kind, call.query, call.body)


def decode_mapping(data: bytes, *, binary: str = "data") -> dict[str, Any]:
    """An edge operation's body: a JSON object, nothing meaning an empty one. Only `binary` may hold NUL characters."""
    try:
        found = msgspec.json.decode(data.strip() or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"Malformed request body: it is not a JSON object ({error}).") from None
    for name, value in found.items():
        if name != binary and isinstance(value, str) and "\0" in value:
            raise InvalidField(name, "it holds a NUL character.")
    return found


def _invalid(name: str, reason: str) -> InvalidField:
    return InvalidField(name, reason, kind="SchemaValidationError")
