"""Who does what, and attempts to get more than one has."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.identity.people import PASSWORD, SYSTEM, V3, People, in_domain, in_project

READS = ("users", "projects", "domains", "groups", "roles", "services", "endpoints", "role_assignments")
CREATES: dict[str, dict[str, Any]] = {
    "user": {"name": "new"},
    "project": {"name": "new"},
    "domain": {"name": "new"},
    "group": {"name": "new"},
    "role": {"name": "new"},
    "region": {"id": "new"},
    "service": {"type": "new"},
}


@pytest.fixture
def domain(people: People) -> dict[str, Any]:
    """A domain other than the default one."""
    return people.make("domain")


@pytest.fixture
def project(people: People, domain: dict[str, Any]) -> dict[str, Any]:
    """A project in it."""
    return people.make("project", domain_id=domain["id"])


def _persona(people: People, name: str, domain: dict[str, Any], project: dict[str, Any]) -> TestClient:
    where, role = name.split(" ")
    scope = {"system": SYSTEM, "domain": in_domain(domain), "project": in_project(project)}[where]
    return people.with_role(role, scope, domain_id=domain["id"])


PERSONAS: list[tuple[str, set[str], set[str]]] = [
    ("system admin", set(READS), set(CREATES)),
    ("system reader", set(READS), set()),
    ("project admin", set(READS), set(CREATES)),
    (
        "domain manager",
        {"users", "projects", "domains", "groups", "roles", "role_assignments"},
        {"user", "project", "group"},
    ),
    ("domain reader", {"users", "projects", "domains", "groups", "role_assignments"}, set()),
    ("project manager", set(), set()),
    ("project member", set(), set()),
    ("project reader", set(), set()),
    ("project service", set(), set()),
]


def test_personas(people: People, domain: dict[str, Any], project: dict[str, Any]) -> None:
    for persona, reads, creates in PERSONAS:
        client = _persona(people, persona, domain, project)
        answers = {kind: client.get(f"{V3}/{kind}").status_code for kind in READS}
        assert answers == {kind: 200 if kind in reads else 403 for kind in READS}, persona
        bodies = {kind: _renamed(body, persona) for kind, body in CREATES.items()}
        answers = {kind: client.post(f"{V3}/{kind}s", json={kind: body}).status_code for kind, body in bodies.items()}
        assert answers == {kind: 201 if kind in creates else 403 for kind in CREATES}, persona


def _renamed(body: dict[str, Any], persona: str) -> dict[str, Any]:
    return {name: f"{value} by {persona}" for name, value in body.items()}


@pytest.mark.parametrize("persona", ["project member", "project manager", "domain manager", "domain reader"])
def test_nobody_makes_himself_an_administrator(
    people: People, domain: dict[str, Any], project: dict[str, Any], persona: str
) -> None:
    client = _persona(people, persona, domain, project)
    me = people.admin.get(f"{V3}/auth/tokens", headers={"X-Subject-Token": client.headers["X-Auth-Token"]})
    my_id = me.json()["token"]["user"]["id"]
    targets = ("system", f"domains/{domain['id']}", f"projects/{project['id']}", "domains/default")
    for target in targets:
        for role in ("admin", "service"):
            url = f"{V3}/{target}/users/{my_id}/roles/{people.roles[role]}"
            assert client.put(url).status_code == 403, url
    inherited = f"{V3}/OS-INHERIT/domains/{domain['id']}/users/{my_id}/roles/{people.roles['admin']}"
    assert client.put(f"{inherited}/inherited_to_projects").status_code == 403
    implied = f"{V3}/roles/{people.roles['member']}/implies/{people.roles['admin']}"
    assert client.put(implied).status_code == 403
    assert people.admin.put(implied).status_code == 403


def test_a_domain_manager_gives_lesser_roles_in_the_domain_alone(
    people: People, domain: dict[str, Any], project: dict[str, Any]
) -> None:
    manager = _persona(people, "domain manager", domain, project)
    inside, outside = people.user(domain_id=domain["id"]), people.user()
    elsewhere = people.make("project")

    def give(user: dict[str, Any], role: str, target: str) -> int:
        return manager.put(f"{V3}/{target}/users/{user['id']}/roles/{people.roles[role]}").status_code

    for role in ("manager", "member", "reader"):
        assert give(inside, role, f"projects/{project['id']}") == 204
        assert give(inside, role, f"domains/{domain['id']}") == 204
        assert give(inside, role, f"projects/{elsewhere['id']}") == 403
        assert give(inside, role, "system") == 403
        assert give(outside, role, f"projects/{project['id']}") == 403


def test_a_domain_manager_makes_no_domain_and_nothing_in_another(
    people: People, domain: dict[str, Any], project: dict[str, Any]
) -> None:
    manager = _persona(people, "domain manager", domain, project)
    elsewhere = people.make("project")
    for attributes in (
        {"is_domain": True},
        {"is_domain": True, "domain_id": domain["id"]},
        {"is_domain": True, "domain_id": None},
        {"domain_id": "default"},
        {"domain_id": None},
    ):
        response = manager.post(f"{V3}/projects", json={"project": {"name": "sly", **attributes}})
        assert response.status_code in (400, 403), attributes
    by_parent = manager.post(f"{V3}/projects", json={"project": {"name": "sly", "parent_id": elsewhere["id"]}})
    assert by_parent.status_code == 400
    assert people.admin.get(f"{V3}/projects?name=sly").json()["projects"] == []
    assert people.admin.get(f"{V3}/domains?name=sly").json()["domains"] == []
    assert manager.patch(f"{V3}/projects/{domain['id']}", json={"project": {"name": "sly"}}).status_code == 403
    assert manager.patch(f"{V3}/domains/{domain['id']}", json={"domain": {"name": "sly"}}).status_code == 403
    in_group = people.make("group")
    user = people.user(domain_id=domain["id"])
    assert manager.put(f"{V3}/groups/{in_group['id']}/users/{user['id']}").status_code == 403


def test_without_a_token_nothing_is_told(people: People) -> None:
    http = people.cloud.http
    for kind in READS:
        response = http.get(f"{V3}/{kind}")
        assert response.status_code == 401
        assert response.json()["error"]["title"] == "Unauthorized"
        assert "Keystone uri=" in response.headers["www-authenticate"]


def test_an_unscoped_token_does_what_its_user_owns(people: People) -> None:
    user = people.user()
    people.grant(f"users/{user['id']}", "admin", "domains/default")
    client = people.client(people.token(user, "unscoped"))
    assert client.get(f"{V3}/users/{user['id']}").status_code == 200
    assert client.get(f"{V3}/users").status_code == 403
    assert client.post(f"{V3}/domains", json={"domain": {"name": "new"}}).status_code == 403


def test_secrets_show_nowhere(people: People, caplog: pytest.LogCaptureFixture) -> None:
    user = people.user()
    people.sign_in(user, password="not-the-" + PASSWORD)
    people.admin.post(f"{V3}/users", json={"user": {"name": "", "password": PASSWORD}})
    wrong = people.admin.post(f"{V3}/users", json={"user": {"name": "n", "password": [PASSWORD]}})
    assert PASSWORD not in wrong.text
    assert PASSWORD not in caplog.text
