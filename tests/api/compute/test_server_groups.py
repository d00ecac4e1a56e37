"""os-server-groups: made, seen, listed, deleted; their members and the quotas."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

from stackyard.core.errors import Forbidden
from stackyard.services.compute import server_groups
from stackyard.services.compute.tables import servers

IMAGE = "11111111-1111-4111-8111-111111111111"
PATH = "/os-server-groups"


def make(who: Nova, name: str = "web", policy: str = "affinity") -> str:
    """A group; its id."""
    body = {"server_group": {"name": name, "policies": [policy]}}
    return str(who.post(PATH, body, version="2.15")["server_group"]["id"])


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("2.1", {"id", "name", "policies", "members", "metadata"}),
        ("2.13", {"id", "name", "policies", "members", "metadata", "project_id", "user_id"}),
        ("2.64", {"id", "name", "policy", "rules", "members", "project_id", "user_id"}),
        (LATEST, {"id", "name", "policy", "rules", "members", "project_id", "user_id"}),
    ],
)
def test_a_group_at_each_microversion(cloud: TestCloud, version: str, keys: set[str]) -> None:
    demo = Nova(cloud, "demo")
    policy: dict[str, Any] = {"policy": "anti-affinity"} if "policy" in keys else {"policies": ["anti-affinity"]}
    made = demo.post(PATH, {"server_group": {"name": "web"} | policy}, version=version)["server_group"]
    assert set(made) == keys
    assert made["members"] == []
    assert made.items() >= policy.items()
    assert demo.get(f"{PATH}/{made['id']}", version=version)["server_group"] == made
    assert demo.get(PATH, version=version)["server_groups"] == [made]
    demo.delete(f"{PATH}/{made['id']}", version=version, status=204)
    demo.get(f"{PATH}/{made['id']}", version=version, status=404)
    demo.delete(f"{PATH}/{made['id']}", version=version, status=404)


def test_rules_of_anti_affinity(cloud: TestCloud) -> None:
    demo = Nova(cloud, "demo")
    body = {"name": "web", "policy": "anti-affinity", "rules": {"max_server_per_host": "3"}}
    made = demo.post(PATH, {"server_group": body}, version="2.64")["server_group"]
    assert made["rules"] == {"max_server_per_host": 3}
    assert demo.get(f"{PATH}/{made['id']}", version="2.63")["server_group"]["policies"] == ["anti-affinity"]


@pytest.mark.parametrize(
    ("version", "group"),
    [
        ("2.1", {}),
        ("2.1", {"name": "a"}),
        ("2.1", {"name": "", "policies": ["affinity"]}),
        ("2.1", {"name": "x" * 256, "policies": ["affinity"]}),
        ("2.1", {"name": " a", "policies": ["affinity"]}),
        ("2.1", {"name": 7, "policies": ["affinity"]}),
        ("2.1", {"name": "a", "policies": []}),
        ("2.1", {"name": "a", "policies": ["affinity", "anti-affinity"]}),
        ("2.1", {"name": "a", "policies": "affinity"}),
        ("2.1", {"name": "a", "policies": ["soft-affinity"]}),
        ("2.1", {"name": "a", "policies": ["affinity"], "more": 1}),
        ("2.64", {"name": "a", "policies": ["affinity"]}),
        ("2.64", {"name": "a", "policy": "legacy"}),
        ("2.64", {"name": "a", "policy": "affinity", "rules": {"max_server_per_host": 2}}),
        ("2.64", {"name": "a", "policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
        ("2.64", {"name": "a", "policy": "anti-affinity", "rules": {"max_server_per_host": "x"}}),
        ("2.64", {"name": "a", "policy": "anti-affinity", "rules": {"more": 1}}),
        ("2.64", {"name": "a", "policy": "anti-affinity", "rules": []}),
    ],
)
def test_a_bad_group_is_refused(cloud: TestCloud, version: str, group: Any) -> None:
    demo = Nova(cloud, "demo")
    demo.post(PATH, {"server_group": group}, version=version, status=400)
    demo.post(PATH, {}, version=version, status=400)
    assert demo.get(PATH)["server_groups"] == []


def test_members_are_the_servers_that_are_there(cloud: TestCloud) -> None:
    demo = Nova(cloud, "demo")
    group = make(demo)
    idle: dict[str, Any] = {"mark": False, "task": None, "task_state": None, "interfaces": []}
    one, gone = (rows.insert(cloud, IMAGE, server_group_id=group, **idle) for _ in range(2))
    for server in (one, gone):
        cloud.database.write("join", server_groups.add_member, cloud.runtime, group, server)
    now = cloud.database.clock.now()
    cloud.database.write("end", lambda tx: tx.execute(
        servers.update().where(servers.c.id == gone).values(deleted_at=now)
    ))  # fmt: skip
    assert demo.get(f"{PATH}/{group}")["server_group"]["members"] == [one]
    demo.delete(f"{PATH}/{group}", status=204)
    row: Any = cloud.database.read("server", lambda tx: tx.first(servers.select().where(servers.c.id == one)))
    assert row.server_group_id is None


def test_a_group_has_so_many_members(cloud: TestCloud) -> None:
    group = make(Nova(cloud, "demo"))
    project = rows.caller(cloud).project_id
    Nova(cloud, "admin").put(f"/os-quota-sets/{project}", {"quota_set": {"server_group_members": 1}})
    idle: dict[str, Any] = {"mark": False, "task": None, "task_state": None, "interfaces": []}
    one, two = (rows.insert(cloud, IMAGE, **idle) for _ in range(2))
    cloud.database.write("join", server_groups.add_member, cloud.runtime, group, one)
    with pytest.raises(Forbidden, match="too many servers"):
        cloud.database.write("join", server_groups.add_member, cloud.runtime, group, two)
    cloud.database.write("leave", server_groups.remove_member, one)
    cloud.database.write("join", server_groups.add_member, cloud.runtime, group, two)


def test_a_project_has_so_many_groups(cloud: TestCloud) -> None:
    demo, admin = Nova(cloud, "demo"), Nova(cloud, "admin")
    project = rows.caller(cloud).project_id
    admin.put(f"/os-quota-sets/{project}", {"quota_set": {"server_groups": 1}})
    group = make(demo)
    body = {"server_group": {"name": "b", "policies": ["affinity"]}}
    assert demo.post(PATH, body, status=403)["message"] == "Quota exceeded, too many server groups."
    demo.delete(f"{PATH}/{group}", status=204)
    demo.post(PATH, body)


def test_a_user_has_so_many_groups(cloud: TestCloud) -> None:
    demo, admin = Nova(cloud, "demo"), Nova(cloud, "admin")
    who = rows.caller(cloud)
    admin.put(f"/os-quota-sets/{who.project_id}?user_id={who.user_id}", {"quota_set": {"server_groups": 0}})
    body = {"server_group": {"name": "b", "policies": ["affinity"]}}
    demo.post(PATH, body, status=403)
    assert admin.get(f"/os-quota-sets/{who.project_id}/detail")["quota_set"]["server_groups"]["in_use"] == 0
    admin.delete(f"/os-quota-sets/{who.project_id}?user_id={who.user_id}", status=202)
    demo.post(PATH, body)


def test_pages_of_groups(cloud: TestCloud) -> None:
    demo = Nova(cloud, "demo")
    made = [make(demo, f"group-{number}") for number in range(3)]
    found = demo.get(f"{PATH}?offset=1&limit=1")["server_groups"]
    assert [one["id"] for one in found] == [made[1]]
    assert len(demo.get(f"{PATH}?limit=0")["server_groups"]) == 3
    demo.get(f"{PATH}?limit=-1", status=400)
    demo.get(f"{PATH}?offset=x", status=400)
    demo.get(f"{PATH}?nonsense=1")
    demo.get(f"{PATH}?nonsense=1", version="2.75", status=400)


def test_a_project_has_its_own_groups(cloud: TestCloud) -> None:
    demo, admin = Nova(cloud, "demo"), Nova(cloud, "admin")
    own, others = make(demo), make(admin, "of admin")
    assert [one["id"] for one in demo.get(PATH)["server_groups"]] == [own]
    assert [one["id"] for one in demo.get(f"{PATH}?all_projects")["server_groups"]] == [own]
    demo.get(f"{PATH}/{others}", status=404)
    demo.delete(f"{PATH}/{others}", status=404)
    assert [one["id"] for one in admin.get(PATH)["server_groups"]] == [others]
    assert [one["id"] for one in admin.get(f"{PATH}?all_projects=True")["server_groups"]] == [own, others]
    admin.get(f"{PATH}/{own}")
    admin.delete(f"{PATH}/{own}", status=204)
    detail = admin.get(f"/os-quota-sets/{rows.caller(cloud).project_id}/detail")["quota_set"]
    assert detail["server_groups"]["in_use"] == 0


def test_strangers_are_refused(cloud: TestCloud) -> None:
    cloud.http.headers.clear()
    assert cloud.http.get(f"/compute/v2.1{PATH}").status_code == 401
