"""Access rules of application credentials, in force at every route of every service."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.identity.people import V3, People, in_project

from stackyard.app import SERVICES
from stackyard.core.routes import PUBLIC, Route, Service

NOBODY = "3f0b0d8a-8a43-4f4c-9a4b-0c2b7e1e9d11"
REFUSED = "access rules"


class Holder:
    """An administrator of a project, so that nothing but rules refuses, and his application credentials."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.project, self.user = people.make("project"), people.user()
        people.grant(f"users/{self.user['id']}", "admin", f"projects/{self.project['id']}")
        self.client = people.client(people.token(self.user, in_project(self.project)))
        self.count = 0

    def token(self, *rules: tuple[str, str, str], **more: Any) -> str:
        """A token through a credential of these rules: service, method, path."""
        self.count += 1
        made = [{"service": service, "method": method, "path": path} for service, method, path in rules]
        body = {"name": f"c{self.count}", "access_rules": made, **more}
        url = f"{V3}/users/{self.user['id']}/application_credentials"
        response = self.client.post(url, json={"application_credential": body})
        assert response.status_code == 201, response.text
        credential = response.json()["application_credential"]
        secret = {"id": credential["id"], "secret": credential["secret"]}
        identity = {"methods": ["application_credential"], "application_credential": secret}
        answer = self.people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity}})
        assert answer.status_code == 201, answer.text
        return str(answer.headers["x-subject-token"])

    def with_rules(self, *rules: tuple[str, str, str], **more: Any) -> TestClient:
        """A client of such a token."""
        return self.people.client(self.token(*rules, **more))


@pytest.fixture
def holder(people: People) -> Holder:
    """Such an administrator."""
    return Holder(people)


def headers_of(service: Service, route: Route) -> dict[str, str]:
    """The microversion that a route is of."""
    if service.microversions is None:
        return {}
    version = route.options.since or route.options.until or service.microversions.maximum
    return {"OpenStack-API-Version": f"{service.microversions.service_type} {version}"}


def test_every_route_of_every_service_is_narrowed(holder: Holder) -> None:
    client = holder.with_rules(("identity", "GET", "/v3/nothing"), ("nothing", "GET", "/**"))
    let_through = []
    count = 0
    for service in SERVICES:
        for route in service.routes:
            if route.rule == PUBLIC or (service.type, route.label) == ("identity", "GET /v3/auth/tokens"):
                continue
            path = service.mount + re.sub(r"\{[^}]*\}", NOBODY, route.path)
            answer = client.request(route.method, path, headers=headers_of(service, route), content=b"{}")
            count += 1
            if answer.status_code != 403 or (route.method != "HEAD" and REFUSED not in answer.text):
                let_through.append((service.type, route.label, answer.status_code))
    assert let_through == []
    assert count > 300


PLACES = [
    ("identity", "/v3/projects", "/identity/v3/projects"),
    ("identity", "/v3/projects", "/v3/projects"),
    ("identity", "/identity/v3/projects", "/identity/v3/projects"),
    ("identity", "/identity/v3/projects", "/v3/projects"),
    ("image", "/v2/images", "/image/v2/images"),
    ("image", "/image/v2/images", "/image/v2/images"),
    ("network", "/v2.0/networks", "/network/v2.0/networks"),
    ("network", "/network/v2.0/networks", "/network/v2.0/networks"),
    ("network", "/v2.0/*", "/network/v2.0/networks"),
    ("network", "/v2.0/networks", "/network/v2.0//networks/"),
    ("container", "/v1/containers", "/container/v1/containers"),
    ("container", "/container/**", "/container/v1/containers"),
]


@pytest.mark.parametrize(("service", "rule", "path"), PLACES)
def test_what_a_rule_names_may_be_called(holder: Holder, service: str, rule: str, path: str) -> None:
    client = holder.with_rules((service, "GET", rule))
    assert client.get(path).status_code == 200
    assert client.get(f"{path}/{NOBODY}").status_code == (404 if rule.endswith("**") else 403)
    for refused in (client.post(path, json={}), client.head(path)):
        assert refused.status_code == 403
    for other in {place for kind, _, place in PLACES if kind != service}:
        assert client.get(other).status_code == 403


def test_on_a_port_of_its_own(holder: Holder) -> None:
    from stackyard.core.dispatch import Receive, Scope, Send

    for service, path, rule in (
        ("image", "/v2/images", "/v2/images"),
        ("image", "/v2/images", "/image/v2/images"),
        ("network", "/v2.0/networks", "/v2.0/networks"),
        ("container", "/v1/containers", "/v1/containers"),
    ):
        mount = next(one.mount for one in SERVICES if one.type == service)

        async def at_port(scope: Scope, receive: Receive, send: Send, mount: str = mount) -> None:
            await holder.people.cloud.cloud({**scope, "stackyard.service": mount}, receive, send)

        token = {"X-Auth-Token": holder.token((service, "GET", rule))}
        client = TestClient(at_port, base_url="http://127.0.0.1:9000", headers=token, raise_server_exceptions=False)
        assert client.get(path).status_code == 200, rule
        assert client.get(f"{path}/{NOBODY}").status_code == 403
        assert client.post(path, json={}).status_code == 403


def test_edge_routes_are_narrowed_before_they_begin(holder: Holder) -> None:
    admin = holder.people.admin
    image = admin.post("/image/v2/images", json={"disk_format": "raw", "container_format": "bare"}).json()["id"]
    url = f"/image/v2/images/{image}/file"
    data = {"content": b"bytes", "headers": {"Content-Type": "application/octet-stream"}}
    refused = holder.with_rules(("image", "GET", "/v2/images/**"))
    assert refused.put(url, **data).status_code == 403
    assert admin.get(f"/image/v2/images/{image}").json()["status"] == "queued"
    allowed = holder.with_rules(("image", "PUT", "/v2/images/{image_id}/file"))
    assert allowed.put(url, **data).status_code == 204
    assert allowed.get(url).status_code == 403
    users = holder.with_rules(("identity", "GET", "/v3/users"))
    assert users.post(f"{V3}/users", json={"user": {"name": "n"}}).status_code == 403


def test_a_token_may_always_be_validated(holder: Holder) -> None:
    token = holder.token(("network", "GET", "/v2.0/networks"))
    client = holder.people.client(token)
    headers = {"X-Subject-Token": token, "OpenStack-Identity-Access-Rules": "1.0"}
    assert client.get(f"{V3}/auth/tokens", headers=headers).status_code == 200
    assert client.delete(f"{V3}/auth/tokens", headers={"X-Subject-Token": token}).status_code == 403


def test_public_routes_give_no_more_than_to_strangers(holder: Holder) -> None:
    token = holder.token(("network", "GET", "/v2.0/networks"))
    client = holder.people.client(token)
    assert client.get("/identity/v3").json() == holder.people.cloud.http.get("/identity/v3").json()
    for scope in ({}, {"scope": "unscoped"}, {"scope": in_project(holder.project)}):
        auth = {"identity": {"methods": ["token"], "token": {"id": token}}, **scope}
        assert client.post(f"{V3}/auth/tokens", json={"auth": auth}).status_code == 403


def test_rules_do_not_make_more_of_roles(holder: Holder) -> None:
    client = holder.with_rules(("identity", "POST", "/v3/**"), roles=[{"name": "reader"}])
    refused = client.post(f"{V3}/users", json={"user": {"name": "n"}})
    assert refused.status_code == 403
    assert REFUSED not in refused.text


def test_a_credential_with_rules_makes_none_without(holder: Holder) -> None:
    url = f"{V3}/users/{holder.user['id']}/application_credentials"
    rule = ("identity", "POST", "/v3/users/*/application_credentials")
    asked = {"application_credential": {"name": "more"}}
    assert holder.with_rules(rule).post(url, json=asked).status_code == 403
    other = ("network", "GET", "/v2.0/networks")
    unrestricted = holder.with_rules(rule, other, unrestricted=True)
    wider = {"service": "network", "method": "GET", "path": "/v2.0/**"}
    for rules in ({}, {"access_rules": []}, {"access_rules": None}, {"access_rules": [wider]}):
        made = unrestricted.post(url, json={"application_credential": {"name": "more", **rules}})
        assert made.status_code == 403, rules
        assert "access rules" in made.json()["error"]["message"]
    same = {"service": "network", "method": "GET", "path": "/v2.0/networks"}
    narrower = {"application_credential": {"name": "less", "access_rules": [same]}}
    assert unrestricted.post(url, json=narrower).status_code == 201
