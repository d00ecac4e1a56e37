"""POST /v3/auth/tokens: methods, scopes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.identity.people import DEFAULT, PASSWORD, SYSTEM, V3, People, in_domain, in_project
from tests.cloud import PASSWORDS


def _post(people: People, identity: dict[str, Any], scope: Any = None) -> Any:
    auth: dict[str, Any] = {"identity": identity}
    if scope is not None:
        auth["scope"] = scope
    return people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth})


def _password(**user: Any) -> dict[str, Any]:
    return {"methods": ["password"], "password": {"user": user}}


def test_a_project_token_says_all_that_clients_read(people: People) -> None:
    scope = {"project": {"name": "admin", "domain": {"name": "Default"}}}
    identity = _password(name="admin", domain={"name": "Default"}, password=PASSWORDS["admin"])
    response = _post(people, identity, scope)

    assert response.status_code == 201
    assert response.headers["vary"] == "X-Auth-Token"
    token = response.json()["token"]
    assert token["methods"] == ["password"]
    assert token["user"]["domain"] == {"id": "default", "name": "Default"}
    assert token["user"]["password_expires_at"] is None
    assert token["project"]["name"] == "admin"
    assert token["project"]["domain"] == {"id": "default", "name": "Default"}
    assert token["is_domain"] is False
    assert {role["name"] for role in token["roles"]} == {"admin", "manager", "member", "reader"}
    assert len(token["audit_ids"]) == 1
    assert token["expires_at"] > token["issued_at"]
    identity_service = next(service for service in token["catalog"] if service["type"] == "identity")
    assert {endpoint["interface"] for endpoint in identity_service["endpoints"]} == {"public", "internal", "admin"}
    assert identity_service["endpoints"][0]["url"] == "http://127.0.0.1:5000/identity"


def test_the_catalogue_can_be_left_out(people: People) -> None:
    identity = _password(name="admin", domain=DEFAULT, password=PASSWORDS["admin"])
    auth = {"identity": identity, "scope": {"project": {"name": "admin", "domain": DEFAULT}}}
    response = people.cloud.http.post(f"{V3}/auth/tokens?nocatalog", json={"auth": auth})
    assert "catalog" not in response.json()["token"]


def test_the_root_of_the_port_serves_version_3_too(people: People) -> None:
    assert people.admin.get("/v3/users").status_code == 200
    assert people.cloud.http.get("/v3").json()["version"]["links"][0]["href"] == "http://127.0.0.1:5000/v3/"
    below = people.cloud.http.get("/identity", follow_redirects=False)
    assert below.status_code == 300
    assert below.json()["versions"]["values"][0]["links"][0]["href"] == "http://127.0.0.1:5000/identity/v3/"


def test_scopes(people: People) -> None:
    domain, project = people.make("domain"), people.make("project")
    user = people.user()
    actor = f"users/{user['id']}"
    people.grant(actor, "member", f"projects/{project['id']}")
    people.grant(actor, "reader", f"domains/{domain['id']}")
    people.grant(actor, "reader", "system")

    def token(scope: Any) -> dict[str, Any]:
        response = people.sign_in(user, scope)
        assert response.status_code == 201, response.text
        return dict(response.json()["token"])

    assert token(in_project(project))["project"]["id"] == project["id"]
    assert {role["name"] for role in token(in_project(project))["roles"]} == {"member", "reader"}
    assert token(in_domain(domain))["domain"] == {"id": domain["id"], "name": domain["name"]}
    assert token({"domain": {"name": domain["name"]}})["domain"]["id"] == domain["id"]
    assert token(SYSTEM)["system"] == {"all": True}
    for unscoped in (None, "unscoped", {"unscoped": {}}):
        body = token(unscoped)
        assert not {"project", "domain", "system", "roles", "catalog"} & set(body)


def test_without_a_scope_the_default_project_is_taken_where_it_is_good(people: People) -> None:
    project = people.make("project")
    user = people.user(default_project_id=project["id"])
    assert "project" not in people.sign_in(user).json()["token"]
    people.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
    assert people.sign_in(user).json()["token"]["project"]["id"] == project["id"]
    assert "project" not in people.sign_in(user, "unscoped").json()["token"]
    people.admin.patch(f"{V3}/projects/{project['id']}", json={"project": {"enabled": False}})
    assert "project" not in people.sign_in(user).json()["token"]


def test_wrong_password_unknown_user_and_disabled_user_get_the_same_answer(people: People) -> None:
    user, disabled = people.user(), people.user(enabled=False)
    answers = [
        _post(people, _password(id=user["id"], password="wrong")),
        _post(people, _password(id="0" * 32, password=PASSWORD)),
        _post(people, _password(name="nobody", domain=DEFAULT, password=PASSWORD)),
        _post(people, _password(name=user["name"], domain={"name": "nowhere"}, password=PASSWORD)),
        _post(people, _password(id=disabled["id"], password=PASSWORD)),
        _post(people, _password(id=people.make("user")["id"], password="")),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["error"]["title"] == "Unauthorized"


def test_scopes_that_are_not_the_users_are_refused(people: People) -> None:
    user, project, domain = people.user(), people.make("project"), people.make("domain")
    for scope in (in_project(project), in_domain(domain), SYSTEM, {"project": {"id": "0" * 32}}):
        assert people.sign_in(user, scope).status_code == 401


@pytest.mark.parametrize("what", ["user", "user's domain", "project", "project's domain"])
def test_disabling_refuses_sign_in_and_ends_tokens_for_good(people: People, what: str) -> None:
    home, place = people.make("domain"), people.make("domain")
    project = people.make("project", domain_id=place["id"])
    user = people.user(domain_id=home["id"])
    people.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
    token = people.token(user, in_project(project))
    kind, resource = {
        "user": ("user", user),
        "user's domain": ("domain", home),
        "project": ("project", project),
        "project's domain": ("domain", place),
    }[what]
    url = f"{V3}/{kind}s/{resource['id']}"

    assert people.admin.patch(url, json={kind: {"enabled": False}}).status_code == 200
    assert people.client(token).get(f"{V3}/auth/projects").status_code == 401
    assert people.validate(token).status_code == 404
    assert people.sign_in(user, in_project(project)).status_code == 401

    assert people.admin.patch(url, json={kind: {"enabled": True}}).status_code == 200
    assert people.client(token).get(f"{V3}/auth/projects").status_code == 401
    assert people.sign_in(user, in_project(project)).status_code == 201


def test_rescoping_keeps_the_end_and_the_chain(people: People) -> None:
    project = people.make("project")
    user = people.user()
    people.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
    unscoped = people.sign_in(user, "unscoped")
    token = unscoped.headers["x-subject-token"]
    scoped = _post(people, {"methods": ["token"], "token": {"id": token}}, in_project(project))
    assert scoped.status_code == 201
    one, two = unscoped.json()["token"], scoped.json()["token"]
    assert two["expires_at"] == one["expires_at"]
    assert two["audit_ids"][1] == one["audit_ids"][0]
    assert set(two["methods"]) == {"token", "password"}


def test_a_token_that_is_no_longer_good_gets_no_other(people: People) -> None:
    token = people.token(people.user())
    assert people.admin.delete(f"{V3}/auth/tokens", headers={"X-Subject-Token": token}).status_code == 204
    for bad in (token, "forged"):
        assert _post(people, {"methods": ["token"], "token": {"id": bad}}).status_code == 404


def test_a_system_token_does_not_become_a_project_token(people: People) -> None:
    user, project = people.user(), people.make("project")
    people.grant(f"users/{user['id']}", "reader", "system")
    people.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
    identity = {"methods": ["token"], "token": {"id": people.token(user, SYSTEM)}}
    assert _post(people, identity, in_project(project)).status_code == 403


def test_two_methods_must_name_the_same_user(people: People) -> None:
    one, two = people.user(), people.user()
    identity = {
        "methods": ["password", "token"],
        "password": {"user": {"id": one["id"], "password": PASSWORD}},
        "token": {"id": people.token(two)},
    }
    assert _post(people, identity).status_code == 401
    identity["token"] = {"id": people.token(one)}
    assert _post(people, identity).status_code == 201


def test_multi_factor_rules_are_enforced(people: People) -> None:
    user = people.user(options={"multi_factor_auth_rules": [["password", "application_credential"]]})
    assert people.sign_in(user).status_code == 401
    options = {"multi_factor_auth_enabled": False}
    people.admin.patch(f"{V3}/users/{user['id']}", json={"user": {"options": options}})
    assert people.sign_in(user).status_code == 201


MALFORMED: list[Any] = [
    {},
    {"identity": {}},
    {"identity": {"methods": "password"}},
    {"identity": {"methods": ["password"]}},
    {"identity": {"methods": ["password"], "password": {}}},
    {"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}},
    {"identity": {"methods": ["password"], "password": {"user": {"name": "demo", "password": "x"}}}},
    {"identity": {"methods": ["password"], "password": {"user": {"id": "x"}}}},
    {"identity": {"methods": ["password"], "password": {"user": {"id": 7, "password": "x"}}}},
    {"identity": {"methods": ["token"], "token": {}}},
    {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {}},
    {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"project": {}}},
    {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"project": {"name": "x"}}},
    {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"project": {"id": "x"}, "system": {}}},
]


def test_malformed_sign_ins_are_bad_requests(people: People) -> None:
    for auth in MALFORMED:
        assert people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth}).status_code == 400, auth


def test_an_unknown_method_is_refused(people: People) -> None:
    assert _post(people, {"methods": ["telepathy"], "telepathy": {}}).status_code == 401
    assert _post(people, {"methods": []}).status_code == 401
