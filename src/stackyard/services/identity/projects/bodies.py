"""What clients send to make and change projects and domains."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from stackyard.core.body import OpenBody
from stackyard.services.identity.attributes import Identifier, Name64, Options, Tags


class NewProject(OpenBody):
    """A project to make."""

    name: Name64
    domain_id: Identifier | UnsetType | None = UNSET
    parent_id: Identifier | UnsetType | None = UNSET
    is_domain: bool = False
    enabled: bool = True
    description: str | None = None
    tags: Tags | UnsetType = UNSET
    options: Options | UnsetType = UNSET


class ProjectChange(OpenBody):
    """What to change of a project."""

    name: Name64 | UnsetType = UNSET
    domain_id: Identifier | UnsetType | None = UNSET
    parent_id: Identifier | UnsetType | None = UNSET
    is_domain: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    tags: Tags | UnsetType = UNSET
    options: Options | UnsetType = UNSET


class NewDomain(OpenBody):
    """A domain to make; an id may be asked for, so that several clouds can have the same."""

    name: Name64
    explicit_domain_id: str | UnsetType = UNSET
    enabled: bool = True
    description: str | None = None
    tags: Tags | UnsetType = UNSET
    options: Options | UnsetType = UNSET


class DomainChange(OpenBody):
    """What to change of a domain."""

    name: Name64 | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    tags: Tags | UnsetType = UNSET
    options: Options | UnsetType = UNSET
