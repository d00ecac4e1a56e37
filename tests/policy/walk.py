"""Walks every route as everybody, and writes down what each is answered.

`make policy` writes the tables in expected/ anew; review what changed there before committing it.
Nothing that a request does stays: each write is rolled back once it has its answer.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec
from tests.api.identity.people import People
from tests.cloud import TestCloud
from tests.policy.personas import ELSEWHERE, HERE, MEANINGS, PERSONAS, SELF, Things, World

from stackyard.app import SERVICES
from stackyard.core.routes import Route, Service

EXPECTED = Path(__file__).parent / "expected"
NOTHING = "3f0b0d8a-8a43-4f4c-9a4b-0c2b7e1e9d11"
"""The id of nothing, for parameters that no thing is made for."""

BODIES: dict[str, Any] = {
    "POST /v3/projects": {"project": {"name": "new", "domain_id": "{domain_id}"}},
    "POST /v3/users": {"user": {"name": "new", "domain_id": "{domain_id}"}},
    "POST /v3/groups": {"group": {"name": "new", "domain_id": "{domain_id}"}},
    "POST /v3/domains": {"domain": {"name": "new"}},
    "POST /v3/roles": {"role": {"name": "new"}},
    "POST /v3/regions": {"region": {"id": "new"}},
    "POST /v3/services": {"service": {"type": "new"}},
    "POST /v3/endpoints": {
        "endpoint": {"service_id": "{service_id}", "interface": "public", "url": "http://cloud.example.org"}
    },
    "POST /v3/users/{user_id}/application_credentials": {"application_credential": {"name": "new"}},
    "POST /v3/OS-TRUST/trusts": {
        "trust": {
            "trustor_user_id": "{user_id}",
            "trustee_user_id": "{user_id}",
            "project_id": "{project_id}",
            "impersonation": False,
            "roles": [{"name": "member"}],
        }
    },
    "POST /v3/credentials": {"credential": {"type": "cert", "blob": "b", "user_id": "{user_id}"}},
    "POST /v3/users/{user_id}/credentials/OS-EC2": {"tenant_id": "{project_id}"},
    "POST /v3/limits": {
        "limits": [
            {"service_id": "{service_id}", "resource_name": "r", "resource_limit": 4, "project_id": "{project_id}"}
        ]
    },
    "POST /v2/images": {"name": "new"},
    "POST /v2/images/{image_id}/members": {"member": "{member_id}"},
    "PUT /v2/images/{image_id}/members/{member_id}": {"status": "accepted"},
    "POST /v2/images/{image_id}/import": {"method": {"name": "glance-direct"}},
    "PATCH /v2/images/{image_id}": [{"op": "replace", "path": "/name", "value": "changed"}],
    "POST /v2/metadefs/namespaces": {"namespace": "NS::new"},
    "POST /v2.0/networks": {"network": {"name": "new"}},
    "POST /v2.0/subnets": {"subnet": {"network_id": "{network_id}", "cidr": "10.78.0.0/24", "ip_version": 4}},
    "POST /v2.0/ports": {"port": {"network_id": "{network_id}"}},
    "POST /v2.0/routers": {"router": {"name": "new"}},
    "POST /v2.0/floatingips": {"floatingip": {"floating_network_id": "{public}"}},
    "POST /v2.0/security-groups": {"security_group": {"name": "new"}},
    "POST /v2.0/security-group-rules": {
        "security_group_rule": {"security_group_id": "{security_group_id}", "direction": "ingress", "protocol": "udp"}
    },
    "POST /v2.0/security-groups-default-statefulness": {"security_groups_default_statefulness": {"stateful": False}},
    "PUT /v2.0/routers/{router_id}/add_router_interface": {"subnet_id": "{subnet_id}"},
    "PUT /v2.0/routers/{router_id}/remove_router_interface": {"subnet_id": "{subnet_id}"},
    "PUT /v2.0/quotas/{project_id}": {"quota": {"network": 5}},
    "POST /v1/containers": {"image": "nginx", "nets": [{"network": "{network_id}"}]},
    "PATCH /v1/containers/{container}": {"name": "changed"},
    "POST /v2.1/servers": {
        "server": {
            "name": "new",
            "imageRef": "{server_image_id}",
            "flavorRef": "{server_flavor_id}",
            "networks": [{"uuid": "{network_id}"}],
        }
    },
    "POST /v2.1/flavors": {"flavor": {"name": "new", "ram": 64, "vcpus": 1, "disk": 0}},
    "POST /v2.1/flavors/{flavor_id}/action": {"addTenantAccess": {"tenant": "{project_id}"}},
    "POST /v2.1/os-aggregates/{aggregate_id}/action": {"set_metadata": {"metadata": {"colour": "blue"}}},
    "PUT /v2.1/images/{image_id}/metadata/{key}": {"meta": {"colour": "blue"}},
    "POST /v2.1/os-keypairs": {"keypair": {"name": "new", "type": "x509", "public_key": "no key"}},
    "POST /v2.1/os-server-groups": {"server_group": {"name": "new", "policy": "affinity"}},
    "PUT /v2.1/servers/{server_id}": {"server": {"name": "changed"}},
    "POST /v3/volumes": {"volume": {"size": 1}},
    "PUT /v3/volumes/{volume_id}/metadata/{key}": {"meta": {"{key}": "red"}},
    "PUT /v3/snapshots/{snapshot_id}/metadata/{key}": {"meta": {"{key}": "red"}},
    "PUT /v3/attachments/{attachment_id}": {"attachment": {"connector": {"host": "testhost"}}},
    "POST /v3/qos-specs": {"qos_specs": {"name": "new"}},
    "POST /v3/snapshots": {"snapshot": {"volume_id": "{volume_id}"}},
    "POST /v3/attachments": {"attachment": {"volume_uuid": "{volume_id}"}},
    "POST /v3/backups": {"backup": {"volume_id": "{volume_id}"}},
    "POST /v3/backups/{backup_id}/restore": {"restore": {"volume_id": "{volume_id}"}},
    "POST /v3/volume-transfers": {"transfer": {"volume_id": "{volume_id}"}},
    "POST /v3/os-volume-transfer": {"transfer": {"volume_id": "{volume_id}"}},
    "block-storage POST /v3/groups": {"group": {"group_type": "{group_type_id}", "volume_types": ["{volume_type_id}"]}},
    "POST /v3/group_snapshots": {"group_snapshot": {"group_id": "{volume_group_id}"}},
    "PUT /v2.1/os-quota-sets/{project_id}": {"quota_set": {"instances": 5}},
    "POST /resource_providers": {"name": "new"},
    "POST /v1/registries": {"registry": {"name": "new", "domain": "registry.example.org"}},
}
"""What is sent where the least body that a route's schema allows would not get to the rule, or names no place.

The service's type stands before what two services have.
"""

ACTIONS: dict[str, Any] = {
    "reboot": {"type": "SOFT"},
    "rebuild": {"imageRef": "{server_image_id}"},
    "resize": {"flavorRef": "{server_flavor_id}"},
    "createImage": {"name": "new"},
    "createBackup": {"name": "new", "backup_type": "daily", "rotation": 1},
    "os-resetState": {"state": "active"},
    "addSecurityGroup": {"name": "default"},
    "removeSecurityGroup": {"name": "default"},
    "addFixedIp": {"networkId": "{network_id}"},
    "addFloatingIp": {"address": "192.0.2.77"},
    "removeFloatingIp": {"address": "192.0.2.77"},
    "removeFixedIp": {"address": "192.0.2.77"},
    "changePassword": {"adminPass": "new"},
    "os-migrateLive": {"host": None, "block_migration": "auto"},
}
"""What is sent to an action on a server where the least body would not get to the rule."""

OTHER_THINGS = {
    "/v3/credentials/{credential_id}": {"credential_id": "stored_credential_id"},
    "/v2.1/flavors/": {"flavor_id": "server_flavor_id"},
    "/v2.1/images/": {"image_id": "server_image_id"},
    "/v2.1/os-server-groups/": {"group_id": "server_group_id"},
    "/v2.1/os-security-groups/": {"group_id": "security_group_id"},
    "/v2.1/os-security-group-rules/": {"rule_id": "security_group_rule_id"},
    "/v2.1/os-floating-ips/": {"floating_ip_id": "floatingip_id"},
    "/v2.1/servers/": {"port_id": "server_port_id", "request_id": "server_request_id"},
    "/traits/": {"name": "trait"},
    "/resource_classes/": {"name": "resource_class"},
    "/v2.1/os-services/": {"service_id": "compute_service_id"},
    "/v3/types/{type_id}/encryption/{key}": {"type_id": "sealed_type_id", "key": "encryption_id"},
    "block-storage /v3/groups/": {"group_id": "volume_group_id"},
}
"""Beginnings of paths whose parameters are called like other kinds of things."""

SUBJECT = {"/v3/auth/tokens"}
"""Paths whose GET, HEAD and DELETE are about the token in another header."""


class _RolledBack(Exception):
    """A write has its answer and is undone."""


class Stage(TestCloud):
    """A cloud whose writes, once `dry`, are rolled back when they have answered."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(f"sqlite:///{state_dir / 'walk.sqlite'}", state_dir)
        self.dry = False
        committing = self.database.write

        def write(name: str, function: Any, *args: Any, **kwargs: Any) -> Any:
            if not self.dry:
                return committing(name, function, *args, **kwargs)
            answers: list[Any] = []

            def run(tx: Any) -> None:
                answers[:] = [function(tx, *args, **kwargs)]
                raise _RolledBack

            try:
                committing(name, run)
            except _RolledBack:
                return answers[0]
            raise AssertionError("a write ended without being rolled back")

        vars(self.database)["write"] = write

    async def ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to one request, straight from the application."""
        target, _, query = path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(target),
            "raw_path": target.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 5000),
        }
        waiting = [{"type": "http.request", "body": body, "more_body": False}]
        statuses: list[int] = []
        content = bytearray()

        async def receive() -> Any:
            return waiting.pop() if waiting else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            else:
                content.extend(message.get("body", b""))

        await self.cloud(scope, receive, send)
        return statuses[0], bytes(content)


def least(kind: Any) -> Any:
    """The smallest value of a type that a body may be."""
    if kind is list:
        return []
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return {}
    schema = msgspec.json.schema(kind, schema_hook=lambda _: {"title": "anything"})
    return _least(schema, schema.get("$defs", {}))


def _least(schema: dict[str, Any], known: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return _least(known[schema["$ref"].rpartition("/")[2]], known)
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _least(schema["anyOf"][0], known)
    simple = {"string": "a" * max(1, schema.get("minLength", 1)), "integer": 1, "number": 1, "boolean": True}
    kind = schema.get("type", "object")
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: _least(properties[name], known) for name in schema.get("required", ())}
    return [] if kind == "array" else simple.get(kind)


def body_of(service: Service, route: Route) -> Any:
    """What is sent to a route, with {parameters} still in it."""
    for label in (f"{service.type} {route.label}", route.label):
        if label in BODIES:
            return BODIES[label]
    kind = route.options.body
    if kind is None:
        return {}
    if not isinstance(kind, type):
        newest = route.options.until or (service.microversions.maximum if service.microversions else None)
        kind = kind(newest)
    inside = least(kind)
    return {route.options.envelope: inside} if route.options.envelope else inside


class Walk:
    """Asks for every row of a service's table."""

    def __init__(self, stage: Stage, world: World) -> None:
        self._stage = stage
        self._world = world
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        """End its loop."""
        self._loop.close()

    def table(self, service: Service) -> str:
        """A service's whole table as text."""
        rows = [row for route in service.routes for row in self._rows(service, route)]
        width = max(len(label) for label, _ in rows)
        widths = [max(len(persona), 3) for persona in PERSONAS]
        lines = [f"# {line}" for line in _legend(service)]
        head = " ".join(f"{name:>{wide}}" for name, wide in zip(PERSONAS, widths, strict=True))
        lines.append(f"{'':{width}} {head}")
        for label, statuses in rows:
            cells = " ".join(f"{status:>{wide}}" for status, wide in zip(statuses, widths, strict=True))
            lines.append(f"{label:{width}} {cells}")
        return "\n".join(lines) + "\n"

    def _rows(self, service: Service, route: Route) -> Iterator[tuple[str, list[int]]]:
        for asked in asks(service, route):
            yield from self._row(service, asked)

    def _row(self, service: Service, asked: Asked) -> Iterator[tuple[str, list[int]]]:
        route, body = asked.route, json.dumps(asked.body)
        named = set(re.findall(r"\{(\w+)\*?\}", route.path + body))
        if route.path in SUBJECT and route.method != "POST":
            named.add("subject")
        here, elsewhere = self._world.things[HERE], self._world.things[ELSEWHERE]
        named |= {other for name, other in other_things(service, route.path).items() if name in named}
        places = [HERE, ELSEWHERE] if any(here.get(name) != elsewhere.get(name) for name in named) else [""]
        if named & {"user_id", "subject"}:
            places.append(SELF)
        name = f"{route.method:6} {route.path}{asked.note}{f' at {asked.version}' if asked.version else ''}"
        for place in places:
            statuses = [self._ask(service, asked, body, persona, place) for persona in PERSONAS]
            yield f"{name} {f'({place})' if place else ''}".rstrip(), statuses

    def _ask(self, service: Service, asked: Asked, body: str, persona: str, place: str) -> int:
        world, route = self._world, asked.route
        things: Things = dict(world.things[ELSEWHERE if place == ELSEWHERE else HERE])
        token = world.tokens[persona]
        for parameter, thing in other_things(service, route.path).items():
            things[parameter] = things[thing]
        if place == SELF:
            things |= {"user_id": world.own[persona], "subject": token or "none"}
        headers = {"X-Auth-Token": token} if token else {}
        if route.path in SUBJECT:
            headers["X-Subject-Token"] = things["subject"]
        if service.microversions is not None:
            version = asked.version or service.microversions.maximum
            headers["OpenStack-API-Version"] = f"{service.microversions.service_type} {version}"
        path = service.mount + _filled(route.path, things)
        content = _filled(body, things).encode() if route.method not in ("GET", "HEAD", "DELETE") else b""
        headers["Content-Type"] = "application/json" if route.options.body else "application/octet-stream"
        status, _ = self._loop.run_until_complete(self._stage.ask(route.method, path, headers, content))
        assert status < 500 or status == 501, f"{route.method} {path} as {persona}: {status}"
        return status


class Asked(NamedTuple):
    """A request: a route, its body with {parameters} in it, what tells it from others of the route, its microversion.

    The microversion is that of what the newest one does not have any more.
    """

    route: Route
    body: Any
    note: str
    version: Any


def asks(service: Service, route: Route) -> Iterator[Asked]:
    """What a route is asked: once, or once for each of the actions that share it."""
    if actions := vars(route.operation).get("actions"):
        for action in actions:
            kind = action.body
            if kind is not None and not isinstance(kind, type):
                kind = kind(action.until or (service.microversions.maximum if service.microversions else None))
            body = {action.name: ACTIONS.get(action.name) or (None if kind is None else least(kind))}
            ends = [until for until in (action.until, route.options.until) if until is not None]
            yield Asked(route, body, f" {action.name}", min(ends, default=None))
        return
    version = route.options.until if service.microversions is not None else None
    yield Asked(route, body_of(service, route), "", version)


def other_things(service: Service, path: str) -> dict[str, str]:
    """Parameter -> kind of thing, for a path whose parameters are called like other things."""
    named = f"{service.type} {path}"
    return next(
        (things for start, things in OTHER_THINGS.items() if path.startswith(start) or named.startswith(start)), {}
    )


def _filled(text: str, things: Things) -> str:
    return re.sub(r"\{(\w+)\*?\}", lambda match: things.get(match[1], NOTHING), text)


def _legend(service: Service) -> Iterator[str]:
    yield f"What {service.name} answers to whom. Made by `make policy`; see tests/policy/walk.py."
    yield "401, 403 and (for what one may not know of) 404 are refusals; any other status means that the rule allowed"
    yield "it, a 400 or 409 then that the request, the least one possible, was refused for what it asks."
    yield "here: about things of the domain and project of most who ask; elsewhere: of the stranger's; self: one's own."
    for persona, meaning in MEANINGS.items():
        yield f"{persona}: {meaning}"


def tables(names: tuple[str, ...] = ()) -> dict[str, str]:
    """Service type -> its table, of those named or of all."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        try:
            walk = Walk(stage, World(People(stage)))
            stage.dry = True
            try:
                return {service.type: walk.table(service) for service in SERVICES if not names or service.type in names}
            finally:
                walk.close()
        finally:
            stage.close()


def main() -> None:
    """Write the tables."""
    logging.disable(logging.ERROR)  # answers with 501 are logged, and meant
    for name, table in tables().items():
        (EXPECTED / f"{name}.txt").write_text(table, encoding="utf-8")
        print(f"{name}: {table.count(chr(10))} lines")


if __name__ == "__main__":
    main()
