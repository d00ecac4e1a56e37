"""Groups of volumes and their snapshots: made, changed, copied, deleted with what is in them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.volume.cinder import Cinder
from tests.cloud import TestCloud

UNKNOWN = "00000000-0000-0000-0000-00000000000a"


def group(cinder: Cinder, consistent: str = "<is> False", **fields: Any) -> dict[str, Any]:
    """A group of a new group type, and of the default volume type."""
    admin = Cinder(cinder.cloud, "admin")
    specs = {"consistent_group_snapshot_enabled": consistent}
    name = f"kind {len(admin.get('/group_types')['group_types'])}"
    kind = admin.post("/group_types", {"group_type": {"name": name, "group_specs": specs}}, status=202)["group_type"]
    wanted = {"group_type": kind["id"], "volume_types": ["__DEFAULT__"], **fields}
    made = cinder.post("/groups", {"group": wanted}, status=202)["group"]["id"]
    cinder.cloud.settle()
    found: dict[str, Any] = cinder.get(f"/groups/{made}")["group"]
    assert found["status"] == "available"
    return found


def volume(cinder: Cinder, **fields: Any) -> str:
    made = cinder.post("/volumes", {"volume": {"size": 1, **fields}}, status=202)["volume"]["id"]
    cinder.cloud.settle()
    return str(made)


def snapshot(cinder: Cinder, group_id: str) -> str:
    body = {"group_snapshot": {"group_id": group_id, "name": "s"}}
    made = cinder.post("/group_snapshots", body, status=202)["group_snapshot"]
    cinder.cloud.settle()
    assert cinder.get(f"/group_snapshots/{made['id']}")["group_snapshot"]["status"] == "available"
    return str(made["id"])


def test_a_group_with_its_volumes(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    made = group(demo, name="g", description="d")
    one, two = volume(demo, group_id=made["id"]), volume(demo)
    demo.put(f"/groups/{made['id']}", {"group": {"add_volumes": two, "name": "h"}}, status=202)
    found = demo.get(f"/groups/{made['id']}?list_volume=true")["group"]
    assert (found["name"], set(found["volumes"])) == ("h", {one, two})
    assert found["replication_status"] == "disabled"
    assert demo.get(f"/volumes/{two}")["volume"]["group_id"] == made["id"]
    demo.delete(f"/volumes/{two}", status=400)
    demo.put(f"/groups/{made['id']}", {"group": {"remove_volumes": two}}, status=202)
    demo.delete(f"/volumes/{two}", status=202)
    assert "not empty" in demo.post(f"/groups/{made['id']}/action", {"delete": {}}, status=400)["message"]
    demo.post(f"/groups/{made['id']}/action", {"delete": {"delete-volumes": True}}, status=202)
    cloud.settle()
    demo.get(f"/groups/{made['id']}", status=404)
    demo.get(f"/volumes/{one}", status=404)
    assert cloud.volumes["file"].volumes == {}


def test_snapshots_of_a_group_and_groups_of_them(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    made = group(demo, "<is> True")
    demo.post("/group_snapshots", {"group_snapshot": {"group_id": made["id"]}}, status=400)  # it has no volumes
    volumes = {volume(demo, group_id=made["id"]) for _ in range(2)}
    taken = snapshot(demo, made["id"])
    members = demo.get("/snapshots/detail")["snapshots"]
    assert {one["volume_id"] for one in members} == volumes
    assert {one["group_snapshot_id"] for one in members} == {taken}
    demo.delete(f"/snapshots/{members[0]['id']}", status=400)
    assert (
        "snapshots"
        in demo.post(f"/groups/{made['id']}/action", {"delete": {"delete-volumes": True}}, status=400)["message"]
    )
    for source in ({"group_snapshot_id": taken}, {"source_group_id": made["id"]}):
        copy = demo.post("/groups/action", {"create-from-src": {"name": "copy", **source}}, status=202)["group"]
        cloud.settle()
        found = demo.get(f"/groups/{copy['id']}?list_volume=true")["group"]
        assert found["status"] == "available"
        assert len(found["volumes"]) == 2
    demo.delete(f"/group_snapshots/{taken}", status=202)
    cloud.settle()
    demo.get(f"/group_snapshots/{taken}", status=404)
    assert demo.get("/snapshots")["snapshots"] == []


def test_a_group_that_fails_is_in_error(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    specs = {"group_replication_enabled": "<is> True"}
    kind = admin.post("/group_types", {"group_type": {"name": "r", "group_specs": specs}}, status=202)["group_type"]
    body = {"group": {"group_type": kind["id"], "volume_types": ["__DEFAULT__"]}}
    made = demo.post("/groups", body, status=202)["group"]["id"]
    cloud.settle()
    assert demo.get(f"/groups/{made}")["group"]["status"] == "error"
    demo.post(f"/groups/{made}/action", {"delete": {}}, status=202)
    cloud.settle()
    demo.get(f"/groups/{made}", status=404)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "group_type"),
        ({"group_type": "x"}, "volume_types"),
        ({"group_type": "x", "volume_types": []}, "volume_types"),
        ({"group_type": "x", "volume_types": [7]}, "volume_types"),
        ({"group_type": "x", "volume_types": ["y"], "name": "n" * 256}, "name"),
        ({"group_type": "x", "volume_types": ["y"], "surprise": 1}, "surprise"),
    ],
)
def test_bad_groups_are_refused(still_cloud: TestCloud, body: Any, named: str) -> None:
    assert named in Cinder(still_cloud, "demo").post("/groups", {"group": body}, status=400)["message"]


def test_what_may_not_be_done_to_groups(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    made = group(demo)
    path = f"/groups/{made['id']}"
    demo.post("/groups", {"group": {"group_type": "nothing", "volume_types": ["__DEFAULT__"]}}, status=404)
    demo.post("/groups", {"group": {"group_type": made["group_type"], "volume_types": ["nothing"]}}, status=404)
    demo.put(path, {"group": {}}, status=400)
    demo.put(path, {"group": {"add_volumes": UNKNOWN}}, status=400)
    demo.put(path, {"group": {"remove_volumes": UNKNOWN}}, status=400)
    demo.put(path, {"group": {"add_volumes": UNKNOWN, "remove_volumes": UNKNOWN}}, status=400)
    demo.post(f"{path}/action", {"reset_status": {"status": "error"}}, status=403)
    admin.post(f"{path}/action", {"reset_status": {"status": "nonsense"}}, status=400)
    admin.post(f"{path}/action", {"reset_status": {"status": "error"}}, status=202)
    assert demo.get(path)["group"]["status"] == "error"
    demo.post(f"{path}/action", {"enable_replication": {}}, status=400)
    demo.post("/groups/action", {"create-from-src": {"name": "x"}}, status=400)
    demo.get(path, version="3.12", status=404)
    assert admin.get("/groups")["groups"] == []
    assert len(admin.get("/groups/detail?all_tenants=1")["groups"]) == 1
    admin.delete(f"/group_types/{made['group_type']}", status=400)


def test_quota_of_groups(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    made = group(demo)
    project = admin.get(f"/groups/{made['id']}")["group"]["project_id"]
    admin.put(f"/os-quota-sets/{project}", {"quota_set": {"groups": 1}})
    body = {"group": {"group_type": made["group_type"], "volume_types": ["__DEFAULT__"]}}
    assert "GroupLimitExceeded" in demo.post("/groups", body, status=413)["message"]
    demo.post(f"/groups/{made['id']}/action", {"delete": {}}, status=202)
    cloud.settle()
    demo.post("/groups", body, status=202)


def test_consistency_groups_in_their_old_words(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    body = {"consistencygroup": {"name": "old", "volume_types": "__DEFAULT__,"}}
    made = demo.post("/consistencygroups", body, status=202, version="3.0")["consistencygroup"]["id"]
    cloud.settle()
    path = f"/consistencygroups/{made}"
    assert demo.get(path, version="3.0")["consistencygroup"]["status"] == "available"
    demo.get(f"/groups/{made}", status=400)
    assert demo.get("/groups")["groups"] == []
    one = volume(demo)
    demo.put(f"{path}/update", {"consistencygroup": {"add_volumes": one}}, status=202)
    demo.put(f"{path}/update", {"consistencygroup": {}}, status=400)
    assert demo.get(f"/volumes/{one}", version="3.0")["volume"]["consistencygroup_id"] == made
    wanted = {"cgsnapshot": {"consistencygroup_id": made, "name": "s"}}
    taken = demo.post("/cgsnapshots", wanted, status=202, version="3.0")["cgsnapshot"]["id"]
    cloud.settle()
    assert demo.get("/cgsnapshots/detail")["cgsnapshots"][0]["status"] == "available"
    source = {"consistencygroup-from-src": {"cgsnapshot_id": taken}}
    copy = demo.post("/consistencygroups/create_from_src", source, status=202)["consistencygroup"]["id"]
    cloud.settle()
    assert {one["id"] for one in demo.get("/consistencygroups/detail")["consistencygroups"]} == {made, copy}
    demo.post("/consistencygroups/create_from_src", {"consistencygroup-from-src": {}}, status=400)
    demo.delete(f"/cgsnapshots/{taken}", status=202)
    cloud.settle()
    demo.get(f"/cgsnapshots/{taken}", status=404)
    demo.post(f"{path}/delete", {}, status=400)
    for group_id in (made, copy):
        demo.post(f"/consistencygroups/{group_id}/delete", {"consistencygroup": {"force": True}}, status=202)
    cloud.settle()
    demo.get(path, status=404)
    for bad in ({}, {"volume_types": ","}, {"volume_types": 7}):
        demo.post("/consistencygroups", {"consistencygroup": bad}, status=400)
