"""What can be done to volumes: larger, of another type, elsewhere, an image, back to a snapshot; flags and statuses."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.volume import volumes
from tests.api.volume.cinder import Cinder
from tests.api.volume.volumes import act, make, show, snapshot
from tests.cloud import TestCloud

from stackyard.host.errors import SpecError


def test_extending(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = make(demo)
    act(demo, own["id"], "os-extend", {"new_size": "3"})
    assert show(demo, own["id"])["status"] in ("extending", "available")
    cloud.settle()
    found = show(demo, own["id"])
    assert (found["status"], found["size"]) == ("available", 3)
    assert volumes.used(demo)["Gigabytes"] == 3
    for size in (3, 2, 0, -1, "x", None, 2**40):
        assert "size" in act(demo, own["id"], "os-extend", {"new_size": size}, status=400)["message"]
    assert "new_size" in act(demo, own["id"], "os-extend", {}, status=400)["message"]
    act(demo, own["id"], "os-extend", {"new_size": 2000}, status=413)
    assert volumes.used(demo)["Gigabytes"] == 3


def test_extending_one_that_is_in_use(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = make(demo)
    act(demo, own["id"], "os-attach", {"host_name": "elsewhere", "mountpoint": "/dev/vdb"})
    act(demo, own["id"], "os-extend", {"new_size": 2}, status=400, version="3.41")
    act(demo, own["id"], "os-extend", {"new_size": 2}, version="3.42")
    cloud.settle()
    found = show(demo, own["id"])
    assert (found["status"], found["size"]) == ("in-use", 2)
    admin = Cinder(cloud, "admin")
    act(admin, own["id"], "os-extend_volume_completion", {}, status=400)


def test_extending_that_fails_gives_the_quota_back(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = make(demo)
    cloud.volumes["file"].fail_next["extend"] = SpecError("no room")
    act(demo, own["id"], "os-extend", {"new_size": 5})
    cloud.settle()
    found = show(demo, own["id"])
    assert (found["status"], found["size"]) == ("error_extending", 1)
    assert volumes.used(demo)["Gigabytes"] == 1
    demo.delete(f"/volumes/{own['id']}", status=202)


def test_flags(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = make(demo)
    act(demo, own["id"], "os-set_bootable", {"bootable": "True"}, status=200)
    act(demo, own["id"], "os-update_readonly_flag", {"readonly": True})
    found = show(demo, own["id"])
    assert (found["bootable"], found["metadata"]) == ("true", {"readonly": "True"})
    for name, body in (
        ("os-set_bootable", {"bootable": "perhaps"}),
        ("os-set_bootable", {}),
        ("os-update_readonly_flag", {"readonly": None}),
        ("os-update_readonly_flag", {"readonly": True, "more": 1}),
        ("no-such-action", {}),
    ):
        act(demo, own["id"], name, body, status=400)
    demo.post(f"/volumes/{own['id']}/action", {"os-reserve": {}, "os-unreserve": {}}, status=400)
    write = {"instance_uuid": volumes.SERVER, "mountpoint": "/dev/vdb"}
    assert "mode" in act(demo, own["id"], "os-attach", write, status=400)["message"]
    act(demo, own["id"], "os-attach", write | {"mode": "ro"})
    assert show(demo, own["id"])["metadata"] == {"readonly": "True", "attached_mode": "ro"}
    act(demo, own["id"], "os-update_readonly_flag", {"readonly": False}, status=400)


def test_resetting_the_status(cloud: TestCloud) -> None:
    admin = Cinder(cloud, "admin")
    own = make(admin)
    for body, named in (
        ({}, "status"),
        ({"status": None}, "status"),
        ({"status": "no-such"}, "status"),
        ({"status": "deleting"}, "deleting"),
        ({"status": "in-use"}, "attachments"),
        ({"attach_status": "no-such"}, "attach_status"),
        ({"migration_status": "no-such"}, "migration_status"),
        ({"status": "error", "more": 1}, "more"),
    ):
        assert named in act(admin, own["id"], "os-reset_status", body, status=400)["message"]
    act(admin, own["id"], "os-reset_status", {"status": "Maintenance", "migration_status": "success"})
    found = show(admin, own["id"])
    assert (found["status"], found["migration_status"]) == ("maintenance", "success")
    admin.put(f"/volumes/{own['id']}", {"volume": {"name": "x"}}, status=400)
    admin.post(f"/volumes/{own['id']}/metadata", {"metadata": {"a": "b"}}, status=400)
    act(admin, own["id"], "os-reset_status", {"status": "available", "migration_status": "none"})
    act(admin, own["id"], "os-attach", {"instance_uuid": volumes.SERVER, "mountpoint": "/dev/vdb"})
    act(admin, own["id"], "os-reset_status", {"status": "available", "attach_status": "detached"})
    found = show(admin, own["id"])
    assert (found["status"], found["attachments"]) == ("available", [])


def test_forcing_the_end(cloud: TestCloud) -> None:
    admin = Cinder(cloud, "admin")
    own = make(admin)
    act(admin, own["id"], "os-reset_status", {"status": "creating"})
    assert "status" in admin.delete(f"/volumes/{own['id']}", status=400)["message"]
    act(admin, own["id"], "os-force_delete", {})
    cloud.settle()
    admin.get(f"/volumes/{own['id']}", status=404)


def test_a_reset_while_it_grows_gives_the_quota_back(still_cloud: TestCloud) -> None:
    from stackyard.services.volume import hosts

    hosts.report(still_cloud.runtime)
    admin = Cinder(still_cloud, "admin")
    own = admin.post("/volumes", {"volume": {"size": 1}}, status=202)["volume"]
    act(admin, own["id"], "os-reset_status", {"status": "available"})
    act(admin, own["id"], "os-extend", {"new_size": 4})
    assert volumes.used(admin)["Gigabytes"] == 4
    act(admin, own["id"], "os-reset_status", {"status": "available"})
    assert volumes.used(admin)["Gigabytes"] == 1


def test_another_type(cloud: TestCloud) -> None:
    admin = Cinder(cloud, "admin")
    own = make(admin)
    admin.post("/types", {"volume_type": {"name": "other", "extra_specs": {"multiattach": "<is> True"}}})
    admin.post("/types", {"volume_type": {"name": "far", "extra_specs": {"volume_backend_name": "none"}}})
    act(admin, own["id"], "os-retype", {"new_type": "other", "migration_policy": "never"})
    cloud.settle()
    found = show(admin, own["id"])
    assert (found["status"], found["volume_type"], found["multiattach"]) == ("available", "other", True)
    for body, status in (
        ({"new_type": "other"}, 400),
        ({"new_type": "far"}, 400),
        ({"new_type": "far", "migration_policy": "on-demand"}, 400),
        ({"new_type": "no-such"}, 404),
        ({"new_type": "other", "migration_policy": "perhaps"}, 400),
        ({"new_type": 5}, 400),
        ({}, 400),
    ):
        act(admin, own["id"], "os-retype", body, status=status)
    assert show(admin, own["id"])["volume_type"] == "other"
    usage = admin.get(f"/os-quota-sets/{found['os-vol-tenant-attr:tenant_id']}?usage=true")["quota_set"]
    assert (usage["volumes_other"]["in_use"], usage["volumes___DEFAULT__"]["in_use"]) == (1, 0)


def test_another_place(cloud: TestCloud) -> None:
    admin = Cinder(cloud, "admin")
    own = make(admin)
    for body, named in (
        ({"host": "nowhere@file#file"}, "nowhere"),
        ({"host": "testhost@file#file"}, "different"),
        ({"host": "a b"}, "host"),
        ({}, "host"),
        ({"cluster": "c"}, "cluster"),
        ({"host": "testhost@file#file", "lock_volume": "perhaps"}, "lock_volume"),
    ):
        assert named in act(admin, own["id"], "os-migrate_volume", body, status=400)["message"], body
    other = make(admin)
    done = act(admin, own["id"], "os-migrate_volume_completion", {"new_volume": other["id"]}, status=200)
    assert done == {"save_volume_id": other["id"]}


def test_back_to_the_last_snapshot(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = make(demo)
    assert "snapshots" in act(demo, own["id"], "revert", {"snapshot_id": "x"}, status=400)["message"]
    first, last = snapshot(demo, own["id"]), snapshot(demo, own["id"])
    cloud.volumes["file"].volumes[own["id"]].content = b"changed"
    act(demo, own["id"], "revert", {"snapshot_id": first["id"]}, status=400)
    act(demo, own["id"], "revert", {"snapshot_id": last["id"]}, status=400, version="3.39")
    act(demo, own["id"], "revert", {"snapshot_id": last["id"]})
    cloud.settle()
    assert show(demo, own["id"])["status"] == "available"
    assert demo.get(f"/snapshots/{last['id']}")["snapshot"]["status"] == "available"
    assert cloud.volumes["file"].volumes[own["id"]].content == b""
    act(demo, own["id"], "os-reserve", {})
    act(demo, own["id"], "revert", {"snapshot_id": last["id"]}, status=409)


def test_an_image_of_it(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = make(demo, imageRef=volumes.image(cloud, os_distro="debian"))
    given = {"image_name": "mine", "disk_format": "raw", "container_format": "bare", "visibility": "shared"}
    told = act(demo, own["id"], "os-volume_upload_image", given)["os-volume_upload_image"]
    assert (told["status"], told["image_name"], told["visibility"], told["protected"]) == (
        "uploading", "mine", "shared", False,
    )  # fmt: skip
    cloud.settle()
    assert show(demo, own["id"])["status"] == "available"
    http = cloud.client("demo")
    made = http.get(f"/image/v2/images/{told['image_id']}").json()
    assert (made["status"], made["os_distro"], made["disk_format"]) == ("active", "debian", "raw")
    assert http.get(f"/image/v2/images/{told['image_id']}/file").content == b"an image"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "image_name"),
        ({"image_name": ""}, "image_name"),
        ({"image_name": "x" * 256}, "image_name"),
        ({"image_name": "x", "disk_format": "iso"}, "disk_format"),
        ({"image_name": "x", "container_format": "box"}, "container_format"),
        ({"image_name": "x", "force": "perhaps"}, "force"),
        ({"image_name": "x", "visibility": "nobody"}, "visibility"),
        ({"image_name": "x", "more": 1}, "more"),
    ],
)
def test_images_that_cannot_be_made(still_cloud: TestCloud, body: dict[str, Any], named: str) -> None:
    demo, admin = Cinder(still_cloud, "demo"), Cinder(still_cloud, "admin")
    own = demo.post("/volumes", {"volume": {"size": 1}}, status=202)["volume"]
    act(admin, own["id"], "os-reset_status", {"status": "available"})
    assert named in act(demo, own["id"], "os-volume_upload_image", body, status=400)["message"]
    assert show(demo, own["id"])["status"] == "available"


def test_an_image_of_one_that_is_in_use_needs_force(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own = make(demo)
    act(demo, own["id"], "os-attach", {"instance_uuid": volumes.SERVER, "mountpoint": "/dev/vdb"})
    act(demo, own["id"], "os-volume_upload_image", {"image_name": "x"}, status=400)
    act(demo, own["id"], "os-volume_upload_image", {"image_name": "x", "force": True})
    cloud.settle()
    assert show(demo, own["id"])["status"] == "in-use"


def test_beginning_with_an_image_again(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    own, image = make(demo), volumes.image(cloud)
    large = volumes.image(cloud, min_disk=5)
    act(demo, own["id"], "os-reimage", {"image_id": image}, status=400, version="3.67")
    act(demo, own["id"], "os-reimage", {"image_id": large}, status=400)
    act(demo, own["id"], "os-reimage", {"image_id": volumes.UNKNOWN}, status=404)
    act(demo, own["id"], "os-reimage", {"image_id": "x"}, status=400)
    act(demo, own["id"], "os-reimage", {"image_id": image})
    cloud.settle()
    found = show(demo, own["id"])
    assert (found["status"], found["bootable"]) == ("available", "true")
    assert found["volume_image_metadata"]["image_id"] == image
    assert cloud.volumes["file"].volumes[own["id"]].content == b"an image"
    reserve = {"attachment": {"volume_uuid": own["id"], "instance_uuid": volumes.SERVER}}
    demo.post("/attachments", reserve)
    act(demo, own["id"], "os-reimage", {"image_id": image}, status=400)
    act(demo, own["id"], "os-reimage", {"image_id": image, "reimage_reserved": True})
    cloud.settle()
    assert show(demo, own["id"])["status"] == "reserved"


def test_what_it_remembers_of_its_image(still_cloud: TestCloud) -> None:
    demo, admin = Cinder(still_cloud, "demo"), Cinder(still_cloud, "admin")
    own = demo.post("/volumes", {"volume": {"size": 1}}, status=202)["volume"]
    given = {"metadata": {"os_distro": "debian", "x": "y"}}
    assert act(demo, own["id"], "os-set_image_metadata", given, status=200) == given
    act(demo, own["id"], "os-unset_image_metadata", {"key": "x"}, status=200)
    assert act(demo, own["id"], "os-show_image_metadata", None, status=200) == {"metadata": {"os_distro": "debian"}}
    act(demo, own["id"], "os-unset_image_metadata", {"key": "x"}, status=404)
    for body in ({"metadata": {"k": 1}}, {"metadata": {"k" * 256: "v"}}, {"metadata": {"k": "x" * 70_000}}, {}):
        act(demo, own["id"], "os-set_image_metadata", body, status=400)
    many = {"metadata": {str(number): "x" for number in range(300)}}
    act(demo, own["id"], "os-set_image_metadata", many, status=400)
    act(admin, own["id"], "os-reset_status", {"status": "uploading"})
    act(demo, own["id"], "os-set_image_metadata", given, status=400)


def test_detaching_by_force_mends_a_volume_that_was_said_to_be_broken(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    own = volumes.make(demo)
    volumes.act(demo, own["id"], "os-attach", {"instance_uuid": volumes.SERVER, "mountpoint": "/dev/vdb"})
    attachment = volumes.show(demo, own["id"])["attachments"][0]
    volumes.act(admin, own["id"], "os-reset_status", {"status": "error"})
    volumes.act(admin, own["id"], "os-force_detach", {"attachment_id": attachment["attachment_id"]})
    shown = volumes.show(demo, own["id"])
    assert (shown["status"], shown["attachments"]) == ("available", [])


def test_detaching_by_the_attachment_of_another_volume(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    mine, other, foreign = volumes.make(demo), volumes.make(demo), volumes.make(admin)
    for client, volume in ((demo, mine), (demo, other), (admin, foreign)):
        volumes.act(client, volume["id"], "os-attach", {"host_name": "far", "mountpoint": "/dev/vdb"})
    for client, volume, status in ((demo, other, 400), (admin, foreign, 404)):
        held = volumes.show(client, volume["id"])["attachments"][0]["attachment_id"]
        volumes.act(demo, mine["id"], "os-detach", {"attachment_id": held}, status=status)
    assert volumes.show(demo, mine["id"])["status"] == "in-use"
