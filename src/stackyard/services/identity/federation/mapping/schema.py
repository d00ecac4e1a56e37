"""What a mapping may look like. Schema 2.0 adds domains of projects, 3.0 projects that the provider itself names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from stackyard.core.body import Body, OpenBody, convert
from stackyard.core.errors import InvalidField
from stackyard.services.identity.federation.mapping.patterns import BadPattern, compiled

MAX_BYTES = 65535
"""The JSON of a mapping's rules, as in Keystone's database."""

MAX_PATTERNS = 256
"""Regular expressions of a mapping."""

CONDITIONS = ("any_one_of", "not_any_of", "whitelist", "blacklist")
_Values = list[str] | UnsetType


class Domain(Body):
    """A domain by id or name."""

    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class User(Body):
    """The user that somebody is here; `local` ones must exist, `ephemeral` ones are made."""

    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET
    type: Literal["ephemeral", "local"] | UnsetType = UNSET


class Group(Body):
    """A group by id, or by name and domain."""

    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET


class Role(Body):
    """A role by name."""

    name: str


class Project(Body):
    """A project in which the user gets roles; made when there is none of the name."""

    name: str
    roles: list[Role]


class ProjectInDomain(Project):
    """A project that may be in another domain than the user."""

    domain: Domain | UnsetType = UNSET


class Local(Body):
    """What a rule makes of somebody; `groups` and `group_ids` are texts that a list may come out of."""

    user: User | UnsetType = UNSET
    group: Group | UnsetType = UNSET
    groups: str | UnsetType = UNSET
    group_ids: str | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET


class Local1(Local):
    """The same in schema 1.0, with projects."""

    projects: list[Project] | UnsetType = UNSET


class Local2(Local):
    """The same in schema 2.0."""

    projects: list[ProjectInDomain] | UnsetType = UNSET


class Local3(Local2):
    """The same in schema 3.0."""

    projects_json: str | UnsetType = UNSET


class Remote(Body):
    """An attribute that must be there, and a condition on its values."""

    type: str
    any_one_of: _Values = UNSET
    not_any_of: _Values = UNSET
    whitelist: _Values = UNSET
    blacklist: _Values = UNSET
    regex: bool | UnsetType = UNSET


_Remotes = Annotated[list[Remote], msgspec.Meta(min_length=1)]


class Rule(Body):
    """When all that is remote holds, all that is local follows."""

    local: list[Local1]
    remote: _Remotes


class Rule2(Body):
    """The same in schema 2.0."""

    local: list[Local2]
    remote: _Remotes


class Rule3(Body):
    """The same in schema 3.0."""

    local: list[Local3]
    remote: _Remotes


class Rules(OpenBody):
    """A mapping."""

    rules: Annotated[list[Rule], msgspec.Meta(min_length=1)]


class Rules2(OpenBody):
    """A mapping of schema 2.0."""

    rules: Annotated[list[Rule2], msgspec.Meta(min_length=1)]


class Rules3(OpenBody):
    """A mapping of schema 3.0."""

    rules: Annotated[list[Rule3], msgspec.Meta(min_length=1)]


VERSIONS: Mapping[str, type[Any]] = {"1.0": Rules, "2.0": Rules2, "3.0": Rules3}


def check(document: dict[str, Any], default_version: str) -> tuple[list[dict[str, Any]], str]:
    """The rules and the schema version of a mapping that a client sent; InvalidField says what is wrong with it."""
    version = document.get("schema_version") or default_version
    if not isinstance(version, str) or version not in VERSIONS:
        raise InvalidField("mapping.schema_version", f"expected one of {', '.join(VERSIONS)}.")
    mapping = convert(document, VERSIONS[version], "mapping")
    if len(msgspec.json.encode(document["rules"])) > MAX_BYTES:
        raise InvalidField("mapping.rules", f"expected at most {MAX_BYTES} bytes of JSON.")
    patterns = [remote for rule in mapping.rules for remote in rule.remote if remote.regex is True]
    if sum(len(getattr(remote, name) or ()) for remote in patterns for name in CONDITIONS) > MAX_PATTERNS:
        raise InvalidField("mapping.rules", f"expected at most {MAX_PATTERNS} regular expressions.")
    for index, rule in enumerate(mapping.rules):
        for remote in rule.remote:
            _check_remote(remote, f"mapping.rules[{index}].remote")
        for local in rule.local:
            if local.group is not UNSET:
                _check_group(local.group, f"mapping.rules[{index}].local.group")
    return list(document["rules"]), version


def _check_remote(remote: Remote, field: str) -> None:
    given = [name for name in CONDITIONS if getattr(remote, name) is not UNSET]
    if len(given) > 1:
        raise InvalidField(field, f"give at most one of {', '.join(CONDITIONS)}.")
    if remote.regex is not UNSET and not given:
        raise InvalidField(field, f"regex goes with one of {', '.join(CONDITIONS)}.")
    if remote.regex is True:
        for pattern in getattr(remote, given[0]):
            try:
                compiled(pattern)
            except BadPattern as error:
                raise InvalidField(field, str(error)) from None


def _check_group(group: Group, field: str) -> None:
    by_id = group.id is not UNSET and group.name is UNSET and group.domain is UNSET
    by_name = group.id is UNSET and group.name is not UNSET and group.domain is not UNSET
    if not (by_id or by_name):
        raise InvalidField(field, "give the group's id, or its name and domain.")
