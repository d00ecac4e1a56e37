"""What is uploaded and imported is looked at: it is what was declared and safe to open, or nothing is kept of it."""

from __future__ import annotations

import dataclasses
import gzip
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.api.image.conftest import ImageCloud
from tests.api.image.test_data import status
from tests.api.image.test_images import make

OCTETS = {"Content-Type": "application/octet-stream"}
MIB = 1 << 20


def disk(folder: Path, kind: str, *options: str) -> bytes:
    """A disk of 8 MiB as qemu-img makes it."""
    path = folder / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", kind, *options, path, "8M"], check=True)
    return path.read_bytes()


def setting(images: ImageCloud, **values: Any) -> None:
    """Change settings of the section image."""
    settings = images.runtime.settings
    images.runtime.settings = dataclasses.replace(settings, image=dataclasses.replace(settings.image, **values))


def put(images: ImageCloud, disk_format: str, container_format: str, data: bytes, way: str = "file") -> tuple[str, Any]:
    """A new image and the answer to sending it data."""
    demo = images.client("demo")
    image_id = str(make(demo, disk_format=disk_format, container_format=container_format)["id"])
    return image_id, demo.put(f"/v2/images/{image_id}/{way}", content=data, headers=OCTETS)


@pytest.mark.parametrize(
    ("declared", "kind"), [("qcow2", "qcow2"), ("vmdk", "vmdk"), ("vdi", "vdi"), ("vhdx", "vhdx"), ("raw", "raw")]
)
def test_the_size_of_the_disk_is_recorded(images: ImageCloud, tmp_path: Path, declared: str, kind: str) -> None:
    data = disk(tmp_path, kind)
    for container, sent in (("bare", data), ("compressed", gzip.compress(data))):
        image_id, answer = put(images, declared, container, sent)
        assert answer.status_code == 204, answer.text
        image = images.client("demo").get(f"/v2/images/{image_id}").json()
        assert (image["virtual_size"], image["size"]) == (8 * MIB, len(sent))


BACKED = ("-u", "-F", "raw", "-b", "/etc/passwd")


@pytest.mark.parametrize(
    ("declared", "container", "options", "reason"),
    [
        ("qcow2", "bare", BACKED, "backing file"),
        ("raw", "bare", BACKED, "backing file"),
        ("vmdk", "bare", (), "disk_format is vmdk, but the data is qcow2"),
        ("raw", "docker", (), "not a tar archive"),
        ("raw", "rootfs", (), "not a tar archive"),
        ("qcow2", "ova", (), "not a tar archive"),
        ("qcow2", "compressed", (), "not packed"),
        ("qcow2", "ovf", BACKED, "backing file"),
    ],
)
def test_what_is_refused_leaves_nothing(
    images: ImageCloud, tmp_path: Path, declared: str, container: str, options: tuple[str, ...], reason: str
) -> None:
    image_id, answer = put(images, declared, container, disk(tmp_path, "qcow2", *options))
    assert answer.status_code == 415
    assert reason in answer.json()["error"]["message"]
    assert status(images, image_id) == "queued"
    assert images.files() == set()


def test_what_is_imported_is_looked_at_too(images: ImageCloud, tmp_path: Path) -> None:
    demo = images.client("demo")
    image_id, answer = put(images, "qcow2", "bare", disk(tmp_path, "qcow2", *BACKED), "stage")
    assert answer.status_code == 204
    asked = demo.post(f"/v2/images/{image_id}/import", json={"method": {"name": "glance-direct"}})
    assert asked.status_code == 202
    images.reconciler.reconcile(image_id)
    task = demo.get(f"/v2/images/{image_id}/tasks").json()["tasks"][0]
    assert (task["status"], "backing file" in task["message"]) == ("failure", True), task
    assert status(images, image_id) != "active"


def test_a_bomb_is_refused(images: ImageCloud) -> None:
    setting(images, unpacked_limit=MIB)
    image_id, answer = put(images, "raw", "compressed", gzip.compress(bytes(2 * MIB)))
    assert (answer.status_code, "unpacks to more than" in answer.text) == (415, True)
    assert images.files() == set()
    assert status(images, image_id) == "queued"


def test_an_operator_may_let_mismatches_pass_but_nothing_unsafe(images: ImageCloud, tmp_path: Path) -> None:
    setting(images, require_format_match=False)
    for container in ("bare", "ova", "ami"):
        image_id, answer = put(images, "ami" if container == "ami" else "vmdk", container, b"random bytes")
        assert answer.status_code == 204, answer.text
        assert status(images, image_id) == "active"
    assert put(images, "vmdk", "bare", disk(tmp_path, "qcow2", *BACKED))[1].status_code == 415


def test_an_operator_says_which_formats_there_are(images: ImageCloud) -> None:
    demo = images.client("demo")
    assert demo.post("/v2/images", json={"disk_format": "luks"}).status_code == 400
    setting(images, disk_formats=("raw", "luks"), container_formats=("bare",))
    assert demo.post("/v2/images", json={"disk_format": "luks"}).status_code == 201
    refused = demo.post("/v2/images", json={"disk_format": "qcow2"})
    assert (refused.status_code, "not one of raw, luks" in refused.text) == (400, True)
    assert demo.post("/v2/images", json={"container_format": "docker"}).status_code == 400
    image = demo.post("/v2/images", json={"disk_format": "raw", "container_format": "bare"}).json()
    change = [{"op": "replace", "path": "/disk_format", "value": "vmdk"}]
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    assert demo.patch(f"/v2/images/{image['id']}", json=change, headers=headers).status_code == 400
    enum = demo.get("/v2/schemas/image").json()["properties"]["disk_format"]["enum"]
    assert enum == [None, "raw", "luks"]
