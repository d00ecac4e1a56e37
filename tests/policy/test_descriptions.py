"""Schemathesis over identity and image: what their descriptions allow and what they do not, sent to every route.

Whatever is sent, nothing answers with a fault of ours. Nothing that a request does stays (see walk.py), so each meets
the same cloud, with things to name in it.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from requests import Request
from schemathesis import GenerationMode
from tests.api.identity.people import People
from tests.cloud import PASSWORDS
from tests.policy.personas import ELSEWHERE, HERE, World
from tests.policy.walk import NOTHING, Stage

from stackyard.core.openapi import describe
from stackyard.core.routes import Service
from stackyard.services import identity, image
from stackyard.services.image.patch import RFC

FEW = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
BOTH = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
BASE = "http://127.0.0.1:5000"


@schemathesis.serializer(RFC)
def as_json(ctx: Any, value: Any) -> bytes:
    """A patch is JSON, though its media type does not say so."""
    del ctx
    return json.dumps(value).encode()


IDS = {
    **{name: name for name in ("domain_id", "project_id", "user_id", "group_id", "role_id", "service_id", "region_id")},
    **dict.fromkeys(("parent_id", "default_project_id", "tenant_id"), "project_id"),
    **dict.fromkeys(("trustor_user_id", "trustee_user_id"), "user_id"),
    "parent_region_id": "region_id",
    "mapping_id": "mapping_id",
    "member": "member_id",
}
"""Fields of bodies that name a thing, and which: with real ones a request gets past them to what is behind."""

PLACES = {"enum": [HERE, ELSEWHERE, NOTHING]}


def described(service: Service) -> Any:
    """A description in which what names a thing names a place: the test puts in what is there."""
    found = describe(service)
    for operations in found["paths"].values():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    parameter["schema"] = PLACES
    for component in found["components"]["schemas"].values():
        properties = component.get("properties", {})
        properties |= {name: PLACES for name in properties if name in IDS}
    return schemathesis.openapi.from_dict(found)


def filled(value: Any, things: dict[str, dict[str, str]]) -> Any:
    """A body with the things of the places that it names."""
    if isinstance(value, dict):
        return {
            key: things[one].get(IDS[key], NOTHING)
            if key in IDS and isinstance(one, str) and one in things
            else filled(one, things)
            for key, one in value.items()
        }
    return [filled(one, things) for one in value] if isinstance(value, list) else value


class Asker:
    """Sends cases to a cloud as its administrator and as a member of a project."""

    def __init__(self, folder: Path) -> None:
        self.stage = Stage(folder)
        self._world = World(People(self.stage))
        self._loop = asyncio.new_event_loop()
        self.tokens = [self.stage.token(user) for user in PASSWORDS] + [str(self._world.tokens["member"])]
        self.stage.dry = True
        self.broken: dict[str, str] = {}
        self.statuses: Counter[int] = Counter()

    def close(self) -> None:
        """End it."""
        self._loop.close()
        self.stage.close()

    def send(self, case: Any) -> None:
        """One case as everybody; a fault of ours is noted, the first of each route."""
        for name, value in (case.path_parameters or {}).items():
            if value in (HERE, ELSEWHERE):
                case.path_parameters[name] = self._world.things[value].get(name, NOTHING)
        case.body = filled(case.body, self._world.things)
        given = case.as_transport_kwargs(base_url=BASE + case.operation.schema.base_path.rstrip("/"))
        given.pop("cookies", None)
        prepared = Request(**{name: given[name] for name in given if name in _OF_REQUEST}).prepare()
        body = prepared.body or b""
        content = body.encode() if isinstance(body, str) else bytes(body)
        path = (prepared.url or "").removeprefix(BASE)
        for token in self.tokens:
            headers = {**{str(k): str(v) for k, v in prepared.headers.items()}, "X-Auth-Token": token}
            asked = self.stage.ask(str(prepared.method), path, headers, content)
            status, answer = self._loop.run_until_complete(asked)
            self.statuses[status] += 1
            if (status >= 500 and status != 501) or b"Traceback" in answer:
                label = f"{case.operation.label}: {status}"
                self.broken.setdefault(label, f"{path} {content[:500]!r}")


_OF_REQUEST = ("method", "url", "headers", "params", "data", "json", "files")


@pytest.fixture(scope="module")
def asker() -> Iterator[Asker]:
    """One cloud for all cases."""
    with tempfile.TemporaryDirectory() as folder:
        made = Asker(Path(folder))
        try:
            yield made
        finally:
            made.close()


def cases(operation: Any) -> Iterator[Any]:
    """What Schemathesis thinks of: every field in turn missing, of the wrong type, at and past its bounds."""
    schema = operation.schema
    config = schema.config.generation_for(operation=operation)
    yield from schema.iter_coverage_cases(operation, generation_modes=BOTH, generation_config=config)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", [identity.SERVICE, image.SERVICE], ids=lambda service: service.type)
def test_nothing_that_can_be_sent_breaks_a_route(asker: Asker, service: Service) -> None:
    operations = [result.ok() for result in described(service).get_all_operations()]
    assert len(operations) == len({route.label for route in service.routes})
    for operation in operations:
        for case in cases(operation):
            asker.send(case)
        for mode in BOTH if operation.body or operation.query else []:

            @FEW
            @given(case=operation.as_strategy(generation_mode=mode))
            def send(case: Any) -> None:
                asker.send(case)

            with suppress(Unsatisfiable):  # a route that takes nothing cannot be sent anything wrong
                send()
    assert asker.broken == {}
