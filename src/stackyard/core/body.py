"""Request bodies: from bytes to a validated msgspec struct, or a 400 that names the field.

A body type is a `Body` subclass; a field that may be left out defaults to `UNSET`,
which is not the same as a null sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.errors import BadRequest, InvalidField

T = TypeVar("T")

_PATH = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")


class OpenBody(msgspec.Struct, kw_only=True):
    """Base of bodies whose API ignores fields that it does not know."""

    def given(self) -> Iterator[tuple[str, Any]]:
        """The fields that the client sent, with their values."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not UNSET:
                yield name, value


class Body(OpenBody, forbid_unknown_fields=True, kw_only=True):
    """Base of request bodies: unknown fields are refused by name."""


def decode(data: bytes, kind: type[T], envelope: str | None = None) -> T:
    """Decode JSON `data` to `kind`, below the key `envelope` when there is one.

    Raises BadRequest for what is not JSON or lacks the envelope, InvalidField for a wrong, missing or unknown field.
    """
    try:
        document = msgspec.json.decode(data or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"Malformed request body: it is not valid JSON ({error}).") from None
    if b"\\u0000" in data and _holds_nul(document):
        raise BadRequest("Malformed request body: a text holds a NUL character, which nothing here may have.")
    if envelope is not None:
        if not isinstance(document, dict) or envelope not in document:
            raise BadRequest(f"Malformed request body: expected an object with the key '{envelope}'.")
        document = document[envelope]
    return convert(document, kind, envelope or "body")


def _holds_nul(document: Any) -> bool:
    waiting = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if "\x00" in one:
                return True
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
    return False


def convert(document: Any, kind: type[T], name: str = "body") -> T:
    """Validate decoded JSON as `kind`; raises InvalidField with a path such as `port.fixed_ips[0].subnet_id`."""
    try:
        return msgspec.convert(document, kind, strict=True)
    except (msgspec.ValidationError, RecursionError) as error:
        text = str(error)
        match = _PATH.search(text)
        path = (match["path"] if match else "").removeprefix(".")
        reason = text[: match.start()] if match else text
        raise InvalidField(_field(name, path, reason), reason) from None


def _field(name: str, path: str, reason: str) -> str:
    missing = re.search(r"(?:required|unknown) field `([^`]+)`", reason)
    parts = [path] if path else []
    if missing:
        parts.append(missing[1])
    return ".".join(parts) or name


def or_none(value: T | UnsetType | None) -> T | None:
    """The value, with unset as None."""
    return None if value is UNSET else value


def or_default(value: T | UnsetType, default: T) -> T:
    """The value, or `default` when it was not sent."""
    return default if value is UNSET else value
