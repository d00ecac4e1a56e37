"""From a request to its operation and back, through a small service made for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from stackyard.core.body import Body
from stackyard.core.call import Call, Reply
from stackyard.core.caller import AccessRule, Caller
from stackyard.core.config import Settings
from stackyard.core.db import Database, Transaction
from stackyard.core.dispatch import Dispatcher
from stackyard.core.errors import ApiError, NotFound, Unauthorized
from stackyard.core.microversion import Microversion, MicroversionRange
from stackyard.core.policy import PolicySet, Rule
from stackyard.core.quota import Quotas
from stackyard.core.routes import PUBLIC, Route, Service
from stackyard.core.runtime import Runtime

notes = sa.Table(
    "notes", sa.MetaData(), sa.Column("id", sa.String(32), primary_key=True), sa.Column("project_id", sa.String(32))
)

CALLERS = {
    "alice": Caller(user_id="alice", project_id="p1", roles=frozenset({"member"})),
    "bob": Caller(user_id="bob", project_id="p2", roles=frozenset({"member"})),
    "guest": Caller(user_id="guest", project_id="p1"),
    "robot": Caller(
        user_id="robot",
        project_id="p1",
        roles=frozenset({"member"}),
        access_rules=(AccessRule("notebook", "GET", "/notes/*"),),
    ),
}


class Note(Body):
    id: str
    size: int = 0


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    tx.execute(notes.insert(), {"id": call.body.id, "project_id": call.caller.project_id})
    if call.body.id == "broken":
        raise RuntimeError("a bug, after a write")
    return {"note": {"id": call.body.id}}


def load(tx: Transaction, call: Call) -> Any:
    row = tx.first(sa.select(notes).where(notes.c.id == call.path["id"]))
    if row is None:
        raise NotFound(f"Note {call.path['id']} could not be found.")
    return row


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    found = call.target.id
    return {"note": {"id": found, "version": str(call.microversion), "url": call.url(f"/notes/{found}")}}


def count(tx: Transaction, call: Call) -> Reply:
    return Reply({"count": tx.scalar(sa.select(sa.func.count()).select_from(notes))}, headers={"X-Count": "yes"})


async def echo(call: Call) -> Reply:
    parts = [part async for part in call.request.stream()]
    return Reply(b"".join(parts), media_type="text/plain", headers={"X-User": call.caller.user_id})


def authenticate(tx: Transaction, token: str) -> Caller:
    if token not in CALLERS:
        raise Unauthorized("That token is not known.")
    return CALLERS[token]


def fault(error: ApiError, request_id: str) -> dict[str, Any]:
    return {"fault": {"status": error.status, "kind": error.kind, "text": error.message, "request": request_id}}


V = Microversion
SERVICE = Service(
    type="notebook",
    name="notes",
    mount="/notebook",
    classic_port=1,
    routes=(
        Route("GET", "/", count, PUBLIC),
        Route("POST", "/notes", create, "create_note", body=Note, envelope="note", status=201),
        Route("GET", "/notes/{id}", show, "get_note", target=load),
        Route("GET", "/notes/{id}/new", show, "get_note", target=load, since=V(1, 5)),
        Route("PUT", "/echo", echo, "create_note", edge=True),
    ),
    policies=(
        Rule("create_note", "role:member", ""),
        Rule("get_note", "role:member and project_id:%(project_id)s", ""),
    ),
    fault=fault,
    microversions=MicroversionRange("notebook", V(1, 1), V(1, 9)),
)


@pytest.fixture
def http(database_url: str) -> Iterator[TestClient]:
    database = Database(database_url)
    notes.create(database.engine)
    runtime = Runtime(
        settings=Settings(),
        database=database,
        policies=PolicySet(SERVICE.policies),
        quotas=Quotas({}),
        authenticate=authenticate,
    )
    yield TestClient(Dispatcher(runtime, [SERVICE]), base_url="http://cloud:5000", raise_server_exceptions=False)
    runtime.close()


def token(name: str) -> dict[str, str]:
    return {"X-Auth-Token": name}


def made(http: TestClient, name: str = "n1") -> None:
    response = http.post("/notebook/notes", json={"note": {"id": name}}, headers=token("alice"))
    assert response.status_code == 201, response.text


def total(http: TestClient) -> int:
    return int(http.get("/notebook").json()["count"])


def test_a_call_end_to_end(http: TestClient) -> None:
    made(http)
    response = http.get("/notebook/notes/n1", headers={**token("alice"), "OpenStack-API-Version": "notebook 1.3"})
    assert response.json() == {"note": {"id": "n1", "version": "1.3", "url": "http://cloud:5000/notebook/notes/n1"}}
    assert response.headers["openstack-api-version"] == "notebook 1.3"
    assert response.headers["x-openstack-request-id"].startswith("req-")


def test_who_may_what(http: TestClient) -> None:
    made(http)
    statuses = {name: http.get("/notebook/notes/n1", headers=token(name)).status_code for name in (*CALLERS, "forged")}
    assert statuses == {"alice": 200, "bob": 403, "guest": 403, "robot": 200, "forged": 401}
    assert http.get("/notebook/notes/n1").status_code == 401


def test_access_rules_bind_a_caller_that_has_them(http: TestClient) -> None:
    response = http.post("/notebook/notes", json={"note": {"id": "x"}}, headers=token("robot"))
    assert response.status_code == 403
    assert total(http) == 0


def test_strangers_learn_nothing_of_bodies(http: TestClient) -> None:
    assert http.post("/notebook/notes", content=b"not json").status_code == 401


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"not json", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"{}", "'note'"),
        (b"[]", "'note'"),
        (b'{"note": {}}', "Invalid input for id"),
        (b'{"note": {"id": 5}}', "Invalid input for id"),
        (b'{"note": {"id": "a", "colour": "red"}}', "Invalid input for colour"),
        (b'{"note": {"id": "a", "size": "big"}}', "Invalid input for size"),
    ],
)
def test_bad_bodies_get_400_and_change_nothing(http: TestClient, content: bytes, text: str) -> None:
    response = http.post("/notebook/notes", content=content, headers=token("alice"))
    assert response.status_code == 400
    assert text in response.json()["fault"]["text"]
    assert total(http) == 0


def test_a_body_over_the_limit_gets_413(http: TestClient) -> None:
    response = http.post("/notebook/notes", content=b" " * (16 * 1024 * 1024 + 1), headers=token("alice"))
    assert response.status_code == 413


def test_a_bug_rolls_back_and_says_nothing_of_itself(http: TestClient) -> None:
    response = http.post("/notebook/notes", json={"note": {"id": "broken"}}, headers=token("alice"))
    assert response.status_code == 500
    assert "a bug" not in response.text
    assert response.headers["x-openstack-request-id"] in response.text
    assert total(http) == 0


def test_unknown_addresses_and_methods(http: TestClient) -> None:
    assert http.get("/elsewhere").status_code == 404
    assert http.get("/notebooks").status_code == 404
    assert http.get("/notebook/x/y/z", headers=token("alice")).json()["fault"]["status"] == 404
    refused = http.delete("/notebook/notes", headers=token("alice"))
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_microversions_out_of_range_and_malformed(http: TestClient) -> None:
    for version, status in (("1.10", 406), ("0.9", 400), ("x", 400), ("latest", 200), ("1.9", 200)):
        assert http.get("/notebook", headers={"OpenStack-API-Version": f"notebook {version}"}).status_code == status
    refused = http.get("/notebook", headers={"OpenStack-API-Version": "notebook 1.10"})
    assert refused.headers["openstack-api-maximum-version"] == "notebook 1.9"
    assert "openstack-api-version" not in refused.headers


def test_each_call_is_told_its_own_microversion(http: TestClient) -> None:
    for asked in ("1.1", "1.9", "1.5", "1.1"):
        answer = http.get("/notebook", headers={"OpenStack-API-Version": f"notebook {asked}"})
        found = [(name, value) for name, value in answer.headers.multi_items() if "version" in name]
        assert found == [
            ("openstack-api-minimum-version", "notebook 1.1"),
            ("openstack-api-maximum-version", "notebook 1.9"),
            ("openstack-api-version", f"notebook {asked}"),
        ]


def test_the_longest_mount_is_whose_a_path_is(database_url: str) -> None:
    runtime = Runtime(
        settings=Settings(),
        database=Database(database_url),
        policies=PolicySet(SERVICE.policies),
        quotas=Quotas({}),
        authenticate=authenticate,
    )
    outer = replace(SERVICE, mount="/a", aliases=("/other/one",))
    dispatcher = Dispatcher(runtime, [outer, replace(SERVICE, mount="/a/b")])
    found = {path: dispatcher.mount_of(path) for path in ("/a", "/a/b", "/a/b/c", "/a/bc", "/other/one/x", "/other")}
    assert found == {
        "/a": "/a", "/a/b": "/a/b", "/a/b/c": "/a/b", "/a/bc": "/a", "/other/one/x": "/other/one", "/other": None,
    }  # fmt: skip
    assert dispatcher.mount_of("a/b") is dispatcher.mount_of("*") is dispatcher.mount_of("") is None
    runtime.close()


def test_a_route_exists_from_its_microversion_on(http: TestClient) -> None:
    made(http)
    assert http.get("/notebook/notes/n1/new", headers=token("alice")).status_code == 404
    newer = {**token("alice"), "OpenStack-API-Version": "notebook 1.5"}
    assert http.get("/notebook/notes/n1/new", headers=newer).status_code == 200


def test_head_has_the_headers_and_no_body(http: TestClient) -> None:
    response = http.head("/notebook")
    assert (response.status_code, response.content, response.headers["x-count"]) == (200, b"", "yes")


def test_an_edge_operation_streams(http: TestClient) -> None:
    response = http.put("/notebook/echo", content=b"x" * 100_000, headers=token("alice"))
    assert (len(response.content), response.headers["x-user"]) == (100_000, "alice")
    assert http.put("/notebook/echo", content=b"x").status_code == 401
    assert http.put("/notebook/echo", content=b"x", headers=token("guest")).status_code == 403


def test_a_classic_port_serves_one_service_at_its_root(http: TestClient) -> None:
    made(http)
    inner = http.app

    async def classic(scope: Any, receive: Any, send: Any) -> None:
        await inner({**scope, "stackyard.service": "/notebook"}, receive, send)

    response = TestClient(classic, base_url="http://cloud:1").get("/notes/n1", headers=token("alice"))
    assert response.json()["note"]["url"] == "http://cloud:1/notes/n1"


def test_json_is_what_msgspec_makes(http: TestClient) -> None:
    assert msgspec.json.decode(http.get("/notebook").content) == {"count": 0}
