"""Making volumes, of nothing and of what there is; changing and deleting them; who may."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.volume import volumes
from tests.api.volume.cinder import Cinder
from tests.cloud import TestCloud

from stackyard.host.errors import SpecError
from stackyard.services.volume import hosts

PLAIN = {
    "attachments", "availability_zone", "bootable", "consistencygroup_id", "created_at", "description", "encrypted",
    "id", "links", "metadata", "multiattach", "name", "replication_status", "size", "snapshot_id", "source_volid",
    "status", "updated_at", "user_id", "volume_type",
}  # fmt: skip
LATER = {"group_id", "shared_targets", "service_uuid", "volume_type_id", "consumes_quota"}


def test_making_showing_changing_and_deleting(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    made = demo.post("/volumes", {"volume": {"size": 2, "name": " a ", "metadata": {"k": "v"}}}, status=202)["volume"]
    assert set(made) == PLAIN | LATER
    assert (made["status"], made["name"], made["metadata"]) == ("creating", "a", {"k": "v"})
    cloud.settle()
    found = volumes.show(demo, made["id"])
    assert set(found) == PLAIN | LATER | {"os-vol-tenant-attr:tenant_id"}
    assert (found["status"], found["size"], found["bootable"]) == ("available", 2, "false")
    assert found["volume_type"] == "__DEFAULT__"
    assert found["created_at"][10] == "T"
    assert not found["created_at"].endswith("Z")
    assert cloud.volumes["file"].inspect(made["id"]) is not None
    changed = demo.put(f"/volumes/{made['id']}", {"volume": {"name": "b", "description": "d", "metadata": {"x": "y"}}})
    assert [changed["volume"][key] for key in ("name", "description", "metadata")] == ["b", "d", {"x": "y"}]
    demo.delete(f"/volumes/{made['id']}", status=202)
    cloud.settle()
    demo.get(f"/volumes/{made['id']}", status=404)
    assert cloud.volumes["file"].inspect(made["id"]) is None
    assert volumes.used(demo) == {"Volumes": 0, "Snapshots": 0, "Gigabytes": 0}


def test_each_microversion_shows_its_fields(still_cloud: TestCloud) -> None:
    hosts.report(still_cloud.runtime)
    demo, admin = Cinder(still_cloud, "demo"), Cinder(still_cloud, "admin")
    made = demo.post("/volumes", {"volume": {"size": 1}}, status=202, version="3.0")["volume"]
    assert set(made) == PLAIN
    seen = {"3.12": set(), "3.13": {"group_id"}, "3.48": {"group_id", "shared_targets", "service_uuid"}}
    for version, more in seen.items():
        assert set(volumes.show(demo, made["id"], version)) - PLAIN == more | {"os-vol-tenant-attr:tenant_id"}
    found = volumes.show(admin, made["id"])
    assert found["os-vol-host-attr:host"] == "testhost@file#file"
    assert set(found) - PLAIN - LATER == {
        "migration_status", "provider_id", "cluster_name", "os-vol-host-attr:host", "os-vol-tenant-attr:tenant_id",
        "os-vol-mig-status-attr:migstat", "os-vol-mig-status-attr:name_id",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "size"),
        ({"size": 0}, "size"),
        ({"size": -1}, "size"),
        ({"size": "#$%"}, "size"),
        ({"size": "1.5"}, "size"),
        ({"size": 2**40}, "size"),
        ({"size": [1]}, "size"),
        ({"size": 1, "name": "x" * 256}, "name"),
        ({"size": 1, "name": 5}, "name"),
        ({"size": 1, "description": "x" * 256}, "description"),
        ({"size": 1, "metadata": {"k": "x" * 256}}, "metadata"),
        ({"size": 1, "metadata": {"": "x"}}, "metadata"),
        ({"size": 1, "metadata": {"k": 1}}, "metadata"),
        ({"size": 1, "metadata": []}, "metadata"),
        ({"size": 1, "snapshot_id": "nope"}, "snapshot_id"),
        ({"size": 1, "source_volid": "../etc"}, "source_volid"),
        ({"size": 1, "availability_zone": "mars"}, "mars"),
        ({"size": 1, "availability_zone": ""}, "availability_zone"),
        ({"size": 1, "multiattach": True}, "multiattach"),
        ({"size": 1, "multiattach": "perhaps"}, "multiattach"),
        ({"size": 1, "imageRef": "no-such-image"}, "image"),
        ({"size": 1, "imageRef": 5}, "imageRef"),
        ({"size": 1, "what": "else"}, "what"),
    ],
)
def test_what_is_wrong_is_named(still_cloud: TestCloud, fields: dict[str, Any], named: str) -> None:
    demo = Cinder(still_cloud, "demo")
    fault = demo.post("/volumes", {"volume": fields}, status=400)
    assert named in fault["message"]
    assert demo.get("/volumes")["volumes"] == []


def test_bodies_that_are_none(still_cloud: TestCloud) -> None:
    demo = Cinder(still_cloud, "demo")
    for body in (None, {}, [], {"volume": None}, {"volume": {"size": 1}, "more": 1}):
        demo.post("/volumes", body, status=400)
    hints = {"OS-SCH-HNT:scheduler_hints": {"same_host": "x"}}
    assert "same_host" in demo.post("/volumes", {"volume": {"size": 1}} | hints, status=400)["message"]


def test_before_3_53_fields_that_are_not_known_are_ignored(still_cloud: TestCloud) -> None:
    demo = Cinder(still_cloud, "demo")
    demo.post("/volumes", {"volume": {"size": 1, "what": "else", "backup_id": 5}}, status=202, version="3.0")


def test_what_is_not_there(still_cloud: TestCloud) -> None:
    demo = Cinder(still_cloud, "demo")
    for field, kind in (("snapshot_id", "Snapshot"), ("source_volid", "Volume"), ("backup_id", "Backup")):
        fault = demo.post("/volumes", {"volume": {"size": 1, field: volumes.UNKNOWN}}, status=404)
        assert fault["message"].startswith(kind)
    demo.post("/volumes", {"volume": {"size": 1, "volume_type": "none-such"}}, status=404)
    demo.post("/volumes", {"volume": {"size": 1, "group_id": volumes.UNKNOWN}}, status=404)
    for path in (f"/volumes/{volumes.UNKNOWN}", "/volumes/nope", "/volumes/%00", "/volumes/"):
        demo.get(path, status=404)
        demo.delete(path, status=404)
        demo.put(path, {"volume": {"name": "x"}}, status=404)


def test_from_a_snapshot_and_from_another_volume(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    first = volumes.make(demo, size=2)
    taken = volumes.snapshot(demo, first["id"])
    of_snapshot = volumes.make(demo, size=None, snapshot_id=taken["id"])
    assert (of_snapshot["size"], of_snapshot["snapshot_id"]) == (2, taken["id"])
    larger = volumes.make(demo, size=3, source_volid=first["id"])
    assert (larger["size"], larger["source_volid"]) == (3, first["id"])
    for source in ({"snapshot_id": taken["id"]}, {"source_volid": first["id"]}):
        fault = demo.post("/volumes", {"volume": {"size": 1} | source}, status=400)
        assert "cannot be smaller" in fault["message"]
    both = {"size": 2, "snapshot_id": taken["id"], "source_volid": first["id"]}
    assert "only one of" in demo.post("/volumes", {"volume": both}, status=400)["message"]
    admin = Cinder(cloud, "admin")
    volumes.act(admin, first["id"], "os-reset_status", {"status": "error"})
    assert "error" in demo.post("/volumes", {"volume": {"source_volid": first["id"]}}, status=400)["message"]


def test_from_an_image(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    image = volumes.image(cloud, os_distro="debian", min_disk=2)
    assert "image size 2GB" in demo.post("/volumes", {"volume": {"size": 1, "imageRef": image}}, status=400)["message"]
    made = volumes.make(demo, size=2, imageRef=f"http://cloud/image/v2/images/{image}")
    assert made["bootable"] == "true"
    assert made["volume_image_metadata"]["image_id"] == image
    assert made["volume_image_metadata"]["os_distro"] == "debian"
    assert cloud.volumes["file"].volumes[made["id"]].content == b"an image"
    by_name = volumes.make(demo, size=2, image_id="disk")
    assert by_name["volume_image_metadata"]["image_id"] == image
    copy = volumes.make(demo, size=2, source_volid=made["id"])
    assert (copy["bootable"], copy["volume_image_metadata"]) == ("true", made["volume_image_metadata"])
    volumes.image(cloud)
    demo.post("/volumes", {"volume": {"size": 2, "imageRef": "disk"}}, status=409)


def test_an_image_of_a_server_that_booted_from_a_volume_leads_to_its_snapshot(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    taken = volumes.snapshot(demo, volumes.make(demo)["id"])
    mapping = f'[{{"source_type": "snapshot", "boot_index": 0, "snapshot_id": "{taken["id"]}"}}]'
    image = volumes.image(cloud, block_device_mapping=mapping)
    assert volumes.make(demo, imageRef=image)["snapshot_id"] == taken["id"]
    assert volumes.make(demo, imageRef=image, version="3.45")["snapshot_id"] is None


def test_one_that_fails_is_in_error_and_can_be_deleted(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    cloud.volumes["file"].fail_next["create"] = SpecError("no such luck")
    made = volumes.make(demo, "error")
    demo.delete(f"/volumes/{made['id']}", status=202)
    cloud.settle()
    demo.get(f"/volumes/{made['id']}", status=404)
    assert volumes.used(demo)["Gigabytes"] == 0


def test_one_that_no_back_end_can_keep(still_cloud: TestCloud) -> None:
    admin = Cinder(still_cloud, "admin")
    kind = {"name": "far", "extra_specs": {"volume_backend_name": "none-such"}}
    admin.post("/types", {"volume_type": kind})
    made = admin.post("/volumes", {"volume": {"size": 1, "volume_type": "far"}}, status=202)["volume"]
    found = volumes.show(admin, made["id"])
    assert (found["status"], found["os-vol-host-attr:host"]) == ("error", None)
    admin.delete(f"/volumes/{made['id']}", status=202)
    admin.get(f"/volumes/{made['id']}", status=404)


def test_types_that_ask_for_encryption_or_other_sizes_are_refused(still_cloud: TestCloud) -> None:
    admin = Cinder(still_cloud, "admin")
    sizes = {"provisioning:min_vol_size": "2", "provisioning:max_vol_size": "4"}
    made = admin.post("/types", {"volume_type": {"name": "few", "extra_specs": sizes}})["volume_type"]
    for size in (1, 5):
        fault = admin.post("/volumes", {"volume": {"size": size, "volume_type": "few"}}, status=400)
        assert "few" in fault["message"]
    given = {"provider": "luks", "control_location": "front-end", "cipher": "aes-xts-plain64", "key_size": 256}
    admin.post(f"/types/{made['id']}/encryption", {"encryption": given})
    fault = admin.post("/volumes", {"volume": {"size": 2, "volume_type": "few"}}, status=400)
    assert "encryption" in fault["message"]


def test_quotas(cloud: TestCloud) -> None:
    admin, demo = Cinder(cloud, "admin"), Cinder(cloud, "demo")
    project = demo.get("/volumes/detail") and _project(cloud)
    for given, size, word in (
        ({"volumes": 1}, 1, "VolumeLimitExceeded"),
        ({"volumes": 10, "gigabytes": 2}, 2, "gigabytes"),
        ({"gigabytes": 100, "per_volume_gigabytes": 5}, 6, "5G"),
        ({"per_volume_gigabytes": -1, "volumes___DEFAULT__": 1}, 1, "volumes___DEFAULT__"),
    ):
        admin.put(f"/os-quota-sets/{project}", {"quota_set": given})
        if not demo.get("/volumes")["volumes"]:
            volumes.make(demo)
        fault = demo.post("/volumes", {"volume": {"size": size}}, status=413)
        assert word in fault["message"], fault
        assert fault["code"] == 413
    assert len(demo.get("/volumes")["volumes"]) == 1
    assert volumes.used(demo) == {"Volumes": 1, "Snapshots": 0, "Gigabytes": 1}


def _project(cloud: TestCloud, name: str = "demo") -> str:
    answer = cloud.client("admin").get(f"/identity/v3/projects?name={name}")
    return str(answer.json()["projects"][0]["id"])


def test_others_find_nothing(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    own = volumes.make(admin)
    path = f"/volumes/{own['id']}"
    assert demo.get("/volumes?all_tenants=1", version="3.0")["volumes"] == []
    demo.get(path, status=404)
    demo.delete(path, status=404)
    demo.put(path, {"volume": {"name": "x"}}, status=404)
    for name, body in (("os-extend", {"new_size": 2}), ("os-reserve", None), ("os-show_image_metadata", None)):
        volumes.act(demo, own["id"], name, body, status=404)
    for suffix in ("/metadata", "/metadata/x", "/encryption"):
        demo.get(path + suffix, status=404)
    demo.post("/volumes", {"volume": {"source_volid": own["id"]}}, status=404)
    demo.post("/snapshots", {"snapshot": {"volume_id": own["id"]}}, status=404)
    demo.post("/attachments", {"attachment": {"volume_uuid": own["id"]}}, status=404)
    assert admin.get(path)["volume"]["id"] == own["id"]


def test_what_only_administrators_may(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = volumes.make(demo)
    demo.delete(f"/volumes/{own['id']}?force=true", status=403)
    for name, body in (
        ("os-reset_status", {"status": "error"}),
        ("os-force_delete", {}),
        ("os-force_detach", {}),
        ("os-migrate_volume", {"host": "a@b#b"}),
        ("os-migrate_volume_completion", {"new_volume": own["id"]}),
        ("os-extend_volume_completion", {}),
    ):
        fault = volumes.act(demo, own["id"], name, body, status=403)
        assert name.removeprefix("os-") in fault["message"]
    public = {"image_name": "x", "visibility": "public"}
    volumes.act(demo, own["id"], "os-volume_upload_image", public, status=403)
    assert volumes.show(demo, own["id"])["status"] == "available"


def test_deleting_what_must_stay(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    own = volumes.make(demo)
    taken = volumes.snapshot(demo, own["id"])
    path = f"/volumes/{own['id']}"
    assert "have snapshots" in demo.delete(path, status=400)["message"]
    volumes.act(demo, own["id"], "os-attach", {"instance_uuid": volumes.SERVER, "mountpoint": "/dev/vdb"})
    for query in ("", "?cascade=true"):
        assert "attached" in demo.delete(path + query, status=400)["message"]
    assert "attached" in admin.delete(f"{path}?cascade=true&force=true", status=400)["message"]
    volumes.act(demo, own["id"], "os-detach", {})
    demo.delete(f"{path}?cascade=true", status=202)
    cloud.settle()
    demo.get(path, status=404)
    demo.get(f"/snapshots/{taken['id']}", status=404)
    assert volumes.used(demo) == {"Volumes": 0, "Snapshots": 0, "Gigabytes": 0}


def test_changes_that_are_refused(still_cloud: TestCloud) -> None:
    demo = Cinder(still_cloud, "demo")
    made = demo.post("/volumes", {"volume": {"size": 1}}, status=202)["volume"]
    path = f"/volumes/{made['id']}"
    for body, named in (
        ({"volume": {}}, "name"),
        ({"volume": {"size": 5}}, "size"),
        ({"volume": {"name": "x" * 256}}, "name"),
        ({"volume": {"metadata": None}}, "metadata"),
        ({"nothing": {}}, "volume"),
    ):
        assert named in demo.put(path, body, status=400)["message"]
    demo.put(path, {"volume": {}}, version="3.0")
    demo.delete(f"{path}?force=perhaps", status=400)
