"""Several stores: where data goes, how it is found, copied, and taken out of one again; faults leave nothing behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.api.image.bytes_source import BytesSource
from tests.api.image.conftest import ImageCloud
from tests.api.image.test_data import put
from tests.api.image.test_images import make
from tests.api.image.test_import import stage

from stackyard.core.config import ConfigError
from stackyard.core.config_image import Image
from stackyard.core.reconcile import DONE
from stackyard.services.image.reconcile import sweep
from stackyard.services.image.stores import DataMissing, Source, StoreFault, StoreInfo
from stackyard.services.image.stores.registry import Stores, stores_of

OCTETS = {"Content-Type": "application/octet-stream"}


class RemoteStore:
    """A store that is not of files, whose troubles a test chooses."""

    def __init__(self, store_id: str, weight: int) -> None:
        self.info = StoreInfo(store_id, "s3", "", weight)
        self.objects: dict[tuple[str, str], bytes] = {}
        self.broken = False

    def _work(self) -> None:
        if self.broken:
            raise StoreFault(f"Store {self.info.id} cannot be reached.")

    def prepare(self, image_id: str, key: str, path: Path) -> None:
        self._work()
        self.objects[image_id, key] = path.read_bytes()

    def commit(self, image_id: str, key: str) -> None:
        self._work()

    def open(self, image_id: str, key: str) -> Source:
        self._work()
        if (image_id, key) not in self.objects:
            raise DataMissing("gone")
        return BytesSource(self.objects[image_id, key])

    def remove(self, image_id: str, key: str) -> None:
        self._work()
        self.objects.pop((image_id, key), None)

    def url(self, image_id: str, key: str) -> str:
        return f"s3://server/{image_id}/{key}"

    def properties(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    stores = ("file weight=5", f"fast path={tmp_path / 'fast'} weight=10 description='On SSDs'", "web type=http")
    return {"stores": stores, "show_multiple_locations": True}


@pytest.fixture
def remote(images: ImageCloud) -> RemoteStore:
    made = RemoteStore("archive", 20)
    stores = stores_of(images.runtime)
    stores.written["archive"] = made
    stores.infos["archive"] = made.info
    return made


def start(images: ImageCloud, image_id: str, user: str = "demo", **body: Any) -> Any:
    method = {"name": body.pop("method", "glance-direct")}
    return images.client(user).post(f"/v2/images/{image_id}/import", json={"method": method, **body})


def show(images: ImageCloud, image_id: str) -> Any:
    return images.client("demo").get(f"/v2/images/{image_id}").json()


def download(images: ImageCloud, image_id: str) -> Any:
    return images.client("demo").get(f"/v2/images/{image_id}/file")


def last_task(images: ImageCloud, image_id: str) -> Any:
    return images.client("demo").get(f"/v2/images/{image_id}/tasks").json()["tasks"][0]


def test_stores_are_told_of(images: ImageCloud) -> None:
    demo = images.client("demo")
    stores = demo.get("/v2/info/stores").json()["stores"]
    assert stores == [
        {"id": "file", "default": "true"},
        {"id": "fast", "description": "On SSDs"},
        {"id": "web", "read-only": "true"},
    ]
    detail = images.client("admin").get("/v2/info/stores/detail").json()["stores"]
    assert [(store["type"], store["weight"]) for store in detail] == [("file", 5), ("file", 10), ("http", 0)]
    assert detail[1]["properties"]["data_dir"].endswith("fast")
    created = demo.post("/v2/images", json={})
    assert created.headers["openstack-image-store-ids"] == "file,fast,web"


def test_an_upload_goes_where_it_is_sent(images: ImageCloud, tmp_path: Path) -> None:
    image_id = make(images.client("demo"))["id"]
    assert put(images, image_id, b"x", headers=OCTETS | {"x-image-meta-store": "web"}).status_code == 400
    assert put(images, image_id, b"data", headers=OCTETS | {"x-image-meta-store": "fast"}).status_code == 204
    assert show(images, image_id)["stores"] == "fast"
    assert (tmp_path / "fast" / image_id).read_bytes() == b"data"
    assert images.files() == set()
    assert download(images, image_id).content == b"data"
    assert images.reconciler.reconcile(image_id) == DONE
    assert download(images, image_id).content == b"data"
    images.client("demo").delete(f"/v2/images/{image_id}")
    assert images.reconciler.reconcile(image_id) == DONE
    assert [path for path in (tmp_path / "fast").rglob("*") if path.is_file()] == []


def test_an_upload_goes_to_a_remote_store(images: ImageCloud, remote: RemoteStore) -> None:
    image_id = make(images.client("demo"))["id"]
    headers = OCTETS | {"x-image-meta-store": "archive"}
    remote.broken = True
    refused = put(images, image_id, b"data", headers=headers)
    assert (refused.status_code, show(images, image_id)["status"]) == (503, "queued")
    remote.broken = False
    assert put(images, image_id, b"data", headers=headers).status_code == 204
    assert (show(images, image_id)["stores"], images.files()) == ("archive", set())
    assert images.reconciler.reconcile(image_id) == DONE
    assert list(remote.objects.values()) == [b"data"]
    remote.broken = True
    assert download(images, image_id).status_code == 503
    remote.broken = False
    assert download(images, image_id).content == b"data"
    images.client("demo").delete(f"/v2/images/{image_id}")
    assert images.reconciler.reconcile(image_id) == DONE
    assert remote.objects == {}


def test_all_stores_heaviest_first(images: ImageCloud, remote: RemoteStore) -> None:
    image_id = stage(images, b"data")
    assert start(images, image_id, all_stores=True).status_code == 202
    waiting = show(images, image_id)
    assert waiting["os_glance_importing_to_stores"] == "archive,fast,file"
    assert waiting["os_glance_import_task"] == last_task(images, image_id)["id"]
    assert images.reconciler.reconcile(image_id) == DONE
    image = show(images, image_id)
    assert (image["status"], image["stores"]) == ("active", "archive,fast,file")
    assert (image["os_glance_importing_to_stores"], image["os_glance_failed_import"]) == ("", "")
    assert "os_glance_import_task" not in image
    assert [place["metadata"]["store"] for place in image["locations"]] == ["archive", "fast", "file"]
    assert images.files() == {image_id}
    remote.broken = True
    assert download(images, image_id).content == b"data"


def test_all_stores_must_succeed(images: ImageCloud, remote: RemoteStore, tmp_path: Path) -> None:
    image_id = stage(images, b"data")
    remote.broken = True
    start(images, image_id, all_stores=True)
    with pytest.raises(StoreFault):  # what may lie in the broken store is removed later
        images.reconciler.reconcile(image_id)
    image = show(images, image_id)
    assert (image["status"], image["os_glance_failed_import"]) == ("queued", "archive")
    assert "stores" not in image
    task = last_task(images, image_id)
    assert (task["status"], "archive cannot be reached" in task["message"]) == ("failure", True)
    assert (images.files(), list((tmp_path / "fast").glob("*-*"))) == (set(), [])
    remote.broken = False
    assert images.reconciler.reconcile(image_id) == DONE
    assert remote.objects == {}


def test_some_stores_may_fail(images: ImageCloud, remote: RemoteStore) -> None:
    image_id = stage(images, b"data")
    remote.broken = True
    start(images, image_id, all_stores=True, all_stores_must_succeed=False)
    with pytest.raises(StoreFault):
        images.reconciler.reconcile(image_id)
    image = show(images, image_id)
    assert (image["status"], image["stores"], image["os_glance_failed_import"]) == ("active", "fast,file", "archive")
    assert last_task(images, image_id)["status"] == "success"
    assert download(images, image_id).content == b"data"


def test_copies(images: ImageCloud, remote: RemoteStore, tmp_path: Path) -> None:
    image_id = make(images.client("demo"))["id"]
    put(images, image_id, b"data", headers=OCTETS | {"x-image-meta-store": "archive"})
    assert start(images, image_id, method="copy-image", stores=["fast"]).status_code == 403
    assert start(images, image_id, "admin", method="copy-image", stores=["archive"]).status_code == 400
    assert start(images, image_id, "admin", method="copy-image", stores=["web"]).status_code == 409
    assert start(images, image_id, "admin", method="copy-image", stores=["fast"]).status_code == 202
    assert start(images, image_id, "admin", method="copy-image", stores=["file"]).status_code == 409
    assert show(images, image_id)["status"] == "active"
    assert images.reconciler.reconcile(image_id) == DONE
    assert (tmp_path / "fast" / image_id).read_bytes() == b"data"
    assert start(images, image_id, "admin", method="copy-image", all_stores=True).status_code == 202
    assert images.reconciler.reconcile(image_id) == DONE
    assert (show(images, image_id)["stores"], images.files()) == ("archive,fast,file", {image_id})
    assert start(images, image_id, "admin", method="copy-image", all_stores=True).status_code == 202
    assert show(images, image_id)["os_glance_importing_to_stores"] == ""


def test_a_copy_of_what_was_changed_is_refused(images: ImageCloud, remote: RemoteStore, tmp_path: Path) -> None:
    image_id = make(images.client("demo"))["id"]
    put(images, image_id, b"data", headers=OCTETS | {"x-image-meta-store": "archive"})
    for place in remote.objects:
        remote.objects[place] = b"evil"
    start(images, image_id, "admin", method="copy-image", stores=["fast"])
    assert images.reconciler.reconcile(image_id) == DONE
    task = last_task(images, image_id)
    assert (task["status"], "checksum" in task["message"]) == ("failure", True)
    image = show(images, image_id)
    assert (image["stores"], image["status"], image["os_glance_failed_import"]) == ("archive", "active", "fast")
    assert not (tmp_path / "fast" / image_id).exists()


def test_leaving_a_store(images: ImageCloud, remote: RemoteStore, tmp_path: Path) -> None:
    image_id = stage(images, b"data")
    start(images, image_id, all_stores=True)
    images.reconciler.reconcile(image_id)
    admin = images.client("admin")
    assert images.client("demo").delete(f"/v2/stores/fast/{image_id}").status_code == 403
    assert admin.delete(f"/v2/stores/ceph/{image_id}").status_code == 409
    assert admin.delete(f"/v2/stores/web/{image_id}").status_code == 404
    assert admin.delete("/v2/stores/fast/11111111-2222-3333-4444-555555555555").status_code == 404
    for store, left in (("archive", "fast,file"), ("file", "fast")):
        assert admin.delete(f"/v2/stores/{store}/{image_id}").status_code == 204
        assert show(images, image_id)["stores"] == left
        assert images.reconciler.reconcile(image_id) == DONE
    assert (remote.objects, images.files()) == ({}, set())
    assert admin.delete(f"/v2/stores/fast/{image_id}").status_code == 403
    assert download(images, image_id).content == b"data"
    queued = make(images.client("demo"))["id"]
    assert admin.delete(f"/v2/stores/fast/{queued}").status_code == 409


def test_locations_are_changed_as_they_are_shown(images: ImageCloud) -> None:
    image_id = stage(images, b"data")
    start(images, image_id, stores=["file", "fast"])
    images.reconciler.reconcile(image_id)
    assert [place["metadata"]["store"] for place in show(images, image_id)["locations"]] == ["fast", "file"]
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    remove = [{"op": "remove", "path": "/locations/0"}]
    changed = images.client("admin").patch(f"/v2/images/{image_id}", json=remove, headers=headers)
    assert (changed.status_code, changed.json()["stores"]) == (200, "file")
    assert images.reconciler.reconcile(image_id) == DONE
    assert download(images, image_id).content == b"data"


def test_data_of_no_image_is_found_at_start(images: ImageCloud, remote: RemoteStore, tmp_path: Path) -> None:
    image_id = make(images.client("demo"))["id"]
    put(images, image_id, b"data", headers=OCTETS | {"x-image-meta-store": "archive"})
    stray = "11111111-2222-3333-4444-555555555555"
    (tmp_path / "fast" / "incoming").mkdir(parents=True)
    (tmp_path / "fast" / stray).write_bytes(b"x")
    (tmp_path / "fast" / "incoming" / f"{stray}.token").write_bytes(b"x")
    (tmp_path / "fast" / image_id).write_bytes(b"of a copy that was killed before it was written down")
    sweep(images.runtime)
    marked = {row["resource_id"] for row in images.database.read("test", _marks)}
    assert marked >= {stray, image_id}
    for one in marked:
        assert images.reconciler.reconcile(one) == DONE
    assert [path for path in (tmp_path / "fast").rglob("*") if path.is_file()] == []
    assert download(images, image_id).content == b"data"


def _marks(tx: Any) -> Any:
    from stackyard.core.reconcile import work

    return [row._mapping for row in tx.all(work.select())]


def test_an_image_from_before_there_were_stores(images: ImageCloud) -> None:
    image_id = make(images.client("demo"))["id"]
    put(images, image_id, b"data")
    images.database.write("test", lambda tx: tx.connection.exec_driver_sql("UPDATE images SET locations = NULL"))
    assert show(images, image_id)["stores"] == "file"
    assert images.reconciler.reconcile(image_id) == DONE
    assert download(images, image_id).content == b"data"


def test_runs_of_zeroes_take_no_space(images: ImageCloud) -> None:
    image_id = make(images.client("demo"))["id"]
    megabyte = 1 << 20
    data = os.urandom(megabyte) + bytes(40 * megabyte) + os.urandom(megabyte) + bytes(8 * megabyte)
    assert put(images, image_id, (data[at : at + 65536] for at in range(0, len(data), 65536))).status_code == 204
    kept = (images.folder / image_id).stat()
    assert kept.st_size == len(data)
    assert kept.st_blocks * 512 < 4 * megabyte
    assert download(images, image_id).content == data


class TestLimit:
    """An operator who allows small images only."""

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {"size_limit": 1000}

    def test_more_is_refused(self, images: ImageCloud) -> None:
        image_id = make(images.client("demo"))["id"]
        assert put(images, image_id, b"x" * 1001).status_code == 413
        assert (show(images, image_id)["status"], images.files()) == ("queued", set())
        assert put(images, image_id, b"x" * 1000).status_code == 204


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"default_store": "none"}, "default_store"),
        ({"stores": ("file", "archive type=s3 endpoint=http://x bucket=b")}, "s3_credentials"),
    ],
)
def test_stores_that_cannot_be_made(settings_: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        Stores(Image(**settings_), tmp_path)
