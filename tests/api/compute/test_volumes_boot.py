"""Servers that are made with volumes, and boot from them: what is made for them, kept, imaged, made anew and gone."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from tests.api.compute import booted, disks, rows
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

from stackyard.core.ids import new_uuid
from stackyard.host.errors import SpecError


@pytest.fixture
def demo(cloud: TestCloud) -> Nova:
    return Nova(cloud, "demo")


def ask(
    nova: Nova,
    mapping: list[dict[str, Any]],
    *,
    status: int = 202,
    version: str = "2.67",
    image: str = "",
    **fields: Any,
) -> Any:
    body = {"name": "one", "imageRef": image, "flavorRef": "1", "block_device_mapping_v2": mapping, **fields}
    if version != "2.1":
        body["networks"] = "none"
    found = nova.post("/servers", {"server": body}, status=status, version=version)
    return found["server"]["id"] if status == 202 else found["message"]


def boot(cloud: TestCloud, nova: Nova, mapping: list[dict[str, Any]], **options: Any) -> str:
    server_id = str(ask(nova, mapping, **options))
    cloud.settle()
    row = rows.row(cloud, server_id)
    assert row.vm_state == "active", row.fault
    return server_id


def root(source: str, uuid: str | None = None, **fields: Any) -> dict[str, Any]:
    """The mapping of a volume to boot from."""
    found = {"source_type": source, "destination_type": "volume", "boot_index": 0, **fields}
    return found | ({"uuid": uuid} if uuid else {})


def volumes_of(cloud: TestCloud, server_id: str) -> list[Any]:
    return list(cloud.machines["machine"].spec(server_id).volumes)


def test_booting_from_a_volume_that_is_there(cloud: TestCloud, demo: Nova) -> None:
    volume = disks.bootable(cloud)
    server = boot(cloud, demo, [root("volume", volume)])
    spec = cloud.machines["machine"].spec(server)
    assert (spec.image, [(one.id, one.device, one.boot) for one in spec.volumes]) == (None, [(volume, "vda", True)])
    assert disks.attachments(cloud, volume) == [(server, "/dev/vda", "attached")]
    shown = demo.get(f"/servers/{server}", version="2.3")["server"]
    assert (shown["image"], shown["os-extended-volumes:volumes_attached"]) == (
        "", [{"id": volume, "delete_on_termination": False}],
    )  # fmt: skip
    assert "root device" in demo.delete(f"/servers/{server}/os-volume_attachments/{volume}", status=400)["message"]
    assert booted.held(cloud, server) == {"VCPU": 1, "MEMORY_MB": 512}
    demo.delete(f"/servers/{server}", status=204)
    cloud.settle()
    assert disks.status(cloud, volume) == "available"


@pytest.mark.parametrize("source", ["image", "snapshot", "blank and image"])
def test_volumes_are_made_for_a_server(cloud: TestCloud, demo: Nova, source: str) -> None:
    image = rows.image(cloud, b"system" * 100)
    if source == "snapshot":
        uuid = disks.snapshot(cloud, disks.volume(cloud, image_id=image))
        mapping = [root("snapshot", uuid, delete_on_termination=True)]
    else:
        mapping = [root("image", image, volume_size=2, delete_on_termination=True)]
        if source != "image":
            blank = {"source_type": "blank", "destination_type": "volume", "volume_size": 3, "boot_index": -1}
            mapping = [blank, *mapping]
    server = boot(cloud, demo, mapping)
    found = disks.of_server(cloud, server)
    assert [row.device_name for row in found] == ["/dev/vda", "/dev/vdb"][: len(mapping)]
    assert {disks.status(cloud, row.volume_id) for row in found} == {"in-use"}
    assert cloud.volumes["file"].volumes[found[0].volume_id].content == b"system" * 100
    assert [one.boot for one in volumes_of(cloud, server)] == [True, False][: len(mapping)]
    demo.delete(f"/servers/{server}", status=204)
    cloud.settle()
    left = [disks.status(cloud, row.volume_id) for row in found]
    assert left == [None, "available"][: len(mapping)]


def test_the_old_form_of_the_mapping(cloud: TestCloud, demo: Nova) -> None:
    first, second = disks.bootable(cloud), disks.volume(cloud)
    mapping = [{"device_name": "/dev/vdb", "volume_id": second}, {"device_name": "/dev/vda", "volume_id": first}]
    body = {"name": "one", "flavorRef": "1", "block_device_mapping": mapping}
    server = demo.post("/servers", {"server": body}, status=202)["server"]["id"]
    cloud.settle()
    assert rows.row(cloud, server).vm_state == "active", rows.row(cloud, server).fault
    assert [one.id for one in volumes_of(cloud, server)] == [first, second]


def test_a_server_with_a_disk_of_its_own_and_a_volume(cloud: TestCloud, demo: Nova) -> None:
    image, volume = rows.image(cloud), disks.volume(cloud)
    local = {"source_type": "image", "uuid": image, "destination_type": "local", "boot_index": 0}
    extra = {"source_type": "volume", "uuid": volume, "destination_type": "volume", "tag": "data"}
    server = boot(cloud, demo, [local, extra], image=image)
    spec = cloud.machines["machine"].spec(server)
    assert (spec.image.id, [(one.device, one.boot) for one in spec.volumes]) == (image, [("vdb", False)])  # type: ignore[union-attr]
    assert rows.row(cloud, server).image_id == image
    body = {"volumeAttachment": {"volumeId": disks.volume(cloud)}}
    later = demo.post(f"/servers/{server}/os-volume_attachments", body)["volumeAttachment"]
    assert later["device"] == "/dev/vdc"


def test_a_volume_that_cannot_be_made_fails_the_server(cloud: TestCloud, demo: Nova) -> None:
    cloud.volumes["file"].fail_next["create_from_image"] = SpecError("the image does not fit")
    server = ask(demo, [root("image", rows.image(cloud), volume_size=1, delete_on_termination=True)])
    cloud.settle()
    row = rows.row(cloud, server)
    assert (row.vm_state, "does not fit" in row.fault["message"]) == ("error", True)
    (device,) = disks.of_server(cloud, server)
    demo.delete(f"/servers/{server}", status=204)
    cloud.settle()
    assert disks.status(cloud, device.volume_id) is None


def test_a_server_whose_volume_is_being_made_can_be_deleted(
    cloud: TestCloud, demo: Nova, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin, go_on = cloud.volumes["file"], threading.Event()
    made = twin.create_from_image

    def wait(*arguments: Any) -> None:
        go_on.wait(10)
        made(*arguments)

    monkeypatch.setattr(twin, "create_from_image", wait)
    server = ask(demo, [root("image", rows.image(cloud), volume_size=1, delete_on_termination=True)])
    (device,) = disks.of_server(cloud, server)
    booted.until(lambda: rows.row(cloud, server).task_state == "block_device_mapping")
    demo.delete(f"/servers/{server}", status=204)
    booted.until(lambda: rows.row(cloud, server).deleted_at is not None)
    go_on.set()
    cloud.settle()
    assert disks.status(cloud, device.volume_id) is None


def test_what_is_no_mapping_of_volumes_is_refused(cloud: TestCloud, demo: Nova) -> None:
    image, volume = rows.image(cloud), disks.volume(cloud)
    blank = {"source_type": "blank", "destination_type": "volume", "boot_index": -1}
    assert "failed to get volume" in ask(demo, [root("volume", new_uuid())], status=400)
    assert "failed to get volume" in ask(demo, [root("volume", disks.volume(cloud, "admin"))], status=400)
    assert "failed to get snapshot" in ask(demo, [root("snapshot", new_uuid())], status=400)
    assert "failed to get image" in ask(demo, [root("image", new_uuid(), volume_size=1)], status=400)
    assert "non-zero size" in ask(demo, [root("image", image)], status=400)
    assert "non-zero size" in ask(demo, [blank], status=400, image=image)
    assert "not bootable" in ask(demo, [root("volume", volume)], status=400)
    extra = {"source_type": "volume", "uuid": volume, "destination_type": "volume"}
    assert "status" in ask(demo, [extra, extra], status=400, image=image)
    assert "multiple instances" in ask(demo, [extra], status=400, image=image, max_count=2)
    unknown = blank | {"volume_size": 1, "volume_type": "no-such"}
    assert "no-such" in ask(demo, [unknown], status=400, image=image)
    disks.change(cloud, volume, status="in-use")
    assert "in-use" in ask(demo, [extra], status=400, image=image)
    assert disks.attachments(cloud, volume) == []


def test_a_quota_of_volumes_is_kept(cloud: TestCloud, demo: Nova) -> None:
    mapping = [{"source_type": "blank", "destination_type": "volume", "volume_size": 900, "boot_index": -1}] * 2
    told = ask(demo, mapping, status=403, image=rows.image(cloud))
    assert "exceed" in told.lower()
    assert demo.get("/servers")["servers"] == []


def test_a_volume_type_is_for_those_who_know_of_it(cloud: TestCloud, demo: Nova) -> None:
    typed = root("image", rows.image(cloud), volume_size=1, volume_type="__DEFAULT__")
    ask(demo, [typed], status=400, version="2.66")
    server = boot(cloud, demo, [typed])
    assert disks.of_server(cloud, server)[0].volume_type == "__DEFAULT__"


def test_the_image_of_a_server_on_volumes(cloud: TestCloud, demo: Nova) -> None:
    extra = {"source_type": "blank", "destination_type": "volume", "volume_size": 1, "boot_index": -1}
    server = boot(cloud, demo, [root("image", rows.image(cloud), volume_size=1), extra])
    image_id = booted.act(demo, server, "createImage", {"name": "kept"}, version="2.45")["image_id"]
    cloud.settle()
    image = booted.image(cloud, image_id)
    assert (image["status"], image["size"], image["bdm_v2"]) == ("active", 0, "True")
    mapping = json.loads(image["block_device_mapping"])
    assert [(one["source_type"], one["device_name"], one["boot_index"]) for one in mapping] == [
        ("snapshot", "/dev/vda", 0), ("snapshot", "/dev/vdb", -1),
    ]  # fmt: skip
    assert booted.states(cloud, server)[:2] == ("active", None)
    copy = demo.post(
        "/servers",
        {"server": {"name": "copy", "imageRef": image_id, "flavorRef": "1", "networks": "none"}},
        status=202,
        version="2.37",
    )["server"]["id"]
    cloud.settle()
    assert rows.row(cloud, copy).vm_state == "active", rows.row(cloud, copy).fault
    made = disks.of_server(cloud, copy)
    assert [row.snapshot_id for row in made] == [one["snapshot_id"] for one in mapping]
    assert [one.boot for one in volumes_of(cloud, copy)] == [True, False]


def test_a_failed_snapshot_of_a_volume_leaves_no_image(cloud: TestCloud, demo: Nova) -> None:
    server = boot(cloud, demo, [root("image", rows.image(cloud), volume_size=1)])
    cloud.volumes["file"].fail_next["snapshot"] = SpecError("there is no room")
    image_id = booted.act(demo, server, "createImage", {"name": "kept"}, version="2.45")["image_id"]
    cloud.settle()
    assert booted.image(cloud, image_id) == {}
    assert booted.states(cloud, server)[:2] == ("active", None)


def test_rebuilding_a_server_on_a_volume(cloud: TestCloud, demo: Nova) -> None:
    first, second = rows.image(cloud, b"first"), rows.image(cloud, b"second")
    server = boot(cloud, demo, [root("image", first, volume_size=1)])
    (device,) = disks.of_server(cloud, server)
    told = booted.act(demo, server, "rebuild", {"imageRef": second}, status=400, version="2.92")
    assert "different image" in told["message"]
    booted.act(demo, server, "rebuild", {"imageRef": first}, version="2.92")
    cloud.settle()
    booted.act(demo, server, "rebuild", {"imageRef": second}, version="2.93")
    cloud.settle()
    assert booted.states(cloud, server)[:3] == ("active", None, "running")
    assert cloud.volumes["file"].volumes[device.volume_id].content == b"second"
    assert disks.row(cloud, device.volume_id).image_metadata["image_id"] == second
    assert (disks.status(cloud, device.volume_id), rows.row(cloud, server).image_id) == ("in-use", None)


def test_shelving_and_resizing_a_server_on_a_volume(cloud: TestCloud, demo: Nova) -> None:
    server = boot(cloud, demo, [root("image", rows.image(cloud), volume_size=1)])
    (device,) = disks.of_server(cloud, server)
    booted.act(demo, server, "shelve")
    cloud.settle()
    assert (booted.status(demo, server), disks.status(cloud, device.volume_id)) == ("SHELVED_OFFLOADED", "in-use")
    assert [image["name"] for image in demo.get("/images")["images"] if "shelved" in image["name"]] == []
    booted.act(demo, server, "unshelve")
    cloud.settle()
    assert [one.id for one in volumes_of(cloud, server)] == [device.volume_id]
    booted.act(demo, server, "resize", {"flavorRef": "2"})
    cloud.settle()
    booted.act(demo, server, "confirmResize", status=204)
    cloud.settle()
    assert booted.held(cloud, server) == {"VCPU": 1, "MEMORY_MB": 2048}
    assert [one.id for one in volumes_of(cloud, server)] == [device.volume_id]


def test_a_server_on_a_volume_is_rescued_beside_it(cloud: TestCloud, demo: Nova) -> None:
    server = boot(cloud, demo, [root("image", rows.image(cloud), volume_size=1)])
    image = rows.image(cloud)
    answer = cloud.client("admin").patch(
        f"/image/v2/images/{image}",
        content=json.dumps([{"op": "add", "path": "/hw_rescue_device", "value": "disk"}]),
        headers={"content-type": "application/openstack-images-v2.1-json-patch"},
    )
    assert answer.status_code == 200, answer.text
    booted.act(demo, server, "rescue", {}, status=400, version="2.87")
    body = {"rescue_image_ref": image}
    booted.act(demo, server, "rescue", body, status=400, version="2.86")
    booted.act(demo, server, "rescue", body, status=200, version="2.87")
    cloud.settle()
    spec = cloud.machines["machine"].spec(server)
    assert (spec.rescue.image.id, spec.rescue.stable, len(spec.volumes)) == (image, True, 1)  # type: ignore[union-attr]


def test_volumes_of_another_host_decide_where_a_server_goes(cloud: TestCloud, demo: Nova) -> None:
    booted.other_host(cloud, "elsewhere")
    volume = disks.bootable(cloud)
    disks.change(cloud, volume, host="elsewhere")
    server = ask(demo, [root("volume", volume)])
    assert rows.row(cloud, server).host == "elsewhere"
