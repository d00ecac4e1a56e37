"""The cache of this host: fetched from remote stores once, checked, bounded, and removed with the image."""

from __future__ import annotations

import dataclasses
import hashlib
import struct
from pathlib import Path
from typing import Any

import pytest
from tests.api.image.bytes_source import BytesSource
from tests.api.image.conftest import ImageCloud
from tests.api.image.test_images import make

from stackyard.core.config import Settings
from stackyard.core.errors import BadRequest
from stackyard.services.image import api, tables
from stackyard.services.image.cache import copies
from stackyard.services.image.cache.reconcile import CacheReconciler, sweep
from stackyard.services.image.download import open_image
from stackyard.services.image.stores import DataMissing, StoreFault, StoreInfo
from stackyard.services.image.stores.registry import stores_of

OCTETS = {"Content-Type": "application/octet-stream"}


class RemoteStore:
    """A store on another host, as far as anybody can tell: counts how often it is asked."""

    def __init__(self) -> None:
        self.info = StoreInfo("remote", "s3", "elsewhere", 0)
        self.data: dict[tuple[str, str], bytes] = {}
        self.opened = 0
        self.broken = False

    def prepare(self, image_id: str, key: str, path: Path) -> None:
        self.data[image_id, key] = path.read_bytes()

    def commit(self, image_id: str, key: str) -> None:
        pass

    def open(self, image_id: str, key: str) -> BytesSource:
        self.opened += 1
        if self.broken:
            raise StoreFault("The store remote does not answer.")
        if (image_id, key) not in self.data:
            raise DataMissing("It is gone.")
        return BytesSource(self.data[image_id, key])

    def remove(self, image_id: str, key: str) -> None:
        self.data.pop((image_id, key), None)

    def url(self, image_id: str, key: str) -> str:
        return f"remote://{image_id}/{key}"

    def properties(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def remote(images: ImageCloud) -> RemoteStore:
    """A remote store of the image service under test."""
    store = RemoteStore()
    stores = stores_of(images.runtime)
    stores.written["remote"] = store
    stores.infos["remote"] = store.info
    return store


def bounded(images: ImageCloud, limit: int) -> None:
    """Give the cache a limit."""
    settings = images.runtime.settings
    image = dataclasses.replace(settings.image, cache_size=limit)
    images.runtime.settings = dataclasses.replace(settings, image=image)


def made(images: ImageCloud, data: bytes = b"0123456789", store: str = "remote", **fields: Any) -> str:
    """An active image in a store."""
    demo = images.client("demo")
    image_id = str(make(demo, **fields)["id"])
    answer = demo.put(f"/v2/images/{image_id}/file", content=data, headers=OCTETS | {"x-image-meta-store": store})
    assert answer.status_code == 204, answer.text
    return image_id


def listed(images: ImageCloud) -> tuple[list[str], list[str]]:
    """What is cached, and what is queued."""
    found = images.client("admin").get("/v2/cache").json()
    return [entry["image_id"] for entry in found["cached_images"]], found["queued_images"]


def work(images: ImageCloud, *image_ids: str) -> None:
    """What the engine does with the cache's marks."""
    for image_id in image_ids:
        CacheReconciler(images.runtime).reconcile(image_id)


def files(images: ImageCloud) -> set[str]:
    """Every file of the cache."""
    folder = copies.folder(images.runtime)
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def queue(images: ImageCloud, image_id: str, user: str = "admin") -> int:
    return int(images.client(user).put(f"/v2/cache/{image_id}").status_code)


def test_what_is_queued_is_fetched_and_then_served_from_here(images: ImageCloud, remote: RemoteStore) -> None:
    image_id = made(images)
    assert queue(images, image_id) == 202
    assert listed(images) == ([], [image_id])
    work(images, image_id)
    assert listed(images) == ([image_id], [])
    assert (files(images), remote.opened) == ({image_id}, 1)
    remote.broken = True
    assert images.client("demo").get(f"/v2/images/{image_id}/file").content == b"0123456789"
    part = images.client("demo").get(f"/v2/images/{image_id}/file", headers={"Range": "bytes=2-3"})
    assert part.content == b"23"
    entry = images.client("admin").get("/v2/cache").json()["cached_images"][0]
    assert (entry["hits"], entry["size"]) == (2, 10)
    assert entry["last_accessed"] >= entry["last_modified"] > 1_600_000_000
    assert queue(images, image_id) == 202
    assert listed(images) == ([image_id], [])


def test_what_is_downloaded_is_kept(images: ImageCloud, remote: RemoteStore) -> None:
    data = b"0123456789" * 300_000
    image_id = made(images, data)
    demo = images.client("demo")
    assert demo.get(f"/v2/images/{image_id}/file", headers={"Range": "bytes=7-9"}).content == b"789"
    images.runtime.slow_threads.submit(int).result()
    assert files(images) == set()
    source = open_image(images.runtime, image_id)
    read = b""
    while block := source.read(len(read), 1 << 20):
        read += block
    source.close()
    assert read == data
    assert listed(images) == ([image_id], [])
    remote.broken = True
    assert demo.get(f"/v2/images/{image_id}/file").content == data
    assert files(images) == {image_id}


def test_what_is_not_right_or_not_whole_is_not_kept(images: ImageCloud, remote: RemoteStore) -> None:
    image_id = made(images)
    key = next(iter(remote.data))
    remote.data[key] = b"9876543210"
    assert queue(images, image_id) == 202
    work(images, image_id)
    assert (listed(images), files(images)) == (([], []), set())
    remote.data[key] = b"01234"
    assert queue(images, image_id) == 202
    work(images, image_id)
    assert (listed(images), files(images)) == (([], []), set())
    source = open_image(images.runtime, image_id)
    source.read(0, 3)
    source.close()
    assert (listed(images), files(images)) == (([], []), set())


def test_what_nobody_has_looked_at_is_looked_at_here(images: ImageCloud, remote: RemoteStore) -> None:
    image_id, bad = made(images), struct.pack(">4sIQIIQ", b"QFI\xfb", 2, 8, 4, 16, 1 << 30).ljust(512, b"\0")
    with api.image_file(images.runtime, image_id) as file:
        assert file.read() == b"0123456789"
    assert listed(images) == ([image_id], [])
    assert images.client("admin").delete("/v2/cache").status_code == 204
    work(images, image_id)
    # As if the location had been named by a client, with its right digest.
    remote.data = dict.fromkeys(remote.data, bad)
    digest = hashlib.sha512(bad).hexdigest()
    images.database.write("test", tables.update, image_id, {"size": len(bad), "os_hash_value": digest})
    with pytest.raises(BadRequest, match="backing file"), api.image_file(images.runtime, image_id):
        pass
    assert queue(images, image_id) == 202
    work(images, image_id)
    assert (listed(images), files(images)) == (([], []), set())


def test_a_store_that_does_not_answer_is_asked_again(images: ImageCloud, remote: RemoteStore) -> None:
    image_id = made(images)
    queue(images, image_id)
    remote.broken = True
    with pytest.raises(StoreFault):
        work(images, image_id)
    assert listed(images) == ([], [image_id])
    remote.broken = False
    work(images, image_id)
    assert listed(images) == ([image_id], [])


def test_giving_up_is_told(images: ImageCloud, remote: RemoteStore) -> None:
    image_id = made(images)
    queue(images, image_id)
    CacheReconciler(images.runtime).expire(image_id, "the store remote does not answer")
    assert listed(images) == ([], [])


def test_only_the_first_of_two_readers_writes(images: ImageCloud, remote: RemoteStore) -> None:
    image_id = made(images)
    one, two = (open_image(images.runtime, image_id) for _ in range(2))
    assert isinstance(one, copies.KeepingSource)
    assert not isinstance(two, copies.KeepingSource)
    assert one.read(0, 100) == two.read(0, 100) == b"0123456789"
    two.close()
    one.close()
    assert files(images) == {image_id}


def test_the_limit(images: ImageCloud, remote: RemoteStore) -> None:
    bounded(images, 25)
    ids = [made(images) for _ in range(3)]
    for image_id in ids[:2]:
        queue(images, image_id)
        work(images, image_id)
    open_image(images.runtime, ids[0]).close()
    queue(images, ids[2])
    work(images, ids[2], ids[1])
    assert sorted(listed(images)[0]) == sorted([ids[0], ids[2]])
    assert files(images) == {ids[0], ids[2]}
    large = made(images, b"x" * 26)
    queue(images, large)
    work(images, large)
    assert large not in listed(images)[0]
    assert listed(images)[1] == []
    bounded(images, 10)
    pruned = images.client("admin").post("/v2/cache/prune")
    assert (pruned.status_code, pruned.json()) == (200, {"total_files_pruned": 1, "total_bytes_pruned": 10})
    work(images, *ids)
    assert files(images) == {ids[2]} or files(images) == {ids[0]}


def test_an_image_in_a_store_of_files_is_here_already(images: ImageCloud) -> None:
    image_id = made(images, store="file")
    assert queue(images, image_id) == 202
    work(images, image_id)
    assert listed(images) == ([image_id], [])
    assert files(images) == set()
    assert images.client("demo").get(f"/v2/images/{image_id}/file").content == b"0123456789"
    assert images.client("admin").get("/v2/cache").json()["cached_images"][0]["hits"] == 1
    assert images.client("admin").delete("/v2/cache").status_code == 204
    assert listed(images) == ([], [])
    assert images.client("demo").get(f"/v2/images/{image_id}/file").content == b"0123456789"


def test_removing(images: ImageCloud, remote: RemoteStore) -> None:
    admin = images.client("admin")
    ids = [made(images) for _ in range(4)]
    for image_id in ids:
        queue(images, image_id)
    work(images, *ids[:2])
    assert admin.delete("/v2/cache", headers={"x-image-cache-clear-target": "invalid"}).status_code == 400
    assert admin.delete(f"/v2/cache/{ids[0]}").status_code == 204
    assert admin.delete(f"/v2/cache/{ids[2]}").status_code == 204
    assert listed(images) == ([ids[1]], [ids[3]])
    assert admin.delete("/v2/cache", headers={"x-image-cache-clear-target": "cache"}).status_code == 204
    assert listed(images) == ([], [ids[3]])
    assert admin.delete("/v2/cache", headers={"x-image-cache-clear-target": "queue"}).status_code == 204
    assert listed(images) == ([], [])
    work(images, *ids)
    assert (listed(images), files(images)) == (([], []), set())


def test_a_deleted_image_leaves_nothing(images: ImageCloud, remote: RemoteStore) -> None:
    kept, queued = made(images), made(images)
    queue(images, kept)
    work(images, kept)
    queue(images, queued)
    reading = open_image(images.runtime, queued)
    for image_id in (kept, queued):
        images.client("demo").delete(f"/v2/images/{image_id}").raise_for_status()
    reading.read(0, 100)
    reading.close()
    work(images, kept, queued)
    assert (listed(images), files(images)) == (([], []), set())


def test_a_start_finds_what_a_crash_left(images: ImageCloud, remote: RemoteStore) -> None:
    image_id, lost, stray = made(images), made(images), made(images)
    queue(images, lost)
    work(images, lost)
    queue(images, image_id)
    folder = copies.folder(images.runtime)
    (folder / lost).unlink()
    (folder / stray).write_bytes(b"x")
    (folder / "incoming" / stray).write_bytes(b"x")
    sweep(images.runtime)
    work(images, image_id, lost, stray)
    assert (listed(images), files(images)) == (([image_id], []), {image_id})
    assert images.client("admin").post("/v2/cache/clean").status_code == 200


def test_a_copy_that_vanished_is_fetched_anew(images: ImageCloud, remote: RemoteStore) -> None:
    image_id = made(images)
    queue(images, image_id)
    work(images, image_id)
    (copies.folder(images.runtime) / image_id).unlink()
    assert images.client("demo").get(f"/v2/images/{image_id}/file").content == b"0123456789"


def test_what_cannot_be_queued(images: ImageCloud, remote: RemoteStore) -> None:
    waiting = str(make(images.client("demo"))["id"])
    assert queue(images, waiting) == 400
    assert queue(images, "non-existing-image-id") == 404
    image_id = made(images)
    assert queue(images, image_id, "demo") == 403
    assert queue(images, image_id, "alt") == 404
    for user in ("demo", "reader"):
        client = images.client(user)
        assert client.get("/v2/cache").status_code == 403
        assert client.delete("/v2/cache").status_code == 403
        assert client.delete(f"/v2/cache/{image_id}").status_code == 403
        assert client.post("/v2/cache/prune").status_code == 403
        assert client.post("/v2/cache/clean").status_code == 403
    assert images.client("admin").delete("/v2/cache/3f0b0d8a-8a43-4f4c-9a4b-0c2b7e1e9d11").status_code == 404


def test_a_deactivated_image_is_not_served_from_here_either(images: ImageCloud, remote: RemoteStore) -> None:
    image_id = made(images)
    queue(images, image_id)
    work(images, image_id)
    images.client("admin").post(f"/v2/images/{image_id}/actions/deactivate").raise_for_status()
    assert images.client("demo").get(f"/v2/images/{image_id}/file").status_code == 403
    assert queue(images, image_id) == 400


def test_without_a_cache_there_is_no_api(images: ImageCloud, remote: RemoteStore) -> None:
    bounded(images, 0)
    image_id = made(images)
    assert images.client("admin").get("/v2/cache").status_code == 404
    assert queue(images, image_id) == 404
    assert not isinstance(open_image(images.runtime, image_id), copies.KeepingSource)
    assert Settings().image.cache_size == 10 << 30
    assert images.database.read("test", tables.find, image_id) is not None
