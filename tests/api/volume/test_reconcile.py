"""What becomes of volumes, snapshots and images that were asked for: done, tried again, or failed with a reason."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from tests.api.volume.cinder import Cinder
from tests.cloud import TestCloud

from stackyard.core.db import Transaction
from stackyard.host.disks.memory import MemoryVolumes
from stackyard.host.errors import HostError, SpecError
from stackyard.services.volume.reconcile.job import SNAPSHOT, VOLUME
from stackyard.services.volume.tables import messages, volumes

HELLO = b"hello" * 1000
OCTETS = {"content-type": "application/octet-stream"}


@pytest.fixture
def demo(cloud: TestCloud) -> Cinder:
    return Cinder(cloud, "demo")


@pytest.fixture
def twin(cloud: TestCloud) -> MemoryVolumes:
    return cloud.volumes["file"]


def make(demo: Cinder, **fields: Any) -> str:
    made = demo.post("/volumes", {"volume": {"size": 1, **fields}}, status=202)
    demo.cloud.settle()
    return str(made["volume"]["id"])


def show(demo: Cinder, volume_id: str) -> Any:
    return demo.get(f"/volumes/{volume_id}")["volume"]


def snap(demo: Cinder, volume_id: str) -> str:
    body = {"snapshot": {"volume_id": volume_id, "force": True}}
    made = demo.post("/snapshots", body, status=202, version="3.0")
    demo.cloud.settle()
    return str(made["snapshot"]["id"])


def act(demo: Cinder, volume_id: str, name: str, body: Any = None, status: int = 202, version: str = "3.40") -> Any:
    answer = demo.post(f"/volumes/{volume_id}/action", {name: body}, status=status, version=version)
    demo.cloud.settle()
    return answer


def column(cloud: TestCloud, table: sa.Table, key: str, name: str) -> Any:
    def read(tx: Transaction) -> Any:
        return tx.scalar(sa.select(table.c[name]).where(table.c.id == key))

    return cloud.database.read("test", read)


def told(cloud: TestCloud, key: str) -> list[tuple[str, str]]:
    """The user messages about a resource: action and detail."""

    def read(tx: Transaction) -> Any:
        return tx.all(sa.select(messages).where(messages.c.resource_id == key))

    return [(row.action_id, row.detail_id) for row in cloud.database.read("test", read)]


def image_of(cloud: TestCloud, content: bytes, disk_format: str = "raw") -> str:
    glance = cloud.client("demo")
    body = {"name": "disk", "disk_format": disk_format, "container_format": "bare"}
    image_id = glance.post("/image/v2/images", json=body).json()["id"]
    assert glance.put(f"/image/v2/images/{image_id}/file", content=content, headers=OCTETS).status_code == 204
    cloud.settle()
    return str(image_id)


def test_made_and_deleted(demo: Cinder, twin: MemoryVolumes) -> None:
    volume_id = make(demo)
    assert show(demo, volume_id)["status"] == "available"
    assert list(twin.volumes) == [volume_id]
    demo.delete(f"/volumes/{volume_id}", status=202)
    demo.cloud.settle()
    demo.get(f"/volumes/{volume_id}", status=404)
    assert not twin.volumes


def test_what_fails_now_is_tried_again(demo: Cinder, twin: MemoryVolumes) -> None:
    twin.fail_next["create"] = HostError("the disk is busy")
    volume_id = make(demo)
    assert show(demo, volume_id)["status"] == "available"
    twin.fail_next["remove"] = HostError("the disk is busy")
    demo.delete(f"/volumes/{volume_id}", status=202)
    demo.cloud.settle()
    demo.get(f"/volumes/{volume_id}", status=404)


def test_what_can_never_be_is_said(demo: Cinder, twin: MemoryVolumes, cloud: TestCloud) -> None:
    twin.fail_next["create"] = SpecError("no such thing here")
    volume_id = make(demo)
    assert show(demo, volume_id)["status"] == "error"
    assert column(cloud, volumes, volume_id, "fault") == "no such thing here."
    assert told(cloud, volume_id) == [("008", "012")]
    twin.fail_next["remove"] = SpecError("it sticks")
    demo.delete(f"/volumes/{volume_id}", status=202)
    cloud.settle()
    assert show(demo, volume_id)["status"] == "error_deleting"
    demo.delete(f"/volumes/{volume_id}", status=202)
    cloud.settle()
    demo.get(f"/volumes/{volume_id}", status=404)


def test_a_volume_of_an_image(demo: Cinder, twin: MemoryVolumes, cloud: TestCloud) -> None:
    volume_id = make(demo, imageRef=image_of(cloud, HELLO))
    found = show(demo, volume_id)
    assert (found["status"], found["bootable"]) == ("available", "true")
    assert twin.volumes[volume_id].content == HELLO


def test_an_image_that_does_not_fit(demo: Cinder, twin: MemoryVolumes, cloud: TestCloud) -> None:
    image_id = image_of(cloud, HELLO)
    twin.fail_next["create_from_image"] = SpecError("The image is larger than the 1 GiB of the volume.")
    volume_id = make(demo, imageRef=image_id)
    assert show(demo, volume_id)["status"] == "error"
    assert told(cloud, volume_id) == [("005", "007")]


def test_volumes_of_snapshots_and_of_volumes(demo: Cinder, twin: MemoryVolumes, cloud: TestCloud) -> None:
    first = make(demo, imageRef=image_of(cloud, HELLO))
    kept = snap(demo, first)
    assert demo.get(f"/snapshots/{kept}")["snapshot"]["status"] == "available"
    for made in (make(demo, snapshot_id=kept), make(demo, source_volid=first)):
        assert show(demo, made)["status"] == "available"
        assert twin.volumes[made].content == HELLO
    demo.delete(f"/snapshots/{kept}", status=202)
    cloud.settle()
    assert not twin.kept


def test_a_snapshot_that_fails(demo: Cinder, twin: MemoryVolumes, cloud: TestCloud) -> None:
    volume_id = make(demo)
    twin.fail_next["snapshot"] = SpecError("not this one")
    kept = snap(demo, volume_id)
    assert demo.get(f"/snapshots/{kept}")["snapshot"]["status"] == "error"
    assert told(cloud, kept) == [("009", "013")]
    twin.fail_next["remove_snapshot"] = SpecError("it sticks")
    demo.delete(f"/snapshots/{kept}", status=202)
    cloud.settle()
    assert demo.get(f"/snapshots/{kept}")["snapshot"]["status"] == "error_deleting"
    assert told(cloud, kept)[1:] == [("010", "016")]


def test_deleted_with_its_snapshots(demo: Cinder, twin: MemoryVolumes, cloud: TestCloud) -> None:
    volume_id = make(demo)
    snap(demo, volume_id)
    snap(demo, volume_id)
    demo.delete(f"/volumes/{volume_id}?cascade=true", status=202)
    cloud.settle()
    demo.get(f"/volumes/{volume_id}", status=404)
    assert not twin.volumes
    assert not twin.kept


def test_extended(demo: Cinder, twin: MemoryVolumes, cloud: TestCloud) -> None:
    volume_id = make(demo)
    act(demo, volume_id, "os-extend", {"new_size": 3})
    assert (show(demo, volume_id)["status"], show(demo, volume_id)["size"]) == ("available", 3)
    assert twin.volumes[volume_id].size == 3
    twin.fail_next["extend"] = SpecError("no larger than this")
    act(demo, volume_id, "os-extend", {"new_size": 5})
    assert (show(demo, volume_id)["status"], show(demo, volume_id)["size"]) == ("error_extending", 3)
    assert told(cloud, volume_id) == [("007", "010")]
    project = show(demo, volume_id)["os-vol-tenant-attr:tenant_id"]
    assert cloud.database.read("test", cloud.runtime.quotas.in_use, project, "volume.gigabytes") == 3


def test_uploaded(demo: Cinder, twin: MemoryVolumes, cloud: TestCloud) -> None:
    volume_id = make(demo, imageRef=image_of(cloud, HELLO))
    for disk_format in ("raw", "qcow2"):
        body = {"image_name": "copy", "disk_format": disk_format, "container_format": "bare"}
        if disk_format == "qcow2":
            twin.fail_next["save"] = SpecError("not into that format")
        said = act(demo, volume_id, "os-volume_upload_image", body, version="3.0")
        image_id = said["os-volume_upload_image"]["image_id"]
        found = cloud.client("demo").get(f"/image/v2/images/{image_id}")
        assert show(demo, volume_id)["status"] == "available"
        if disk_format == "qcow2":
            assert found.status_code == 404
            assert told(cloud, volume_id) == [("003", "004")]
        else:
            assert found.json()["status"] == "active"
            assert cloud.client("demo").get(f"/image/v2/images/{image_id}/file").content == HELLO


def test_reverted(demo: Cinder, twin: MemoryVolumes, cloud: TestCloud) -> None:
    volume_id = make(demo, imageRef=image_of(cloud, HELLO))
    kept = snap(demo, volume_id)
    twin.volumes[volume_id].content = b"other"
    act(demo, volume_id, "revert", {"snapshot_id": kept})
    assert show(demo, volume_id)["status"] == "available"
    assert demo.get(f"/snapshots/{kept}")["snapshot"]["status"] == "available"
    assert twin.volumes[volume_id].content == HELLO
    twin.fail_next["revert"] = SpecError("not back")
    act(demo, volume_id, "revert", {"snapshot_id": kept})
    assert show(demo, volume_id)["status"] == "error"
    assert demo.get(f"/snapshots/{kept}")["snapshot"]["status"] == "available"


def test_reimaged(demo: Cinder, twin: MemoryVolumes, cloud: TestCloud) -> None:
    volume_id = make(demo, imageRef=image_of(cloud, HELLO))
    other = image_of(cloud, b"other")
    twin.fail_next["create_from_image"] = SpecError("not this image")
    act(demo, volume_id, "os-reimage", {"image_id": other}, version="3.68")
    assert show(demo, volume_id)["status"] == "error"
    assert twin.volumes[volume_id].content == HELLO
    act(demo, volume_id, "os-reimage", {"image_id": other, "reimage_reserved": False}, version="3.68")
    assert show(demo, volume_id)["status"] == "available"
    assert {key: one.content for key, one in twin.volumes.items()} == {volume_id: b"other"}


def test_a_source_stays_until_it_is_copied(demo: Cinder, twin: MemoryVolumes, cloud: TestCloud) -> None:
    """Asked to go while a clone of it is being made: the clone comes first."""
    source = make(demo, imageRef=image_of(cloud, HELLO))
    twin.fail_next["clone"] = HostError("not yet")
    made = demo.post("/volumes", {"volume": {"size": 1, "source_volid": source}}, status=202)["volume"]["id"]
    demo.delete(f"/volumes/{source}", status=202)
    cloud.settle()
    assert show(demo, made)["status"] == "available"
    assert {key: one.content for key, one in twin.volumes.items()} == {made: HELLO}


def test_what_is_asked_later_wins(demo: Cinder, twin: MemoryVolumes, cloud: TestCloud) -> None:
    """Deleted by force while it is being made, which fails just then: it is gone, and not in error."""
    twin.fail_next["create"] = HostError("not yet")
    volume_id = demo.post("/volumes", {"volume": {"size": 1}}, status=202)["volume"]["id"]
    Cinder(cloud, "admin").post(f"/volumes/{volume_id}/action", {"os-force_delete": None}, status=202)
    cloud.settle()
    demo.get(f"/volumes/{volume_id}", status=404)
    assert not twin.volumes


def test_a_back_end_that_is_not_here_any_more(demo: Cinder, cloud: TestCloud) -> None:
    volume_id = make(demo)
    twin = cloud.volumes.pop("file")
    try:
        kept = snap(demo, volume_id)
        assert demo.get(f"/snapshots/{kept}")["snapshot"]["status"] == "error"
        assert "back end" in column(cloud, SNAPSHOT.table, kept, "fault")
    finally:
        cloud.volumes["file"] = twin


def test_a_task_of_another_version(demo: Cinder, cloud: TestCloud) -> None:
    volume_id = make(demo)

    def write(tx: Transaction) -> None:
        from stackyard.services.volume import tasks

        tasks.begin(tx, cloud.runtime, VOLUME.read(tx, volume_id), "polish", columns={"status": "maintenance"})

    cloud.database.write("test", write)
    cloud.settle()
    assert show(demo, volume_id)["status"] == "error"
    assert "polish" in column(cloud, volumes, volume_id, "fault")


def test_marks_of_what_is_gone_do_no_harm(cloud: TestCloud, demo: Cinder) -> None:
    from stackyard.services.volume import tasks

    missing = str(uuid.uuid4())
    for kind in (tasks.VOLUME, tasks.SNAPSHOT, tasks.BACKUP):
        cloud.database.write("test", tasks.mark, cloud.runtime, missing, None, kind=kind)
    cloud.settle()
    demo.get(f"/volumes/{missing}", status=404)
