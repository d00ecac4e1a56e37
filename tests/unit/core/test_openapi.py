"""What a service's description says of its routes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from stackyard.app import SERVICES
from stackyard.core.body import Body
from stackyard.core.microversion import Microversion, MicroversionRange
from stackyard.core.openapi import describe
from stackyard.core.policy import Rule
from stackyard.core.routes import PUBLIC, Route, Service


class Thing(Body):
    """A thing."""

    name: str
    size: int | UnsetType | None = UNSET


def make(*_: object) -> None:
    """Make a thing.

    Nobody reads on.
    """


def service(*routes: Route, microversions: MicroversionRange | None = None) -> Service:
    return Service(
        type="thing",
        name="things",
        mount="/thing",
        classic_port=1,
        routes=routes,
        policies=[Rule("make", "@", "Make things.")],
        fault=lambda error, request_id: {},
        microversions=microversions,
    )


def test_an_operation() -> None:
    route = Route("POST", "/v1/boxes/{box}", make, "make", body=dict, schema=Thing, envelope="thing", status=202)
    found = describe(service(route))
    operation = found["paths"]["/v1/boxes/{box}"]["post"]
    assert operation["summary"] == "Make a thing."
    assert operation["description"] == "Rule `make`: Make things."
    assert operation["security"] == [{"token": []}]
    assert [(one["name"], one["in"]) for one in operation["parameters"]] == [("box", "path")]
    assert set(operation["responses"]) == {"202", "400", "401", "403", "404", "409", "default"}
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["thing"]
    assert body["properties"]["thing"] == {"$ref": "#/components/schemas/Thing"}
    thing = found["components"]["schemas"]["Thing"]
    assert thing["required"] == ["name"]
    assert thing["additionalProperties"] is False
    assert {one["type"] for one in thing["properties"]["size"]["anyOf"]} == {"integer", "null"}


def test_bytes_queries_and_the_rest_of_a_path() -> None:
    upload = Route("PUT", "/v1/files/{name*}", make, PUBLIC, media_type="application/octet-stream", query=("a", "b"))
    operation = describe(service(upload))["paths"]["/v1/files/{name}"]["put"]
    assert operation["security"] == []
    assert [one["name"] for one in operation["parameters"]] == ["name", "a", "b"]
    assert list(operation["requestBody"]["content"]) == ["application/octet-stream"]


def test_a_microversion_has_its_routes() -> None:
    old = Route("GET", "/v1/old", make, PUBLIC, until=Microversion(1, 3))
    new = Route("GET", "/v1/new", make, PUBLIC, since=Microversion(1, 4))
    both = service(old, new, microversions=MicroversionRange("thing", Microversion(1, 1), Microversion(1, 9)))
    assert list(describe(both)["paths"]) == ["/v1/new"]
    assert list(describe(both, version=Microversion(1, 2))["paths"]) == ["/v1/old"]


def references(value: Any) -> set[str]:
    """Every component that a description refers to."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(inside) for inside in value.values()))
    return set().union(*(references(inside) for inside in value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("described", SERVICES, ids=lambda service: service.type)
def test_every_service_is_described_whole(described: Service) -> None:
    found = msgspec.json.decode(msgspec.json.encode(describe(described)))
    known = {f"#/components/schemas/{name}" for name in found["components"]["schemas"]}
    assert references(found) <= known
    assert all(operation["summary"] for methods in found["paths"].values() for operation in methods.values())


OF_ANY_SHAPE = {"PUT /v1/images/{image_id}/members", "PUT /v1/images/{image_id}/members/{member_id}"}
"""Bodies that are not described: the older image API takes one or several members in either of two shapes."""


@pytest.mark.parametrize("type_", ["identity", "image"])
def test_what_an_operation_converts_itself_is_declared(type_: str) -> None:
    routes = next(service.routes for service in SERVICES if service.type == type_)
    bare = {route.label for route in routes if route.options.body in (dict, list) and route.options.schema is None}
    assert bare - OF_ANY_SHAPE == set()
