"""Bodies of identity resources: known fields are checked, and what else a client sends is kept, as Keystone does."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.body import OpenBody, convert
from stackyard.core.errors import BadRequest, Forbidden

B = TypeVar("B", bound=OpenBody)

Name64 = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"\S")]
Name255 = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"\S")]
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9-]+$")]
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^,/]*$")]
Tags = Annotated[list[Tag], msgspec.Meta(max_length=80)]

_NEVER_EXTRA = frozenset({"id", "links"})


class Options(OpenBody):
    """Options that every kind of resource with options has."""

    immutable: bool | UnsetType | None = UNSET


def read(document: dict[str, Any], kind: type[B], name: str) -> tuple[B, dict[str, Any]]:
    """The body as `kind`, and the attributes that `kind` does not know.

    Raises InvalidField for a known field that is missing or wrong.
    """
    known = {field.encode_name for field in msgspec.structs.fields(kind)}
    body = convert({key: value for key, value in document.items() if key in known}, kind, name)
    extra = {key: value for key, value in document.items() if key not in known and key not in _NEVER_EXTRA}
    return body, extra


def changes(
    document: dict[str, Any], kind: type[B], name: str, current_id: str, *, may_be_empty: bool = False
) -> tuple[B, dict[str, Any]]:
    """Like `read`, for an update: something must be given, and no other id than the one it has."""
    if not document and not may_be_empty:
        raise BadRequest(f"Invalid input for {name}: at least one attribute must be given.")
    if document.get("id", current_id) != current_id:
        raise BadRequest(f"Cannot change {name} ID")
    return read(document, kind, name)


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Kept attributes after an update."""
    return {**old, **new}


def new_options(given: OpenBody | UnsetType, old: dict[str, Any] | None = None) -> dict[str, Any]:
    """Options after an update: a null removes one."""
    options = dict(old or {})
    if given is not UNSET:
        options |= dict(given.given())
    return {name: value for name, value in options.items() if value is not None}


def check_mutable(options: dict[str, Any], what: str, resource_id: str, change: OpenBody | None = None) -> None:
    """Refuse to change what is marked immutable, but by a `change` that lifts the mark and does nothing else."""
    if not options.get("immutable"):
        return
    given = {} if change is None else dict(change.given())
    lifted = given.get("options")
    if len(given) == 1 and isinstance(lifted, Options) and lifted.immutable in (False, None):
        return
    raise Forbidden(f"Cannot change or delete {what} {resource_id}: its immutable option is set.")
