"""Staging and import: two halves of an upload, the second done by the reconciler, with a task that tells."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.api.image.conftest import ImageCloud, caller
from tests.api.image.test_data import docker_archive
from tests.api.image.test_images import make

from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.core.reconcile import DONE
from stackyard.services.image import api

OCTETS = {"Content-Type": "application/octet-stream"}
DIRECT = {"method": {"name": "glance-direct"}, "all_stores": True}


def stage(images: ImageCloud, data: bytes, **body: Any) -> str:
    demo = images.client("demo")
    image_id = str(make(demo, **body)["id"])
    assert demo.put(f"/v2/images/{image_id}/stage", content=data, headers=OCTETS).status_code == 204
    staged = demo.get(f"/v2/images/{image_id}").json()
    assert (staged["status"], staged["size"]) == ("uploading", len(data))
    assert demo.get(f"/v2/images/{image_id}/file").status_code == 204
    return image_id


def start(images: ImageCloud, image_id: str, body: dict[str, Any] = DIRECT) -> Any:
    return images.client("demo").post(f"/v2/images/{image_id}/import", json=body)


def test_import_makes_staged_data_the_image(images: ImageCloud) -> None:
    demo = images.client("demo")
    image_id = stage(images, b"data")
    response = start(images, image_id)
    assert response.status_code == 202
    assert demo.get(f"/v2/images/{image_id}").json()["status"] == "importing"
    assert images.reconciler.reconcile(image_id) == DONE
    image = demo.get(f"/v2/images/{image_id}").json()
    assert (image["status"], image["checksum"]) == ("active", hashlib.md5(b"data").hexdigest())
    assert (image["os_glance_importing_to_stores"], image["os_glance_failed_import"]) == ("", "")
    assert demo.get(f"/v2/images/{image_id}/file").content == b"data"
    (task,) = demo.get(f"/v2/images/{image_id}/tasks").json()["tasks"]
    assert (task["status"], task["request_id"]) == ("success", response.headers["x-openstack-request-id"])
    assert task["input"]["import_req"] == DIRECT
    assert images.files() == {image_id}
    admin = images.client("admin")
    assert [found["id"] for found in admin.get("/v2/tasks").json()["tasks"]] == [task["id"]]
    assert admin.get(f"/v2/tasks/{task['id']}").json()["status"] == "success"


def test_a_failed_import_says_why_and_queues_the_image(images: ImageCloud) -> None:
    demo = images.client("demo")
    image_id = stage(images, b"plain", disk_format="qcow2")
    assert start(images, image_id).status_code == 202
    assert images.reconciler.reconcile(image_id) == DONE
    image = demo.get(f"/v2/images/{image_id}").json()
    assert (image["status"], image["os_glance_failed_import"]) == ("queued", "file")
    (task,) = demo.get(f"/v2/images/{image_id}/tasks").json()["tasks"]
    assert task["status"] == "failure"
    assert "not qcow2" in task["message"]
    assert images.files() == set()


def test_an_import_killed_half_way_is_finished(images: ImageCloud) -> None:
    image_id = stage(images, b"data")
    start(images, image_id)
    os.link(images.folder / "staged" / image_id, images.folder / image_id)
    assert images.reconciler.reconcile(image_id) == DONE
    assert images.client("demo").get(f"/v2/images/{image_id}/file").content == b"data"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"method": "glance-direct"}, 400),
        ({"method": {}}, 400),
        ({"method": {"name": "web-download", "uri": "http://127.0.0.1/"}}, 400),
        ({"method": {"name": "glance-direct"}, "all_stores": "yes"}, 400),
        ({"method": {"name": "glance-direct"}, "stores": ["ceph"]}, 409),
        ({"method": {"name": "glance-direct"}, "stores": [["file"]]}, 409),
        ({"method": {"name": "glance-direct"}, "stores": "file"}, 400),
        ({"method": {"name": "glance-direct"}, "stores": ["file"], "all_stores": True}, 400),
        ({"method": {"name": "web-download"}}, 400),
        ({"method": {"name": "copy-image"}, "all_stores": True}, 403),
    ],
)
def test_import_refuses(images: ImageCloud, body: dict[str, Any], status: int) -> None:
    image_id = stage(images, b"data")
    assert start(images, image_id, body).status_code == status
    assert start(images, image_id).status_code == 202


def test_import_needs_staged_data(images: ImageCloud) -> None:
    demo = images.client("demo")
    image_id = make(demo)["id"]
    assert start(images, image_id).status_code == 409
    demo.put(f"/v2/images/{image_id}/file", content=b"x", headers=OCTETS)
    assert start(images, image_id).status_code == 409
    assert images.client("alt").post(f"/v2/images/{image_id}/import", json=DIRECT).status_code == 404


def test_copying_to_the_one_store_is_nothing_to_do(images: ImageCloud) -> None:
    admin, demo = images.client("admin"), images.client("demo")
    image_id = make(demo)["id"]
    copy = {"method": {"name": "copy-image"}, "all_stores": True}
    assert admin.post(f"/v2/images/{image_id}/import", json=copy).status_code == 409
    demo.put(f"/v2/images/{image_id}/file", content=b"x", headers=OCTETS)
    assert admin.post(f"/v2/images/{image_id}/import", json=copy).status_code == 202
    assert demo.get(f"/v2/images/{image_id}").json()["os_glance_importing_to_stores"] == ""
    one = {"method": {"name": "copy-image"}, "stores": ["file"]}
    assert admin.post(f"/v2/images/{image_id}/import", json=one).status_code == 400


def test_deleting_a_staged_image_frees_its_space(images: ImageCloud) -> None:
    image_id = stage(images, b"data")
    assert images.client("demo").delete(f"/v2/images/{image_id}").status_code == 204
    assert images.reconciler.reconcile(image_id) == DONE
    assert images.files() == set()


def test_other_services_find_images(images: ImageCloud) -> None:
    demo, admin = images.client("demo"), images.client("admin")

    def find(name: str, user: str = "demo") -> str:
        return str(images.database.read("test", api.find_image, caller(user), name)["id"])

    own = make(demo, name="nginx")["id"]
    assert find("nginx") == find(own) == own
    public = make(admin, name="nginx", visibility="public")["id"]
    assert find("nginx") == own
    assert find("nginx", "alt") == public
    make(demo, name="nginx")
    with pytest.raises(Conflict, match="2 images named nginx"):
        find("nginx")
    for name in ("busybox", "a\0b", "", own):
        with pytest.raises(NotFound):
            find(name, "alt")


def test_other_services_make_images(images: ImageCloud) -> None:
    def reserve(name: str) -> str:
        def reserved(tx: Transaction) -> str:
            made_from = {"from": "container"}
            return api.reserve_image(tx, images.runtime, caller("demo"), name=name, properties=made_from)

        return images.database.write("test", reserved)

    image_id = reserve("commit")
    data = docker_archive()
    for _ in range(2):  # a reconciler may do it again
        api.store_image(images.runtime, image_id, [data[:100], data[100:]])
    image = images.client("demo").get(f"/v2/images/{image_id}").json()
    assert (image["status"], image["size"], image["from"]) == ("active", len(data), "container")
    assert api.image_path(images.runtime, image_id).read_bytes() == data
    bad = reserve("bad")
    with pytest.raises(BadRequest, match="not a tar"):
        api.store_image(images.runtime, bad, [b"junk"])
    assert images.client("demo").get(f"/v2/images/{bad}").json()["status"] == "queued"
    images.database.write("test", api.discard_image, images.runtime, bad)
    with pytest.raises(NotFound):
        api.store_image(images.runtime, bad, [data])
    assert images.files() == {image_id}


def test_local_files_become_public_images_once(images: ImageCloud, tmp_path: Path) -> None:
    file = tmp_path / "nginx.tar"
    file.write_bytes(docker_archive())
    image_id = api.register_file(images.runtime, file, name="nginx")
    assert api.register_file(images.runtime, file, name="nginx") == image_id
    alt = images.client("alt")
    image = alt.get(f"/v2/images/{image_id}").json()
    assert (image["visibility"], image["status"], image["container_format"]) == ("public", "active", "docker")
    assert image["os_hash_value"] == hashlib.sha512(file.read_bytes()).hexdigest()
    assert alt.get(f"/v2/images/{image_id}/file").content == file.read_bytes()
    assert alt.delete(f"/v2/images/{image_id}").status_code == 403
    bad = tmp_path / "bad.tar"
    bad.write_bytes(b"junk")
    with pytest.raises(BadRequest, match=r"bad\.tar"):
        api.register_file(images.runtime, bad, name="bad")
    assert images.files() == {image_id}
    assert images.reconciler.reconcile(image_id) == DONE
    assert images.files() == {image_id}


UPLOADER = """
import sys, threading
from pathlib import Path
from stackyard.core.config import Settings
from stackyard.core.db import Database
from stackyard.core.policy import PolicySet
from stackyard.core.quota import Quotas
from stackyard.core.runtime import Runtime
from stackyard.services.image import api
from stackyard.services.keys import STATE_DIR
url, state, image_id = sys.argv[1:]
runtime = Runtime(Settings(), Database(url), PolicySet(()), Quotas({}), None)
runtime.provide(STATE_DIR, Path(state))
def chunks():
    yield b"x" * (8 << 20)
    print("half", flush=True)
    threading.Event().wait()
api.store_image(runtime, image_id, chunks())
"""


def test_a_process_killed_in_mid_upload_leaves_a_queued_image(images: ImageCloud, tmp_path: Path) -> None:
    image_id = str(make(images.client("demo"))["id"])
    url = images.database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", UPLOADER, url, str(tmp_path / "state"), image_id]
    path = os.pathsep.join(part for part in sys.path if part)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"half\n"
            assert images.client("demo").get(f"/v2/images/{image_id}").json()["status"] == "saving"
            assert images.reconciler.reconcile(image_id) != DONE
        finally:
            process.send_signal(signal.SIGKILL)
    api.sweep(images.runtime)
    assert images.reconciler.reconcile(image_id) == DONE
    assert images.client("demo").get(f"/v2/images/{image_id}").json()["status"] == "queued"
    assert images.files() == set()
