"""What clients send to define metadata."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from stackyard.core.body import Body
from stackyard.core.errors import InvalidField

Name = Annotated[str, Meta(min_length=1, max_length=80)]
Description = Annotated[str, Meta(max_length=500)]
Owner = Annotated[str, Meta(max_length=255)]
Names = Annotated[list[str], Meta(max_length=1000)]
Length = Annotated[int, Meta(ge=0)]
PropertyKind = Literal["array", "boolean", "integer", "number", "object", "string"]


class PropertyType(Body, omit_defaults=True):
    """The definition of one property, in JSON Schema's words."""

    title: str
    type: PropertyKind | None
    name: Name | UnsetType = UNSET
    description: str | UnsetType = UNSET
    operators: list[str] | UnsetType = UNSET
    required: Names | UnsetType = UNSET
    minimum: float | UnsetType = UNSET
    maximum: float | UnsetType = UNSET
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


class ObjectType(Body):
    """A group of properties."""

    name: Name
    description: Description | UnsetType = UNSET
    required: Names | UnsetType = UNSET
    properties: dict[Name, PropertyType] | UnsetType = UNSET


class TagType(Body):
    """A word that may be attached to a resource."""

    name: Name


class Tags(Body):
    """Several tags at once."""

    tags: list[TagType]


class Association(Body):
    """A type of resource that a namespace's properties are for; `prefix` goes before their names there."""

    name: Name
    prefix: Annotated[str, Meta(max_length=80)] | UnsetType = UNSET
    properties_target: Annotated[str, Meta(max_length=80)] | UnsetType = UNSET


class Namespace(Body):
    """A namespace's own attributes."""

    namespace: Name
    display_name: Annotated[str, Meta(max_length=80)] | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    visibility: Literal["public", "private"] | UnsetType = UNSET
    protected: bool | UnsetType = UNSET
    owner: Owner | UnsetType = UNSET


class NewNamespace(Namespace, kw_only=True):
    """A namespace with what is to lie in it."""

    properties: dict[Name, PropertyType] | UnsetType = UNSET
    objects: list[ObjectType] | UnsetType = UNSET
    tags: list[TagType] | UnsetType = UNSET
    resource_type_associations: list[Association] | UnsetType = UNSET


def document(body: Body) -> dict[str, Any]:
    """A body as the JSON that is kept: what was sent, without its name. Raises InvalidField for NUL characters."""
    found: dict[str, Any] = msgspec.to_builtins(body)
    if "\\u0000" in msgspec.json.encode(found).decode():
        raise InvalidField("body", "NUL characters cannot be kept.")
    found.pop("name", None)
    return found


def by_name(bodies: list[Any] | UnsetType) -> dict[str, dict[str, Any]]:
    """Several named bodies by name; a name that comes twice is refused."""
    if bodies is UNSET:
        return {}
    found = {check_name(body.name): document(body) for body in bodies}
    if len(found) != len(bodies):
        raise InvalidField("name", "the same name is given twice.")
    return found


def check_name(name: str) -> str:
    """A name that can be kept and stand in an address."""
    if not 1 <= len(name) <= 80 or "\0" in name:
        raise InvalidField("name", "a name has 1 to 80 characters, none of them NUL.")
    return name
