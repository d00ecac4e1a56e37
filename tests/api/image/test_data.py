"""Data in and out: streamed, checked, digested; parts; what goes wrong leaves nothing behind."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import resource
import struct
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.image.conftest import ImageCloud
from tests.api.image.test_images import make

from stackyard.core.reconcile import DONE, Again
from stackyard.services.image import store, tables

OCTETS = {"Content-Type": "application/octet-stream"}


def docker_archive(layer: bytes = b"layer") -> bytes:
    """What `docker save` writes, in small."""
    manifest = [{"Config": "config.json", "Layers": ["layer.tar"], "RepoTags": ["one:latest"]}]
    files = {"layer.tar": layer, "config.json": b"{}", "manifest.json": json.dumps(manifest).encode()}
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


def put(images: ImageCloud, image_id: str, data: Any, *, headers: dict[str, str] = OCTETS, user: str = "demo") -> Any:
    return images.client(user).put(f"/v2/images/{image_id}/file", content=data, headers=headers)


def status(images: ImageCloud, image_id: str) -> str:
    return str(images.client("demo").get(f"/v2/images/{image_id}").json()["status"])


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [0, 1, 1000, store.BLOCK_BYTES, 2 * store.BLOCK_BYTES + 77])
def test_what_goes_in_comes_out(images: ImageCloud, size: int) -> None:
    demo = images.client("demo")
    image_id = make(demo)["id"]
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    assert demo.get(f"/v2/images/{image_id}/file").status_code == 204
    assert put(images, image_id, chunks(data, 65_521)).status_code == 204
    image = demo.get(f"/v2/images/{image_id}").json()
    assert (image["status"], image["size"], image["virtual_size"], image["stores"]) == ("active", size, size, "file")
    assert image["checksum"] == hashlib.md5(data).hexdigest()
    assert image["os_hash_algo"] == "sha512"
    assert image["os_hash_value"] == hashlib.sha512(data).hexdigest()
    response = demo.get(f"/v2/images/{image_id}/file")
    assert response.content == data
    assert response.headers["content-md5"] == image["checksum"]
    assert response.headers["content-type"] == "application/octet-stream"
    head = demo.head(f"/v2/images/{image_id}/file")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")
    assert images.files() == {image_id}


def test_parts(images: ImageCloud) -> None:
    demo = images.client("demo")
    image_id = make(demo)["id"]
    put(images, image_id, b"0123456789")
    for header, expected, stated in (
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
    ):
        response = demo.get(f"/v2/images/{image_id}/file", headers={"Range": header})
        assert (response.status_code, response.content, response.headers["content-range"]) == (206, expected, stated)
    beyond = demo.get(f"/v2/images/{image_id}/file", headers={"Range": "bytes=10-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */10")


def test_an_upload_is_for_a_queued_image_with_formats(images: ImageCloud) -> None:
    demo = images.client("demo")
    bare = demo.post("/v2/images", json={"name": "x"}).json()
    refused = put(images, bare["id"], b"x")
    assert refused.status_code == 400
    assert "disk_format, container_format" in refused.json()["error"]["message"]
    image_id = make(demo)["id"]
    assert put(images, image_id, b"x", headers={"Content-Type": "application/json"}).status_code == 415
    assert put(images, image_id, b"x", headers=OCTETS | {"x-image-meta-store": "ceph"}).status_code == 400
    assert put(images, image_id, b"x", headers=OCTETS | {"x-openstack-image-size": "many"}).status_code == 400
    assert put(images, image_id, b"x", user="alt").status_code == 404
    assert put(images, image_id, b"x").status_code == 204
    assert put(images, image_id, b"y").status_code == 409
    assert demo.get(f"/v2/images/{image_id}/file").content == b"x"


def qcow2(backing: int = 0) -> bytes:
    return struct.pack(">4sIQIIQ", b"QFI\xfb", 2, backing, 0, 16, 1 << 30).ljust(512, b"\0")


@pytest.mark.parametrize(
    ("disk_format", "container_format", "data", "reason"),
    [
        ("qcow2", "bare", b"plain", "not qcow2"),
        ("qcow2", "bare", qcow2(backing=8), "backing file"),
        ("raw", "bare", qcow2(), "the data is qcow2"),
        ("raw", "docker", b"plain", "not a tar archive"),
        ("raw", "docker", docker_archive()[:514], "cut off"),
    ],
)
def test_data_that_is_not_what_was_declared(
    images: ImageCloud, disk_format: str, container_format: str, data: bytes, reason: str
) -> None:
    image_id = make(images.client("demo"), disk_format=disk_format, container_format=container_format)["id"]
    refused = put(images, image_id, data)
    assert refused.status_code == 415
    assert reason in refused.json()["error"]["message"]
    assert status(images, image_id) == "queued"
    assert images.files() == set()
    good = qcow2() if disk_format == "qcow2" else docker_archive() if container_format == "docker" else b"plain"
    assert put(images, image_id, good).status_code == 204
    assert status(images, image_id) == "active"


def test_a_size_that_was_announced_must_come(images: ImageCloud) -> None:
    image_id = make(images.client("demo"))["id"]
    assert put(images, image_id, b"123", headers=OCTETS | {"x-openstack-image-size": "4"}).status_code == 400
    assert (status(images, image_id), images.files()) == ("queued", set())
    assert put(images, image_id, b"1234", headers=OCTETS | {"x-openstack-image-size": "4"}).status_code == 204


def send(images: ImageCloud, image_id: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Speak ASGI to the service: an upload whose connection does what `messages` say."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "PUT",
        "scheme": "http",
        "path": f"/image/v2/images/{image_id}/file",
        "query_string": b"",
        "root_path": "",
        "server": ("cloud", 5000),
        "headers": [(b"x-auth-token", b"demo"), (b"content-type", b"application/octet-stream"), (b"host", b"cloud")],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def answer(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(images.app(scope, receive, answer))
    return sent


def test_an_upload_that_is_broken_off_leaves_nothing(images: ImageCloud) -> None:
    image_id = make(images.client("demo"))["id"]
    block = {"type": "http.request", "body": b"x" * store.BLOCK_BYTES, "more_body": True}
    assert send(images, image_id, [dict(block), dict(block), {"type": "http.disconnect"}]) == []
    assert (status(images, image_id), images.files()) == ("queued", set())
    assert put(images, image_id, b"whole").status_code == 204


@contextmanager
def largest_file(limit: int) -> Iterator[None]:
    """No file of this process may grow past `limit` bytes: what a full disk looks like."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_and_leaves_nothing(images: ImageCloud) -> None:
    image_id = make(images.client("demo"))["id"]
    data = b"x" * (store.BLOCK_BYTES * 6)
    with largest_file(store.BLOCK_BYTES * 2):
        refused = put(images, image_id, data)
    assert refused.status_code == 413
    assert "storage media is full" in refused.json()["error"]["message"]
    assert (status(images, image_id), images.files()) == ("queued", set())
    assert put(images, image_id, data).status_code == 204


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests have a loop each, so that one may be sent while another one's body is read."""
    monkeypatch.setattr(TestClient, "portal", None)


def test_an_image_deleted_during_its_upload_gets_nothing(images: ImageCloud, loops: None) -> None:
    demo = images.client("demo")
    image_id = make(demo)["id"]

    def body() -> Iterator[bytes]:
        yield b"x" * store.BLOCK_BYTES
        assert demo.delete(f"/v2/images/{image_id}").status_code == 204
        yield b"y"

    assert put(images, image_id, body()).status_code == 410
    assert images.files() == set()
    assert images.reconciler.reconcile(image_id) == DONE


def test_two_uploads_at_once_one_wins(images: ImageCloud, loops: None) -> None:
    image_id = make(images.client("demo"))["id"]

    def body() -> Iterator[bytes]:
        yield b"first"
        assert put(images, image_id, b"second").status_code == 409

    assert put(images, image_id, body()).status_code == 204
    assert images.client("demo").get(f"/v2/images/{image_id}/file").content == b"first"


def test_delete_frees_the_space(images: ImageCloud) -> None:
    demo = images.client("demo")
    image_id = make(demo)["id"]
    put(images, image_id, b"x")
    assert demo.delete(f"/v2/images/{image_id}").status_code == 204
    assert images.reconciler.reconcile(image_id) == DONE
    assert images.files() == set()


def test_data_that_vanished_is_said(images: ImageCloud) -> None:
    image_id = make(images.client("demo"))["id"]
    put(images, image_id, b"x")
    (images.folder / image_id).unlink()
    response = images.client("demo").get(f"/v2/images/{image_id}/file")
    assert response.status_code == 404
    assert "not in the store" in response.json()["error"]["message"]


def begin(images: ImageCloud, image_id: str, status_: str = "saving") -> None:
    values = {"status": status_, "upload": "token"}
    assert images.database.write("test.begin", tables.move, image_id, None, "queued", values)


def test_a_living_upload_is_left_alone_and_a_dead_one_ended(images: ImageCloud) -> None:
    image_id = make(images.client("demo"))["id"]
    begin(images, image_id)
    incoming = store.Incoming(images.runtime, image_id, "token", store.incoming_dir(images.runtime))
    incoming.feed([b"half"])
    assert isinstance(images.reconciler.reconcile(image_id), Again)
    left: Path = incoming.path
    incoming.close()
    left.write_bytes(b"half")  # as a killed process leaves it: there, and not locked
    assert images.reconciler.reconcile(image_id) == DONE
    assert (status(images, image_id), images.files()) == ("queued", set())


def test_an_upload_killed_between_renaming_and_writing_its_row_is_ended(images: ImageCloud) -> None:
    image_id = make(images.client("demo"))["id"]
    begin(images, image_id)
    store.images_dir(images.runtime)
    (images.folder / image_id).write_bytes(b"complete but not said to be")
    assert images.reconciler.reconcile(image_id) == DONE
    assert (status(images, image_id), images.files()) == ("queued", set())
