"""The tree of projects and domains at its edges: depth, what is immutable, limits of relatives, tags against a plain
reading, names that no domain may have.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.identity.people import SYSTEM, V3, People, in_project
from tests.cloud import TestCloud

from stackyard.core.config import Hierarchy, Settings
from stackyard.core.db import Transaction
from stackyard.services.identity.projects.tables import projects, tags


@pytest.mark.parametrize("deepest", [1, 3])
def test_the_depth_is_a_setting(sqlite_url: str, tmp_path: Path, deepest: int) -> None:
    cloud = TestCloud(sqlite_url, tmp_path / "state", Settings(hierarchy=Hierarchy(max_project_tree_depth=deepest)))
    try:
        people = People(cloud)
        above = {"id": "default"}
        for _ in range(deepest):
            above = people.make("project", parent_id=above["id"])
        refused = people.admin.post(f"{V3}/projects", json={"project": {"name": "n", "parent_id": above["id"]}})
        assert refused.status_code == 403
        assert f"at most {deepest} projects deep" in refused.text
    finally:
        cloud.close()


def test_which_roles_none_may_imply_is_a_setting(sqlite_url: str, tmp_path: Path) -> None:
    chosen = Hierarchy(prohibited_implied_roles="admin, service")
    cloud = TestCloud(sqlite_url, tmp_path / "state", Settings(hierarchy=chosen))
    try:
        people = People(cloud)
        role = people.make("role")["id"]
        for name, status in (("admin", 403), ("service", 403), ("reader", 201)):
            assert people.admin.put(f"{V3}/roles/{role}/implies/{people.roles[name]}").status_code == status
    finally:
        cloud.close()


IMMUTABLE = {"options": {"immutable": True}}


@pytest.mark.parametrize("kind", ["project", "domain", "role"])
def test_what_is_immutable_is_made_mutable_first(people: People, kind: str) -> None:
    made = people.make(kind, **IMMUTABLE)
    url = f"{V3}/{kind}s/{made['id']}"

    def change(**attributes: Any) -> int:
        return people.admin.patch(url, json={kind: attributes}).status_code

    assert change(description="d") == 403
    assert change(options={}) == 403
    assert change(options={"immutable": False}, description="d") == 403
    assert change(options={"immutable": False}, colour="red") == 403
    assert people.admin.delete(url).status_code == 403
    assert people.admin.get(url).json()[kind] == made
    assert change(options={"immutable": None}) == 200
    assert change(description="d") == 200


def test_tags_of_an_immutable_project_stay(people: People) -> None:
    made = people.make("project", tags=["a"], **IMMUTABLE)
    url = f"{V3}/projects/{made['id']}/tags"
    assert people.admin.put(f"{url}/b").status_code == 403
    assert people.admin.delete(f"{url}/a").status_code == 403
    assert people.admin.put(url, json={"tags": []}).status_code == 403
    assert people.admin.delete(url).status_code == 403
    assert people.admin.get(url).json()["tags"] == ["a"]


@pytest.mark.parametrize("kind", ["project", "role"])
def test_a_domain_with_something_immutable_in_it_stays(people: People, kind: str) -> None:
    domain = people.make("domain")
    inside = people.make(kind, domain_id=domain["id"], **IMMUTABLE)
    plain = people.make("project", domain_id=domain["id"])
    assert people.admin.patch(f"{V3}/domains/{domain['id']}", json={"domain": {"enabled": False}}).status_code == 200
    assert people.admin.delete(f"{V3}/domains/{domain['id']}").status_code == 403
    for path in (f"domains/{domain['id']}", f"projects/{plain['id']}", f"{kind}s/{inside['id']}"):
        assert people.admin.get(f"{V3}/{path}").status_code == 200, path


def test_no_domain_is_called_like_that_of_federated_users(people: People) -> None:
    other = people.make("domain")
    for name in ("Federated", "federated", " FEDERATED "):
        assert people.admin.post(f"{V3}/domains", json={"domain": {"name": name}}).status_code == 400
        body = {"project": {"name": name, "is_domain": True}}
        assert people.admin.post(f"{V3}/projects", json=body).status_code == 400
        assert people.admin.patch(f"{V3}/domains/{other['id']}", json={"domain": {"name": name}}).status_code == 400
    assert people.make("project", name="Federated")["name"] == "Federated"


def test_relatives_come_with_their_limits(people: People) -> None:
    above = people.make("project")
    below = people.make("project", parent_id=above["id"])
    admin = people.admin.get(f"{V3}/auth/tokens", headers={"X-Subject-Token": people.cloud.token("admin")})
    for project in (above, below):
        people.grant(f"users/{admin.json()['token']['user']['id']}", "member", f"projects/{project['id']}")
    service = people.make("service", type="metering")
    registered = {"service_id": service["id"], "resource_name": "meters", "default_limit": 10}
    assert people.admin.post(f"{V3}/registered_limits", json={"registered_limits": [registered]}).status_code == 201
    limit = {"service_id": service["id"], "resource_name": "meters", "resource_limit": 7, "project_id": below["id"]}
    assert people.admin.post(f"{V3}/limits", json={"limits": [limit]}).status_code == 201
    url = f"{V3}/projects/{above['id']}?subtree_as_list&include_limits"
    (found,) = people.admin.get(url).json()["project"]["subtree"]
    assert [(one["resource_name"], one["resource_limit"]) for one in found["project"]["limits"]] == [("meters", 7)]
    (parent,) = people.admin.get(f"{V3}/projects/{below['id']}?parents_as_list&include_limits").json()["project"][
        "parents"
    ]
    assert parent["project"]["limits"] == []


def test_relatives_in_both_forms_at_once_are_refused(people: People) -> None:
    url = f"{V3}/projects/{people.make('project')['id']}"
    for kind in ("parents", "subtree"):
        assert people.admin.get(f"{url}?{kind}_as_list&{kind}_as_ids").status_code == 400
        assert people.admin.get(f"{url}?{kind}_as_list=0&{kind}_as_ids").status_code == 200


def test_a_role_of_a_domain_is_not_for_the_system(people: People) -> None:
    role, user = people.make("role", domain_id=people.make("domain")["id"]), people.user()
    refused = people.admin.put(f"{V3}/system/users/{user['id']}/roles/{role['id']}")
    assert refused.status_code == 400
    assert "domain-specific" in refused.text
    assert people.sign_in(user, SYSTEM).status_code == 401
    assert people.sign_in(user, in_project(people.make("project"))).status_code == 401


NAMES = ("a", "b", "c", "A")


def _store(tx: Transaction, worn: list[set[str]]) -> None:
    tx.execute(projects.delete().where(projects.c.id.startswith("tagged")))
    plain = {"enabled": True, "description": "", "options": {}, "extra": {}, "created_at": tx.now, "is_domain": False}
    for index, names in enumerate(worn):
        values = {"id": f"tagged{index}", "name": f"tagged{index}", "domain_id": "default", "parent_id": "default"}
        tx.execute(projects.insert(), {**values, **plain})
        for name in sorted(names):
            tx.execute(tags.insert(), {"project_id": f"tagged{index}", "name": name})


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    worn=st.lists(st.sets(st.sampled_from(NAMES)), min_size=1, max_size=5),
    queries=st.lists(
        st.dictionaries(
            st.sampled_from(["tags", "tags-any", "not-tags", "not-tags-any"]),
            st.lists(st.sampled_from([*NAMES, "unknown"]), min_size=1, max_size=3),
            min_size=1,
        ),
        min_size=5,
        max_size=5,
    ),
)
def test_tags_narrow_as_a_plain_reading_would(
    still_cloud: TestCloud, worn: list[set[str]], queries: list[dict[str, list[str]]]
) -> None:
    still_cloud.database.write("store", _store, worn)
    client = still_cloud.client("admin")
    plainly = {
        "tags": lambda has, asked: asked <= has,
        "tags-any": lambda has, asked: bool(asked & has),
        "not-tags": lambda has, asked: not asked <= has,
        "not-tags-any": lambda has, asked: not asked & has,
    }
    for query in queries:
        response = client.get(f"{V3}/projects", params={name: ",".join(given) for name, given in query.items()})
        found = {one["id"] for one in response.json()["projects"] if one["id"].startswith("tagged")}
        assert found == {
            f"tagged{index}"
            for index, has in enumerate(worn)
            if all(plainly[name](has, set(given)) for name, given in query.items())
        }, query
