"""Backups over HTTP: made, incremental, restored, exported and imported, deleted; and what is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.api.volume.cinder import Cinder
from tests.cloud import TestCloud

UNKNOWN = "00000000-0000-0000-0000-00000000000a"


def volume(cinder: Cinder, size: int = 1, **fields: Any) -> str:
    made = cinder.post("/volumes", {"volume": {"size": size, **fields}}, status=202)["volume"]["id"]
    cinder.cloud.settle()
    assert cinder.get(f"/volumes/{made}")["volume"]["status"] == "available"
    return str(made)


def backup(cinder: Cinder, volume_id: str, **fields: Any) -> str:
    made = cinder.post("/backups", {"backup": {"volume_id": volume_id, **fields}}, status=202)["backup"]["id"]
    cinder.cloud.settle()
    assert cinder.get(f"/backups/{made}")["backup"]["status"] == "available"
    return str(made)


def test_a_backup_and_what_is_seen_of_it(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    volume_id = volume(demo)
    made = backup(demo, volume_id, name="first", description="d", container="c", metadata={"a": "b"})
    found = demo.get(f"/backups/{made}")["backup"]
    assert found["size"] == 1
    assert found["container"] == "c"
    assert found["metadata"] == {"a": "b"}
    assert found["is_incremental"] is False
    assert found["has_dependent_backups"] is False
    assert found["volume_id"] == volume_id
    assert "metadata" not in demo.get(f"/backups/{made}", version="3.42")["backup"]
    assert "os-backup-project-attr:project_id" not in found
    shown = Cinder(cloud, "admin").get(f"/backups/{made}")["backup"]
    assert {"os-backup-project-attr:project_id", "user_id"} <= set(shown)
    listed = demo.get("/backups?with_count=true")
    assert listed["count"] == 1
    assert set(listed["backups"][0]) == {"id", "name", "links"}
    assert demo.get("/backups/detail?name=second")["backups"] == []
    assert demo.get(f"/volumes/{volume_id}")["volume"]["status"] == "available"


def test_incremental_backups_hold_on_to_what_they_go_on_from(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    volume_id = volume(demo)
    demo.post("/backups", {"backup": {"volume_id": volume_id, "incremental": True}}, status=400)
    first = backup(demo, volume_id)
    second = backup(demo, volume_id, incremental=True)
    assert demo.get(f"/backups/{second}")["backup"]["is_incremental"] is True
    assert demo.get(f"/backups/{first}")["backup"]["has_dependent_backups"] is True
    assert "Incremental" in demo.delete(f"/backups/{first}", status=400)["message"]
    for one in (second, first):
        demo.delete(f"/backups/{one}", status=202)
        cloud.settle()
        demo.get(f"/backups/{one}", status=404)


def test_a_backup_is_restored_to_a_new_volume_and_over_one(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    volume_id = volume(demo, name="source")
    cloud.volumes["file"].volumes[volume_id].content = b"precious"
    made = backup(demo, volume_id)
    answer = demo.post(f"/backups/{made}/restore", {"restore": {"name": "again"}}, status=202)["restore"]
    assert answer["volume_name"] == "again"
    cloud.settle()
    assert demo.get(f"/volumes/{answer['volume_id']}")["volume"]["status"] == "available"
    assert cloud.volumes["file"].volumes[answer["volume_id"]].content == b"precious"
    other = volume(demo, 2)
    demo.post(f"/backups/{made}/restore", {"restore": {"volume_id": other}}, status=202)
    cloud.settle()
    assert cloud.volumes["file"].volumes[other].content == b"precious"
    assert demo.get(f"/backups/{made}")["backup"]["status"] == "available"


def test_a_snapshot_is_backed_up(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    volume_id, other = volume(demo), volume(demo)
    snapshot = demo.post("/snapshots", {"snapshot": {"volume_id": volume_id}}, status=202)["snapshot"]["id"]
    cloud.settle()
    made = backup(demo, volume_id, snapshot_id=snapshot)
    assert demo.get(f"/backups/{made}")["backup"]["snapshot_id"] == snapshot
    assert demo.get(f"/snapshots/{snapshot}")["snapshot"]["status"] == "available"
    demo.post("/backups", {"backup": {"volume_id": other, "snapshot_id": snapshot}}, status=400)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "volume_id"),
        ({"volume_id": "x"}, "volume_id"),
        ({"volume_id": UNKNOWN, "name": "n" * 256}, "name"),
        ({"volume_id": UNKNOWN, "description": 7}, "description"),
        ({"volume_id": UNKNOWN, "force": "maybe"}, "force"),
        ({"volume_id": UNKNOWN, "metadata": {"k": "v" * 256}}, "metadata"),
        ({"volume_id": UNKNOWN, "surprise": 1}, "surprise"),
    ],
)
def test_bad_backups_are_refused(still_cloud: TestCloud, fields: Any, named: str) -> None:
    assert named in Cinder(still_cloud, "demo").post("/backups", {"backup": fields}, status=400)["message"]


def test_what_may_not_be_done_to_backups(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    volume_id = volume(demo)
    demo.post("/backups", {"backup": {"volume_id": UNKNOWN}}, status=404)
    made = backup(demo, volume_id)
    alone = Cinder(cloud, "admin")
    assert alone.get("/backups")["backups"] == []
    assert len(alone.get("/backups?all_tenants=1")["backups"]) == 1
    for path in (f"/backups/{made}/export_record",):
        demo.get(path, status=403)
    demo.post(f"/backups/{made}/action", {"os-reset_status": {"status": "error"}}, status=403)
    demo.post(f"/backups/{made}/action", {"os-force_delete": {}}, status=403)
    admin.post(f"/backups/{made}/action", {"os-reset_status": {"status": "sleeping"}}, status=400)
    admin.post(f"/backups/{made}/action", {"os-reset_status": {"status": "creating"}}, status=202)
    demo.delete(f"/backups/{made}", status=400)
    demo.post(f"/backups/{made}/restore", {"restore": {}}, status=400)
    admin.post(f"/backups/{made}/action", {"os-force_delete": {}}, status=202)
    cloud.settle()
    demo.get(f"/backups/{made}", status=404)


def test_a_volume_that_is_too_small_is_not_restored_to(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    made, small = backup(demo, volume(demo, 2)), volume(demo, 1)
    assert (
        "too small" in demo.post(f"/backups/{made}/restore", {"restore": {"volume_id": small}}, status=400)["message"]
    )


def test_changing_a_backup(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    made = backup(demo, volume(demo))
    demo.put(f"/backups/{made}", {"backup": {"name": " new ", "metadata": {"k": "v"}}})
    assert demo.get(f"/backups/{made}")["backup"]["name"] == "new"
    demo.put(f"/backups/{made}", {"backup": {}}, status=400)
    demo.put(f"/backups/{made}", {"backup": {"metadata": {}}}, version="3.42", status=400)
    demo.put(f"/backups/{made}", {"backup": {"name": "x"}}, version="3.8", status=404)


def test_records_are_exported_and_imported(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    volume_id = volume(demo)
    cloud.volumes["file"].volumes[volume_id].content = b"kept"
    made = backup(demo, volume_id)
    record = admin.get(f"/backups/{made}/export_record")["backup-record"]
    admin.post("/backups/import_record", {"backup-record": record}, status=400)  # it is there still
    known = json.loads(base64.b64decode(record["backup_url"])) | {"id": UNKNOWN}
    again = record | {"backup_url": base64.b64encode(json.dumps(known).encode()).decode()}
    assert admin.post("/backups/import_record", {"backup-record": again}, status=201)["backup"]["id"] == UNKNOWN
    cloud.settle()
    assert admin.get(f"/backups/{UNKNOWN}")["backup"]["status"] == "available"
    demo.delete(f"/backups/{made}", status=202)
    cloud.settle()
    answer = admin.post(f"/backups/{UNKNOWN}/restore", {"restore": {}}, status=202)["restore"]
    cloud.settle()
    assert cloud.volumes["file"].volumes[answer["volume_id"]].content == b"kept"


@pytest.mark.parametrize("url", ["", "@@@", base64.b64encode(b"7").decode(), base64.b64encode(b'{"id": "x"}').decode()])
def test_bad_records_are_refused(still_cloud: TestCloud, url: str) -> None:
    record = {"backup_service": "cinder.backup.drivers.stackyard", "backup_url": url}
    admin = Cinder(still_cloud, "admin")
    admin.post("/backups/import_record", {"backup-record": record}, status=400)
    admin.post(
        "/backups/import_record", {"backup-record": {"backup_service": "other", "backup_url": "YQ=="}}, status=400
    )
    Cinder(still_cloud, "demo").post("/backups/import_record", {"backup-record": record}, status=403)


def test_quotas_of_backups(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    volume_id = volume(demo)
    project = demo.get(f"/volumes/{volume_id}")["volume"]["os-vol-tenant-attr:tenant_id"]
    admin.put(f"/os-quota-sets/{project}", {"quota_set": {"backups": 1}})
    made = backup(demo, volume_id)
    message = demo.post("/backups", {"backup": {"volume_id": volume_id}}, status=413)["message"]
    assert "BackupLimitExceeded" in message
    assert admin.get(f"/os-quota-sets/{project}?usage=true")["quota_set"]["backups"] == {
        "limit": 1, "in_use": 1, "reserved": 0,
    }  # fmt: skip
    demo.delete(f"/backups/{made}", status=202)
    cloud.settle()
    assert admin.get(f"/os-quota-sets/{project}?usage=true")["quota_set"]["backups"]["in_use"] == 0
    assert demo.get(f"/volumes/{volume_id}")["volume"]["status"] == "available"
