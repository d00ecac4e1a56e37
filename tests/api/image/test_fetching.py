"""Importing from the web, from other images, and by tasks: only from where it is allowed, to the end or not at all."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.image.conftest import OPERATOR, ImageCloud
from tests.api.image.test_data import put
from tests.api.image.test_images import make
from tests.web_server import WebServer

from stackyard.core.reconcile import DONE
from stackyard.services.image import importing

DATA = os.urandom(3 << 20)


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"allowed_hosts": ("127.0.0.1",), "allowed_ports": ()}


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer({"/disk": DATA, "/more": DATA, "/broken": DATA, "/endless": b"x" * 65536}) as server:
        server.broken.add("/broken")
        server.endless.add("/endless")
        yield server


def fetch(images: ImageCloud, image_id: str, uri: Any, user: str = "demo") -> Any:
    body = {"method": {"name": "web-download", "uri": uri}}
    return images.client(user).post(f"/v2/images/{image_id}/import", json=body)


def show(images: ImageCloud, image_id: str) -> Any:
    return images.client("demo").get(f"/v2/images/{image_id}").json()


def last_task(images: ImageCloud, image_id: str) -> Any:
    return images.client("demo").get(f"/v2/images/{image_id}/tasks").json()["tasks"][0]


def failed(images: ImageCloud, image_id: str) -> str:
    """The reason of an import that failed and left nothing."""
    image, task = show(images, image_id), last_task(images, image_id)
    assert (image["status"], image["size"], task["status"]) == ("queued", None, "failure")
    assert (image["os_glance_importing_to_stores"], image["os_glance_failed_import"]) == ("", "file")
    assert images.files() == set()
    return str(task["message"])


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition did not come true in time"
        threading.Event().wait(0.02)


def test_an_image_from_the_web(images: ImageCloud, web: WebServer) -> None:
    demo = images.client("demo")
    assert "web-download" in demo.get("/v2/info/import").json()["import-methods"]["value"]
    image_id = make(demo)["id"]
    assert fetch(images, image_id, web.url("/disk")).status_code == 202
    assert show(images, image_id)["status"] == "importing"
    assert fetch(images, image_id, web.url("/disk")).status_code == 409
    assert images.reconciler.reconcile(image_id) == DONE
    image = show(images, image_id)
    assert (image["status"], image["size"], image["stores"]) == ("active", len(DATA), "file")
    assert image["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert demo.get(f"/v2/images/{image_id}/file").content == DATA
    assert images.files() == {image_id}
    assert last_task(images, image_id)["result"] == {"image_id": image_id}


def test_redirects_are_followed_where_they_may_lead(images: ImageCloud, web: WebServer) -> None:
    web.redirects |= {"/a": "/disk", "/secret": "http://10.0.0.1/x", "/loop": "/loop", "/file": "file:///etc/passwd"}
    image_id = make(images.client("demo"))["id"]
    for path, reason in (("/secret", "10.0.0.1"), ("/loop", "redirects"), ("/file", "not allowed"), ("/none", "404")):
        assert fetch(images, image_id, web.url(path)).status_code == 202
        assert images.reconciler.reconcile(image_id) == DONE
        assert reason in failed(images, image_id)
    assert fetch(images, image_id, web.url("/a")).status_code == 202
    assert images.reconciler.reconcile(image_id) == DONE
    assert show(images, image_id)["status"] == "active"


def test_a_server_that_breaks_off(images: ImageCloud, web: WebServer) -> None:
    image_id = make(images.client("demo"))["id"]
    fetch(images, image_id, web.url("/broken"))
    assert images.reconciler.reconcile(image_id) == DONE
    assert "broke off" in failed(images, image_id)


def test_data_of_another_format(images: ImageCloud, web: WebServer) -> None:
    image_id = make(images.client("demo"), disk_format="qcow2")["id"]
    fetch(images, image_id, web.url("/disk"))
    assert images.reconciler.reconcile(image_id) == DONE
    assert "not qcow2" in failed(images, image_id)


@pytest.mark.parametrize(
    "uri",
    [None, 5, "", "disk", "file:///etc/passwd", "ftp://127.0.0.1/", "http://169.254.169.254/", "http://localhost/x"],
)
def test_addresses_that_are_refused(images: ImageCloud, uri: Any) -> None:
    image_id = make(images.client("demo"))["id"]
    assert fetch(images, image_id, uri).status_code == 400
    assert show(images, image_id)["status"] == "queued"


def test_only_owners_import(images: ImageCloud, web: WebServer) -> None:
    image_id = make(images.client("demo"))["id"]
    assert fetch(images, image_id, web.url("/disk"), "alt").status_code == 404
    assert fetch(images, image_id, web.url("/disk"), "reader").status_code == 403


def test_a_deleted_image_is_fetched_no_further(images: ImageCloud, web: WebServer) -> None:
    image_id = make(images.client("demo"))["id"]
    fetch(images, image_id, web.url("/endless"))
    assert images.reconciler.reconcile(image_id) != DONE
    assert any(image_id in name for name in images.files())
    assert images.client("demo").delete(f"/v2/images/{image_id}").status_code == 204
    wait_until(lambda: images.reconciler.reconcile(image_id) == DONE)
    assert images.files() == set()


class TestPatience:
    """An operator whose clouds fetch for a second and no longer."""

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {"allowed_hosts": ("127.0.0.1",), "allowed_ports": (), "fetch_deadline": 1}

    def test_fetching_ends(self, images: ImageCloud, web: WebServer) -> None:
        image_id = make(images.client("demo"))["id"]
        fetch(images, image_id, web.url("/endless"))
        wait_until(lambda: images.reconciler.reconcile(image_id) == DONE)
        assert "longer than 1 seconds" in failed(images, image_id)


class TestSize:
    """An operator who allows small images only."""

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {"allowed_hosts": ("127.0.0.1",), "allowed_ports": (), "size_limit": 1 << 20}

    def test_more_is_not_fetched(self, images: ImageCloud, web: WebServer) -> None:
        for path in ("/disk", "/endless"):
            image_id = make(images.client("demo"))["id"]
            fetch(images, image_id, web.url(path))
            assert images.reconciler.reconcile(image_id) == DONE
            assert "the most that one may have" in failed(images, image_id)


class TestNothingAllowed:
    """As it is by default."""

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {}

    def test_nothing_is_fetched(self, images: ImageCloud, web: WebServer) -> None:
        demo, admin = images.client("demo"), images.client("admin")
        assert "web-download" not in demo.get("/v2/info/import").json()["import-methods"]["value"]
        image_id = make(demo)["id"]
        assert fetch(images, image_id, web.url("/disk")).status_code == 400
        assert admin.post("/v2/tasks", json=import_task(web.url("/disk"))).status_code == 400
        assert web.requests == []


# -- tasks


def import_task(uri: Any, **properties: Any) -> dict[str, Any]:
    given = {"name": "by task", "disk_format": "raw", "container_format": "bare", **properties}
    return {"type": "import", "input": {"import_from": uri, "import_from_format": "raw", "image_properties": given}}


def test_a_task_makes_an_image(images: ImageCloud, web: WebServer) -> None:
    admin = images.client("admin")
    made = admin.post("/v2/tasks", json=import_task(web.url("/disk"), visibility="public", os_distro="x"))
    assert made.status_code == 201
    task = made.json()
    assert (task["status"], task["type"], task["owner"]) == ("processing", "import", OPERATOR)
    assert made.headers["location"].endswith(f"/v2/tasks/{task['id']}")
    assert images.reconciler.reconcile(task["image_id"]) == DONE
    task = admin.get(f"/v2/tasks/{task['id']}").json()
    assert (task["status"], task["result"]) == ("success", {"image_id": task["image_id"]})
    image = show(images, task["image_id"])
    assert (image["status"], image["visibility"], image["os_distro"]) == ("active", "public", "x")
    assert image["checksum"] == hashlib.md5(DATA).hexdigest()
    assert not [name for name in image if name.startswith("os_glance_")]


def test_a_task_that_fails_leaves_no_image(images: ImageCloud, web: WebServer) -> None:
    admin = images.client("admin")
    task = admin.post("/v2/tasks", json=import_task(web.url("/broken"))).json()
    images.reconciler.reconcile(task["image_id"])
    assert admin.get(f"/v2/tasks/{task['id']}").json()["status"] == "failure"
    assert admin.get(f"/v2/images/{task['image_id']}").status_code == 404
    assert images.reconciler.reconcile(task["image_id"]) == DONE
    assert images.files() == set()


def test_tasks_are_listed(images: ImageCloud, web: WebServer) -> None:
    admin = images.client("admin")
    made = [admin.post("/v2/tasks", json=import_task(web.url("/none"))).json() for _ in range(3)]
    images.reconciler.reconcile(made[1]["image_id"])

    def listed(query: str) -> list[str]:
        return [task["id"] for task in admin.get(f"/v2/tasks{query}").json()["tasks"]]

    assert listed("") == [task["id"] for task in reversed(made)]
    assert listed("?status=failure") == [made[1]["id"]]
    assert listed("?type=import&sort_dir=asc") == [task["id"] for task in made]
    page = admin.get("/v2/tasks?limit=2").json()
    assert len(page["tasks"]) == 2
    assert listed(page["next"].removeprefix("/v2/tasks")) == [made[0]["id"]]
    assert admin.get("/v2/tasks?status=new").status_code == 400
    assert admin.delete(f"/v2/tasks/{made[0]['id']}").status_code == 405
    for user in ("demo", "reader", "alt"):
        assert images.client(user).get("/v2/tasks").status_code == 403
        assert images.client(user).post("/v2/tasks", json=import_task("x")).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "export", "input": {}},
        {"type": ["import"], "input": {}},
        {"type": "import"},
        {"type": "import", "input": []},
        {"type": "import", "input": {"import_from": "http://127.0.0.1/"}},
        import_task(None),
        import_task("file:///etc/passwd"),
        import_task("http://dummy-img-file.qcow2"),
        import_task("http://127.0.0.1/x", disk_format=None),
        import_task("http://127.0.0.1/x", disk_format="floppy"),
        import_task("http://127.0.0.1/x", visibility="none"),
    ],
)
def test_tasks_that_are_refused(images: ImageCloud, body: Any) -> None:
    admin = images.client("admin")
    assert admin.post("/v2/tasks", json=body).status_code == 400
    assert admin.get("/v2/images").json()["images"] == []


# -- from another image


def copy_of(images: ImageCloud, image_id: str, source: Any, **more: Any) -> Any:
    method = {"name": "glance-download", "glance_region": "RegionOne", "glance_image_id": source, **more}
    return images.client("demo").post(f"/v2/images/{image_id}/import", json={"method": method})


def test_another_images_data_and_formats(images: ImageCloud) -> None:
    demo = images.client("demo")
    source = make(images.client("alt"), visibility="community", os_distro="rhel", hw_cores="5", speed="88mph")["id"]
    put(images, source, b"data", user="alt")
    image_id = make(demo, disk_format="iso", container_format="ovf", os_distro="windows")["id"]
    assert copy_of(images, image_id, source).status_code == 202
    assert images.reconciler.reconcile(image_id) == DONE
    image = show(images, image_id)
    assert (image["status"], image["disk_format"], image["container_format"]) == ("active", "raw", "bare")
    assert (image["os_distro"], image["hw_cores"]) == ("rhel", "5")
    assert "speed" not in image
    assert demo.get(f"/v2/images/{image_id}/file").content == b"data"


def test_images_that_may_not_be_taken(images: ImageCloud) -> None:
    demo = images.client("demo")
    secret = make(images.client("alt"), visibility="private")["id"]
    put(images, secret, b"secret", user="alt")
    image_id = make(demo, os_distro="windows")["id"]
    for source, more in (
        (secret, {}),
        ("36d4b546-64a2-4bb9-bdd0-ba676aa48f2c", {}),
        (make(demo)["id"], {}),
        (secret, {"glance_region": "elsewhere"}),
        (secret, {"glance_service_interface": "none"}),
    ):
        assert copy_of(images, image_id, source, **more).status_code == 202
        assert images.reconciler.reconcile(image_id) == DONE
        assert show(images, image_id)["os_distro"] == "windows"
        assert (show(images, image_id)["status"], last_task(images, image_id)["status"]) == ("queued", "failure")
        assert images.files() == {secret}
    assert copy_of(images, image_id, "foo").status_code == 400
    assert copy_of(images, image_id, 5).status_code == 400
    assert copy_of(images, image_id, secret, glance_region=None).status_code == 400


# -- killed


FETCHER = """
import sys, threading
from dataclasses import replace
from pathlib import Path
from stackyard.core.config import Settings
from stackyard.core.config_image import Image
from stackyard.core.db import Database
from stackyard.core.policy import PolicySet
from stackyard.core.quota import Quotas
from stackyard.core.runtime import Runtime
from stackyard.services.image.reconcile import ImageReconciler
from stackyard.services.keys import STATE_DIR
url, state, image_id = sys.argv[1:]
settings = Settings(image=replace(Image(), allowed_hosts=("127.0.0.1",), allowed_ports=()))
runtime = Runtime(settings, Database(url), PolicySet(()), Quotas({}), None)
runtime.provide(STATE_DIR, Path(state))
reconciler = ImageReconciler(runtime)
print("begun", flush=True)
reconciler.reconcile(image_id)
threading.Event().wait()
"""


def test_a_process_killed_while_it_fetches(images: ImageCloud, web: WebServer, tmp_path: Path) -> None:
    image_id = make(images.client("demo"))["id"]
    fetch(images, image_id, web.url("/endless"))
    url = images.database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", FETCHER, url, str(tmp_path / "state"), image_id]
    path = os.pathsep.join(part for part in sys.path if part)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}) as process:
        try:
            wait_until(lambda: any(image_id in name for name in images.files()))
        finally:
            process.send_signal(signal.SIGKILL)
    web.endless.clear()
    web.content["/endless"] = DATA
    assert show(images, image_id)["status"] == "importing"
    assert images.client("demo").get(f"/v2/images/{image_id}/file").status_code == 204
    assert images.reconciler.reconcile(image_id) == DONE
    assert images.client("demo").get(f"/v2/images/{image_id}/file").content == DATA
    assert images.files() == {image_id}


@pytest.mark.parametrize("moment", ["_inspected", "_to_store", "_end"])
def test_an_import_that_dies_anywhere_is_finished(
    images: ImageCloud, web: WebServer, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed process leaves: everything up to one step, and not that step's own record."""
    image_id = make(images.client("demo"))["id"]
    fetch(images, image_id, web.url("/disk"))
    real = getattr(importing, moment)

    def die(*arguments: Any, **named: Any) -> Any:
        if moment == "_to_store":
            real(*arguments, **named)
        raise RuntimeError("killed here")

    with monkeypatch.context() as patched:
        patched.setattr(importing, moment, die)
        with pytest.raises(RuntimeError, match="killed here"):
            images.reconciler.reconcile(image_id)
    asked = list(web.requests)
    assert images.reconciler.reconcile(image_id) == DONE
    assert web.requests == asked, "what had been fetched was fetched again"
    assert (show(images, image_id)["status"], images.files()) == ("active", {image_id})
    assert last_task(images, image_id)["status"] == "success"
