"""EC2 keys, and tokens for requests signed with them: what is good, once and for a while, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import SigV2Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from starlette.testclient import TestClient
from tests.api.identity.people import SYSTEM, V3, People, in_domain, in_project

from stackyard.core.ids import new_hex

EC2, S3 = f"{V3}/ec2tokens", f"{V3}/s3tokens"


def stamp(seconds: float = 0) -> str:
    """A moment from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def signed(access: str, secret: str, at: str = "", **more: str) -> dict[str, Any]:
    """A request signed by version 2, as a service describes it."""
    params = {
        "AWSAccessKeyId": access,
        "Action": "DescribeInstances",
        "SignatureVersion": "2",
        "SignatureMethod": "HmacSHA256",
        "Timestamp": at or stamp(),
        **more,
    }
    request = AWSRequest(method="GET", url="http://ec2.example:8773/services/Cloud")
    _, signature = SigV2Auth(Credentials(access, secret)).calc_signature(request, params)
    described = {"host": "ec2.example:8773", "verb": "GET", "path": "/services/Cloud", "params": params}
    return {"credentials": {"access": access, "signature": signature, **described}}


def signed_s3(access: str, secret: str, at: str = "") -> dict[str, Any]:
    """An S3 request by version 4, as a service describes it."""
    date = at or datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    text = f"AWS4-HMAC-SHA256\n{date}\n{date[:8]}/RegionOne/s3/aws4_request\n{'0' * 64}"
    key = f"AWS4{secret}".encode()
    for part in (date[:8], "RegionOne", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    token = base64.urlsafe_b64encode(text.encode()).decode()
    return {"credentials": {"access": access, "token": token, "signature": signature}}


class Owner:
    """A member of a project, who has EC2 keys."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.project, self.user = people.make("project"), people.user()
        self.place = f"projects/{self.project['id']}"
        people.grant(f"users/{self.user['id']}", "member", self.place)
        self.client = people.client(people.token(self.user, in_project(self.project)))
        self.url = f"{V3}/users/{self.user['id']}/credentials/OS-EC2"
        self.keys = self.make()

    def make(self, client: TestClient | None = None) -> dict[str, Any]:
        response = (client or self.client).post(self.url, json={"tenant_id": self.project["id"]})
        assert response.status_code == 201, response.text
        return dict(response.json()["credential"])

    def request(self, **more: str) -> dict[str, Any]:
        return signed(self.keys["access"], self.keys["secret"], **more)

    def ask(self, **more: str) -> Any:
        return self.people.admin.post(EC2, json=self.request(**more))

    def keys_with(self, blob: dict[str, Any]) -> dict[str, Any]:
        """Keys whose blob says more, made as any credential."""
        whole = {"access": new_hex(), "secret": "secret", **blob}
        body = {
            "user_id": self.user["id"],
            "project_id": self.project["id"],
            "type": "ec2",
            "blob": json.dumps(whole),
        }
        response = self.client.post(f"{V3}/credentials", json={"credential": body})
        assert response.status_code == 201, response.text
        return whole


@pytest.fixture
def owner(people: People) -> Owner:
    """Such a member."""
    return Owner(people)


def test_keys_are_made_seen_and_deleted(owner: Owner) -> None:
    made = owner.keys
    assert (made["user_id"], made["tenant_id"], made["trust_id"]) == (owner.user["id"], owner.project["id"], None)
    assert made["links"]["self"].endswith(f"/v3/users/{owner.user['id']}/credentials/OS-EC2/{made['access']}")
    one = f"{owner.url}/{made['access']}"
    for client in (owner.client, owner.people.admin, owner.people.with_role("reader", SYSTEM)):
        assert client.get(one).json()["credential"] == made
        assert client.get(owner.url).json()["credentials"] == [made]
    credential = hashlib.sha256(made["access"].encode()).hexdigest()
    stored = owner.client.get(f"{V3}/credentials/{credential}").json()["credential"]
    assert (stored["type"], json.loads(stored["blob"])["secret"]) == ("ec2", made["secret"])
    assert owner.client.delete(one).status_code == 204
    assert owner.client.get(one).status_code == 404
    assert owner.client.get(owner.url).json()["credentials"] == []
    assert owner.client.get(f"{V3}/credentials/{credential}").status_code == 403


def test_what_is_no_place_for_keys(owner: Owner) -> None:
    for body in ({}, {"tenant_id": 5}, {"tenant_id": None}, {"tenant_id": "t" * 65}, []):
        assert owner.client.post(owner.url, json=body).status_code == 400
    assert owner.client.post(owner.url, json={"tenant_id": "0" * 32}).status_code == 404
    nobody = f"{V3}/users/{'0' * 32}/credentials/OS-EC2"
    assert owner.people.admin.post(nobody, json={"tenant_id": owner.project["id"]}).status_code == 404
    assert owner.people.admin.get(nobody).status_code == 404


def test_others_keys(owner: Owner) -> None:
    other = Owner(owner.people)
    body = {"tenant_id": other.project["id"]}
    theirs = f"{other.url}/{other.keys['access']}"
    for response in (
        owner.client.get(other.url),
        owner.client.post(other.url, json=body),
        owner.client.get(theirs),
        owner.client.delete(theirs),
        # Under one's own name they are no less theirs.
        owner.client.get(f"{owner.url}/{other.keys['access']}"),
        owner.client.delete(f"{owner.url}/{other.keys['access']}"),
        owner.people.with_role("reader", SYSTEM).delete(theirs),
        owner.people.with_role("reader", SYSTEM).post(other.url, json=body),
    ):
        assert response.status_code == 403, response.request.url
    assert owner.people.admin.get(f"{owner.url}/{other.keys['access']}").status_code == 404
    reader = owner.people.user()
    owner.people.grant(f"users/{reader['id']}", "reader", owner.place)
    client = owner.people.client(owner.people.token(reader, in_project(owner.project)))
    own = f"{V3}/users/{reader['id']}/credentials/OS-EC2"
    assert client.post(own, json={"tenant_id": owner.project["id"]}).status_code == 403
    assert client.get(own).json()["credentials"] == []


def test_a_token_for_a_signed_request(owner: Owner) -> None:
    answer = owner.ask()
    assert answer.status_code == 200, answer.text
    token = answer.json()["token"]
    assert token["methods"] == ["ec2credential"]
    assert token["user"]["id"] == owner.user["id"]
    assert token["project"]["id"] == owner.project["id"]
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    assert token["catalog"]
    text = answer.headers["x-subject-token"]
    assert owner.people.validate(text).json()["token"]["methods"] == ["ec2credential"]
    assert owner.people.client(text).get("/network/v2.0/networks").status_code == 200
    # It ends with the keys.
    assert owner.client.delete(f"{owner.url}/{owner.keys['access']}").status_code == 204
    assert owner.people.validate(text).status_code == 404
    assert owner.ask().status_code == 404


def test_a_signature_is_good_once(owner: Owner) -> None:
    body = owner.request()
    assert owner.people.admin.post(EC2, json=body).status_code == 200
    for _ in range(2):
        again = owner.people.admin.post(EC2, json=body)
        assert again.status_code == 401
        assert "used before" in again.json()["error"]["message"]
    without_port = {"credentials": {**body["credentials"], "host": "ec2.example:8774"}}
    assert owner.people.admin.post(EC2, json=without_port).status_code == 401
    assert owner.ask(Other="x").status_code == 200


def test_at_once_it_is_good_once(owner: Owner) -> None:
    body = owner.request()
    with ThreadPoolExecutor(6) as threads:
        found = sorted(threads.map(lambda _: owner.people.admin.post(EC2, json=body).status_code, range(6)))
    assert found == [200] + [401] * 5


@pytest.mark.parametrize("seconds", [-901, -86400, 920, 10**8])
def test_a_signature_of_another_time(owner: Owner, seconds: int) -> None:
    assert owner.ask(at=stamp(seconds)).status_code == 401


def test_what_is_not_signed_so(owner: Owner) -> None:
    admin = owner.people.admin
    right = owner.request()["credentials"]
    for change in (
        {"signature": "x"},
        {"signature": None},
        {"signature": ""},
        {"verb": "POST"},
        {"path": "/"},
        {"host": "other"},
        {"params": {**right["params"], "Action": "TerminateInstances"}},
        {"params": {**right["params"], "SignatureVersion": "0"}},
        {"params": {name: value for name, value in right["params"].items() if name != "Timestamp"}},
    ):
        assert admin.post(EC2, json={"credentials": {**right, **change}}).status_code == 401, change
    wrong = signed(owner.keys["access"], "0" * 32)
    assert admin.post(EC2, json=wrong).status_code == 401
    assert admin.post(EC2, json=signed("nobody", "s")).status_code == 404
    assert admin.post(EC2, json={"credentials": {"signature": "x"}}).status_code == 401
    assert admin.post(EC2, json={"ec2Credentials": right}).status_code == 200


@pytest.mark.parametrize("url", [EC2, S3])
def test_what_is_no_request(owner: Owner, url: str) -> None:
    right = owner.request()["credentials"]
    for body in (
        {},
        {"credentials": "x"},
        {"credentials": [1]},
        {"credentials": {**right, "access": 5}},
        {"credentials": {**right, "access": "a" * 256}},
        {"credentials": {**right, "signature": 5}},
        {"credentials": {**right, "params": "x"}},
        {"credentials": {**right, "params": {"a": {}}}},
        {"credentials": {**right, "headers": {"a": 5}}},
    ):
        assert owner.people.admin.post(url, json=body).status_code == 400, body
    assert owner.people.admin.get(url).status_code == 405
    for data in (b"[]", b"no json", b'{"credentials": {"access": "\\ud800"}}'):
        assert owner.people.admin.post(url, content=data).status_code in (400, 404), data


def test_only_services_may_ask(owner: Owner) -> None:
    service = owner.people.with_role("service", in_project(owner.project))
    assert service.post(EC2, json=owner.request()).status_code == 200
    assert service.post(S3, json=signed_s3(owner.keys["access"], owner.keys["secret"])).status_code == 200
    for role, scope in (
        ("member", in_project(owner.project)),
        ("manager", in_domain({"id": "default"})),
        ("reader", SYSTEM),
    ):
        client = owner.people.with_role(role, scope)
        assert client.post(EC2, json=owner.request(Other=role)).status_code == 403
        assert client.post(S3, json=signed_s3(owner.keys["access"], owner.keys["secret"])).status_code == 403
    assert owner.client.post(EC2, json=owner.request(Other="own")).status_code == 403
    for url in (EC2, S3):
        assert owner.people.cloud.http.post(url, json=owner.request()).status_code == 401


def test_a_token_for_an_s3_request(owner: Owner) -> None:
    access, secret = owner.keys["access"], owner.keys["secret"]
    admin = owner.people.admin
    body = signed_s3(access, secret)
    for _ in range(2):  # S3's clients repeat themselves
        answer = admin.post(S3, json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["token"]["project"]["id"] == owner.project["id"]
        assert "x-subject-token" not in answer.headers
    assert admin.post(S3, json=signed_s3(access, "wrong")).status_code == 401
    assert admin.post(S3, json=signed_s3("nobody", secret)).status_code == 404
    days = (datetime.now(UTC) - timedelta(days=8)).strftime("%Y%m%dT%H%M%SZ")
    ahead = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y%m%dT%H%M%SZ")
    assert admin.post(S3, json=signed_s3(access, secret, days)).status_code == 401
    assert admin.post(S3, json=signed_s3(access, secret, ahead)).status_code == 401
    old = {"credentials": {**body["credentials"], "headers": {"X-Amz-Date": stamp(-3600)}}}
    assert admin.post(S3, json=old).status_code == 401


def test_it_ends_with_user_role_and_project(owner: Owner) -> None:
    people = owner.people
    text = owner.ask().headers["x-subject-token"]
    people.revoke(f"users/{owner.user['id']}", "member", owner.place)
    assert people.validate(text).status_code == 404
    assert owner.ask(Other="a").status_code == 401
    people.grant(f"users/{owner.user['id']}", "member", owner.place)
    assert owner.ask(Other="b").status_code == 200
    user = f"{V3}/users/{owner.user['id']}"
    assert people.admin.patch(user, json={"user": {"enabled": False}}).status_code == 200
    assert owner.ask(Other="c").status_code == 401
    assert people.admin.patch(user, json={"user": {"enabled": True}}).status_code == 200
    project = f"{V3}/{owner.place}"
    assert people.admin.patch(project, json={"project": {"enabled": False}}).status_code == 200
    assert owner.ask(Other="d").status_code == 401
    assert people.admin.delete(project).status_code == 204
    assert owner.ask(Other="e").status_code == 404


def test_its_tokens_manage_nothing_that_outlives_them(owner: Owner) -> None:
    owner.people.grant(f"users/{owner.user['id']}", "admin", owner.place)
    answer = owner.ask()
    client = owner.people.client(answer.headers["x-subject-token"])
    user = owner.user["id"]
    credential = hashlib.sha256(owner.keys["access"].encode()).hexdigest()
    trust = {
        "trustor_user_id": user,
        "trustee_user_id": user,
        "project_id": owner.project["id"],
        "impersonation": False,
        "roles": [{"name": "member"}],
    }
    for response in (
        client.get(owner.url),
        client.post(owner.url, json={"tenant_id": owner.project["id"]}),
        client.get(f"{owner.url}/{owner.keys['access']}"),
        client.delete(f"{owner.url}/{owner.keys['access']}"),
        client.get(f"{V3}/credentials/{credential}"),
        client.post(f"{V3}/credentials", json={"credential": {"user_id": user, "type": "totp", "blob": "x"}}),
        client.post(f"{V3}/OS-TRUST/trusts", json={"trust": trust}),
        client.get(f"{V3}/OS-TRUST/trusts"),
        client.post(f"{V3}/users/{user}/application_credentials", json={"application_credential": {"name": "c"}}),
        client.get(f"{V3}/users/{user}/application_credentials"),
        client.get(f"{V3}/users/{user}/access_rules"),
        client.get(f"{V3}/users/{user}/OS-OAUTH1/access_tokens"),
    ):
        assert response.status_code == 403, response.request.url
    assert client.get(f"{V3}/credentials").json()["credentials"] == []
    again = {"identity": {"methods": ["token"], "token": {"id": answer.headers["x-subject-token"]}}}
    for scope in ({}, {"scope": "unscoped"}, {"scope": in_project(owner.project)}):
        assert owner.people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": {**again, **scope}}).status_code == 403
    method = {"identity": {"methods": ["ec2credential"], "ec2credential": {}}}
    assert owner.people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": method}).status_code == 401


def ask_with(owner: Owner, keys: dict[str, Any]) -> Any:
    """The answer to a request signed with some keys."""
    return owner.people.admin.post(EC2, json=signed(keys["access"], keys["secret"]))


def application_credential(owner: Owner, **more: Any) -> dict[str, Any]:
    """One of the owner's, of the role reader."""
    body = {"application_credential": {"name": f"c{len(more)}", "roles": [{"name": "reader"}], **more}}
    response = owner.client.post(f"{V3}/users/{owner.user['id']}/application_credentials", json=body)
    assert response.status_code == 201, response.text
    return dict(response.json()["application_credential"])


def test_keys_of_an_application_credential(owner: Owner) -> None:
    rules = [{"service": "network", "method": "GET", "path": "/v2.0/networks"}]
    made = application_credential(owner, access_rules=rules, unrestricted=True)
    keys = owner.keys_with({"app_cred_id": made["id"]})
    answer = ask_with(owner, keys)
    assert answer.status_code == 200, answer.text
    token = answer.json()["token"]
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["application_credential"]["id"] == made["id"]
    client = owner.people.client(answer.headers["x-subject-token"])
    assert client.get("/network/v2.0/networks").status_code == 200
    assert client.get("/network/v2.0/ports").status_code == 403
    url = f"{V3}/users/{owner.user['id']}/application_credentials"
    assert owner.client.delete(f"{url}/{made['id']}").status_code == 204
    assert client.get("/network/v2.0/networks").status_code == 401
    # Somebody else's lends nothing, nor one of another project.
    other = Owner(owner.people)
    theirs = application_credential(other)
    assert ask_with(owner, owner.keys_with({"app_cred_id": theirs["id"]})).status_code == 401
    assert ask_with(owner, owner.keys_with({"app_cred_id": "0" * 32})).status_code == 401


def make_trust(owner: Owner, trustee: dict[str, Any], **more: Any) -> str:
    """A trust of the owner's."""
    body = {
        "trustor_user_id": owner.user["id"],
        "trustee_user_id": trustee["id"],
        "project_id": owner.project["id"],
        "impersonation": False,
        "roles": [{"name": "reader"}],
        **more,
    }
    response = owner.client.post(f"{V3}/OS-TRUST/trusts", json={"trust": body})
    assert response.status_code == 201, response.text
    return str(response.json()["trust"]["id"])


def test_keys_of_a_trust(owner: Owner) -> None:
    trustee = Owner(owner.people)
    trustee.project = owner.project
    for impersonation in (False, True):
        trust_id = make_trust(owner, trustee.user, impersonation=impersonation)
        answer = ask_with(owner, trustee.keys_with({"trust_id": trust_id}))
        assert answer.status_code == 200, answer.text
        token = answer.json()["token"]
        assert token["OS-TRUST:trust"]["id"] == trust_id
        assert token["user"]["id"] == (owner if impersonation else trustee).user["id"]
        assert [role["name"] for role in token["roles"]] == ["reader"]
        client = owner.people.client(answer.headers["x-subject-token"])
        assert client.get(f"{V3}/OS-TRUST/trusts/{trust_id}").status_code == 403
        assert owner.client.delete(f"{V3}/OS-TRUST/trusts/{trust_id}").status_code == 204
        assert owner.people.validate(answer.headers["x-subject-token"]).status_code == 404


def test_who_knows_a_trusts_id_is_no_trustee(owner: Owner) -> None:
    stranger, trustee = Owner(owner.people), owner.people.user()
    stranger.project = owner.project
    for impersonation in (False, True):
        trust_id = make_trust(owner, trustee, impersonation=impersonation)
        assert ask_with(owner, stranger.keys_with({"trust_id": trust_id})).status_code == 401
    # Nor does the trustor become the trustee by it.
    own = make_trust(owner, trustee)
    assert ask_with(owner, owner.keys_with({"trust_id": own})).status_code == 401


def test_keys_that_were_given_another_access_key(owner: Owner) -> None:
    credential = hashlib.sha256(owner.keys["access"].encode()).hexdigest()
    blob = json.dumps({"access": "other", "secret": "s"})
    changed = owner.client.patch(f"{V3}/credentials/{credential}", json={"credential": {"blob": blob}})
    assert changed.status_code == 200
    assert owner.ask().status_code == 404
    without = json.dumps({"access": owner.keys["access"]})
    assert owner.client.patch(f"{V3}/credentials/{credential}", json={"credential": {"blob": without}}).is_success
    assert owner.people.admin.post(EC2, json=signed(owner.keys["access"], "")).status_code == 404
    broken = owner.client.patch(f"{V3}/credentials/{credential}", json={"credential": {"blob": "{"}})
    assert broken.status_code == 400
