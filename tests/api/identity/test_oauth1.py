"""OAuth 1.0a: consumers, the way to an access token, signing in with it, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA256, SIGNATURE_PLAINTEXT, Client
from starlette.testclient import TestClient
from tests.api.identity.people import SYSTEM, V3, People, in_project

from stackyard.core.config import Server, Settings
from stackyard.services.identity import api
from stackyard.services.identity.oauth1 import tables

ROOT = "http://127.0.0.1:5000"
OAUTH = f"{V3}/OS-OAUTH1"


class World:
    """An administrator of a project who authorises, and a consumer."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.project, self.user = people.make("project"), people.user()
        self.place = f"projects/{self.project['id']}"
        people.grant(f"users/{self.user['id']}", "admin", self.place)
        self.client = people.client(people.token(self.user, in_project(self.project)))
        self.consumer = self.new_consumer()
        self.tokens = f"{V3}/users/{self.user['id']}/OS-OAUTH1/access_tokens"

    def new_consumer(self) -> dict[str, Any]:
        response = self.people.admin.post(f"{OAUTH}/consumers", json={"consumer": {"description": "d"}})
        assert response.status_code == 201, response.text
        return dict(response.json()["consumer"])

    def headers(
        self, path: str, root: str = ROOT, consumer: dict[str, Any] | None = None, **more: Any
    ) -> dict[str, str]:
        who = consumer or self.consumer
        signer = Client(who["id"], client_secret=who["secret"], **{"callback_uri": None, **more})
        _, headers, _ = signer.sign(f"{root}{path}", "POST")
        return {str(name): str(value) for name, value in headers.items()}

    def post(self, path: str, headers: dict[str, str], **given: Any) -> Any:
        return self.people.cloud.http.post(path, headers=headers, **given)

    def ask_request_token(self, **more: Any) -> Any:
        headers = self.headers(f"{OAUTH}/request_token", callback_uri="oob", **more)
        return self.post(f"{OAUTH}/request_token", {**headers, "Requested-Project-Id": self.project["id"]})

    def request_token(self) -> tuple[str, str]:
        return form(self.ask_request_token())

    def authorize(self, token: str, roles: list[Any] | None = None, client: TestClient | None = None) -> Any:
        given = [{"id": self.people.roles["member"]}] if roles is None else roles
        return (client or self.client).put(f"{OAUTH}/authorize/{token}", json={"roles": given})

    def exchange(self, token: str, secret: str, verifier: str, **more: Any) -> Any:
        signed = {"resource_owner_key": token, "resource_owner_secret": secret, "verifier": verifier, **more}
        return self.post(f"{OAUTH}/access_token", self.headers(f"{OAUTH}/access_token", **signed))

    def access_token(self, roles: list[Any] | None = None) -> tuple[str, str]:
        token, secret = self.request_token()
        answer = self.authorize(token, roles)
        assert answer.status_code == 200, answer.text
        return form(self.exchange(token, secret, answer.json()["token"]["oauth_verifier"]))

    def sign_in(self, token: str, secret: str, body: Any = None, **more: Any) -> Any:
        headers = self.headers(f"{V3}/auth/tokens", resource_owner_key=token, resource_owner_secret=secret, **more)
        return self.post(f"{V3}/auth/tokens", headers, json=body or auth())


def auth(**more: Any) -> dict[str, Any]:
    return {"auth": {"identity": {"methods": ["oauth1"], "oauth1": {}}, **more}}


def form(response: Any) -> tuple[str, str]:
    assert response.status_code == 201, response.text
    assert response.headers["content-type"] == "application/x-www-form-urlencoded"
    found = parse_qs(response.text)
    assert found["oauth_expires_at"][0].endswith("Z")
    return found["oauth_token"][0], found["oauth_token_secret"][0]


@pytest.fixture
def world(people: People) -> World:
    """Such a world."""
    return World(people)


def test_consumers(people: People) -> None:
    url = f"{OAUTH}/consumers"
    made = people.admin.post(url, json={"consumer": {"description": "mine", "site": "s", "secret": "own"}})
    assert made.status_code == 201
    consumer = made.json()["consumer"]
    secret = consumer.pop("secret")
    assert len(secret) == 32
    assert (consumer["description"], consumer["site"]) == ("mine", "s")
    one = f"{url}/{consumer['id']}"
    assert consumer["links"]["self"].endswith(f"/v3/OS-OAUTH1/consumers/{consumer['id']}")
    assert people.admin.get(one).json()["consumer"] == consumer
    assert people.admin.get(url).json()["consumers"] == [consumer]
    changed = people.admin.patch(one, json={"consumer": {"description": None, "note": "n"}}).json()["consumer"]
    assert changed == {**consumer, "description": None, "note": "n"}
    for change in ({}, {"secret": "x"}, {"description": 5}, {"id": "other"}):
        assert people.admin.patch(one, json={"consumer": change}).status_code == 400
    assert people.admin.post(url, json={"consumer": {"description": ["d"]}}).status_code == 400
    reader = people.with_role("reader", SYSTEM)
    assert reader.get(one).json()["consumer"] == changed
    assert reader.get(url).status_code == 200
    for client in (reader, people.cloud.client("demo")):
        assert client.post(url, json={"consumer": {}}).status_code == 403
        assert client.patch(one, json={"consumer": {"description": "x"}}).status_code == 403
        assert client.delete(one).status_code == 403
    assert people.cloud.client("demo").get(one).status_code == 403
    assert people.cloud.client("demo").get(url).status_code == 403
    assert people.admin.delete(one).status_code == 204
    assert people.admin.get(one).status_code == 404
    assert people.admin.delete(one).status_code == 404


def test_the_way_to_a_token(world: World) -> None:
    token, secret = world.access_token()
    shown = world.client.get(f"{world.tokens}/{token}").json()["access_token"]
    links = shown.pop("links")
    assert links["roles"] == f"{links['self']}/roles"
    assert shown.pop("expires_at") is not None
    assert shown == {
        "id": token,
        "consumer_id": world.consumer["id"],
        "authorizing_user_id": world.user["id"],
        "project_id": world.project["id"],
    }
    assert [one["id"] for one in world.client.get(world.tokens).json()["access_tokens"]] == [token]
    member = world.people.roles["member"]
    assert [role["id"] for role in world.client.get(f"{world.tokens}/{token}/roles").json()["roles"]] == [member]
    assert world.client.get(f"{world.tokens}/{token}/roles/{member}").json()["role"]["id"] == member
    assert world.client.get(f"{world.tokens}/{token}/roles/{world.people.roles['admin']}").status_code == 404

    answer = world.sign_in(token, secret)
    assert answer.status_code == 201, answer.text
    body = answer.json()["token"]
    assert body["methods"] == ["oauth1"]
    assert body["user"]["id"] == world.user["id"]
    assert body["project"]["id"] == world.project["id"]
    assert {role["name"] for role in body["roles"]} == {"member", "reader"}
    assert body["OS-OAUTH1"] == {"access_token_id": token, "consumer_id": world.consumer["id"]}
    text = answer.headers["x-subject-token"]
    assert world.people.validate(text).json()["token"]["OS-OAUTH1"] == body["OS-OAUTH1"]

    assert world.client.delete(f"{world.tokens}/{token}").status_code == 204
    assert world.client.get(f"{world.tokens}/{token}").status_code == 404
    assert world.people.validate(text).status_code == 404
    assert world.sign_in(token, secret).status_code == 404


def test_a_scope_asked_for_does_not_matter(world: World) -> None:
    token, secret = world.access_token()
    other = world.people.make("project")
    world.people.grant(f"users/{world.user['id']}", "member", f"projects/{other['id']}")
    answer = world.sign_in(token, secret, auth(scope=in_project(other)))
    assert answer.json()["token"]["project"]["id"] == world.project["id"]
    system = world.sign_in(token, secret, auth(scope=SYSTEM))
    assert "system" not in system.json()["token"]


def test_other_strengths_of_signature(world: World) -> None:
    token, secret = world.access_token()
    assert world.sign_in(token, secret, signature_method=SIGNATURE_HMAC_SHA256).status_code == 201
    assert world.sign_in(token, secret, signature_method=SIGNATURE_PLAINTEXT).status_code == 401


def test_a_signed_request_is_good_once_and_for_a_while(world: World) -> None:
    token, secret = world.access_token()
    owner = {"resource_owner_key": token, "resource_owner_secret": secret}
    headers = world.headers(f"{V3}/auth/tokens", **owner)
    assert world.post(f"{V3}/auth/tokens", headers, json=auth()).status_code == 201
    assert world.post(f"{V3}/auth/tokens", headers, json=auth()).status_code == 401
    for shift in (-1000, 1000):
        stamp = str(int(time.time()) + shift)
        assert world.sign_in(token, secret, timestamp=stamp).status_code == 401
        assert world.ask_request_token(timestamp=stamp).status_code == 401
    once = {**world.headers(f"{OAUTH}/request_token"), "Requested-Project-Id": world.project["id"]}
    assert world.post(f"{OAUTH}/request_token", once).status_code == 201
    assert world.post(f"{OAUTH}/request_token", once).status_code == 401


def test_what_is_not_signed_so(world: World) -> None:
    token, secret = world.access_token()
    other = world.new_consumer()
    assert world.sign_in(token, "0" * 32).status_code == 401
    assert world.sign_in("0" * 32, secret).status_code == 404
    assert world.sign_in(token, secret, consumer=other).status_code == 401
    assert world.sign_in(token, secret, consumer={"id": "0" * 32, "secret": "s"}).status_code == 401
    assert world.sign_in(token, secret, consumer={**world.consumer, "secret": "wrong"}).status_code == 401
    assert world.sign_in(token, secret, root="http://elsewhere").status_code == 401
    assert world.sign_in(token, secret, nonce="n" * 129).status_code == 401
    assert world.sign_in(token, secret, nonce="a b").status_code == 401
    assert world.ask_request_token(consumer={**world.consumer, "secret": "wrong"}).status_code == 401
    assert world.ask_request_token(consumer={"id": "x", "secret": "s"}).status_code == 401
    assert world.people.cloud.http.post(f"{V3}/auth/tokens", json=auth()).status_code == 400
    for header in ("", "OAuth", "OAuth x", "Basic abc", 'OAuth oauth_token="a"', "OAuth " + "," * 500, "OAuth \xff=1"):
        for path in (f"{V3}/auth/tokens", f"{OAUTH}/request_token", f"{OAUTH}/access_token"):
            headers = {"Authorization": header.encode("latin-1"), "Requested-Project-Id": world.project["id"].encode()}
            assert world.people.cloud.http.post(path, headers=headers, json=auth()).status_code == 400, header


def test_what_asking_needs(world: World) -> None:
    path = f"{OAUTH}/request_token"
    assert world.post(path, {"Requested-Project-Id": world.project["id"]}).status_code == 400
    assert world.post(path, world.headers(path)).status_code == 400
    assert world.post(path, {**world.headers(path), "Requested-Project-Id": "0" * 32}).status_code == 404
    assert world.people.cloud.http.get(path).status_code == 405


def test_who_authorises_what(world: World) -> None:
    token, secret = world.request_token()
    roles = world.people.roles
    manager = world.people.with_role("manager", in_project(world.project))
    assert world.authorize(token, client=manager).status_code == 403
    assert world.authorize("0" * 32).status_code == 404
    for given in ([{}], [{"id": "a", "name": "b"}], [{"id": 5}], [{"x": "y"}], "member", [{"name": ""}]):
        assert world.authorize(token, given).status_code == 400, given
    assert world.authorize(token, [{"id": roles["service"]}]).status_code == 401
    assert world.authorize(token, [{"name": "nothing"}]).status_code == 404
    elsewhere = world.people.with_role("admin", in_project(world.people.make("project")))
    assert world.authorize(token, client=elsewhere).status_code == 401
    answer = world.authorize(token, [{"name": "member"}])
    assert answer.status_code == 200
    verifier = answer.json()["token"]["oauth_verifier"]
    assert len(verifier) == 8
    wrong = "A" * 8 if verifier != "A" * 8 else "B" * 8
    assert world.exchange(token, secret, wrong).status_code == 401
    assert world.exchange(token, "0" * 32, verifier).status_code == 401
    assert world.exchange(token, secret, verifier, consumer=world.new_consumer()).status_code == 401
    assert world.exchange("0" * 32, secret, verifier).status_code == 404
    assert world.exchange(token, secret, verifier).status_code == 201
    assert world.exchange(token, secret, verifier).status_code == 404


def test_unauthorised_is_worth_nothing(world: World) -> None:
    token, secret = world.request_token()
    assert world.exchange(token, secret, "A" * 8).status_code == 401
    # Nor is a request token an access token, or the other way round.
    assert world.sign_in(token, secret).status_code == 404
    access, access_secret = world.access_token()
    assert world.exchange(access, access_secret, "A" * 8).status_code == 404


def test_it_lends_what_the_user_has(world: World) -> None:
    token, secret = world.access_token([{"name": "member"}, {"name": "admin"}])
    first = world.sign_in(token, secret)
    assert "admin" in {role["name"] for role in first.json()["token"]["roles"]}
    world.people.grant(f"users/{world.user['id']}", "reader", world.place)
    world.people.revoke(f"users/{world.user['id']}", "admin", world.place)
    names = {role["name"] for role in world.sign_in(token, secret).json()["token"]["roles"]}
    assert names == {"reader"}
    world.people.revoke(f"users/{world.user['id']}", "reader", world.place)
    assert world.sign_in(token, secret).status_code == 401
    assert world.people.validate(first.headers["x-subject-token"]).status_code == 404


def test_it_ends_with_consumer_user_and_project(world: World) -> None:
    admin = world.people.admin
    token, secret = world.access_token()
    text = world.sign_in(token, secret).headers["x-subject-token"]
    url = f"{V3}/users/{world.user['id']}"
    assert admin.patch(url, json={"user": {"enabled": False}}).status_code == 200
    assert world.people.validate(text).status_code == 404
    assert world.sign_in(token, secret).status_code == 401
    assert admin.patch(url, json={"user": {"enabled": True}}).status_code == 200
    assert world.sign_in(token, secret).status_code == 201
    assert admin.delete(url).status_code == 204
    assert world.sign_in(token, secret).status_code == 404
    for kind in ("consumer", "project"):
        other = World(world.people)
        token, secret = other.access_token()
        text = other.sign_in(token, secret).headers["x-subject-token"]
        ended = f"{OAUTH}/consumers/{other.consumer['id']}" if kind == "consumer" else f"{V3}/{other.place}"
        assert admin.delete(ended).status_code == 204
        assert world.people.validate(text).status_code == 404
        assert other.sign_in(token, secret).status_code == 404


def test_its_tokens_manage_nothing_that_outlives_them(world: World) -> None:
    token, secret = world.access_token([{"name": "admin"}])
    answer = world.sign_in(token, secret)
    client = world.people.client(answer.headers["x-subject-token"])
    user = world.user["id"]
    trust = {
        "trustor_user_id": user,
        "trustee_user_id": user,
        "project_id": world.project["id"],
        "impersonation": False,
        "roles": [{"name": "member"}],
    }
    credential = {"user_id": user, "type": "totp", "blob": "x"}
    request_token, _ = world.request_token()
    for response in (
        client.post(f"{V3}/OS-TRUST/trusts", json={"trust": trust}),
        client.get(f"{V3}/OS-TRUST/trusts?trustor_user_id={user}"),
        client.post(f"{V3}/credentials", json={"credential": credential}),
        client.post(f"{V3}/users/{user}/credentials/OS-EC2", json={"tenant_id": world.project["id"]}),
        client.get(f"{V3}/users/{user}/credentials/OS-EC2"),
        client.post(f"{V3}/users/{user}/application_credentials", json={"application_credential": {"name": "c"}}),
        client.get(f"{V3}/users/{user}/application_credentials"),
        client.get(f"{V3}/users/{user}/access_rules"),
        client.get(world.tokens),
        client.delete(f"{world.tokens}/{token}"),
        client.get(f"{world.tokens}/{token}/roles"),
        world.authorize(request_token, client=client),
    ):
        assert response.status_code == 403, response.request.url
    again = {"identity": {"methods": ["token"], "token": {"id": answer.headers["x-subject-token"]}}}
    assert world.people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": again}).status_code == 403


def test_secrets_are_sealed_and_outlive_a_rotation(world: World) -> None:
    database = world.people.cloud.database
    token, secret = world.access_token()
    row = database.read("look", lambda tx: tx.first(tables.ACCESS_BY_ID, {"id": token}))
    consumer = database.read("look", lambda tx: tx.first(tables.CONSUMER_BY_ID, {"id": world.consumer["id"]}))
    assert row is not None
    assert consumer is not None
    assert secret not in row.secret
    assert world.consumer["secret"] not in consumer.secret
    waiting, waiting_secret = world.request_token()
    verifier = world.authorize(waiting).json()["token"]["oauth_verifier"]
    for _ in range(2):
        database.write("rotate", api.rotate_credential_keys)
    assert world.sign_in(token, secret).status_code == 201
    assert world.exchange(waiting, waiting_secret, verifier).status_code == 201


def test_others_tokens(world: World) -> None:
    token, _ = world.access_token()
    other = world.people.user()
    url = f"{V3}/users/{other['id']}/OS-OAUTH1/access_tokens"
    assert world.client.get(url).json()["access_tokens"] == []
    for path in (f"{url}/{token}", f"{url}/{token}/roles", f"{url}/{token}/roles/{world.people.roles['member']}"):
        assert world.client.get(path).status_code == 404
    assert world.client.delete(f"{url}/{token}").status_code == 404
    demo = world.people.cloud.client("demo")
    for path in (world.tokens, f"{world.tokens}/{token}", f"{world.tokens}/{token}/roles"):
        assert demo.get(path).status_code == 403
    assert demo.delete(f"{world.tokens}/{token}").status_code == 403


@pytest.fixture
def public_url(world: World) -> Iterator[str]:
    """The cloud is behind a proxy that clients reach by another address."""
    settings = world.people.cloud.runtime.settings
    public = "https://cloud.example"
    world.people.cloud.runtime.settings = Settings(server=Server(public_url=public))
    yield public
    world.people.cloud.runtime.settings = settings


def test_the_address_is_the_public_one(world: World, public_url: str) -> None:
    assert urlsplit(public_url).hostname == "cloud.example"
    assert world.ask_request_token(root=public_url).status_code == 201
    assert world.ask_request_token().status_code == 201
    assert world.ask_request_token(root="https://other.example").status_code == 401
