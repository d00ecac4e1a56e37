"""Snapshots: made, listed, changed, deleted; their metadata; their statuses."""

from __future__ import annotations

from urllib.parse import quote

from tests.api.volume import volumes
from tests.api.volume.cinder import Cinder
from tests.api.volume.volumes import act, make, snapshot
from tests.cloud import TestCloud

from stackyard.host.errors import SpecError

PLAIN = {"id", "created_at", "updated_at", "name", "description", "volume_id", "status", "size", "metadata"}


def test_making_showing_changing_and_deleting(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = make(demo, size=2)
    body = {"snapshot": {"volume_id": own["id"], "name": " s ", "description": "d", "metadata": {"k": "v"}}}
    made = demo.post("/snapshots", body, status=202)["snapshot"]
    assert set(made) == PLAIN | {"group_snapshot_id", "user_id", "consumes_quota"}
    assert (made["status"], made["size"], made["name"]) == ("creating", 2, "s")
    cloud.settle()
    path = f"/snapshots/{made['id']}"
    found = demo.get(path, version="3.0")["snapshot"]
    extended = {"os-extended-snapshot-attributes:project_id", "os-extended-snapshot-attributes:progress"}
    assert set(found) == PLAIN | extended
    assert (found["status"], found["os-extended-snapshot-attributes:progress"]) == ("available", "100%")
    assert volumes.used(demo) == {"Volumes": 1, "Snapshots": 1, "Gigabytes": 4}
    changed = demo.put(path, {"snapshot": {"name": "t", "description": None}})["snapshot"]
    assert (changed["name"], changed["description"]) == ("t", None)
    demo.put(path, {"snapshot": {}}, status=400)
    demo.put(path, {"snapshot": {"size": 1}}, status=400)
    demo.delete(path, status=202)
    cloud.settle()
    demo.get(path, status=404)
    assert volumes.used(demo) == {"Volumes": 1, "Snapshots": 0, "Gigabytes": 2}


def test_of_one_that_is_in_use(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = make(demo)
    act(demo, own["id"], "os-attach", {"instance_uuid": volumes.SERVER, "mountpoint": "/dev/vdb"})
    body = {"snapshot": {"volume_id": own["id"]}}
    assert "in-use" in demo.post("/snapshots", body, status=400, version="3.65")["message"]
    body["snapshot"]["force"] = True
    demo.post("/snapshots", body, status=202, version="3.65")
    demo.post("/snapshots", body, status=202, version="3.66")
    body["snapshot"]["force"] = False
    assert "force" in demo.post("/snapshots", body, status=400, version="3.66")["message"]
    snapshot(demo, own["id"])


def test_what_is_wrong_is_named(still_cloud: TestCloud) -> None:
    demo = Cinder(still_cloud, "demo")
    own = demo.post("/volumes", {"volume": {"size": 1}}, status=202)["volume"]
    for fields, named in (
        ({"volume_id": "x"}, "volume_id"),
        ({"volume_id": own["id"], "name": "x" * 256}, "name"),
        ({"volume_id": own["id"], "description": "x" * 256}, "description"),
        ({"volume_id": own["id"], "metadata": {"k": 1}}, "metadata"),
        ({"volume_id": own["id"], "force": "perhaps"}, "force"),
        ({"volume_id": own["id"], "more": 1}, "more"),
        ({}, "volume_id"),
        ({"volume_id": own["id"]}, "volume"),
    ):
        assert named in demo.post("/snapshots", {"snapshot": fields}, status=400)["message"], fields
    demo.post("/snapshots", {"snapshot": {"volume_id": volumes.UNKNOWN}}, status=404)
    demo.post("/snapshots", {"snapshot": {"volume_id": None}}, status=404)
    for path in (f"/snapshots/{volumes.UNKNOWN}", "/snapshots/nope"):
        demo.get(path, status=404)
        demo.delete(path, status=404)


def test_quotas_and_failures(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    own = make(demo, size=2)
    project = own["os-vol-tenant-attr:tenant_id"]
    for given, word in (({"snapshots": 0}, "SnapshotLimitExceeded"), ({"snapshots": 5, "gigabytes": 3}, "gigabytes")):
        admin.put(f"/os-quota-sets/{project}", {"quota_set": given})
        fault = demo.post("/snapshots", {"snapshot": {"volume_id": own["id"]}}, status=413)
        assert word in fault["message"]
    assert volumes.used(demo)["Snapshots"] == 0
    admin.put(f"/os-quota-sets/{project}", {"quota_set": {"gigabytes": 100}})
    cloud.volumes["file"].fail_next["snapshot"] = SpecError("no such luck")
    made = demo.post("/snapshots", {"snapshot": {"volume_id": own["id"]}}, status=202)["snapshot"]
    cloud.settle()
    assert demo.get(f"/snapshots/{made['id']}")["snapshot"]["status"] == "error"
    demo.delete(f"/snapshots/{made['id']}", status=202)
    cloud.settle()
    assert volumes.used(demo) == {"Volumes": 1, "Snapshots": 0, "Gigabytes": 2}


def test_lists(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    own = make(demo)
    first = snapshot(demo, own["id"], name="a", metadata={"k": "v"})
    second = snapshot(demo, own["id"], name="b")

    def names(query: str, version: str = "3.71") -> list[str]:
        return [one["name"] for one in demo.get(f"/snapshots/detail{query}", version=version)["snapshots"]]

    for query, expected in (
        ("", ["b", "a"]),
        ("?sort=name:asc", ["a", "b"]),
        ("?name=a", ["a"]),
        ("?name~=b", ["b"]),
        ("?status=error", []),
        (f"?volume_id={own['id']}", ["b", "a"]),
        ("?availability_zone=nova", ["b", "a"]),
        ("?availability_zone=mars", []),
        (f"?metadata={quote(str({'k': 'v'}))}", ["a"]),
        ("?limit=1", ["b"]),
        (f"?limit=1&marker={second['id']}", ["a"]),
        ("?offset=1", ["a"]),
    ):
        assert names(query) == expected, query
    found = demo.get("/snapshots?limit=1&with_count=true")
    assert (found["count"], len(found["snapshots_links"]), set(found["snapshots"][0])) == (2, 1, PLAIN)
    demo.get(f"/snapshots?marker={volumes.UNKNOWN}", status=404)
    demo.get("/snapshots?none=such", status=400)
    assert admin.get("/snapshots")["snapshots"] == []
    assert len(admin.get("/snapshots?all_tenants=1")["snapshots"]) == 2
    foreign = Cinder(cloud, "admin")
    other = snapshot(foreign, make(foreign)["id"])
    demo.get(f"/snapshots/{other['id']}", status=404)
    demo.delete(f"/snapshots/{other['id']}", status=404)
    assert first["id"] != other["id"]


def test_statuses(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    taken = snapshot(demo, make(demo)["id"])
    path = f"/snapshots/{taken['id']}/action"
    for name, body in (("os-reset_status", {"status": "error"}), ("os-force_delete", {})):
        demo.post(path, {name: body}, status=403)
    for body in ({"os-reset_status": {"status": "x"}}, {"os-reset_status": {}}, {"os-none": {}}):
        admin.post(path, body, status=400)
    update = {"os-update_snapshot_status": {"status": "available"}}
    assert "available" in demo.post(path, update, status=400)["message"]
    admin.post(path, {"os-reset_status": {"status": "creating"}}, status=202)
    demo.delete(f"/snapshots/{taken['id']}", status=400)
    wrong = {"os-update_snapshot_status": {"status": "creating", "progress": "101%"}}
    assert "progress" in demo.post(path, wrong, status=400)["message"]
    demo.post(path, {"os-update_snapshot_status": {"status": "error", "progress": "80%"}}, status=202)
    found = demo.get(f"/snapshots/{taken['id']}")["snapshot"]
    assert (found["status"], found["os-extended-snapshot-attributes:progress"]) == ("error", "80%")
    admin.post(path, {"os-reset_status": {"status": "creating"}}, status=202)
    admin.post(path, {"os-force_delete": {}}, status=202)
    cloud.settle()
    demo.get(f"/snapshots/{taken['id']}", status=404)


def test_metadata_of_both(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = make(demo)
    taken = snapshot(demo, own["id"])
    for path in (f"/volumes/{own['id']}/metadata", f"/snapshots/{taken['id']}/metadata"):
        assert demo.get(path) == {"metadata": {}}
        assert demo.post(path, {"metadata": {"a": "1", "b": "2"}}) == {"metadata": {"a": "1", "b": "2"}}
        assert demo.put(f"{path}/a", {"meta": {"a": "3"}}) == {"meta": {"a": "3"}}
        assert demo.get(f"{path}/a") == {"meta": {"a": "3"}}
        demo.delete(f"{path}/a")
        demo.delete(f"{path}/a", status=404)
        demo.get(f"{path}/a", status=404)
        assert demo.put(path, {"metadata": {"c": "4"}}) == {"metadata": {"c": "4"}}
        for body in ({"meta": {"b": "1"}}, {"meta": {}}, {"meta": {"a": "1", "b": "2"}}, {"meta": {"a": 1}}, {}):
            demo.put(f"{path}/a", body, status=400)
        for body in ({"metadata": {"": "x"}}, {"metadata": {"k": "x" * 256}}, {"metadata": {"k" * 256: "x"}}, {}):
            demo.post(path, body, status=400)
            demo.put(path, body, status=400)
        assert demo.get(path) == {"metadata": {"c": "4"}}


def test_metadata_changed_meanwhile(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    path = f"/volume/v3/volumes/{make(demo)['id']}/metadata"
    headers = {"OpenStack-API-Version": "volume 3.15"}
    tag = demo.http.get(path, headers=headers).headers["etag"]
    body = {"metadata": {"a": "b"}}
    assert demo.http.put(path, json=body, headers=headers | {"If-Match": tag}).status_code == 200
    assert demo.http.put(path, json=body, headers=headers | {"If-Match": tag}).status_code == 412
