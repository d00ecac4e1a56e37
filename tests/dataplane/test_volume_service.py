"""The volume service on real files: images, backups and copies, as users ask for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.volume.cinder import Cinder
from tests.cloud import TestCloud
from tests.disk_bench import GIB, MIB, drain, new_id

from stackyard.host.disks.drivers import kept_in, volume_drivers
from stackyard.host.disks.file import FileVolumes

pytestmark = pytest.mark.root

OCTETS = {"content-type": "application/octet-stream"}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[TestCloud]:
    """A cloud whose back end `file` is the real one."""
    state = tmp_path / "state"
    made = TestCloud(f"sqlite:///{tmp_path / 'rows.sqlite'}", state)
    real: Any = volume_drivers(state, made.runtime.settings)
    made.volumes.update(real)
    made.start()
    try:
        yield made
    finally:
        made.close()
        real["file"].purge()


@pytest.fixture
def files(cloud: TestCloud) -> FileVolumes:
    found: Any = cloud.volumes["file"]
    assert isinstance(found, FileVolumes)
    return found


@pytest.fixture
def demo(cloud: TestCloud) -> Cinder:
    return Cinder(cloud, "demo")


def settled(demo: Cinder, kind: str, key: str) -> Any:
    demo.cloud.settle(60)
    found = demo.get(f"/{kind}s/{key}")[kind]
    assert found["status"] == "available", found
    return found


def make(demo: Cinder, **fields: Any) -> str:
    key = str(demo.post("/volumes", {"volume": {"size": 1, **fields}}, status=202)["volume"]["id"])
    settled(demo, "volume", key)
    return key


def back_up(demo: Cinder, volume_id: str, *, incremental: bool = False) -> str:
    body = {"backup": {"volume_id": volume_id, "incremental": incremental}}
    key = str(demo.post("/backups", body, status=202)["backup"]["id"])
    settled(demo, "backup", key)
    return key


def write(files: FileVolumes, volume_id: str, data: bytes, position: int = 0) -> None:
    with files.path(volume_id).open("r+b") as file:
        file.seek(position)
        file.write(data)


def test_from_image_to_image(cloud: TestCloud, demo: Cinder, files: FileVolumes, tmp_path: Path) -> None:
    """A qcow2 image becomes a volume, that becomes a qcow2 image, and that a volume of the same content."""
    content = os.urandom(MIB)
    files.create(source := new_id(), 1)
    write(files, source, content)
    files.save(source, image := tmp_path / "image.qcow2", "qcow2")
    files.remove(source)
    glance = cloud.client("demo")
    body = {"name": "disk", "disk_format": "qcow2", "container_format": "bare"}
    image_id = glance.post("/image/v2/images", json=body).json()["id"]
    sent = glance.put(f"/image/v2/images/{image_id}/file", content=image.read_bytes(), headers=OCTETS)
    assert sent.status_code == 204
    first = make(demo, imageRef=image_id)
    assert drain(files.path(first), MIB) == content
    asked = {"os-volume_upload_image": {"image_name": "copy", "disk_format": "qcow2", "container_format": "bare"}}
    said = demo.post(f"/volumes/{first}/action", asked, status=202, version="3.0")
    cloud.settle(60)
    copied = said["os-volume_upload_image"]["image_id"]
    assert glance.get(f"/image/v2/images/{copied}").json()["status"] == "active"
    second = make(demo, imageRef=copied, size=2)
    assert drain(files.path(second), MIB) == content
    assert files.path(second).stat().st_size == 2 * GIB
    assert not list((tmp_path / "state" / "volumes-uploads").iterdir())


def test_backups_are_restored(cloud: TestCloud, demo: Cinder, files: FileVolumes, tmp_path: Path) -> None:
    volume_id = make(demo, name="page")
    first_content, second_content = os.urandom(5 * MIB), os.urandom(5 * MIB)
    write(files, volume_id, first_content)
    full = back_up(demo, volume_id)
    write(files, volume_id, second_content, 900 * MIB)
    later = back_up(demo, volume_id, incremental=True)
    write(files, volume_id, bytes(10 * MIB))
    for backup, end in ((full, bytes(5 * MIB)), (later, second_content)):
        restored = demo.post(f"/backups/{backup}/restore", {"restore": {}}, status=202)["restore"]["volume_id"]
        assert settled(demo, "volume", restored)["name"] == "page"
        with files.read(restored) as data:
            assert data.read(5 * MIB) == first_content
            data.seek(900 * MIB)
            assert data.read(5 * MIB) == end
        assert files.path(restored).stat().st_blocks * 512 < 32 * MIB
    demo.post(f"/backups/{later}/restore", {"restore": {"volume_id": volume_id}}, status=202)
    settled(demo, "volume", volume_id)
    assert drain(files.path(volume_id), 5 * MIB) == first_content
    for backup in (later, full):
        demo.delete(f"/backups/{backup}", status=202)
        cloud.settle()
    assert kept_in(tmp_path / "state", cloud.runtime.settings)["backup"] == set()


def test_what_is_deleted_leaves_no_file(cloud: TestCloud, demo: Cinder, tmp_path: Path) -> None:
    volume_id = make(demo)
    body = {"snapshot": {"volume_id": volume_id}}
    settled(demo, "snapshot", demo.post("/snapshots", body, status=202, version="3.0")["snapshot"]["id"])
    make(demo, source_volid=volume_id)
    for key in (one["id"] for one in demo.get("/volumes")["volumes"]):
        demo.delete(f"/volumes/{key}?cascade=true", status=202)
    cloud.settle()
    assert not any(kept_in(tmp_path / "state", cloud.runtime.settings).values())
