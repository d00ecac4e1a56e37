"""Custom properties: how many there may be, what the standard ones may hold, and who may touch which.

The operator's file of property protections is Glance's: a section is a regular expression of names, of which the first
that matches counts; `create`, `read`, `update` and `delete` in it list roles, or name a rule of policy.yaml; `@` is
everyone, `!` no one. With such a file, what no section matches is no one's. Each line of it becomes a rule of the
cloud's policy, so that one engine decides and a rule that does not exist is found out at start.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from stackyard.core.call import Call
from stackyard.core.config import Settings
from stackyard.core.errors import Forbidden, InvalidField, TooLarge
from stackyard.core.policy import PolicyError, Rule
from stackyard.core.runtime import Runtime
from stackyard.services.image.bodies import RESERVED_PREFIX

ACTIONS = ("create", "read", "update", "delete")
_UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
_KEYS = frozenset({"type", "description", "pattern", "enum", "minLength", "maxLength"})
_TYPES = ("string", ["null", "string"], ["string", "null"])

STANDARD: Mapping[str, Mapping[str, Any]] = {
    "kernel_id": {
        "type": ["null", "string"],
        "pattern": _UUID,
        "description": "Image that holds the kernel to boot an AMI-style image with",
    },
    "ramdisk_id": {
        "type": ["null", "string"],
        "pattern": _UUID,
        "description": "Image that holds the ramdisk to boot an AMI-style image with",
    },
    "instance_uuid": {"type": "string", "description": "Instance that the image has to do with, for information"},
    "architecture": {"type": "string", "description": "Architecture of the processors that the image runs on"},
    "os_distro": {"type": "string", "description": "Common name of the operating system's distribution"},
    "os_version": {"type": "string", "description": "Version of the operating system as its distributor says it"},
    "description": {"type": "string", "description": "What the image is, for people"},
    "cinder_encryption_key_id": {"type": "string", "description": "Key of the volume that the image was made from"},
    "cinder_encryption_key_deletion_policy": {
        "type": "string",
        "enum": ["on_image_deletion", "do_not_delete"],
        "description": "What becomes of that key when the image is deleted",
    },
}
"""The properties that Glance's own schema file describes, in JSON Schema's words."""


@dataclass(frozen=True, slots=True)
class Protection:
    """One section: the names it is about, and the name of its rules without the action."""

    names: re.Pattern[str]
    rule: str


def standard(settings: Settings) -> Mapping[str, Mapping[str, Any]]:
    """The properties that the schema of images describes. Raises PolicyError for a file that cannot be used."""
    path = settings.image.schema_file
    return _read_schema(path) if path else STANDARD


@lru_cache(4)
def _read_schema(path: str) -> Mapping[str, Mapping[str, Any]]:
    try:
        found = msgspec.json.decode(Path(path).read_bytes(), type=dict[str, dict[str, Any]])
        for name, described in found.items():
            unknown = sorted(described.keys() - _KEYS)
            if unknown or described.get("type", "string") not in _TYPES:
                raise ValueError(f"{name}: {unknown[0] if unknown else 'type'} is not supported")
            re.compile(described.get("pattern", ""))
    except (OSError, ValueError, re.error) as error:
        raise PolicyError(f"image.schema_file: {path}: {error}") from error
    return found


def protections(settings: Settings) -> tuple[tuple[Protection, ...], tuple[Rule, ...]]:
    """The sections of the operator's file and the rules they come to. Raises PolicyError for one that is malformed."""
    path = settings.image.property_protections
    return _read_protections(path, settings.image.property_protection_rule_format) if path else ((), ())


@lru_cache(4)
def _read_protections(path: str, rule_format: str) -> tuple[tuple[Protection, ...], tuple[Rule, ...]]:
    parser = configparser.ConfigParser(interpolation=None)
    sections: list[Protection] = []
    rules: list[Rule] = []
    try:
        parser.read_string(Path(path).read_text(encoding="utf-8"), path)
        for section in parser.sections():
            if section.startswith("os_glance"):
                continue  # the service's own names, which no file may take from it
            sections.append(Protection(re.compile(section), f"image property {section}"))
            rules += _rules(section, parser[section], rule_format)
    except (OSError, UnicodeDecodeError, ValueError, configparser.Error, re.error) as error:
        raise PolicyError(f"image.property_protections: {path}: {' '.join(str(error).split())}") from error
    return tuple(sections), tuple(rules)


def _rules(section: str, lines: Mapping[str, str], rule_format: str) -> list[Rule]:
    found = []
    for action in ACTIONS:
        if action not in lines:
            raise ValueError(f"[{section}] has no line {action!r}")
        check = _check(section, action, lines[action].strip(), rule_format)
        found.append(Rule(f"image property {section}:{action}", check, f"{action.capitalize()} these properties.", ()))
    return found


def _check(section: str, action: str, text: str, rule_format: str) -> str:
    """One line of the file as a check of the policy's language."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if any(re.search(r"[\s():%]", name) for name in names):
        raise ValueError(f"[{section}] {action}: {text!r} is no list of names")
    if "@" in names and "!" in names:
        raise ValueError(f"[{section}] {action}: '@' and '!' exclude each other")
    if not names or "!" in names:
        return "!"
    if "@" in names:
        return "@"
    if rule_format == "roles":
        return " or ".join(f"role:{name}" for name in names)
    if len(names) > 1:
        raise ValueError(f"[{section}] {action}: one rule is expected; rules are combined in policy.yaml")
    return f"rule:{names[0]}"


def check_files(settings: Settings) -> tuple[Rule, ...]:
    """Read what the operator has set, at start. The rules that it comes to. Raises PolicyError."""
    standard(settings)
    return protections(settings)[1]


def allows(call: Call, action: str, name: str) -> bool:
    """Whether the caller may do this to the property of this name."""
    sections, _ = protections(call.runtime.settings)
    if not sections or name.startswith(RESERVED_PREFIX):
        return True
    for section in sections:
        if section.names.search(name):
            return call.runtime.policies.allows(f"{section.rule}:{action}", call.credentials, {})
    return False


def reader(call: Call) -> Callable[[str], bool] | None:
    """Says of a property's name whether the caller may see it; None when he may see all."""
    return (lambda name: allows(call, "read", name)) if protections(call.runtime.settings)[0] else None


def readable(call: Call, properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those properties that the caller may see."""
    may_read = reader(call)
    return properties if may_read is None else {name: one for name, one in properties.items() if may_read(name)}


def require(call: Call, action: str, name: str, value: str | None = None) -> None:
    """Raise Forbidden when the caller may not, InvalidField when a standard property may not have this value."""
    if not allows(call, action, name):
        raise Forbidden(f"Attribute '{name}' is reserved.", kind="ReservedProperty")
    described = standard(call.runtime.settings).get(name)
    if described is not None and value is not None:
        _check_value(name, value, described)


def _check_value(name: str, value: str, described: Mapping[str, Any]) -> None:
    if not described.get("minLength", 0) <= len(value) <= described.get("maxLength", len(value)):
        raise InvalidField(name, f"it may not have {len(value)} characters.")
    if "enum" in described and value not in described["enum"]:
        raise InvalidField(name, f"'{value[:80]}' is not one of {', '.join(map(str, described['enum']))}.")
    if "pattern" in described and not re.search(described["pattern"], value):
        raise InvalidField(name, f"'{value[:80]}' does not match '{described['pattern']}'.")


def require_new(call: Call, properties: Mapping[str, str]) -> None:
    """Raise what `require` raises for any of a new image's properties, TooLarge when they are too many."""
    for name, value in properties.items():
        require(call, "create", name, value)
    require_count(call.runtime, properties)


def require_count(runtime: Runtime, properties: Mapping[str, str]) -> None:
    """Raise TooLarge past the most properties that an image may have."""
    counted = sum(not name.startswith(RESERVED_PREFIX) for name in properties)
    _require_fewer("properties", counted, runtime.settings.image.image_property_quota)


def require_tags(runtime: Runtime, count: int) -> None:
    """Raise TooLarge past the most tags that an image may have."""
    _require_fewer("tags", count, runtime.settings.image.image_tag_quota)


def require_members(runtime: Runtime, count: int) -> None:
    """Raise TooLarge past the most members that an image may have."""
    _require_fewer("members for this image", count, runtime.settings.image.image_member_quota)


def require_locations(runtime: Runtime, count: int) -> None:
    """Raise TooLarge past the most locations that an image may have."""
    _require_fewer("locations", count, runtime.settings.image.image_location_quota)


def _require_fewer(words: str, attempted: int, maximum: int) -> None:
    if 0 <= maximum < attempted:
        raise TooLarge(
            f"The limit has been exceeded on the number of allowed image {words}. Attempted: {attempted}, "
            f"Maximum: {maximum}"
        )
