"""Application credentials and access rules."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.identity.people import DEFAULT, V3, People, in_project

from stackyard.core.clock import SteppedClock


class Owner:
    """A user who is a member of a project, and makes application credentials there."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.project, self.user = people.make("project"), people.user()
        people.grant(f"users/{self.user['id']}", "member", f"projects/{self.project['id']}")
        self.client = people.client(people.token(self.user, in_project(self.project)))
        self.url = f"{V3}/users/{self.user['id']}/application_credentials"

    def make(self, client: TestClient | None = None, **attributes: Any) -> Any:
        body = {"application_credential": {"name": "c", **attributes}}
        return (client or self.client).post(self.url, json=body)

    def sign_in(self, credential: dict[str, Any], **more: Any) -> Any:
        auth = {"identity": {"methods": ["application_credential"], "application_credential": credential}, **more}
        return self.people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth})

    def client_with(self, made: dict[str, Any]) -> TestClient:
        response = self.sign_in({"id": made["id"], "secret": made["secret"]})
        assert response.status_code == 201, response.text
        return self.people.client(response.headers["x-subject-token"])


@pytest.fixture
def owner(people: People) -> Owner:
    """Such a user."""
    return Owner(people)


def test_a_secret_is_shown_once_and_signs_in(owner: Owner) -> None:
    made = owner.make(description="d")
    assert made.status_code == 201
    body = made.json()["application_credential"]
    assert len(body["secret"]) == 86
    assert {role["name"] for role in body["roles"]} == {"member", "reader"}
    assert (body["project_id"], body["unrestricted"], body["expires_at"]) == (owner.project["id"], False, None)
    shown = owner.client.get(f"{owner.url}/{body['id']}").json()["application_credential"]
    assert shown == {key: value for key, value in body.items() if key != "secret"}
    assert owner.client.get(owner.url).json()["application_credentials"] == [shown]

    token = owner.sign_in({"id": body["id"], "secret": body["secret"]}).json()["token"]
    assert token["methods"] == ["application_credential"]
    assert token["project"]["id"] == owner.project["id"]
    assert token["application_credential"] == {"id": body["id"], "name": "c", "restricted": True}
    by_name = {"name": "c", "user": {"name": owner.user["name"], "domain": DEFAULT}, "secret": body["secret"]}
    assert owner.sign_in(by_name).status_code == 201
    by_name["user"] = {"id": owner.user["id"]}
    assert owner.sign_in(by_name).status_code == 201


def test_what_does_not_sign_in(owner: Owner) -> None:
    body = owner.make(secret="my own").json()["application_credential"]
    assert body["secret"] == "my own"
    right = {"id": body["id"], "secret": "my own"}
    assert owner.sign_in(right).status_code == 201
    assert owner.sign_in({**right, "secret": "wrong"}).status_code == 401
    assert owner.sign_in({**right, "id": "0" * 32}).status_code == 401
    assert owner.sign_in(right, scope=in_project(owner.project)).status_code == 401
    assert owner.sign_in({"secret": "my own"}).status_code == 400
    assert owner.sign_in({"secret": "my own", "name": "c"}).status_code == 400


def test_it_ends_with_what_it_rests_on(owner: Owner) -> None:
    made = owner.make().json()["application_credential"]
    client = owner.client_with(made)
    assert client.get(f"{V3}/auth/projects").status_code == 200
    owner.people.revoke(f"users/{owner.user['id']}", "member", f"projects/{owner.project['id']}")
    assert client.get(f"{V3}/auth/projects").status_code == 401
    assert owner.sign_in({"id": made["id"], "secret": made["secret"]}).status_code == 401


def test_deleting_it_ends_its_tokens(owner: Owner) -> None:
    made = owner.make().json()["application_credential"]
    client = owner.client_with(made)
    assert owner.client.delete(f"{owner.url}/{made['id']}").status_code == 204
    assert client.get(f"{V3}/auth/projects").status_code == 401
    assert owner.client.get(f"{owner.url}/{made['id']}").status_code == 404
    assert owner.client.delete(f"{owner.url}/{made['id']}").status_code == 404


def test_roles_can_be_fewer_but_not_more_than_the_tokens(owner: Owner) -> None:
    roles = owner.people.roles
    reader = owner.make(roles=[{"name": "reader"}]).json()["application_credential"]
    token = owner.sign_in({"id": reader["id"], "secret": reader["secret"]}).json()["token"]
    assert [role["name"] for role in token["roles"]] == ["reader"]
    for name in ("admin", "manager", "service"):
        assert owner.make(name=name, roles=[{"id": roles[name]}]).status_code == 400
    assert owner.make(name="x", roles=[{"id": "unknown"}]).status_code == 404
    # What the user gains later is not the credential's.
    owner.people.grant(f"users/{owner.user['id']}", "admin", f"projects/{owner.project['id']}")
    assert owner.client_with(reader).get(f"{V3}/users").status_code == 403


def test_a_restricted_one_makes_no_others_and_no_tokens(owner: Owner) -> None:
    restricted = owner.client_with(owner.make().json()["application_credential"])
    assert owner.make(restricted, name="more").status_code == 403
    listed = owner.client.get(owner.url).json()["application_credentials"]
    assert restricted.delete(f"{owner.url}/{listed[0]['id']}").status_code == 403
    free = owner.client_with(owner.make(name="free", unrestricted=True).json()["application_credential"])
    assert owner.make(free, name="more").status_code == 201
    assert owner.make(free, name="lofty", roles=[{"name": "admin"}]).status_code == 400
    auth = {"identity": {"methods": ["token"], "token": {"id": free.headers["X-Auth-Token"]}}}
    assert owner.people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth}).status_code == 403


def test_nobody_reaches_those_of_others(owner: Owner) -> None:
    made = owner.make().json()["application_credential"]
    other = Owner(owner.people)
    for url in (f"{owner.url}/{made['id']}", f"{other.url}/{made['id']}"):
        assert other.client.get(url).status_code == 403
        assert other.client.delete(url).status_code == 403
    assert other.client.get(owner.url).status_code == 403
    assert other.client.post(owner.url, json={"application_credential": {"name": "x"}}).status_code == 403
    assert owner.people.admin.post(owner.url, json={"application_credential": {"name": "x"}}).status_code == 403
    assert owner.people.admin.get(f"{owner.url}/{made['id']}").status_code == 200
    assert owner.people.admin.get(f"{other.url}/{made['id']}").status_code == 404


def test_names_are_unique_and_bodies_checked(owner: Owner) -> None:
    assert owner.make().status_code == 201
    assert owner.make().status_code == 409
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    for wrong in (
        {"name": ""},
        {"expires_at": "soon"},
        {"expires_at": past},
        {"unrestricted": "yes"},
        {"roles": ["member"]},
        {"access_rules": [{"service": "compute"}]},
        {"access_rules": [{"service": "compute", "method": "DANCE", "path": "/"}]},
        {"access_rules": [{"service": "compute", "method": "GET", "path": "relative"}]},
        {"access_rules": [{"service": "compute", "method": "GET", "path": "/", "colour": "red"}]},
    ):
        assert owner.make(**{"name": "wrong", **wrong}).status_code == 400, wrong
    assert len(owner.client.get(owner.url).json()["application_credentials"]) == 1


def test_its_tokens_end_when_it_does(owner: Owner) -> None:
    clock = SteppedClock(time.time())
    owner.people.cloud.database.clock = clock
    ends = (clock.now() + timedelta(minutes=5)).replace(tzinfo=None).isoformat(timespec="microseconds")
    made = owner.make(expires_at=ends).json()["application_credential"]
    assert made["expires_at"] == ends
    client = owner.client_with(made)
    assert client.get(f"{V3}/auth/projects").status_code == 200
    clock.advance(301)
    assert client.get(f"{V3}/auth/projects").status_code == 401
    assert owner.sign_in({"id": made["id"], "secret": made["secret"]}).status_code == 401


def test_access_rules_narrow_what_may_be_called(owner: Owner) -> None:
    rule = {"service": "identity", "method": "GET", "path": "/v3/auth/projects"}
    made = owner.make(access_rules=[rule]).json()["application_credential"]
    assert [{k: r[k] for k in rule} for r in made["access_rules"]] == [rule]
    client = owner.client_with(made)
    assert client.get(f"{V3}/auth/projects").status_code == 200
    assert client.get(f"{V3}/auth/domains").status_code == 403
    assert client.get("/v3/auth/projects").status_code == 200
    free = owner.client_with(owner.make(name="free", access_rules=[]).json()["application_credential"])
    assert free.get(f"{V3}/auth/domains").status_code == 200

    rules = owner.client.get(f"{V3}/users/{owner.user['id']}/access_rules").json()["access_rules"]
    assert [found["path"] for found in rules] == [rule["path"]]
    one = f"{V3}/users/{owner.user['id']}/access_rules/{rules[0]['id']}"
    assert owner.client.get(one).json()["access_rule"]["id"] == rules[0]["id"]
    again = owner.make(name="again", access_rules=[rule, {"id": rules[0]["id"]}]).json()["application_credential"]
    assert [r["id"] for r in again["access_rules"]] == [rules[0]["id"]]
    assert owner.client.delete(one).status_code == 403
    for credential in (made, again):
        assert owner.client.delete(f"{owner.url}/{credential['id']}").status_code == 204
    assert owner.client.delete(one).status_code == 204
    assert owner.client.get(one).status_code == 404
