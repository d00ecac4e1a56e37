"""An operator's S3 store, from the settings' texts to a real S3 server: data in, out, in parts, copied and removed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from tests.api.image.conftest import ImageCloud
from tests.api.image.test_data import OCTETS, put
from tests.api.image.test_images import make
from tests.api.image.test_import import stage

from stackyard.core.reconcile import DONE
from stackyard.services.image.stores.registry import stores_of
from stackyard.services.image.stores.s3 import S3Store

DATA = os.urandom(17 << 20)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    made.start()
    host, port = made.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        made.stop()


@pytest.fixture
def settings(server: str) -> dict[str, Any]:
    archive = f"archive type=s3 endpoint={server} bucket=images prefix=cloud/ weight=9"
    return {"stores": ("file", archive), "s3_credentials": ("archive KEY very-secret",), "cache_size": 0}


def objects(images: ImageCloud) -> list[str]:
    """The names of all objects in the bucket."""
    store = stores_of(images.runtime).written["archive"]
    assert isinstance(store, S3Store)
    return [found["Key"] for found in store._client.list_objects_v2(Bucket="images").get("Contents", ())]


@pytest.fixture(autouse=True)
def bucket(images: ImageCloud) -> None:
    store = stores_of(images.runtime).written["archive"]
    assert isinstance(store, S3Store)
    store._client.create_bucket(Bucket="images")


def test_data_in_an_s3_store(images: ImageCloud) -> None:
    demo = images.client("demo")
    image_id = make(demo)["id"]
    assert put(images, image_id, DATA, headers=OCTETS | {"x-image-meta-store": "archive"}).status_code == 204
    assert [name.startswith(f"cloud/{image_id}/") for name in objects(images)] == [True]
    assert demo.get(f"/v2/images/{image_id}").json()["stores"] == "archive"
    assert demo.get(f"/v2/images/{image_id}/file").content == DATA
    part = demo.get(f"/v2/images/{image_id}/file", headers={"Range": "bytes=1000000-1000003"})
    assert (part.status_code, part.content) == (206, DATA[1000000:1000004])
    assert images.files() == set()
    assert demo.delete(f"/v2/images/{image_id}").status_code == 204
    assert images.reconciler.reconcile(image_id) == DONE
    assert objects(images) == []


def test_import_and_copy(images: ImageCloud) -> None:
    image_id = stage(images, b"data")
    body = {"method": {"name": "glance-direct"}, "stores": ["archive"]}
    assert images.client("demo").post(f"/v2/images/{image_id}/import", json=body).status_code == 202
    assert images.reconciler.reconcile(image_id) == DONE
    assert (len(objects(images)), images.files()) == (1, set())
    admin = images.client("admin")
    copy = {"method": {"name": "copy-image"}, "stores": ["file"]}
    assert admin.post(f"/v2/images/{image_id}/import", json=copy).status_code == 202
    assert images.reconciler.reconcile(image_id) == DONE
    assert admin.get(f"/v2/images/{image_id}").json()["stores"] == "archive,file"
    assert admin.delete(f"/v2/stores/archive/{image_id}").status_code == 204
    assert images.reconciler.reconcile(image_id) == DONE
    assert (objects(images), images.files()) == ([], {image_id})
    assert admin.get(f"/v2/images/{image_id}/file").content == b"data"
    detail = admin.get("/v2/info/stores/detail").text
    assert "very-secret" not in detail
    assert "KEY" not in detail
