"""Signing in behind an authenticating proxy: whose headers are believed, and what a mapping makes of them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.identity.federation import FEDERATION, NAME_ONLY, PROXY, SECRET, Provider, settings
from tests.api.identity.people import V3, People, in_domain, in_project
from tests.cloud import TestCloud

from stackyard.services.identity.federation import way_in

DASHBOARD = "https://dashboard.example.org/auth/websso/"


def make(database_url: str, path: Path, **federation: Any) -> TestCloud:
    return TestCloud(database_url, path / "state", settings(**federation))


@pytest.fixture
def people(database_url: str, tmp_path: Path) -> Iterator[People]:
    """The administrator of a cloud that believes one proxy."""
    cloud = make(database_url, tmp_path, trusted_dashboard=(DASHBOARD,))
    try:
        yield People(cloud)
    finally:
        cloud.close()


def in_groups(people: People, **attributes: Any) -> tuple[Provider, dict[str, Any], dict[str, Any]]:
    """A provider that puts its users into the groups that it names, one such group, and a project it is a member of."""
    group, project = people.make("group"), people.make("project")
    people.grant(f"groups/{group['id']}", "member", f"projects/{project['id']}")
    rules = [
        {"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "REMOTE_USER"}]},
        {
            "local": [{"groups": "{0}", "domain": {"id": "default"}}],
            "remote": [{"type": "HTTP_OIDC_GROUPS"}],
        },
    ]
    return Provider(people, rules, **attributes), group, project


def test_a_federated_token(people: People) -> None:
    provider = Provider(people)
    response = provider.sign_in(remote_user="jo")
    assert response.status_code == 201
    body = response.json()["token"]
    assert body["methods"] == ["mapped"]
    assert body["user"] == {
        "id": body["user"]["id"],
        "name": "jo",
        "domain": {"id": provider.domain_id, "name": provider.domain_id},
        "OS-FEDERATION": {
            "groups": [],
            "identity_provider": {"id": provider.id},
            "protocol": {"id": "mapped"},
        },
    }
    assert not {"project", "domain", "system", "roles", "catalog"} & set(body)
    token = response.headers["x-subject-token"]
    assert people.validate(token).json()["token"]["user"] == body["user"]

    shown = people.admin.get(f"{V3}/users/{body['user']['id']}").json()["user"]
    protocols = [{"protocol_id": "mapped", "unique_id": "jo"}]
    assert shown["federated"] == [{"idp_id": provider.id, "protocols": protocols}]
    assert (shown["name"], shown["domain_id"], shown["enabled"]) == ("jo", provider.domain_id, True)

    again = provider.sign_in(method="GET", remote_user="jo")
    assert (again.status_code, again.json()["token"]["user"]["id"]) == (201, body["user"]["id"])
    assert provider.sign_in(remote_user="al").json()["token"]["user"]["id"] != body["user"]["id"]


def test_headers_are_believed_from_nobody_by_default(database_url: str, tmp_path: Path) -> None:
    cloud = make(database_url, tmp_path, proxy_secret="")
    try:
        provider = Provider(People(cloud))
        for secret in (None, "", SECRET):
            response = provider.sign_in(secret=secret, remote_user="admin")
            assert response.status_code == 401
            assert "proxy" in response.json()["error"]["message"]
    finally:
        cloud.close()


def test_a_wrong_secret_is_not_believed(people: People) -> None:
    provider = Provider(people)
    for secret in (None, "", "wrong", SECRET + "x", SECRET.upper()):
        assert provider.sign_in(secret=secret, remote_user="jo").status_code == 401
    twice = [("X-Stackyard-Proxy-Secret", SECRET), ("X-Stackyard-Proxy-Secret", "wrong"), ("Remote-User", "jo")]
    assert people.cloud.http.post(provider.auth_url, headers=twice).status_code == 401  # type: ignore[arg-type]


def test_headers_are_believed_by_address(database_url: str, tmp_path: Path) -> None:
    cloud = make(database_url, tmp_path, proxy_secret="", trusted_proxies=(PROXY, "2001:db8::/64"))
    try:
        provider = Provider(People(cloud))
        forged = {"Remote-User": "jo", "X-Forwarded-For": PROXY, "Forwarded": f"for={PROXY}"}
        for address, status in (
            (PROXY, 201),
            (f"::ffff:{PROXY}", 201),
            ("2001:db8::9", 201),
            ("192.0.2.8", 401),
            ("127.0.0.1", 401),
            ("2001:db8:1::9", 401),
            ("", 401),
        ):
            client = TestClient(cloud.cloud, client=(address, 1), base_url="http://127.0.0.1:5000")
            assert client.post(provider.auth_url, headers=forged).status_code == status, address
    finally:
        cloud.close()


def test_both_address_and_secret_must_hold_where_both_are_set(database_url: str, tmp_path: Path) -> None:
    cloud = make(database_url, tmp_path, trusted_proxies=(PROXY,))
    try:
        provider = Provider(People(cloud))
        for address, secret, status in ((PROXY, SECRET, 201), (PROXY, "wrong", 401), ("192.0.2.8", SECRET, 401)):
            client = TestClient(cloud.cloud, client=(address, 1), base_url="http://127.0.0.1:5000")
            headers = {"Remote-User": "jo", "X-Stackyard-Proxy-Secret": secret}
            assert client.post(provider.auth_url, headers=headers).status_code == status
    finally:
        cloud.close()


def test_headers_that_a_proxy_might_pass_on_from_a_client(people: People) -> None:
    provider = Provider(people)
    send = people.cloud.http.post
    underscored = {"X-Stackyard-Proxy-Secret": SECRET, "REMOTE_USER": "admin"}
    assert send(provider.auth_url, headers=underscored).status_code == 401
    twice = [("X-Stackyard-Proxy-Secret", SECRET), ("Remote-User", "jo"), ("remote-user", "admin")]
    assert send(provider.auth_url, headers=twice).status_code == 401  # type: ignore[arg-type]
    disguised = {"X-Stackyard-Proxy-Secret": SECRET, "HTTP-Remote-User": "admin", "Remote-User": "jo"}
    assert send(provider.auth_url, headers=disguised).status_code == 401


def test_text_of_all_the_world(people: People) -> None:
    provider = Provider(people)
    send = people.cloud.http.post
    for raw in ("José Ñandú 日本".encode(), "José".encode("latin-1")):
        headers = [(b"X-Stackyard-Proxy-Secret", SECRET.encode()), (b"Remote-User", raw)]
        response = send(provider.auth_url, headers=headers)  # type: ignore[arg-type]
        assert response.status_code == 201
        assert response.json()["token"]["user"]["name"].startswith("José")
    for name in ("x" * 256, " ", ""):
        assert provider.sign_in(remote_user=name).status_code == 401


def test_who_may_not_sign_in(people: People) -> None:
    provider = Provider(people)
    admin = people.admin
    assert provider.sign_in().status_code == 401
    assert provider.sign_in(other="jo").status_code == 401
    headers = {"X-Stackyard-Proxy-Secret": SECRET, "Remote-User": "jo"}
    post = people.cloud.http.post
    assert post(f"{FEDERATION}/identity_providers/none/protocols/mapped/auth", headers=headers).status_code == 404
    path = f"{FEDERATION}/identity_providers/{provider.id}/protocols"
    assert post(f"{path}/none/auth", headers=headers).status_code == 404
    admin.delete(f"{FEDERATION}/mappings/{provider.mapping_id}")
    assert provider.sign_in(remote_user="jo").status_code == 404


def test_a_disabled_provider(people: People) -> None:
    provider = Provider(people)
    token = provider.token(remote_user="jo")
    url = f"{FEDERATION}/identity_providers/{provider.id}"
    people.admin.patch(url, json={"identity_provider": {"enabled": False}})
    response = provider.sign_in(remote_user="jo")
    assert response.status_code == 403
    assert "disabled" in response.json()["error"]["message"]
    assert people.validate(token).status_code == 404
    assert people.client(token).get(f"{V3}/auth/projects").status_code == 401
    assert provider.rescope(token).status_code == 404
    people.admin.patch(url, json={"identity_provider": {"enabled": True}})
    assert people.validate(token).status_code == 200


@pytest.mark.parametrize("what", ["identity_providers/{0.id}", "identity_providers/{0.id}/protocols/mapped"])
def test_a_deleted_provider_or_protocol(people: People, what: str) -> None:
    provider = Provider(people)
    token = provider.token(remote_user="jo")
    user_id = people.validate(token).json()["token"]["user"]["id"]
    assert people.admin.delete(f"{FEDERATION}/{what.format(provider)}").status_code == 204
    assert people.validate(token).status_code == 404
    assert people.admin.get(f"{V3}/users/{user_id}").status_code == 404
    assert provider.sign_in(remote_user="jo").status_code == 404


def test_a_disabled_user_or_domain(people: People) -> None:
    provider = Provider(people)
    token = provider.token(remote_user="jo")
    user_id = people.validate(token).json()["token"]["user"]["id"]

    def enable(path: str, noun: str, *, on: bool) -> None:
        answer = people.admin.patch(f"{V3}/{path}", json={noun: {"enabled": on}})
        assert answer.status_code == 200, answer.text

    enable(f"users/{user_id}", "user", on=False)
    assert provider.sign_in(remote_user="jo").status_code == 401
    assert people.validate(token).status_code == 404
    enable(f"users/{user_id}", "user", on=True)
    assert provider.sign_in(remote_user="jo").status_code == 201
    enable(f"domains/{provider.domain_id}", "domain", on=False)
    assert provider.sign_in(remote_user="jo").status_code == 401


def test_the_provider_must_be_the_one_that_vouches(people: People) -> None:
    protocol = {"remote_id_attribute": "HTTP_OIDC_ISS"}
    provider = Provider(people, remote_ids=["https://a"], protocol=protocol)
    assert provider.sign_in(remote_user="jo", oidc_iss="https://a").status_code == 201
    assert provider.sign_in(remote_user="jo", oidc_iss="https://b").status_code == 403
    assert provider.sign_in(remote_user="jo", oidc_iss="https://a;https://b").status_code == 401
    assert provider.sign_in(remote_user="jo").status_code == 401


def test_groups_give_roles_for_the_tokens_life(people: People) -> None:
    provider, group, project = in_groups(people)
    response = provider.sign_in(remote_user="jo", oidc_groups=f"{group['name']};unknown")
    token, user = response.headers["x-subject-token"], response.json()["token"]["user"]
    assert user["OS-FEDERATION"]["groups"] == [{"id": group["id"]}]
    client = people.client(token)
    for path in ("auth/projects", "OS-FEDERATION/projects"):
        assert [one["id"] for one in client.get(f"{V3}/{path}").json()["projects"]] == [project["id"]]
    for path in ("auth/domains", "OS-FEDERATION/domains"):
        assert client.get(f"{V3}/{path}").json()["domains"] == []

    scoped = provider.rescope(token, in_project(project))
    assert scoped.status_code == 201
    body = scoped.json()["token"]
    assert {role["name"] for role in body["roles"]} == {"member", "reader"}
    assert (body["user"], body["expires_at"]) == (user, response.json()["token"]["expires_at"])
    assert set(body["methods"]) == {"token", "mapped"}
    assert body["audit_ids"][1] == response.json()["token"]["audit_ids"][0]
    project_client = people.client(scoped.headers["x-subject-token"])
    assert project_client.get("/network/v2.0/networks").status_code == 200

    # What the provider said counts for tokens of it, and is no membership that others see.
    assert people.admin.get(f"{V3}/users/{user['id']}/groups").json()["groups"] == []
    assert people.admin.get(f"{V3}/groups/{group['id']}/users").json()["users"] == []

    # Another sign-in without the group ends it for the tokens of before too.
    other = provider.token(remote_user="jo", oidc_groups="unknown")
    assert people.client(other).get(f"{V3}/auth/projects").json()["projects"] == []
    assert project_client.get("/network/v2.0/networks").status_code == 401
    assert provider.rescope(token, in_project(project)).status_code == 401


def test_groups_by_id_and_what_becomes_of_them(people: People) -> None:
    _, group, project = in_groups(people)
    rules = [{"local": [{"user": {"name": "{0}"}, "group": {"id": group["id"]}}], "remote": [{"type": "REMOTE_USER"}]}]
    provider = Provider(people, rules)
    token = provider.token(remote_user="jo")
    scoped = provider.rescope(token, in_project(project)).headers["x-subject-token"]
    assert people.validate(scoped).status_code == 200
    assert people.admin.delete(f"{V3}/groups/{group['id']}").status_code == 204
    assert people.validate(scoped).status_code == 404
    assert people.validate(token).json()["token"]["user"]["OS-FEDERATION"]["groups"] == []
    response = provider.sign_in(remote_user="jo")
    assert response.status_code == 401
    assert group["id"] in response.json()["error"]["message"]


@pytest.mark.parametrize("method", ["token", "mapped", "saml2", "openid"])
def test_rescoping_by_each_method(people: People, method: str) -> None:
    provider, group, project = in_groups(people)
    token = provider.token(remote_user="jo", oidc_groups=group["name"])
    scoped = provider.rescope(token, in_project(project), method)
    assert scoped.status_code == 201
    assert set(scoped.json()["token"]["methods"]) == {method, "mapped"}
    assert provider.rescope(token, in_domain({"id": "default"}), method).status_code == 401
    assert provider.rescope(token, None, method).json()["token"].get("project") is None


def test_other_tokens_are_not_exchanged_by_federated_methods(people: People) -> None:
    provider = Provider(people)
    for method in ("mapped", "saml2", "openid"):
        assert provider.rescope(people.cloud.token("demo"), None, method).status_code == 401
        assert provider.rescope("forged", None, method).status_code == 404


def test_signing_in_at_the_common_address(people: People) -> None:
    provider, group, project = in_groups(people)
    headers = {"X-Stackyard-Proxy-Secret": SECRET, "Remote-User": "jo", "OIDC-Groups": group["name"]}
    reference = {"identity_provider": provider.id, "protocol": "mapped"}

    def ask(mapped: dict[str, Any], headers: dict[str, str]) -> Any:
        auth = {"identity": {"methods": ["mapped"], "mapped": mapped}, "scope": in_project(project)}
        return people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth}, headers=headers)

    response = ask(reference, headers)
    assert response.status_code == 201
    assert response.json()["token"]["project"]["id"] == project["id"]
    assert response.json()["token"]["user"]["OS-FEDERATION"]["identity_provider"] == {"id": provider.id}
    assert ask(reference, {"Remote-User": "jo"}).status_code == 401
    assert ask({"protocol": "mapped"}, headers).status_code == 400
    assert ask({"identity_provider": provider.id}, headers).status_code == 400
    assert ask({**reference, "protocol": "none"}, headers).status_code == 404


def test_names_are_the_providers_and_never_those_of_local_users(people: People) -> None:
    local = people.user(name="jo")
    provider = Provider(people, domain_id="default")
    token = provider.sign_in(remote_user="jo").json()["token"]
    assert token["user"]["name"] == "jo"
    assert token["user"]["id"] != local["id"]
    found = people.admin.get(f"{V3}/users?name=jo").json()["users"]
    assert {user["id"] for user in found} == {local["id"], token["user"]["id"]}
    assert people.sign_in(local).status_code == 201
    by_name = {"name": "jo", "domain": {"id": "default"}, "password": "a-long-secret"}
    auth = {"identity": {"methods": ["password"], "password": {"user": by_name}}}
    response = people.cloud.http.post(f"{V3}/auth/tokens", json={"auth": auth})
    assert response.json()["token"]["user"]["id"] == local["id"]


def test_name_and_address_follow_the_provider(people: People) -> None:
    local = {"user": {"id": "{0}", "name": "{1}", "email": "{2}"}}
    remote = [{"type": "OIDC-sub"}, {"type": "OIDC-name"}, {"type": "OIDC-email"}]
    provider = Provider(people, [{"local": [local], "remote": remote}])
    first = provider.sign_in(oidc_sub="1 /2", oidc_name="Jo", oidc_email="jo@example.org").json()["token"]["user"]
    again = provider.sign_in(oidc_sub="1 /2", oidc_name="Jo B", oidc_email="jb@example.org").json()["token"]["user"]
    assert (first["id"], first["name"], again["name"]) == (again["id"], "Jo", "Jo B")
    user = people.admin.get(f"{V3}/users/{first['id']}").json()["user"]
    assert (user["name"], user["email"]) == ("Jo B", "jb@example.org")
    assert user["federated"][0]["protocols"][0]["unique_id"] == "1%20/2"


def test_another_protocol_of_the_same_domain_may_not_take_a_user_over(people: People) -> None:
    first, second = Provider(people, domain_id="default"), Provider(people, domain_id="default")
    assert first.sign_in(remote_user="jo").status_code == 201
    assert second.sign_in(remote_user="jo").status_code == 409


def test_the_same_person_at_the_same_time(people: People) -> None:
    provider, group, _ = in_groups(people)
    with ThreadPoolExecutor(4) as threads:
        asked = [
            threads.submit(provider.sign_in, remote_user=name, oidc_groups=group["name"])
            for name in ("jo", "jo", "al", "jo", "al", "jo")
        ]
        answers = [one.result() for one in asked]
    assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
    assert len({answer.json()["token"]["user"]["id"] for answer in answers}) == 2


def test_a_mapping_that_changes_in_between(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the mapping as of when the user is made, though it was evaluated before."""
    provider = Provider(people)
    evaluate = way_in.WayIn.mapped
    changed: list[bool] = []

    def slow(self: way_in.WayIn, given: Any) -> Any:
        found = evaluate(self, given)
        if not changed:
            changed.append(True)
            provider.map([{"local": [{"user": {"name": "new-{0}"}}], "remote": [{"type": "REMOTE_USER"}]}])
        return found

    monkeypatch.setattr(way_in.WayIn, "mapped", slow)
    assert provider.sign_in(remote_user="jo").json()["token"]["user"]["name"] == "new-jo"


def test_local_users(people: People) -> None:
    user, project = people.user(), people.make("project")
    people.grant(f"users/{user['id']}", "member", f"projects/{project['id']}")
    people.admin.patch(f"{V3}/users/{user['id']}", json={"user": {"default_project_id": project["id"]}})
    local = {"user": {"name": "{0}", "domain": {"name": "Default"}, "type": "local"}}
    provider = Provider(people, [{"local": [local], "remote": [{"type": "REMOTE_USER"}]}])
    body = provider.sign_in(remote_user=user["name"]).json()["token"]
    assert (body["user"]["id"], body["project"]["id"], body["methods"]) == (user["id"], project["id"], ["mapped"])
    assert "OS-FEDERATION" not in body["user"]
    assert provider.sign_in(remote_user="nobody").status_code == 401
    people.admin.patch(f"{V3}/users/{user['id']}", json={"user": {"enabled": False}})
    assert provider.sign_in(remote_user=user["name"]).status_code == 401
    by_id = {"user": {"id": "{0}", "type": "local"}}
    provider.map([{"local": [by_id], "remote": [{"type": "REMOTE_USER"}]}])
    assert provider.sign_in(remote_user=people.user()["id"]).status_code == 201


def provisioning(roles: tuple[str, ...] = ("member",), **more: Any) -> list[dict[str, Any]]:
    projects = [{"name": "of {0}", "roles": [{"name": role} for role in roles], **more}]
    local = [{"user": {"name": "{0}"}, "projects": projects}]
    return [{"local": local, "remote": [{"type": "REMOTE_USER"}]}]


def test_projects_are_made_with_roles(people: People) -> None:
    provider = Provider(people, provisioning())
    token = provider.token(remote_user="jo")
    projects = people.client(token).get(f"{V3}/auth/projects").json()["projects"]
    assert [(one["name"], one["domain_id"]) for one in projects] == [("of jo", provider.domain_id)]
    scoped = provider.rescope(token, in_project(projects[0]))
    assert {role["name"] for role in scoped.json()["token"]["roles"]} == {"member", "reader"}

    again = people.client(provider.token(remote_user="jo")).get(f"{V3}/auth/projects").json()["projects"]
    assert [one["id"] for one in again] == [projects[0]["id"]]
    provider.map(provisioning(("reader",)))
    provider.token(remote_user="jo")
    user_id = scoped.json()["token"]["user"]["id"]
    url = f"{V3}/projects/{projects[0]['id']}/users/{user_id}/roles"
    assert {role["name"] for role in people.admin.get(url).json()["roles"]} == {"member", "reader"}
    provider.map(provisioning(("reader",)), "3.0")
    provider.token(remote_user="jo")
    assert {role["name"] for role in people.admin.get(url).json()["roles"]} == {"reader"}
    assert people.validate(scoped.headers["x-subject-token"]).json()["token"]["roles"][0]["name"] == "reader"
    provider.map(NAME_ONLY, "3.0")
    provider.token(remote_user="jo")
    assert people.admin.get(url).json()["roles"] == []


def test_projects_that_cannot_be(people: People) -> None:
    provider = Provider(people, provisioning(("none",)))
    assert provider.sign_in(remote_user="jo").status_code == 404
    assert people.admin.get(f"{V3}/users?name=jo").json()["users"] == []
    elsewhere = people.make("domain")
    people.make("role", name="special", domain_id=elsewhere["id"])
    provider.map(provisioning(("special",)))
    assert provider.sign_in(remote_user="jo").status_code == 403
    provider.map(provisioning(domain={"name": "none"}), "2.0")
    assert provider.sign_in(remote_user="jo").status_code == 401
    provider.map(provisioning())
    assert provider.sign_in(remote_user="x" * 65).status_code == 401
    provider.map(provisioning(domain={"id": elsewhere["id"]}), "2.0")
    projects = people.client(provider.token(remote_user="jo")).get(f"{V3}/auth/projects").json()["projects"]
    assert projects[0]["domain_id"] == elsewhere["id"]


def test_hostile_patterns_and_values_have_an_end(people: People) -> None:
    remote = {"type": "REMOTE_USER", "any_one_of": ["^(a|aa)+$"], "regex": True}
    rules = [{"local": [{"user": {"name": "x"}}], "remote": [{"type": "REMOTE_USER"}, remote]}]
    provider = Provider(people, rules)
    response = provider.sign_in(remote_user="a" * 4000 + "b")
    assert response.status_code == 401
    assert provider.sign_in(remote_user=";" * 5000).status_code == 401
    provider.map([{"local": [{"user": {"name": "{0.__class__}"}}], "remote": [{"type": "REMOTE_USER"}]}])
    assert provider.sign_in(remote_user="jo").status_code == 401
    provider.map([{"local": [{"user": {"name": "{7}"}}], "remote": [{"type": "REMOTE_USER"}]}])
    assert provider.sign_in(remote_user="jo").status_code == 401


def test_the_prefix_bounds_what_mappings_see(database_url: str, tmp_path: Path) -> None:
    cloud = make(database_url, tmp_path, assertion_prefix="OIDC-")
    try:
        people = People(cloud)
        rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "HTTP_OIDC_SUB"}]}]
        assert Provider(people, rules).sign_in(oidc_sub="jo").status_code == 201
        assert Provider(people).sign_in(remote_user="jo").status_code == 401
    finally:
        cloud.close()


def websso(provider: Provider, path: str, origin: str | None = DASHBOARD, secret: str = SECRET, **more: str) -> Any:
    headers = {"X-Stackyard-Proxy-Secret": secret, "Remote-User": "jo", **more}
    params = {} if origin is None else {"origin": origin}
    url = f"{V3}/auth/OS-FEDERATION/{path}"
    return provider.cloud.http.get(url, params=params, headers=headers)


def test_a_browser_is_sent_to_the_dashboard(people: People) -> None:
    protocol = {"remote_id_attribute": "HTTP_OIDC_ISS"}
    provider = Provider(people, remote_ids=["https://a"], protocol=protocol)
    of_provider = f"identity_providers/{provider.id}/protocols/mapped/websso"
    for path in (of_provider, "websso/mapped"):
        response = websso(provider, path, **{"OIDC-Iss": "https://a"})
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/html")
        assert response.headers["cache-control"] == "no-store"
        assert "script-src 'nonce-" in response.headers["content-security-policy"]
        action = re.search(r'action="([^"]*)" method="post"', response.text)
        value = re.search(r'name="token" id="token" value="([^"]*)"', response.text)
        assert action is not None
        assert value is not None
        assert html.unescape(action[1]) == DASHBOARD
        assert people.validate(value[1]).json()["token"]["user"]["name"] == "jo"

        issuer = {"OIDC-Iss": "https://a"}
        assert websso(provider, path, None, **issuer).status_code == 400
        assert websso(provider, path, "", **issuer).status_code == 400
        for origin in ("https://evil.example.org/", DASHBOARD + "x", f'{DASHBOARD}"><script>', "javascript:alert(1)"):
            refused = websso(provider, path, origin, **issuer)
            assert refused.status_code == 401
            assert "<script" not in refused.text or refused.headers["content-type"] == "application/json"
        assert websso(provider, path, secret="wrong", **issuer).status_code == 401
        assert websso(provider, path, DASHBOARD.replace("dashboard", "DashBoard"), **issuer).status_code == 200


def test_a_browser_whose_provider_is_not_known(people: People) -> None:
    protocol = {"remote_id_attribute": "HTTP_OIDC_ISS"}
    provider = Provider(people, remote_ids=["https://a"], protocol=protocol)
    assert websso(provider, "websso/mapped").status_code == 401
    assert websso(provider, "websso/none", **{"OIDC-Iss": "https://a"}).status_code == 401
    assert websso(provider, "websso/mapped", **{"OIDC-Iss": "https://b"}).status_code == 404


def test_an_own_page_for_browsers(database_url: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    hostile = "https://d.example.org/?a=1&b=\"'<x>"
    options = {"sso_callback_template": str(page), "trusted_dashboard": (hostile,)}
    cloud = make(database_url, tmp_path, **options)
    try:
        provider = Provider(People(cloud))
        path = f"identity_providers/{provider.id}/protocols/mapped/websso"
        assert websso(provider, path, hostile).status_code == 503
        page.write_text("<form action='$host'><input value='$token'></form>")
        response = websso(provider, path, hostile)
        assert response.status_code == 200
        assert "<x>" not in response.text
        assert html.escape(hostile) in response.text
        page.write_text("$unknown")
        assert websso(provider, path, hostile).status_code == 503
    finally:
        cloud.close()
