"""Naming where data lies: by PATCH and by the calls for it; only where the operator allows, never the cloud's own."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from tests.api.image.conftest import ImageCloud
from tests.api.image.test_images import make
from tests.web_server import WebServer

from stackyard.core.reconcile import DONE

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
DATA = b"what lies elsewhere" * 1000
SETTINGS: dict[str, Any] = {
    "stores": ("file", "web type=http"),
    "allowed_hosts": ("127.0.0.1",),
    "allowed_ports": (),
    "show_multiple_locations": True,
    "show_image_direct_url": True,
}


@pytest.fixture
def settings() -> dict[str, Any]:
    return SETTINGS


@pytest.fixture
def web() -> Any:
    with WebServer({"/disk": DATA, "/other": DATA}) as server:
        yield server


def patched(images: ImageCloud, image_id: str, *changes: dict[str, Any], user: str = "demo") -> Any:
    return images.client(user).patch(f"/v2/images/{image_id}", json=list(changes), headers=PATCH)


def add(url: str, position: str = "-", **more: Any) -> dict[str, Any]:
    return {"op": "add", "path": f"/locations/{position}", "value": {"url": url, "metadata": {}, **more}}


def show(images: ImageCloud, image_id: str) -> Any:
    return images.client("demo").get(f"/v2/images/{image_id}").json()


def test_a_location_added_makes_an_image_active(images: ImageCloud, web: WebServer) -> None:
    image_id = make(images.client("demo"))["id"]
    assert show(images, image_id)["locations"] == []
    assert patched(images, image_id, add(web.url("/disk"))).status_code == 200
    image = show(images, image_id)
    assert (image["status"], image["size"], image["stores"]) == ("active", len(DATA), "web")
    assert (image["os_hash_algo"], image["os_hash_value"]) == (None, None)
    assert image["locations"] == [{"url": web.url("/disk"), "metadata": {"store": "web"}}]
    assert image["direct_url"] == web.url("/disk")
    demo = images.client("demo")
    assert demo.get(f"/v2/images/{image_id}/file").content == DATA
    part = demo.get(f"/v2/images/{image_id}/file", headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, DATA[5:10])
    assert images.reconciler.reconcile(image_id) == DONE
    assert show(images, image_id)["status"] == "active"


def test_locations_are_replaced_and_removed(images: ImageCloud, web: WebServer) -> None:
    image_id = make(images.client("demo"))["id"]
    patched(images, image_id, add(web.url("/disk")), add(web.url("/disk#new"), metadata={"speed": "fast"}))
    found = show(images, image_id)["locations"]
    assert [entry["url"] for entry in found] == [web.url("/disk"), web.url("/disk#new")]
    found[0]["metadata"]["date"] = "today"
    replace = {"op": "replace", "path": "/locations", "value": found}
    assert patched(images, image_id, replace).status_code == 200
    assert show(images, image_id)["locations"] == found
    for value, status in (
        (found[:1], 400),
        ([found[0], {"url": web.url("/other"), "metadata": {}}], 400),
        ([found[0], found[0]], 400),
        ([], 403),
        ("x", 400),
    ):
        assert patched(images, image_id, replace | {"value": value}).status_code == status
    remove = {"op": "remove", "path": "/locations/0"}
    assert patched(images, image_id, remove).status_code == 403  # for administrators
    assert patched(images, image_id, remove | {"path": "/locations/7"}, user="admin").status_code == 400
    assert patched(images, image_id, remove, user="admin").status_code == 200
    assert [entry["url"] for entry in show(images, image_id)["locations"]] == [web.url("/disk#new")]
    assert patched(images, image_id, remove, user="admin").status_code == 403


def test_what_a_client_says_of_the_data_is_kept_once(images: ImageCloud, web: WebServer) -> None:
    image_id = make(images.client("demo"))["id"]
    said = {"checksum": "1" * 32, "os_hash_algo": "sha512", "os_hash_value": "deadbeef" * 16}
    for wrong, status in (
        ({"os_hash_algo": "sha512"}, 400),
        ({"checksum": 5}, 400),
        (said | {"more": "x"}, 400),
        (said | {"os_hash_algo": "sha256"}, 409),
        (said | {"os_hash_value": "dead"}, 409),
        (said | {"checksum": "x" * 32}, 409),
    ):
        assert patched(images, image_id, add(web.url("/disk"), validation_data=wrong)).status_code == status
    assert patched(images, image_id, add(web.url("/disk"), validation_data=said)).status_code == 200
    image = show(images, image_id)
    assert {name: image[name] for name in said} == said
    assert "validation_data" not in image["locations"][0]
    assert patched(images, image_id, add(web.url("/disk#2"), validation_data=said)).status_code == 200
    for name, value in (("checksum", "2" * 32), ("os_hash_value", "beefdead" * 16), ("os_hash_algo", "sha256")):
        other = add(web.url("/disk#3"), validation_data=said | {name: value})
        assert patched(images, image_id, other).status_code == 409
    assert len(show(images, image_id)["locations"]) == 2


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("gopher://127.0.0.1/x", 400),
        ("file:///etc/passwd", 400),
        ("http://10.1.2.3/x", 400),
        ("http://127.0.0.1@10.1.2.3/", 400),
        ("http://user:secret@127.0.0.1/", 400),
        ("http://2130706433/", 400),
        ("http://[::1]/", 400),
        ("http://127.0.0.1/\r\nHost: x", 400),
        ("", 400),
        (5, 400),
        ("http://127.0.0.1:0/", 400),
        ("http://127.0.0.1:1/", 400),
        ("http://" + "a" * 3000, 400),
    ],
)
def test_addresses_that_are_refused(images: ImageCloud, url: Any, status: int) -> None:
    image_id = make(images.client("demo"))["id"]
    assert patched(images, image_id, add(url)).status_code == status
    assert show(images, image_id)["status"] == "queued"


def test_the_stores_own_addresses_are_not_taken_from_clients(images: ImageCloud) -> None:
    demo = images.client("demo")
    first, second = make(demo)["id"], make(demo)["id"]
    octets = {"Content-Type": "application/octet-stream"}
    assert demo.put(f"/v2/images/{first}/file", content=b"own", headers=octets).status_code == 204
    (own,) = show(images, first)["locations"]
    assert own["url"].startswith("file:///")
    assert patched(images, second, add(own["url"])).status_code == 400
    assert patched(images, first, add(own["url"])).status_code == 400


def test_positions(images: ImageCloud, web: WebServer) -> None:
    image_id = make(images.client("demo"))["id"]
    assert patched(images, image_id, add(web.url("/disk"), "3")).status_code == 400
    assert patched(images, image_id, add(web.url("/disk"), "x")).status_code == 400
    assert patched(images, image_id, add(web.url("/disk"), "0")).status_code == 200
    assert patched(images, image_id, add(web.url("/other"), "0")).status_code == 200
    assert [entry["url"] for entry in show(images, image_id)["locations"]] == [web.url("/other"), web.url("/disk")]
    assert patched(images, image_id, add(web.url("/other"))).status_code == 400
    many = [add(web.url(f"/disk#{number}")) for number in range(12)]
    assert patched(images, image_id, *many).status_code == 413
    assert len(show(images, image_id)["locations"]) == 2


def test_strangers_see_no_addresses(images: ImageCloud, web: WebServer) -> None:
    image_id = make(images.client("admin"), visibility="public")["id"]
    assert patched(images, image_id, add(web.url("/disk")), user="admin").status_code == 200
    seen = images.client("alt").get(f"/v2/images/{image_id}").json()
    assert (seen["locations"], seen["stores"]) == ([], "web")
    assert "direct_url" not in seen
    assert patched(images, image_id, add(web.url("/other")), user="alt").status_code == 403


# -- the calls for locations


def name(images: ImageCloud, image_id: str, body: Any, user: str = "demo") -> Any:
    return images.client(user).post(f"/v2/images/{image_id}/locations", json=body)


def task(images: ImageCloud, image_id: str) -> Any:
    return images.client("demo").get(f"/v2/images/{image_id}/tasks").json()["tasks"][0]


def test_a_location_is_hashed(images: ImageCloud, web: WebServer) -> None:
    image_id = make(images.client("demo"))["id"]
    assert name(images, image_id, {"url": web.url("/disk")}).status_code == 202
    assert name(images, image_id, {"url": web.url("/disk")}).status_code == 409
    assert images.reconciler.reconcile(image_id) == DONE
    image = show(images, image_id)
    assert (image["status"], image["stores"], image["size"]) == ("active", "web", len(DATA))
    assert (image["os_hash_algo"], image["os_hash_value"]) == ("sha512", hashlib.sha512(DATA).hexdigest())
    assert image["checksum"] == hashlib.md5(DATA).hexdigest()
    found = task(images, image_id)
    assert (found["status"], found["type"]) == ("success", "location_import")
    admin = images.client("admin")
    assert admin.get(f"/v2/images/{image_id}/locations").json() == image["locations"]
    assert images.client("demo").get(f"/v2/images/{image_id}/locations").status_code == 403


def test_a_digest_that_holds(images: ImageCloud, web: WebServer) -> None:
    image_id = make(images.client("demo"))["id"]
    said = {"os_hash_algo": "sha256", "os_hash_value": hashlib.sha256(DATA).hexdigest()}
    assert name(images, image_id, {"url": web.url("/disk"), "validation_data": said}).status_code == 202
    assert images.reconciler.reconcile(image_id) == DONE
    image = show(images, image_id)
    assert (image["status"], image["stores"]) == ("active", "web")
    assert (image["os_hash_algo"], image["os_hash_value"]) == tuple(said.values())


def test_a_digest_that_does_not_hold(images: ImageCloud, web: WebServer) -> None:
    image_id = make(images.client("demo"))["id"]
    said = {"os_hash_algo": "sha512", "os_hash_value": "beefdead" * 16}
    assert name(images, image_id, {"url": web.url("/disk"), "validation_data": said}).status_code == 202
    assert images.reconciler.reconcile(image_id) == DONE
    image = show(images, image_id)
    assert (image["status"], image["os_hash_algo"], image["checksum"]) == ("queued", None, None)
    assert image["stores"] == "web"
    assert images.client("demo").get(f"/v2/images/{image_id}/file").status_code == 204
    assert "not matched" in task(images, image_id)["message"]
    octets = {"Content-Type": "application/octet-stream"}
    assert images.client("demo").put(f"/v2/images/{image_id}/stage", content=b"x", headers=octets).status_code == 204
    direct = {"method": {"name": "glance-direct"}}
    assert images.client("demo").post(f"/v2/images/{image_id}/import", json=direct).status_code == 202
    assert images.reconciler.reconcile(image_id) == DONE
    assert show(images, image_id)["stores"] == "file"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": 5},
        {"url": "http://10.0.0.1/"},
        {"url": "http://127.0.0.1/x", "more": 1},
        {"url": "http://127.0.0.1/x", "validation_data": "x"},
        {"url": "http://127.0.0.1/x", "validation_data": {"os_hash_value": "ab"}},
        {"url": "http://127.0.0.1/x", "validation_data": {"os_hash_algo": "sha123", "os_hash_value": "ab"}},
        {"url": "http://127.0.0.1/x", "validation_data": {"os_hash_algo": "sha512", "os_hash_value": "ab"}},
        {"url": "http://127.0.0.1/x", "validation_data": {"os_hash_algo": "sha512", "os_hash_value": "zz" * 64}},
    ],
)
def test_calls_that_are_refused(images: ImageCloud, body: Any) -> None:
    image_id = make(images.client("demo"))["id"]
    assert name(images, image_id, body).status_code == 400
    assert name(images, image_id, {"url": "http://127.0.0.1/x"}, user="alt").status_code == 404
    assert show(images, image_id)["status"] == "queued"


def test_data_that_is_not_there(images: ImageCloud, web: WebServer) -> None:
    image_id = make(images.client("demo"))["id"]
    assert name(images, image_id, {"url": web.url("/none")}).status_code == 202
    assert images.reconciler.reconcile(image_id) == DONE
    assert (show(images, image_id)["status"], task(images, image_id)["status"]) == ("queued", "failure")
    assert patched(images, image_id, add(web.url("/none"))).status_code == 400


class TestBelieved:
    """An operator who has nothing hashed."""

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return SETTINGS | {"do_secure_hash": False}

    def test_what_is_said_is_believed(self, images: ImageCloud, web: WebServer) -> None:
        image_id = make(images.client("demo"))["id"]
        said = {"os_hash_algo": "sha256", "os_hash_value": "ab" * 32}
        assert name(images, image_id, {"url": web.url("/disk"), "validation_data": said}).status_code == 202
        assert images.reconciler.reconcile(image_id) == DONE
        image = show(images, image_id)
        assert (image["status"], image["size"], image["checksum"]) == ("active", len(DATA), None)
        assert {key: image[key] for key in said} == said


class TestHidden:
    """As it is by default: nothing is shown, and nothing can be named."""

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {}

    def test_locations_are_off(self, images: ImageCloud) -> None:
        image_id = make(images.client("demo"))["id"]
        assert "locations" not in show(images, image_id)
        assert patched(images, image_id, add("http://127.0.0.1/x")).status_code == 403
        assert name(images, image_id, {"url": "http://127.0.0.1/x"}).status_code == 403
