"""Trusts: lending roles, with and without being taken for the lender, handing them on, and what ends them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.identity.people import DEFAULT, PASSWORD, SYSTEM, V3, People, in_project

URL = f"{V3}/OS-TRUST/trusts"


def soon(**delta: float) -> str:
    """A moment to come."""
    return (datetime.now(UTC) + timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


class Pair:
    """A trustor who is a member of a project, and a trustee who is nothing."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.project = people.make("project")
        self.trustor, self.trustee = people.user(), people.user()
        self.place = f"projects/{self.project['id']}"
        people.grant(f"users/{self.trustor['id']}", "member", self.place)
        self.client = people.client(people.token(self.trustor, in_project(self.project)))

    def body(self, **given: Any) -> dict[str, Any]:
        values = {
            "trustor_user_id": self.trustor["id"],
            "trustee_user_id": self.trustee["id"],
            "project_id": self.project["id"],
            "impersonation": False,
            "roles": [{"name": "member"}],
        }
        return {"trust": {**values, **given}}

    def ask(self, client: TestClient | None = None, **given: Any) -> Any:
        return (client or self.client).post(URL, json=self.body(**given))

    def make(self, client: TestClient | None = None, **given: Any) -> dict[str, Any]:
        response = self.ask(client, **given)
        assert response.status_code == 201, response.text
        return dict(response.json()["trust"])

    def sign_in(self, trust: dict[str, Any], user: dict[str, Any] | None = None) -> Any:
        return self.people.sign_in(user or self.trustee, {"OS-TRUST:trust": {"id": trust["id"]}})

    def token(self, trust: dict[str, Any], user: dict[str, Any] | None = None) -> str:
        response = self.sign_in(trust, user)
        assert response.status_code == 201, response.text
        return str(response.headers["x-subject-token"])

    def through(self, trust: dict[str, Any], user: dict[str, Any] | None = None) -> TestClient:
        return self.people.client(self.token(trust, user))


@pytest.fixture
def pair(people: People) -> Pair:
    """Such two."""
    return Pair(people)


def works(people: People, token: str) -> bool:
    """Whether a token is still good."""
    return bool(people.validate(token).status_code == 200)


def test_a_trust_is_made_seen_and_ended(pair: Pair) -> None:
    ends = soon(hours=1)
    trust = pair.make(expires_at=ends, note="mine")
    assert trust["links"]["self"].endswith(f"/v3/OS-TRUST/trusts/{trust['id']}")
    assert [role["name"] for role in trust["roles"]] == ["member"]
    assert trust["roles_links"]["self"].endswith(f"/{trust['id']}/roles")
    facts = ("expires_at", "remaining_uses", "redelegation_count", "redelegated_trust_id", "deleted_at", "note")
    assert [trust[name] for name in facts] == [ends, None, 0, None, None, "mine"]
    one = f"{URL}/{trust['id']}"
    trustee = pair.people.client(pair.people.token(pair.trustee))
    for client in (pair.client, trustee, pair.people.admin, pair.people.with_role("reader", SYSTEM)):
        assert client.get(one).json()["trust"] == trust
        assert client.get(f"{one}/roles").json()["roles"] == trust["roles"]
        assert client.get(f"{one}/roles/{trust['roles'][0]['id']}").json()["role"] == trust["roles"][0]
        assert client.get(f"{one}/roles/{pair.people.roles['reader']}").status_code == 404
        assert client.head(f"{one}/roles/{trust['roles'][0]['id']}").status_code == 200
    assert pair.client.patch(one, json={"trust": {}}).status_code == 405
    assert trustee.delete(one).status_code == 403
    assert pair.client.delete(one).status_code == 204
    assert pair.client.get(one).status_code == 404


def test_who_lists_which(pair: Pair) -> None:
    trust = pair.make()
    trustee = pair.people.client(pair.people.token(pair.trustee))
    by_trustor, by_trustee = (
        f"{URL}?trustor_user_id={pair.trustor['id']}",
        f"{URL}?trustee_user_id={pair.trustee['id']}",
    )

    def listed(client: TestClient, url: str) -> Any:
        response = client.get(url)
        return [one["id"] for one in response.json()["trusts"]] if response.status_code == 200 else response.status_code

    assert (listed(pair.client, by_trustor), listed(trustee, by_trustee)) == ([trust["id"]], [trust["id"]])
    assert (listed(pair.client, by_trustee), listed(trustee, by_trustor)) == (403, 403)
    assert listed(pair.client, f"{by_trustor}&trustee_user_id={pair.trustor['id']}") == []
    assert (listed(pair.client, URL), listed(trustee, URL)) == (403, 403)
    for client in (pair.people.admin, pair.people.with_role("reader", SYSTEM)):
        for url in (URL, by_trustor, by_trustee):
            assert listed(client, url) == [trust["id"]]
    assert "roles" not in pair.client.get(by_trustor).json()["trusts"][0]
    stranger = pair.people.with_role("member", in_project(pair.project))
    assert stranger.get(f"{URL}/{trust['id']}").status_code == 403
    assert stranger.get(f"{URL}/{trust['id']}/roles").status_code == 403
    assert stranger.get(f"{URL}/{trust['id']}/roles/{pair.people.roles['member']}").status_code == 403
    assert stranger.delete(f"{URL}/{trust['id']}").status_code == 403
    assert pair.people.admin.delete(f"{URL}/{trust['id']}").status_code == 204


def test_a_token_through_a_trust(pair: Pair) -> None:
    for impersonation in (False, True):
        trust = pair.make(impersonation=impersonation)
        answer = pair.sign_in(trust)
        assert answer.status_code == 201, answer.text
        body = answer.json()["token"]
        assert body["user"]["id"] == (pair.trustor if impersonation else pair.trustee)["id"]
        assert body["project"]["id"] == pair.project["id"]
        assert {role["name"] for role in body["roles"]} == {"member", "reader"}
        assert body["catalog"]
        assert body["OS-TRUST:trust"] == {
            "id": trust["id"],
            "trustor_user": {"id": pair.trustor["id"]},
            "trustee_user": {"id": pair.trustee["id"]},
            "impersonation": impersonation,
        }
        token = answer.headers["x-subject-token"]
        validated = pair.people.validate(token).json()["token"]
        assert validated["OS-TRUST:trust"] == body["OS-TRUST:trust"]
        assert validated["user"] == body["user"]


def test_by_a_token_that_one_has(pair: Pair) -> None:
    trust = pair.make()
    identity = {"methods": ["token"], "token": {"id": pair.people.token(pair.trustee)}}
    auth = {"identity": identity, "scope": {"OS-TRUST:trust": {"id": trust["id"]}}}
    answer = pair.people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth})
    assert answer.status_code == 201
    assert len(answer.json()["token"]["audit_ids"]) == 2
    # And no further from there, to wherever.
    for scope in (None, in_project(pair.project), auth["scope"], "unscoped"):
        again = {"identity": {"methods": ["token"], "token": {"id": answer.headers["x-subject-token"]}}}
        if scope is not None:
            again["scope"] = scope
        assert pair.people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": again}).status_code == 403


def test_who_may_not_use_it(pair: Pair) -> None:
    trust = pair.make()
    other = pair.people.user()
    assert pair.sign_in(trust, other).status_code == 403
    assert pair.sign_in(trust, pair.trustor).status_code == 403
    assert pair.sign_in({"id": "0" * 32}).status_code == 401
    for reference in ({}, {"id": 5}, {"id": ""}, {"id": None}):
        assert pair.people.sign_in(pair.trustee, {"OS-TRUST:trust": reference}).status_code == 400
    assert pair.people.sign_in(pair.trustee, {"OS-TRUST:trust": trust["id"]}).status_code == 400
    both = {"OS-TRUST:trust": {"id": trust["id"]}, **in_project(pair.project)}
    assert pair.people.sign_in(pair.trustee, both).status_code == 400
    assert pair.sign_in(trust).status_code == 201


def test_of_no_project_there_is_no_token(pair: Pair) -> None:
    trust = pair.make(project_id=None, roles=[])
    assert pair.sign_in(trust).status_code == 403
    assert pair.ask(project_id=None).status_code == 404


def test_uses_are_counted(pair: Pair) -> None:
    trust = pair.make(remaining_uses=2)
    first = pair.token(trust)
    assert pair.client.get(f"{URL}/{trust['id']}").json()["trust"]["remaining_uses"] == 1
    second = pair.token(trust)
    assert pair.sign_in(trust).status_code == 401
    assert pair.client.get(f"{URL}/{trust['id']}").status_code == 404
    assert works(pair.people, first)
    assert works(pair.people, second)


def test_a_failed_sign_in_uses_nothing_up(pair: Pair) -> None:
    trust = pair.make(remaining_uses=1)
    scope = {"OS-TRUST:trust": {"id": trust["id"]}}
    assert pair.people.sign_in(pair.trustee, scope, password="wrong").status_code == 401
    assert pair.sign_in(trust, pair.people.user()).status_code == 403
    assert pair.sign_in(trust).status_code == 201


def test_at_once_no_more_than_there_are(pair: Pair) -> None:
    trust = pair.make(remaining_uses=3)
    identity = {"methods": ["token"], "token": {"id": pair.people.token(pair.trustee)}}
    body = {"auth": {"identity": identity, "scope": {"OS-TRUST:trust": {"id": trust["id"]}}}}

    def ask(_: int) -> int:
        return int(pair.people.cloud.http.post(f"{V3}/auth/tokens", json=body).status_code)

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(ask, range(8))) == [201] * 3 + [401] * 5


@pytest.mark.parametrize(
    "change",
    [
        {"remaining_uses": 0},
        {"remaining_uses": -1},
        {"remaining_uses": "two"},
        {"remaining_uses": 7.2},
        {"remaining_uses": 2**40},
        {"remaining_uses": 2, "allow_redelegation": True},
        {"redelegation_count": -1},
        {"redelegation_count": 2**31},
        {"impersonation": "yes"},
        {"impersonation": None},
        {"trustee_user_id": None},
        {"trustee_user_id": "u" * 65},
        {"expires_at": "bad.123Z"},
        {"expires_at": "2010-06-04T08:44:31.999999Z"},
        {"expires_at": "9999-12-31T23:59:59-23:59"},
        {"expires_at": 5},
        {"roles": [{"fake_key": "v"}]},
        {"roles": [{}]},
        {"roles": [{"id": "a", "name": "b"}]},
        {"roles": "member"},
        {"roles": [{"id": 5}]},
        {"project_id": []},
        {"allow_redelegation": "yes"},
    ],
)
def test_what_is_no_trust(pair: Pair, change: dict[str, Any]) -> None:
    assert pair.ask(**change).status_code == 400


def test_what_a_trust_needs(pair: Pair) -> None:
    for name in ("trustee_user_id", "impersonation"):
        body = pair.body()
        del body["trust"][name]
        assert pair.client.post(URL, json=body).status_code == 400
    body = pair.body()
    del body["trust"]["trustor_user_id"]
    assert pair.client.post(URL, json=body).status_code == 403
    assert pair.client.post(URL, json={}).status_code == 400


def test_nobody_lends_what_he_has_not(pair: Pair) -> None:
    admin = pair.people.roles["admin"]
    assert pair.ask(roles=[{"id": admin}]).status_code == 404
    assert pair.ask(roles=[{"name": "admin"}]).status_code == 404
    assert pair.ask(roles=[{"id": "0" * 32}]).status_code == 404
    assert pair.ask(roles=[]).status_code == 403
    assert pair.ask(project_id=pair.people.make("project")["id"]).status_code == 404
    assert pair.ask(project_id="0" * 32).status_code == 404
    assert pair.ask(trustee_user_id="0" * 32).status_code == 404
    # Nor in the name of another, the administrator neither.
    assert pair.ask(trustor_user_id=pair.trustee["id"], trustee_user_id=pair.trustor["id"]).status_code == 403
    assert pair.people.admin.post(URL, json=pair.body()).status_code == 403
    unscoped = pair.people.client(pair.people.token(pair.trustor, "unscoped"))
    assert pair.ask(unscoped, roles=[{"name": "admin"}]).status_code == 404
    assert pair.people.admin.get(URL).json()["trusts"] == []


def test_a_name_of_several_roles_is_none(pair: Pair) -> None:
    pair.people.make("role", name="member", domain_id="default")
    assert pair.ask().status_code == 400
    assert pair.ask(roles=[{"id": pair.people.roles["member"]}]).status_code == 201


def test_implied_roles_are_lent_too(pair: Pair) -> None:
    prior, implied = pair.people.make("role"), pair.people.make("role", domain_id="default")
    response = pair.people.admin.put(f"{V3}/roles/{implied['id']}/implies/{prior['id']}")
    assert response.status_code == 201, response.text
    pair.people.roles["ours"] = implied["id"]
    pair.people.grant(f"users/{pair.trustor['id']}", "ours", pair.place)
    # A role of a domain is lent for what it implies, and one that is implied may be lent alone.
    for roles, seen in (
        ([{"id": implied["id"]}], {prior["name"]}),
        ([{"id": prior["id"]}], {prior["name"]}),
        ([{"name": "reader"}], {"reader"}),
    ):
        trust = pair.make(roles=roles)
        assert {role["name"] for role in pair.sign_in(trust).json()["token"]["roles"]} == seen


def test_twice_the_same_is_a_conflict(pair: Pair) -> None:
    ends = soon(hours=1)
    pair.make(expires_at=ends)
    assert pair.ask(expires_at=ends).status_code == 409
    assert pair.ask(expires_at=ends, impersonation=True).status_code == 201
    assert pair.ask().status_code == 201
    assert pair.ask().status_code == 201


def test_a_token_ends_with_its_trust(pair: Pair) -> None:
    ends = soon(minutes=1)
    trust = pair.make(expires_at=ends)
    answer = pair.sign_in(trust)
    assert answer.json()["token"]["expires_at"] == ends
    token = answer.headers["x-subject-token"]
    assert pair.client.delete(f"{URL}/{trust['id']}").status_code == 204
    assert not works(pair.people, token)
    assert pair.sign_in(trust).status_code == 401


@pytest.mark.parametrize("who", ["trustor", "trustee"])
@pytest.mark.parametrize("what", ["disable", "delete", "password", "revoke"])
@pytest.mark.parametrize("impersonation", [False, True])
def test_it_ends_with_either_of_the_two(pair: Pair, who: str, what: str, impersonation: bool) -> None:
    trust = pair.make(impersonation=impersonation)
    token = pair.token(trust)
    user = getattr(pair, who)
    url, admin = f"{V3}/users/{user['id']}", pair.people.admin
    if what == "disable":
        assert admin.patch(url, json={"user": {"enabled": False}}).status_code == 200
    elif what == "delete":
        assert admin.delete(url).status_code == 204
    elif what == "revoke":
        assert admin.delete(f"{url}/tokens").status_code == 204
    else:
        assert admin.patch(url, json={"user": {"password": "another-secret"}}).status_code == 200
    assert not works(pair.people, token)
    if what in ("disable", "delete"):
        assert pair.sign_in(trust).status_code in (401, 403)
    if what == "delete":
        assert admin.get(f"{URL}/{trust['id']}").status_code == 404


def test_it_ends_with_role_project_and_domain(pair: Pair) -> None:
    people = pair.people
    trust = pair.make()
    token = pair.token(trust)
    people.revoke(f"users/{pair.trustor['id']}", "member", pair.place)
    assert not works(people, token)
    assert pair.sign_in(trust).status_code == 403
    # With the role it comes back, as Keystone has it.
    people.grant(f"users/{pair.trustor['id']}", "member", pair.place)
    assert pair.sign_in(trust).status_code == 201
    project = f"{V3}/projects/{pair.project['id']}"
    assert people.admin.patch(project, json={"project": {"enabled": False}}).status_code == 200
    assert pair.sign_in(trust).status_code == 401
    assert people.admin.delete(project).status_code == 204
    assert people.admin.get(f"{URL}/{trust['id']}").status_code == 404


def test_a_deleted_role_is_lent_no_more(pair: Pair) -> None:
    role = pair.people.make("role")
    pair.people.roles["one"] = role["id"]
    pair.people.grant(f"users/{pair.trustor['id']}", "one", pair.place)
    trust = pair.make(roles=[{"id": role["id"]}])
    token = pair.token(trust)
    assert pair.people.admin.delete(f"{V3}/roles/{role['id']}").status_code == 204
    assert not works(pair.people, token)
    assert pair.sign_in(trust).status_code == 403


def test_a_trustees_domain(pair: Pair) -> None:
    domain = pair.people.make("domain")
    pair.trustee = pair.people.user(domain_id=domain["id"])
    trust = pair.make(impersonation=True)
    token = pair.token(trust)
    assert pair.people.admin.patch(f"{V3}/domains/{domain['id']}", json={"domain": {"enabled": False}}).is_success
    assert not works(pair.people, token)


class Chain(Pair):
    """A trust that may be handed on, and users to hand it on to."""

    def __init__(self, people: People) -> None:
        super().__init__(people)
        self.people_below = [people.user() for _ in range(4)]

    def hand_on(self, trust: dict[str, Any], by: dict[str, Any], to: dict[str, Any], **given: Any) -> Any:
        """Ask for a trust below `trust`, whose trustee is `by`."""
        impersonating = trust["impersonation"]
        values = {
            "trustor_user_id": (self.trustor if impersonating else by)["id"],
            "trustee_user_id": to["id"],
            "allow_redelegation": True,
            "impersonation": impersonating,
        }
        return self.ask(self.through(trust, by), **{**values, **given})


@pytest.fixture
def chain(people: People) -> Chain:
    """Such a chain, still of one link."""
    return Chain(people)


@pytest.mark.parametrize("impersonation", [False, True])
def test_handing_on(chain: Chain, impersonation: bool) -> None:
    trust = chain.make(allow_redelegation=True, impersonation=impersonation)
    assert trust["redelegation_count"] == 3
    line, by = [trust], chain.trustee
    for count, to in zip((2, 1, 0), chain.people_below, strict=False):
        answer = chain.hand_on(line[-1], by, to)
        assert answer.status_code == 201, answer.text
        made = answer.json()["trust"]
        assert (made["redelegation_count"], made["redelegated_trust_id"]) == (count, line[-1]["id"])
        line, by = [*line, made], to
    assert chain.hand_on(line[-1], by, chain.people_below[3]).status_code == 403
    tokens = [chain.token(made, user) for made, user in zip(line[1:], chain.people_below, strict=False)]
    last = chain.people.validate(tokens[-1]).json()["token"]
    assert {role["name"] for role in last["roles"]} == {"member", "reader"}
    assert last["user"]["id"] == (chain.trustor if impersonation else by)["id"]
    # Whoever is between ends what is below.
    middle = f"{V3}/users/{chain.people_below[0]['id']}"
    assert chain.people.admin.patch(middle, json={"user": {"enabled": False}}).status_code == 200
    assert [works(chain.people, token) for token in tokens] == [False, False, False]
    assert chain.sign_in(line[-1], by).status_code == 403
    assert chain.people.admin.patch(middle, json={"user": {"enabled": True}}).status_code == 200
    again = chain.token(line[-1], by)
    chain.people.revoke(f"users/{chain.trustor['id']}", "member", chain.place)
    assert not works(chain.people, again)
    assert chain.people.admin.delete(f"{URL}/{trust['id']}").status_code == 204
    for made in line:
        assert chain.people.admin.get(f"{URL}/{made['id']}").status_code == 404


def test_what_is_not_handed_on(chain: Chain) -> None:
    to = chain.people_below[0]
    chain.people.grant(f"users/{chain.trustor['id']}", "manager", chain.place)
    trust = chain.make(allow_redelegation=True, expires_at=soon(hours=1))
    other = chain.people.make("project")
    chain.people.grant(f"users/{chain.trustee['id']}", "member", f"projects/{other['id']}")
    chain.people.grant(f"users/{chain.trustor['id']}", "member", f"projects/{other['id']}")
    for change in (
        {"roles": [{"name": "manager"}]},
        {"impersonation": True},
        {"expires_at": soon(hours=2)},
        {"remaining_uses": 1, "allow_redelegation": False},
        {"redelegation_count": 3},
        {"redelegation_count": 1},
        {"project_id": other["id"]},
        {"trustor_user_id": chain.trustor["id"]},
    ):
        assert chain.hand_on(trust, chain.trustee, to, **change).status_code == 403, change
    made = chain.hand_on(trust, chain.trustee, to).json()["trust"]
    assert made["expires_at"] == trust["expires_at"]
    # One that may not be handed on is not, and a count of its own is kept.
    final = chain.make()
    assert chain.hand_on(final, chain.trustee, to).status_code == 403
    assert chain.ask(allow_redelegation=True, redelegation_count=4).status_code == 403
    once = chain.make(allow_redelegation=True, redelegation_count=1)
    below = chain.hand_on(once, chain.trustee, to).json()["trust"]
    assert below["redelegation_count"] == 0
    assert chain.hand_on(below, to, chain.people_below[1]).status_code == 403


def test_a_body_does_not_make_it_handed_on(chain: Chain) -> None:
    trust = chain.make(allow_redelegation=True)
    thief = chain.people.user()
    chain.people.grant(f"users/{thief['id']}", "reader", chain.place)
    client = chain.people.client(chain.people.token(thief, in_project(chain.project)))
    given = {"trustor_user_id": thief["id"], "redelegated_trust_id": trust["id"]}
    assert chain.ask(client, **given).status_code == 404
    made = chain.make(client, roles=[{"name": "reader"}], **given)
    assert made["redelegated_trust_id"] is None


def test_a_trusts_token_manages_nothing_that_outlives_it(pair: Pair) -> None:
    for impersonation in (False, True):
        trust = pair.make(impersonation=impersonation)
        client = pair.through(trust)
        user = pair.trustor if impersonation else pair.trustee
        assert pair.ask(client, trustor_user_id=user["id"]).status_code == 403
        credential = {"user_id": user["id"], "type": "ec2", "blob": '{"access": "a"}', "project_id": pair.project["id"]}
        assert client.post(f"{V3}/credentials", json={"credential": credential}).status_code == 403
        assert client.get(f"{V3}/credentials").json()["credentials"] == []
        made = {"application_credential": {"name": "c"}}
        assert client.post(f"{V3}/users/{user['id']}/application_credentials", json=made).status_code == 403


def test_application_credentials_manage_no_trusts(pair: Pair) -> None:
    trust = pair.make()
    url = f"{V3}/users/{pair.trustor['id']}/application_credentials"
    for unrestricted in (False, True):
        body = {"application_credential": {"name": f"c{unrestricted}", "unrestricted": unrestricted}}
        given = pair.client.post(url, json=body).json()["application_credential"]
        secret = {"id": given["id"], "secret": given["secret"]}
        identity = {"methods": ["application_credential"], "application_credential": secret}
        answer = pair.people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": {"identity": identity}})
        client = pair.people.client(answer.headers["x-subject-token"])
        one = f"{URL}/{trust['id']}"
        assert pair.ask(client).status_code == 403
        for path in (f"{URL}?trustor_user_id={pair.trustor['id']}", one, f"{one}/roles"):
            assert client.get(path).status_code == 403
        assert client.get(f"{one}/roles/{pair.people.roles['member']}").status_code == 403
        assert client.delete(one).status_code == 403
        # Nor does such a sign-in use one.
        scope = {"OS-TRUST:trust": {"id": trust["id"]}}
        asked = {"identity": identity, "scope": scope}
        assert pair.people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": asked}).status_code == 401


def test_by_name_and_password(pair: Pair) -> None:
    trust = pair.make()
    user = {"name": pair.trustee["name"], "domain": DEFAULT, "password": PASSWORD}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"OS-TRUST:trust": {"id": trust["id"]}},
    }
    assert pair.people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth}).status_code == 201
