"""What clients send to define metadata."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from stackyard.core.body import Body
from stackyard.core.errors import Conflict, Forbidden, InvalidField

Name = Annotated[str, Meta(min_length=1, max_length=80)]
Description = Annotated[str, Meta(max_length=500)]
Owner = Annotated[str, Meta(max_length=255)]
Names = Annotated[list[str], Meta(max_length=1000)]
Length = Annotated[int, Meta(ge=0)]
PropertyKind = Literal["array", "boolean", "integer", "number", "object", "string"]


READ_ONLY = {"created_at": "created_at", "updated_at": "updated_at", "own_link": "self", "schema_link": "schema"}
"""Fields of the bodies that only the service writes, by the API's names. What lies in a namespace may carry them."""


class Dated(Body):
    """Has times."""

    created_at: Any = UNSET
    updated_at: Any = UNSET


class Linked(Dated):
    """Has times and addresses."""

    own_link: Any = field(default=UNSET, name="self")
    schema_link: Any = field(default=UNSET, name="schema")


class PropertyType(Dated, omit_defaults=True, kw_only=True):
    """The definition of one property, in JSON Schema's words."""

    title: str
    type: PropertyKind | None
    name: Name | UnsetType = UNSET
    description: str | UnsetType = UNSET
    operators: list[str] | UnsetType = UNSET
    required: Names | UnsetType = UNSET
    minimum: int | float | UnsetType = UNSET
    maximum: int | float | UnsetType = UNSET
    maxLength: Length | UnsetType = UNSET  # noqa: N815  the API's own names
    minLength: Length | UnsetType = UNSET  # noqa: N815
    pattern: str | UnsetType = UNSET
    enum: list[Any] | UnsetType = UNSET
    readonly: bool | UnsetType = UNSET
    default: Any = UNSET
    items: dict[str, Any] | UnsetType = UNSET
    maxItems: Length | UnsetType = UNSET  # noqa: N815
    minItems: Length | UnsetType = UNSET  # noqa: N815
    uniqueItems: bool | UnsetType = UNSET  # noqa: N815
    additionalItems: bool | UnsetType = UNSET  # noqa: N815


class NewProperty(PropertyType, kw_only=True):
    """A property on its own, which has a name."""

    name: Name


class ObjectType(Linked, kw_only=True):
    """A group of properties."""

    name: Name
    description: str | UnsetType = UNSET
    required: Names | UnsetType = UNSET
    properties: dict[Name, PropertyType] | UnsetType = UNSET


class TagType(Dated, kw_only=True):
    """A word that may be attached to a resource."""

    name: Name


class Tags(Body):
    """Several tags at once."""

    tags: list[TagType]


class Association(Dated, kw_only=True):
    """A type of resource that a namespace's properties are for; `prefix` goes before their names there."""

    name: Name
    prefix: Annotated[str, Meta(max_length=80)] | UnsetType = UNSET
    properties_target: Annotated[str, Meta(max_length=80)] | UnsetType = UNSET


class Namespace(Linked, kw_only=True):
    """A namespace with what is to lie in it, which a change of the namespace itself leaves alone."""

    namespace: Name
    display_name: Annotated[str, Meta(max_length=80)] | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    visibility: Literal["public", "private"] | UnsetType = UNSET
    protected: bool | UnsetType = UNSET
    owner: Owner | UnsetType = UNSET
    properties: dict[Name, PropertyType] | UnsetType = UNSET
    objects: list[ObjectType] | UnsetType = UNSET
    tags: list[TagType] | UnsetType = UNSET
    resource_type_associations: list[Association] | UnsetType = UNSET


def refuse_read_only(body: Body) -> None:
    """Raise Forbidden for an attribute that clients may not set."""
    for name, shown in READ_ONLY.items():
        if getattr(body, name, UNSET) is not UNSET:
            raise Forbidden(f"Attribute '{shown}' is read-only.")


def document(body: Body) -> dict[str, Any]:
    """A body as the JSON that is kept: what was sent, without its name and what only the service writes."""
    found: dict[str, Any] = msgspec.to_builtins(body)
    for name in ("name", *READ_ONLY.values()):
        found.pop(name, None)
    return found


def by_name(bodies: list[Any] | UnsetType) -> dict[str, dict[str, Any]]:
    """Several named bodies by name. Raises Conflict for a name that comes twice."""
    if bodies is UNSET:
        return {}
    found = {check_name(body.name): document(body) for body in bodies}
    if len(found) != len(bodies):
        raise Conflict("The same name is given twice.")
    return found


def check_name(name: str) -> str:
    """A name that can be kept and stand in an address."""
    if not 1 <= len(name) <= 80 or "\0" in name:
        raise InvalidField("name", "a name has 1 to 80 characters, none of them NUL.")
    return name
