"""Roles, inference, grants and the list of assignments."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.identity.people import SYSTEM, V3, People, in_domain, in_project


def test_roles(people: People) -> None:
    made = people.make("role", description="d", colour="red")
    url = f"{V3}/roles/{made['id']}"
    assert people.admin.get(url).json()["role"] == made
    assert (made["domain_id"], made["description"], made["colour"], made["options"]) == (None, "d", "red", {})
    assert people.admin.post(f"{V3}/roles", json={"role": {"name": made["name"]}}).status_code == 409
    assert people.admin.post(f"{V3}/roles", json={"role": {"name": ""}}).status_code == 400
    assert people.admin.patch(url, json={"role": {"name": "renamed"}}).json()["role"]["name"] == "renamed"
    assert [r["id"] for r in people.admin.get(f"{V3}/roles?name=renamed").json()["roles"]] == [made["id"]]
    assert people.admin.delete(url).status_code == 204
    assert people.admin.get(url).status_code == 404


def test_roles_of_a_domain_are_listed_with_the_domain_and_stay_in_it(people: People) -> None:
    domain, project, user = people.make("domain"), people.make("project"), people.user()
    inside = people.make("project", domain_id=domain["id"])
    role = people.make("role", domain_id=domain["id"])
    assert role["id"] not in {r["id"] for r in people.admin.get(f"{V3}/roles").json()["roles"]}
    listed = people.admin.get(f"{V3}/roles?domain_id={domain['id']}").json()["roles"]
    assert [r["id"] for r in listed] == [role["id"]]
    grant = f"users/{user['id']}/roles/{role['id']}"
    assert people.admin.put(f"{V3}/projects/{project['id']}/{grant}").status_code == 403
    assert people.admin.put(f"{V3}/projects/{inside['id']}/{grant}").status_code == 204
    assert people.sign_in(user, in_project(inside)).status_code == 401
    implied = f"{V3}/roles/{role['id']}/implies/{people.roles['member']}"
    assert people.admin.put(implied).status_code == 201
    names = {r["name"] for r in people.sign_in(user, in_project(inside)).json()["token"]["roles"]}
    assert names == {"member", "reader"}


def test_inference(people: People) -> None:
    one, two = people.make("role"), people.make("role")
    url = f"{V3}/roles/{one['id']}/implies"
    made = people.admin.put(f"{url}/{two['id']}")
    assert made.status_code == 201
    assert made.json()["role_inference"]["prior_role"]["id"] == one["id"]
    assert made.json()["role_inference"]["implies"]["id"] == two["id"]
    assert people.admin.head(f"{url}/{two['id']}").status_code == 204
    assert [r["id"] for r in people.admin.get(url).json()["role_inference"]["implies"]] == [two["id"]]
    rules = people.admin.get(f"{V3}/role_inferences").json()["role_inferences"]
    assert one["id"] in {rule["prior_role"]["id"] for rule in rules}
    assert people.admin.put(f"{url}/{people.roles['admin']}").status_code == 403
    assert people.admin.put(f"{V3}/roles/{two['id']}/implies/{one['id']}").status_code == 201
    user, project = people.user(), people.make("project")
    grant = f"{V3}/projects/{project['id']}/users/{user['id']}/roles/{one['id']}"
    assert people.admin.put(grant).status_code == 204
    roles = people.sign_in(user, in_project(project)).json()["token"]["roles"]
    assert {role["id"] for role in roles} == {one["id"], two["id"]}
    assert people.admin.delete(f"{url}/{two['id']}").status_code == 204
    assert people.admin.get(f"{url}/{two['id']}").status_code == 404


def test_a_grant_is_given_seen_and_taken(people: People) -> None:
    for actor in ("user", "group"):
        who = people.user() if actor == "user" else people.make("group")
        places = [f"projects/{people.make('project')['id']}", f"domains/{people.make('domain')['id']}", "system"]
        for place in places:
            _give_see_and_take(people, f"{V3}/{place}/{actor}s/{who['id']}/roles", "")
        for place in places[:2]:
            _give_see_and_take(people, f"{V3}/OS-INHERIT/{place}/{actor}s/{who['id']}/roles", "/inherited_to_projects")


def _give_see_and_take(people: People, roles: str, tail: str) -> None:
    one = f"{roles}/{people.roles['member']}{tail}"
    steps = [("HEAD", 404), ("PUT", 204), ("PUT", 204), ("HEAD", 204), ("GET", 204)]
    assert [(method, people.admin.request(method, one).status_code) for method, _ in steps] == steps, one
    assert [role["name"] for role in people.admin.get(f"{roles}{tail}").json()["roles"]] == ["member"]
    steps = [("DELETE", 204), ("DELETE", 404), ("HEAD", 404)]
    assert [(method, people.admin.request(method, one).status_code) for method, _ in steps] == steps, one
    actor = roles.split("/")[-2]
    for unknown in (one.replace(actor, "unknown"), one.replace(people.roles["member"], "unknown")):
        assert people.admin.put(unknown).status_code == 404, unknown


def test_inherited_roles_hold_below_and_not_above(people: People) -> None:
    domain, user = people.make("domain"), people.user()
    project = people.make("project", domain_id=domain["id"])
    below = people.make("project", domain_id=domain["id"], parent_id=project["id"])
    head = f"{V3}/OS-INHERIT"
    tail = f"users/{user['id']}/roles/{people.roles['member']}/inherited_to_projects"
    assert people.admin.put(f"{head}/projects/{project['id']}/{tail}").status_code == 204
    assert people.sign_in(user, in_project(below)).status_code == 201
    assert people.sign_in(user, in_project(project)).status_code == 401
    assert people.admin.put(f"{head}/domains/{domain['id']}/{tail}").status_code == 204
    assert people.sign_in(user, in_project(project)).status_code == 201
    assert people.sign_in(user, in_domain(domain)).status_code == 401
    projects = people.admin.get(f"{V3}/users/{user['id']}/projects").json()["projects"]
    assert {found["id"] for found in projects} == {project["id"], below["id"]}


@pytest.fixture
def world(people: People) -> dict[str, Any]:
    """A group's role on a project, a user's inherited one on the domain, a user's on the system."""
    domain = people.make("domain")
    project = people.make("project", domain_id=domain["id"])
    below = people.make("project", domain_id=domain["id"], parent_id=project["id"])
    user, group = people.user(domain_id=domain["id"]), people.make("group", domain_id=domain["id"])
    people.admin.put(f"{V3}/groups/{group['id']}/users/{user['id']}")
    people.grant(f"groups/{group['id']}", "member", f"projects/{project['id']}")
    inherited = f"{V3}/OS-INHERIT/domains/{domain['id']}/users/{user['id']}/roles/{people.roles['reader']}"
    assert people.admin.put(f"{inherited}/inherited_to_projects").status_code == 204
    people.grant(f"users/{user['id']}", "reader", "system")
    return {"domain": domain, "project": project, "below": below, "user": user, "group": group}


def _listed(client: Any, query: str) -> list[dict[str, Any]]:
    response = client.get(f"{V3}/role_assignments?{query}")
    assert response.status_code == 200, response.text
    return list(response.json()["role_assignments"])


def test_assignments_as_given(people: People, world: dict[str, Any]) -> None:
    user, group, project, domain = world["user"], world["group"], world["project"], world["domain"]
    by_group = _listed(people.admin, f"group.id={group['id']}")
    base = f"http://127.0.0.1:5000{V3}"
    member = people.roles["member"]
    assert by_group == [
        {
            "group": {"id": group["id"]},
            "role": {"id": member},
            "scope": {"project": {"id": project["id"]}},
            "links": {"assignment": f"{base}/projects/{project['id']}/groups/{group['id']}/roles/{member}"},
        }
    ]
    by_user = _listed(people.admin, f"user.id={user['id']}")
    assert len(by_user) == 2
    assert _listed(people.admin, f"user.id={user['id']}&scope.system=all")[0]["scope"] == {"system": {"all": True}}
    inherited = _listed(people.admin, f"user.id={user['id']}&scope.OS-INHERIT:inherited_to=projects")
    assert inherited[0]["scope"] == {"domain": {"id": domain["id"]}, "OS-INHERIT:inherited_to": "projects"}
    named = _listed(people.admin, f"group.id={group['id']}&include_names=true")[0]
    assert named["role"]["name"] == "member"
    assert named["group"] == {
        "id": group["id"],
        "name": group["name"],
        "domain": {"id": domain["id"], "name": domain["name"]},
    }
    assert named["scope"]["project"]["domain"]["name"] == domain["name"]
    tree = _listed(people.admin, f"scope.project.id={project['id']}&include_subtree=1")
    assert len(tree) == 1


def test_effective_assignments(people: People, world: dict[str, Any]) -> None:
    user, group, project, below = world["user"], world["group"], world["project"], world["below"]
    found = _listed(people.admin, f"user.id={user['id']}&effective")
    reader, member = people.roles["reader"], people.roles["member"]
    seen = {(item["scope"].get("project", {}).get("id"), item["role"]["id"]) for item in found}
    assert seen == {(project["id"], member), (project["id"], reader), (below["id"], reader), (None, reader)}
    by_membership = [item for item in found if "membership" in item["links"]]
    assert {item["role"]["id"] for item in by_membership} == {member, reader}
    assert by_membership[0]["links"]["membership"].endswith(f"/groups/{group['id']}/users/{user['id']}")
    on_project = _listed(people.admin, f"scope.project.id={below['id']}&effective")
    assert [item["scope"]["OS-INHERIT:inherited_to"] for item in on_project] == ["projects"]


EXCLUDING = [
    "user.id=a&group.id=b",
    "scope.project.id=a&scope.domain.id=b",
    "scope.project.id=a&scope.system=all",
    "effective&group.id=a",
    "effective&scope.domain.id=a&scope.OS-INHERIT:inherited_to=projects",
    "include_subtree=true",
]


def test_filters_that_exclude_each_other(people: People) -> None:
    for query in EXCLUDING:
        assert people.admin.get(f"{V3}/role_assignments?{query}").status_code == 400, query


def test_who_lists_assignments(people: People, world: dict[str, Any]) -> None:
    domain, project = world["domain"], world["project"]
    reader = people.with_role("reader", in_domain(domain), domain_id=domain["id"])
    found = _listed(reader, "")
    assert found
    assert {item["scope"].get("project", item["scope"].get("domain", {})).get("id") for item in found} <= {
        domain["id"],
        project["id"],
    }
    assert people.with_role("reader", SYSTEM).get(f"{V3}/role_assignments").status_code == 200
    assert people.with_role("member", in_project(project)).get(f"{V3}/role_assignments").status_code == 403
