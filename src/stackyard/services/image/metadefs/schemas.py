"""JSON schemas of metadata definitions."""

from __future__ import annotations

from typing import Any

_STRING = {"type": "string"}
_SHORT = {"type": "string", "maxLength": 80}
_MOMENT = {"type": "string", "format": "date-time", "readOnly": True}
_LINK = {"type": "string", "readOnly": True}
_NAMES = {"type": "array", "items": _STRING, "uniqueItems": True}
_COUNT = {"type": "integer", "minimum": 0}
_TYPES = ["array", "boolean", "integer", "number", "object", "string", None]
_TIMES = {"created_at": _MOMENT, "updated_at": _MOMENT}

_PROPERTY: dict[str, Any] = {
    "name": _SHORT,
    "title": _STRING,
    "description": _STRING,
    "operators": {"type": "array", "items": _STRING},
    "type": {"type": "string", "enum": _TYPES},
    "required": _NAMES,
    "minimum": {"type": "number"},
    "maximum": {"type": "number"},
    "maxLength": _COUNT,
    "minLength": _COUNT,
    "pattern": {"type": "string", "format": "regex"},
    "enum": {"type": "array"},
    "readonly": {"type": "boolean"},
    "default": {},
    "items": {"type": "object", "properties": {"type": {"type": "string", "enum": _TYPES}, "enum": {"type": "array"}}},
    "maxItems": _COUNT,
    "minItems": _COUNT,
    "uniqueItems": {"type": "boolean", "default": False},
    "additionalItems": {"type": "boolean"},
}
_PROPERTIES = {
    "type": "object",
    "additionalProperties": {"type": "object", "required": ["title", "type"], "properties": _PROPERTY},
}
_ASSOCIATION: dict[str, Any] = {"name": _SHORT, "prefix": _SHORT, "properties_target": _SHORT, **_TIMES}
_TAG: dict[str, Any] = {"name": _SHORT, **_TIMES}
_OBJECT: dict[str, Any] = {
    "name": _SHORT,
    "description": _STRING,
    "required": _NAMES,
    "properties": _PROPERTIES,
    "schema": _LINK,
    "self": _LINK,
    **_TIMES,
}
_NAMESPACE: dict[str, Any] = {
    "namespace": _SHORT,
    "display_name": _SHORT,
    "description": {"type": "string", "maxLength": 500},
    "visibility": {"type": "string", "enum": ["public", "private"]},
    "protected": {"type": "boolean"},
    "owner": {"type": "string", "maxLength": 255},
    "schema": _LINK,
    "self": _LINK,
    **_TIMES,
    "resource_type_associations": {"type": "array", "items": {"type": "object", "properties": _ASSOCIATION}},
    "properties": _PROPERTIES,
    "objects": {"type": "array", "items": {"type": "object", "properties": _OBJECT}},
    "tags": {"type": "array", "items": {"type": "object", "properties": _TAG}},
}


def _one(name: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"name": name, "properties": properties, "additionalProperties": False, "required": required}


def _many(name: str, items: dict[str, Any]) -> dict[str, Any]:
    paging = {"first": _STRING, "next": _STRING, "schema": _STRING}
    links = [
        {"rel": "first", "href": "{first}"},
        {"rel": "next", "href": "{next}"},
        {"rel": "describedby", "href": "{schema}"},
    ]
    return {"name": name, "properties": {name: items, **paging}, "links": links}


_SINGLE = {
    "namespace": _one("namespace", _NAMESPACE, ["namespace"]),
    "object": _one("object", _OBJECT, ["name"]),
    "property": _one("property", _PROPERTY, ["type", "title", "name"]),
    "tag": _one("tag", _TAG, ["name"]),
    "resource_type": _one("resource_type_association", _ASSOCIATION, ["name"]),
}

SCHEMAS: dict[str, dict[str, Any]] = {
    **_SINGLE,
    "namespaces": _many("namespaces", {"type": "array", "items": _SINGLE["namespace"]}),
    "objects": _many("objects", {"type": "array", "items": _SINGLE["object"]}),
    "properties": _many("properties", {"type": "object", "additionalProperties": _SINGLE["property"]}),
    "tags": _many("tags", {"type": "array", "items": _SINGLE["tag"]}),
    "resource_types": _many("resource_type_associations", {"type": "array", "items": _SINGLE["resource_type"]}),
}
