"""os-quota-sets and os-quota-class-sets: limits of projects, of users in them, and the defaults."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

from stackyard.core import ids

NETWORK = {"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}
INJECTED = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}
GROUPS = {"server_groups", "server_group_members"}
ALWAYS = {"instances", "cores", "ram", "key_pairs", "metadata_items"} | GROUPS
IMAGE = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def project(cloud: TestCloud) -> str:
    """The id of demo's project."""
    return str(rows.caller(cloud).project_id)


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("2.1", ALWAYS | NETWORK | INJECTED),
        ("2.35", ALWAYS | NETWORK | INJECTED),
        ("2.36", ALWAYS | INJECTED),
        ("2.56", ALWAYS | INJECTED),
        ("2.57", ALWAYS),
        (LATEST, ALWAYS),
    ],
)
def test_quotas_at_each_microversion(cloud: TestCloud, project: str, version: str, keys: set[str]) -> None:
    demo, admin = Nova(cloud, "demo"), Nova(cloud, "admin")
    path = f"/os-quota-sets/{project}"
    shown = demo.get(path, version=version)["quota_set"]
    assert set(shown) == keys | {"id"}
    assert (shown["id"], shown["instances"], shown["cores"], shown["ram"]) == (project, 10, 20, 51200)
    assert demo.get(f"{path}/defaults", version=version)["quota_set"] == shown
    detail = demo.get(f"{path}/detail", version=version)["quota_set"]
    assert detail.pop("id") == project
    assert set(detail) == keys
    assert detail["instances"] == {"limit": 10, "in_use": 0, "reserved": 0}
    updated = admin.put(path, {"quota_set": {"cores": 7}}, version=version)["quota_set"]
    assert set(updated) == keys
    assert updated["cores"] == 7
    if not keys & NETWORK:
        admin.put(path, {"quota_set": {"fixed_ips": 7}}, version=version, status=400)
    if not keys & INJECTED:
        admin.put(path, {"quota_set": {"injected_files": 7}}, version=version, status=400)


def test_limits_are_set_and_reset(cloud: TestCloud, project: str) -> None:
    admin = Nova(cloud, "admin")
    path = f"/os-quota-sets/{project}"
    body = {"instances": "3", "ram": -1, "fixed_ips": 4, "force": "True"}
    changed = admin.put(path, {"quota_set": body})["quota_set"]
    assert (changed["instances"], changed["ram"], changed["fixed_ips"]) == (3, -1, 4)
    assert admin.get(path)["quota_set"]["instances"] == 3
    assert admin.get(f"{path}/defaults")["quota_set"]["instances"] == 10
    admin.delete(path, status=202)
    assert admin.get(path)["quota_set"] == admin.get(f"{path}/defaults")["quota_set"]


def test_a_limit_is_not_set_below_what_is_in_use(cloud: TestCloud, project: str) -> None:
    demo, admin = Nova(cloud, "demo"), Nova(cloud, "admin")
    demo.post("/os-server-groups", {"server_group": {"name": "a", "policies": ["affinity"]}})
    path = f"/os-quota-sets/{project}"
    assert demo.get(f"{path}/detail")["quota_set"]["server_groups"]["in_use"] == 1
    told = admin.put(path, {"quota_set": {"server_groups": 0, "cores": 3}}, status=400)
    assert "already used" in told["message"]
    assert admin.get(path)["quota_set"]["cores"] == 20
    forced = {"quota_set": {"server_groups": 0, "force": True}}
    assert admin.put(path, forced)["quota_set"]["server_groups"] == 0
    admin.put(path, {"quota_set": {"server_groups": -1}})


def test_a_user_has_limits_of_his_own(cloud: TestCloud, project: str) -> None:
    demo, admin = Nova(cloud, "demo"), Nova(cloud, "admin")
    user = rows.caller(cloud).user_id
    rows.insert(cloud, IMAGE, mark=False, task=None, task_state=None, interfaces=[])
    path, of_user = f"/os-quota-sets/{project}", f"/os-quota-sets/{project}?user_id={user}"
    detail = demo.get(f"{path}/detail?user_id={user}")["quota_set"]
    assert detail["instances"] == {"limit": 10, "in_use": 1, "reserved": 0}
    assert detail["ram"]["in_use"] == 512
    assert admin.put(of_user, {"quota_set": {"cores": 5}})["quota_set"]["cores"] == 5
    assert admin.put(of_user, {"quota_set": {"cores": 6}})["quota_set"]["cores"] == 6
    assert demo.get(of_user)["quota_set"]["cores"] == 6
    assert demo.get(path)["quota_set"]["cores"] == 20
    assert "less than or equal" in admin.put(of_user, {"quota_set": {"cores": 21}}, status=400)["message"]
    assert "less than or equal" in admin.put(of_user, {"quota_set": {"cores": -1}}, status=400)["message"]
    assert "already used" in admin.put(of_user, {"quota_set": {"instances": 0}}, status=400)["message"]
    admin.delete(of_user, status=202)
    assert demo.get(of_user)["quota_set"]["cores"] == 20


def test_a_projects_limits_bind_single_requests(cloud: TestCloud, project: str) -> None:
    demo, admin = Nova(cloud, "demo"), Nova(cloud, "admin")
    server = {"name": "a", "imageRef": rows.image(cloud), "flavorRef": "1", "metadata": {"a": "b", "c": "d"}}
    admin.put(f"/os-quota-sets/{project}", {"quota_set": {"metadata_items": 1, "injected_files": 0}})
    assert "metadata_items" in demo.post("/servers", {"server": server}, status=403)["message"]
    server |= {"metadata": {}, "personality": [{"path": "/a", "contents": ""}]}
    assert "injected_files" in demo.post("/servers", {"server": server}, status=403)["message"]
    admin.put("/os-quota-class-sets/default", {"quota_class_set": {"metadata_items": 0}})
    admin.delete(f"/os-quota-sets/{project}", status=202)
    server |= {"metadata": {"a": "b"}}
    assert "metadata_items" in demo.post("/servers", {"server": server}, status=403)["message"]


def test_a_users_limits_bind_his_servers(cloud: TestCloud, project: str) -> None:
    demo, admin = Nova(cloud, "demo"), Nova(cloud, "admin")
    user = rows.caller(cloud).user_id
    of_user = f"/os-quota-sets/{project}?user_id={user}"
    server = {"server": {"name": "a", "imageRef": rows.image(cloud), "flavorRef": "1", "networks": "none"}}
    admin.put(of_user, {"quota_set": {"cores": 1}})
    demo.post("/servers", server, status=202, version="2.37")
    told = demo.post("/servers", server, status=403, version="2.37")["message"]
    assert told == "Quota exceeded for cores: Requested 1, but already used 1 of 1 cores"
    admin.delete(of_user, status=202)
    demo.post("/servers", server, status=202, version="2.37")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"quota_set": []},
        {"quota_set": {"cores": "many"}},
        {"quota_set": {"cores": -2}},
        {"quota_set": {"cores": 2**31}},
        {"quota_set": {"cores": "9" * 30}},
        {"quota_set": {"cores": 1.5}},
        {"quota_set": {"cores": True}},
        {"quota_set": {"cores": None}},
        {"quota_set": {"cores": ""}},
        {"quota_set": {"cores": [1]}},
        {"quota_set": {"wishes": 3}},
        {"quota_set": {"cores": 3, "force": "perhaps"}},
        {"quota_set": {"cores": 3}, "more": 1},
        [],
    ],
)
def test_a_bad_update_is_refused(cloud: TestCloud, project: str, body: Any) -> None:
    admin = Nova(cloud, "admin")
    admin.put(f"/os-quota-sets/{project}", body, status=400)
    admin.put("/os-quota-class-sets/default", body, status=400)
    assert admin.get(f"/os-quota-sets/{project}")["quota_set"]["cores"] == 20


def test_queries_that_are_not_known(cloud: TestCloud, project: str) -> None:
    admin = Nova(cloud, "admin")
    path = f"/os-quota-sets/{project}"
    admin.get(f"{path}?nonsense=1", version="2.74")
    admin.get(f"{path}?nonsense=1", version="2.75", status=400)
    admin.get(f"{path}?user_id={'x' * 65}", status=400)
    admin.get(f"{path}/defaults?nonsense=1", version="2.101")
    admin.get(f"{path}/defaults?nonsense=1", version="2.102", status=400)


def test_a_project_that_is_none(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    path = f"/os-quota-sets/{ids.new_hex()}"
    for where in (path, f"{path}/detail", f"{path}/defaults"):
        assert "not a valid project" in admin.get(where, status=400)["message"]
    admin.put(path, {"quota_set": {"cores": 1}}, status=400)


def test_who_may_see_and_set(cloud: TestCloud, project: str) -> None:
    demo, admin = Nova(cloud, "demo"), Nova(cloud, "admin")
    own, others = f"/os-quota-sets/{project}", f"/os-quota-sets/{rows.caller(cloud, 'admin').project_id}"
    demo.get(others, status=403)
    demo.get(f"{others}/detail", status=403)
    demo.put(own, {"quota_set": {"cores": 1}}, status=403)
    demo.delete(own, status=403)
    demo.get("/os-quota-class-sets/default", status=403)
    demo.put("/os-quota-class-sets/default", {"quota_class_set": {"cores": 1}}, status=403)
    admin.get(own)


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("2.1", (ALWAYS - GROUPS) | NETWORK | INJECTED),
        ("2.49", (ALWAYS - GROUPS) | NETWORK | INJECTED),
        ("2.50", ALWAYS | INJECTED),
        ("2.57", ALWAYS),
        (LATEST, ALWAYS),
    ],
)
def test_classes_at_each_microversion(cloud: TestCloud, version: str, keys: set[str]) -> None:
    admin = Nova(cloud, "admin")
    path = "/os-quota-class-sets/default"
    shown = admin.get(path, version=version)["quota_class_set"]
    assert shown.pop("id") == "default"
    assert set(shown) == keys
    more = {name: value + 100 for name, value in shown.items()}
    changeable = {name: value for name, value in more.items() if name not in GROUPS or version != "2.1"}
    assert admin.put(path, {"quota_class_set": changeable}, version=version)["quota_class_set"] == more
    assert admin.get(path, version=version)["quota_class_set"] == more | {"id": "default"}


def test_the_default_class_binds_projects_without_limits_of_their_own(cloud: TestCloud, project: str) -> None:
    demo, admin = Nova(cloud, "demo"), Nova(cloud, "admin")
    admin.put("/os-quota-class-sets/default", {"quota_class_set": {"cores": 3}})
    admin.put("/os-quota-class-sets/default", {"quota_class_set": {"server_groups": 0}}, version="2.50")
    body = {"server_group": {"name": "a", "policies": ["affinity"]}}
    assert demo.get(f"/os-quota-sets/{project}")["quota_set"]["cores"] == 3
    demo.post("/os-server-groups", body, status=403)
    admin.put(f"/os-quota-sets/{project}", {"quota_set": {"server_groups": 1}})
    demo.post("/os-server-groups", body)


def test_other_classes_are_kept_and_bind_nobody(cloud: TestCloud, project: str) -> None:
    admin = Nova(cloud, "admin")
    name = "gold" * 60
    admin.put(f"/os-quota-class-sets/{name}", {"quota_class_set": {"cores": 99}})
    assert admin.get(f"/os-quota-class-sets/{name}")["quota_class_set"]["cores"] == 99
    assert admin.get("/os-quota-class-sets/silver")["quota_class_set"]["cores"] == 20
    assert admin.get(f"/os-quota-sets/{project}")["quota_set"]["cores"] == 20
    admin.put(f"/os-quota-class-sets/{'x' * 256}", {"quota_class_set": {"cores": 1}}, status=400)
