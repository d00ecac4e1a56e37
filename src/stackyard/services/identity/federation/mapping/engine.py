"""What a mapping makes of the attributes that somebody came with. Pure: it looks nothing up and changes nothing.

Attributes have lists of values. Each remote requirement of a rule must find its attribute, and a condition on it must
hold; requirements without any_one_of or not_any_of, in order, are what `{0}`, `{1}`, ... stand for in the local part.
One value stands there as it is, none or several as a list is written: `['a', 'b']`, which `groups` and `group_ids`
take apart again. The first user of the rules that apply is taken, the groups of all, the projects of the last.
"""

from __future__ import annotations

import ast
import json
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stackyard.services.identity.federation.mapping.patterns import BadPattern, Budget, TooSlow

Attributes = Mapping[str, Sequence[str]]

MAX_TEXT = 65536
"""Characters that a substitution may come to."""
MAX_VALUES = 2048
"""Values of one attribute, and groups and projects of one user."""

EPHEMERAL, LOCAL = "ephemeral", "local"
_FIELD = re.compile(r"[0-9]{0,4}")
_PROJECTS_INDEX = re.compile(r"\{?([0-9]{1,4})\}?")
_LIST = re.compile(r"[ \t]*\[")
_EMPTY_LIST = re.compile(r"[ \t]*\[\s*\]\s*")
_ITEM = re.compile(r"""\s*('(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")\s*(,\s*\]|,|\])""")
_JSON = "JSON:"
_TESTS = ("any_one_of", "not_any_of")


class MappingError(ValueError):
    """Nobody comes out of this mapping with these attributes; the text says why."""


@dataclass(slots=True)
class Mapped:
    """Who somebody is here. Groups are ids, or names with a domain (`{"id": ...}` or `{"name": ...}`)."""

    user: dict[str, Any] = field(default_factory=dict)
    group_ids: list[str] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    projects: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_local(self) -> bool:
        """Whether the user must be one who is here already."""
        return self.user.get("type") == LOCAL


def split(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Attributes from texts in which a semicolon stands between values."""
    return {name: text.split(";") for name, text in texts.items()}


def evaluate(rules: Sequence[Mapping[str, Any]], attributes: Attributes, version: str = "1.0") -> Mapped:
    """Apply rules of a schema version; raises MappingError."""
    if any(len(values) > MAX_VALUES for values in attributes.values()):
        raise MappingError(f"An attribute has more than {MAX_VALUES} values.")
    budget = Budget()
    made: list[dict[str, Any]] = []
    try:
        for rule in rules:
            values = _required(rule["remote"], attributes, budget)
            if values is not None:
                made += [_filled(local, values, version) for local in rule["local"]]
    except TooSlow:
        raise MappingError("The mapping's regular expressions take too long on these attributes.") from None
    except BadPattern as error:
        raise MappingError(str(error)) from None
    if not made:
        raise MappingError(
            "Could not map any federated user properties to identity values. Check the mapping used for additional "
            "details."
        )
    return _put_together(made, version)


def _required(remote: Sequence[Mapping[str, Any]], attributes: Attributes, budget: Budget) -> list[list[str]] | None:
    """The values to substitute, or None when a requirement is not met."""
    found: list[list[str]] = []
    for requirement in remote:
        values = attributes.get(requirement["type"])
        if not values:
            return None
        word = next(
            (word for word in ("any_one_of", "not_any_of", "blacklist", "whitelist") if word in requirement), ""
        )
        if not word:
            found.append(list(values))
            continue
        hits = _hits(requirement[word], values, budget, regex=bool(requirement.get("regex")))
        if word in _TESTS:
            if (word == "any_one_of") is not bool(hits):
                return None
        elif word == "whitelist":
            found.append(hits)
        else:
            found.append([value for value in dict.fromkeys(values) if value not in hits])
    return found


def _hits(wanted: Sequence[str], values: Sequence[str], budget: Budget, *, regex: bool) -> list[str]:
    if regex:
        return [value for value in values if any(budget.matches(pattern, value) for pattern in wanted)]
    known = set(wanted)
    return [value for value in dict.fromkeys(values) if value in known]


def _filled(local: Mapping[str, Any], values: list[list[str]], version: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, template in local.items():
        if isinstance(template, dict):
            made[key] = _filled(template, values, version)
        elif isinstance(template, list):
            made[key] = [_filled(item, values, version) for item in template]
        elif key == "projects_json":
            made[key] = _projects_in(template, values)
        else:
            made[key] = _substituted(template, values)
    return made


def _substituted(template: str, values: list[list[str]]) -> str:
    """The template with `{0}`, `{1}`, ... (or `{}` for the next) replaced; `{{` and `}}` are braces."""
    parts: list[str] = []
    following = 0
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise MappingError(f"The mapping's text {template[:80]!r} cannot be read: {error}.") from None
    for text, name, spec, conversion in pieces:
        parts.append(text)
        if name is None:
            continue
        if spec or conversion or not _FIELD.fullmatch(name):
            raise MappingError(f"The mapping's text {template[:80]!r} has more in braces than a number.")
        index = int(name) if name else following
        following += not name
        parts.append(_written(values, index))
    made = "".join(parts)
    if len(made) > MAX_TEXT:
        raise MappingError(f"A text that the mapping makes is longer than {MAX_TEXT} characters.")
    return made


def _written(values: list[list[str]], index: int) -> str:
    if index >= len(values):
        raise MappingError(
            f"The local section of the mapping refers to a remote match that doesn't exist ({{{index}}} in a local "
            "section)."
        )
    several = values[index]
    return several[0] if len(several) == 1 else repr(several)


def _projects_in(template: str, values: list[list[str]]) -> list[dict[str, Any]]:
    """The projects in the JSON of an attribute."""
    match = _PROJECTS_INDEX.match(template)
    if match is None:
        raise MappingError("projects_json must be the number of a remote match in braces.")
    text = _written(values, int(match[1]))
    try:
        projects = json.loads(text[:MAX_TEXT])
    except (ValueError, RecursionError):
        raise MappingError("The attribute for projects_json does not hold JSON.") from None
    if not isinstance(projects, list) or not all(_is_project(project) for project in projects):
        raise MappingError("The attribute for projects_json does not hold a list of projects with roles.")
    return projects


def _is_project(project: Any) -> bool:
    if not isinstance(project, dict) or not {"name", "roles"} <= set(project) <= {"name", "roles", "domain"}:
        return False
    roles, domain = project["roles"], project.get("domain", {})
    return (
        isinstance(project["name"], str)
        and isinstance(roles, list)
        and all(isinstance(role, dict) and set(role) == {"name"} and isinstance(role["name"], str) for role in roles)
        and isinstance(domain, dict)
        and set(domain) <= {"id", "name"}
        and all(isinstance(value, str) for value in domain.values())
    )


def _put_together(made: Sequence[Mapping[str, Any]], version: str) -> Mapped:
    mapped = Mapped()
    named: dict[str, None] = {}
    for one in made:
        if "user" in one and not mapped.user:
            mapped.user = dict(one["user"])
        group = one.get("group", {})
        if "id" in group:
            named[group["id"]] = None
        elif "name" in group:
            mapped.groups.append({"name": group["name"], "domain": group["domain"]})
        if "groups" in one:
            mapped.groups += _groups(one)
        if "group_ids" in one:
            named.update(dict.fromkeys(_listed(one["group_ids"])))
        if "projects" in one or "projects_json" in one:
            mapped.projects = _projects(one, version)
    mapped.group_ids = list(named)
    mapped.groups = _unique(mapped.groups)
    _finish_user(mapped.user, made[-1].get("domain"), version)
    if max(len(mapped.group_ids), len(mapped.groups), len(mapped.projects)) > MAX_VALUES:
        raise MappingError(f"The mapping makes more than {MAX_VALUES} groups or projects.")
    return mapped


def _finish_user(user: dict[str, Any], domain: Any, version: str) -> None:
    user.setdefault("type", EPHEMERAL)
    if user["type"] not in (EPHEMERAL, LOCAL):
        raise MappingError(f"User type {user['type']} not supported")
    if version != "1.0" and not user.get("domain") and domain:
        user["domain"] = domain


def _projects(one: Mapping[str, Any], version: str) -> list[dict[str, Any]]:
    projects = [dict(project) for project in [*one.get("projects", []), *one.get("projects_json", [])]]
    if version != "1.0" and one.get("domain"):
        for project in projects:
            if not project.get("domain"):
                project["domain"] = one["domain"]
    return projects


def _unique(groups: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({(group["name"], *sorted(group["domain"].items())): group for group in groups}.values())


def _groups(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The groups of a text: names in the domain beside it, or objects `JSON:{"name": ..., "domain": {...}}`."""
    text = one["groups"]
    if "name" not in text:
        if not one.get("domain"):
            raise MappingError("Invalid rule: both 'groups' and 'domain' keywords must be specified.")
        return [{"name": name, "domain": one["domain"]} for name in _listed(text)]
    found = []
    for item in _listed(text):
        if item.startswith(_JSON):
            found.append(_group_in(item.removeprefix(_JSON)))
        elif one.get("domain"):
            found.append({"name": item, "domain": one["domain"]})
        else:
            raise MappingError("Invalid rule: both 'groups' and 'domain' keywords must be specified.")
    return found


def _group_in(text: str) -> dict[str, Any]:
    try:
        group = json.loads(text)
    except (ValueError, RecursionError):
        raise MappingError("A group that begins with JSON: does not hold JSON.") from None
    domain = group.get("domain") if isinstance(group, dict) else None
    if not isinstance(domain, dict) or not isinstance(group.get("name"), str):
        raise MappingError("A group in JSON must have a name and a domain.")
    reference = {key: domain[key] for key in ("id", "name") if isinstance(domain.get(key), str)}
    if not reference:
        raise MappingError("A group in JSON must have a name and a domain.")
    return {"name": group["name"], "domain": reference}


def _listed(text: str) -> list[str]:
    """The texts in a list as Python writes it, else the text itself."""
    start = _LIST.match(text)
    if start is None:
        return [text]
    if _EMPTY_LIST.fullmatch(text):
        return []
    found, at = [], start.end()
    while item := _ITEM.match(text, at):
        found.append(_literal(item[1]))
        at = item.end()
        if item[2].endswith("]"):
            return found if not text[at:].strip() else [text]
    return [text]


def _literal(written: str) -> str:
    try:
        value = ast.literal_eval(written)
    except (ValueError, SyntaxError):
        raise MappingError("A list of groups holds something that is not a text.") from None
    return str(value)
