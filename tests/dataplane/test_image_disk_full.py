"""Images on a file system that is really full, and on several: what does not fit leaves nothing and is said."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.api.image.conftest import ImageCloud
from tests.api.image.test_data import OCTETS, put
from tests.api.image.test_images import make
from tests.web_server import WebServer

from stackyard.core.config import Settings
from stackyard.core.config_image import Image
from stackyard.core.reconcile import DONE

pytestmark = pytest.mark.root

MEGABYTE = 1 << 20
TOO_MUCH = b"\x01" * (12 * MEGABYTE)
FITS = b"\x02" * (3 * MEGABYTE)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def cloud(tmp_path: Path, state: Path, **settings: Any) -> ImageCloud:
    return ImageCloud(f"sqlite:///{tmp_path / 'rows.sqlite'}", state, Settings(image=replace(Image(), **settings)))


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def show(images: ImageCloud, image_id: str) -> Any:
    return images.client("demo").get(f"/v2/images/{image_id}").json()


def test_an_upload_that_does_not_fit(small: Path, tmp_path: Path) -> None:
    images = cloud(tmp_path, small)
    try:
        image_id = make(images.client("demo"))["id"]
        before = free(small)
        for path in ("file", "stage"):
            response = images.client("demo").put(f"/v2/images/{image_id}/{path}", content=TOO_MUCH, headers=OCTETS)
            assert response.status_code == 413
            assert "storage media is full" in response.json()["error"]["message"]
            assert show(images, image_id)["status"] == "queued"
            assert free(small) >= before - 65536
        assert put(images, image_id, FITS).status_code == 204
        assert images.client("demo").get(f"/v2/images/{image_id}/file").content == FITS
    finally:
        images.runtime.close()


def test_zeroes_fit_on_any_disk(small: Path, tmp_path: Path) -> None:
    images = cloud(tmp_path, small)
    try:
        image_id = make(images.client("demo"))["id"]
        assert put(images, image_id, bytes(64 * MEGABYTE) + b"end").status_code == 204
        assert show(images, image_id)["size"] == 64 * MEGABYTE + 3
        part = images.client("demo").get(f"/v2/images/{image_id}/file", headers={"Range": "bytes=-4"})
        assert part.content == b"\0end"
    finally:
        images.runtime.close()


def test_what_is_fetched_does_not_fit(small: Path, tmp_path: Path) -> None:
    images = cloud(tmp_path, small, allowed_hosts=("127.0.0.1",), allowed_ports=())
    try:
        with WebServer({"/disk": TOO_MUCH}) as web:
            image_id = make(images.client("demo"))["id"]
            before = free(small)
            body = {"method": {"name": "web-download", "uri": web.url("/disk")}}
            assert images.client("demo").post(f"/v2/images/{image_id}/import", json=body).status_code == 202
            assert images.reconciler.reconcile(image_id) == DONE
        assert (show(images, image_id)["status"], images.files()) == ("queued", set())
        (task,) = images.client("demo").get(f"/v2/images/{image_id}/tasks").json()["tasks"]
        assert "storage media is full" in task["message"]
        assert free(small) >= before - 65536
    finally:
        images.runtime.close()


def test_a_store_on_a_file_system_of_its_own(small: Path, tmp_path: Path) -> None:
    images = cloud(tmp_path, tmp_path / "state", stores=("file", f"fast path={small / 'images'}"))
    try:
        demo, admin = images.client("demo"), images.client("admin")
        large, image_id = make(demo)["id"], make(demo)["id"]
        assert put(images, large, TOO_MUCH, headers=OCTETS | {"x-image-meta-store": "fast"}).status_code == 413
        assert put(images, large, TOO_MUCH).status_code == 204
        assert put(images, image_id, FITS).status_code == 204
        copy = {"method": {"name": "copy-image"}, "stores": ["fast"]}
        for one, stores, failed in ((large, "file", "fast"), (image_id, "file,fast", "")):
            assert admin.post(f"/v2/images/{one}/import", json=copy).status_code == 202
            assert images.reconciler.reconcile(one) == DONE
            image = show(images, one)
            assert (image["status"], image["stores"], image["os_glance_failed_import"]) == ("active", stores, failed)
        found = [path.name for path in small.rglob("*") if path.is_file()]
        assert found == [image_id]
        assert admin.delete(f"/v2/stores/file/{image_id}").status_code == 204
        assert images.reconciler.reconcile(image_id) == DONE
        assert demo.get(f"/v2/images/{image_id}/file").content == FITS
    finally:
        images.runtime.close()
