"""A service's API described for machines, in OpenAPI 3.1, from its route table and the types of its bodies.

The table says what is true of every call: method, path, status, rule, body. What an answer's body holds is not declared
there, and so not described.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import PUBLIC, Route, Service

JSON = "application/json"
BYTES = "application/octet-stream"

_PARAMETER = re.compile(r"\{(\w+)\*?\}")
_REFUSALS = (400, 401, 403, 404, 409)
Schema = dict[str, Any]


def describe(service: Service, *, version: Microversion | None = None, server: str | None = None) -> Schema:
    """The description of the routes that a service has at a microversion (the newest when there are some).

    `server` is the address that the paths are below; by default the service's mount.
    """
    if version is None and service.microversions is not None:
        version = service.microversions.maximum
    routes = [route for route in service.routes if route.speaks(version)]
    bodies, components = _bodies(routes, version)
    rules = {rule.name: rule for rule in service.policies}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operations = paths.setdefault(_PARAMETER.sub(r"{\1}", route.path), {})
        operations[route.method.lower()] = _operation(route, bodies.get(route.label), rules.get(route.rule))
    found: Schema = {
        "openapi": "3.1.0",
        "info": {"title": f"{service.name} ({service.type})", "version": str(version or "1")},
        "servers": [{"url": server or service.mount}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }
    if service.microversions is not None:
        header = f"OpenStack-API-Version: {service.microversions.service_type} {version}"
        found["info"]["description"] = f"As it is with the header `{header}`."
    return found


def _bodies(routes: list[Route], version: Microversion | None) -> tuple[dict[str, Schema], Schema]:
    """By route label the schema of its body, and the components that those refer to."""
    kinds = {route.label: kind for route in routes if (kind := _kind(route, version)) is not None}
    schemas, components = msgspec.json.schema_components(
        list(kinds.values()), schema_hook=_of_anything, ref_template="#/components/schemas/{name}"
    )
    return dict(zip(kinds, schemas, strict=True)), components


def _of_anything(kind: type) -> Schema:
    return {"description": f"Any JSON value ({kind.__name__})."}


def _kind(route: Route, version: Microversion | None) -> Any:
    """The type of a route's body; None when it takes none."""
    options = route.options
    if options.schema is not None or options.body is None:
        return options.schema
    return options.body if isinstance(options.body, type) else options.body(version)


def _operation(route: Route, body: Schema | None, rule: Rule | None) -> Schema:
    options = route.options
    found: Schema = {
        "operationId": route.label,
        "summary": _summary(route),
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": _responses(route),
        "security": [] if route.rule == PUBLIC else [{"token": []}],
    }
    if rule is not None:
        found["description"] = f"Rule `{rule.name}`: {rule.description}"
    if body is not None:
        envelope = options.envelope
        if envelope is not None:
            body = {"type": "object", "properties": {envelope: body}, "required": [envelope]}
        found["requestBody"] = _content(options.media_type or JSON, body)
    elif options.media_type:
        found["requestBody"] = _content(options.media_type, {"type": "string", "format": "binary"})
    return found


def _content(media_type: str, schema: Schema) -> Schema:
    return {"required": True, "content": {media_type: {"schema": schema}}}


def _summary(route: Route) -> str:
    text = (route.operation.__doc__ or "").strip()
    return text.split("\n\n", maxsplit=1)[0].replace("\n", " ")


def _path_parameters(route: Route) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(route.path)
    ]


def _query_parameters(route: Route) -> list[Schema]:
    return [{"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in _names(route)]


def _names(route: Route) -> list[str]:
    return list(dict.fromkeys(route.options.query))


def _responses(route: Route) -> Mapping[str, Schema]:
    status = route.options.status
    found = {str(status): {"description": HTTPStatus(status).phrase}}
    for refused in _REFUSALS:
        found[str(refused)] = {"description": f"{HTTPStatus(refused).phrase}, in the service's own form of a fault"}
    return found | {"default": {"description": "A fault, in the service's own form"}}
