"""Version 1 of the API: the same images with their metadata in headers."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import pytest
from tests.api.image.conftest import ALT, DEMO, OPERATOR, ImageCloud

from stackyard.services.image import tables
from stackyard.services.image.v1.headers import write

OCTETS = {"Content-Type": "application/octet-stream"}
RAW = {"x-image-meta-disk_format": "raw", "x-image-meta-container_format": "bare"}


def meta(**attributes: object) -> dict[str, str]:
    return {f"x-image-meta-{name}": str(value) for name, value in attributes.items()}


def create(images: ImageCloud, data: bytes | None = None, user: str = "demo", **attributes: object) -> Any:
    headers = RAW | meta(name="one") | meta(**attributes)
    if data is None:
        return images.client(user).post("/v1/images", headers=headers)
    return images.client(user).post("/v1/images", headers=headers | OCTETS, content=data)


def made(images: ImageCloud, data: bytes | None = None, user: str = "demo", **attributes: object) -> dict[str, Any]:
    answer = create(images, data, user, **attributes)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["image"]
    return found


def names(images: ImageCloud, user: str = "demo", **query: str) -> list[str]:
    answer = images.client(user).get("/v1/images/detail", params=query)
    assert answer.status_code == 200, answer.text
    return [image["name"] for image in answer.json()["images"]]


def test_an_image_with_data_in_one_request(images: ImageCloud) -> None:
    demo, data = images.client("demo"), b"0123456789"
    digest = hashlib.md5(data).hexdigest()
    headers = RAW | OCTETS | meta(name="my%20image", size=10, checksum=digest, min_disk=1, protected="True")
    headers |= {"x-image-meta-property-os": "linux", "X-Image-Meta-Property-Hw-Type": "a b"}
    answer = demo.post("/v1/images", headers=headers, content=data)
    assert answer.status_code == 201
    image = answer.json()["image"]
    assert answer.headers["location"] == f"/v1/images/{image['id']}"
    assert answer.headers["etag"] == digest
    expected = {
        "name": "my image", "size": 10, "checksum": digest, "status": "active", "is_public": False, "min_disk": 1,
        "min_ram": 0, "protected": True, "deleted": False, "deleted_at": None, "owner": DEMO, "virtual_size": 10,
        "disk_format": "raw", "container_format": "bare", "properties": {"os": "linux", "hw_type": "a b"},
    }  # fmt: skip
    assert {name: image[name] for name in expected} == expected
    head = demo.head(f"/v1/images/{image['id']}")
    assert (head.status_code, head.content) == (200, b"")
    for name, value in expected.items():
        if name not in ("properties", "deleted_at"):
            assert head.headers[f"x-image-meta-{name}"] == str(value)
    assert head.headers["x-image-meta-property-hw_type"] == "a b"
    assert "x-image-meta-deleted_at" not in head.headers
    got = demo.get(f"/v1/images/{image['id']}")
    assert (got.content, got.headers["x-image-meta-checksum"], got.headers["etag"]) == (data, digest, digest)
    assert got.headers["content-type"] == "application/octet-stream"
    same = demo.get(f"/v2/images/{image['id']}").json()
    assert (same["visibility"], same["os"], same["os_hash_algo"]) == ("shared", "linux", "sha512")


def test_an_image_first_and_its_data_later(images: ImageCloud) -> None:
    demo = images.client("demo")
    image = made(images)
    assert (image["status"], image["size"]) == ("queued", 0)
    assert demo.get(f"/v1/images/{image['id']}").status_code == 404
    answer = demo.put(f"/v1/images/{image['id']}", headers=OCTETS | meta(name="two"), content=b"abc")
    assert (answer.status_code, answer.json()["image"]["status"], answer.json()["image"]["name"]) == (
        200,
        "active",
        "two",
    )
    again = demo.put(f"/v1/images/{image['id']}", headers=OCTETS, content=b"abc")
    assert again.status_code == 409
    assert demo.get(f"/v1/images/{image['id']}").content == b"abc"


def test_an_empty_image_by_its_size(images: ImageCloud) -> None:
    assert made(images, size=0)["status"] == "active"
    assert made(images, b"")["status"] == "queued"


def test_public_is_for_administrators(images: ImageCloud) -> None:
    assert create(images, b"x", is_public="True").status_code == 403
    image = made(images, b"x", "admin", is_public="True")
    assert image["is_public"] is True
    assert images.client("demo").get(f"/v2/images/{image['id']}").json()["visibility"] == "public"
    private = images.client("admin").put(f"/v1/images/{image['id']}", headers=meta(is_public="False"))
    assert private.json()["image"]["is_public"] is False
    assert images.client("demo").head(f"/v1/images/{image['id']}").status_code == 404
    own = made(images)
    assert images.client("demo").put(f"/v1/images/{own['id']}", headers=meta(is_public="1")).status_code == 403


def test_owners(images: ImageCloud) -> None:
    assert made(images, owner=ALT)["owner"] == DEMO
    assert made(images, user="admin")["owner"] == OPERATOR
    image = made(images, user="admin", owner=ALT)
    assert image["owner"] == ALT
    changed = images.client("admin").put(f"/v1/images/{image['id']}", headers=meta(owner=DEMO))
    assert changed.json()["image"]["owner"] == DEMO
    kept = images.client("demo").put(f"/v1/images/{image['id']}", headers=meta(owner=ALT, name="mine"))
    assert (kept.json()["image"]["owner"], kept.json()["image"]["name"]) == (DEMO, "mine")


def test_properties_are_purged_unless_told_otherwise(images: ImageCloud) -> None:
    demo = images.client("demo")
    image = made(images)
    path = f"/v1/images/{image['id']}"
    one, two = {"x-image-meta-property-one": "1"}, {"x-image-meta-property-two": "2"}
    keep = {"x-glance-registry-purge-props": "false"}
    assert demo.put(path, headers=one).json()["image"]["properties"] == {"one": "1"}
    assert demo.put(path, headers=two | keep).json()["image"]["properties"] == {"one": "1", "two": "2"}
    assert demo.put(path, headers=one).json()["image"]["properties"] == {"one": "1"}
    assert demo.put(path, headers=meta(name="x")).json()["image"]["properties"] == {}
    demo.put(path, headers=one)
    with_data = demo.put(path, headers=OCTETS | two, content=b"x")
    assert with_data.json()["image"]["properties"] == {"one": "1", "two": "2"}


def test_lists(images: ImageCloud) -> None:
    made(images, b"x" * 5, name="a")
    made(images, b"x" * 50, name="b", protected="True")
    made(images, name="c", min_ram=64)
    made(images, b"x", "admin", name="public", is_public="True")
    made(images, b"x", "alt", name="strange")
    images.client("demo").put(
        f"/v1/images/{_id(images, 'a')}", headers={"x-image-meta-property-os": "linux"}
    ).raise_for_status()
    assert sorted(names(images)) == ["a", "b", "c", "public"]
    assert names(images, sort_key="name", sort_dir="asc") == ["a", "b", "c", "public"]
    assert names(images, sort_key="name", sort_dir="asc", limit="2") == ["a", "b"]
    assert names(images, sort_key="name", sort_dir="asc", marker=_id(images, "b")) == ["c", "public"]
    for query, expected in (
        ({"name": "b"}, ["b"]),
        ({"status": "queued"}, ["c"]),
        ({"size_min": "6"}, ["b"]),
        ({"size_max": "5", "status": "active"}, ["a", "public"]),
        ({"min_ram": "64"}, ["c"]),
        ({"protected": "True"}, ["b"]),
        ({"property-os": "linux"}, ["a"]),
        ({"container_format": "ovf"}, []),
        ({"changes-since": "2100-01-01T00:00:00Z"}, []),
        ({"is_public": "False", "name": "public"}, ["public"]),
    ):
        assert sorted(names(images, **query)) == expected, query
    assert sorted(names(images, "admin")) == ["public"]
    assert sorted(names(images, "admin", is_public="None")) == ["a", "b", "c", "public", "strange"]
    assert sorted(names(images, "admin", is_public="False")) == ["a", "b", "c", "strange"]
    brief = images.client("demo").get("/v1/images", params={"name": "a"}).json()["images"]
    assert [set(image) for image in brief] == [{"id", "name", "size", "disk_format", "container_format", "checksum"}]


def _id(images: ImageCloud, name: str) -> str:
    found = images.client("admin").get("/v1/images", params={"name": name, "is_public": "None"}).json()["images"]
    return str(found[0]["id"])


@pytest.mark.parametrize(
    "query",
    [
        "protected=maybe",
        "size_min=large",
        "limit=x",
        "sort_key=colour",
        "changes-since=soon",
        "marker=x",
        "is_public=x",
    ],
)
def test_lists_that_cannot_be_read(images: ImageCloud, query: str) -> None:
    user = "admin" if "public" in query else "demo"
    assert images.client(user).get(f"/v1/images/detail?{query}").status_code == 400


def test_deleting(images: ImageCloud) -> None:
    demo = images.client("demo")
    image = made(images, b"x", protected="True")
    path = f"/v1/images/{image['id']}"
    assert demo.delete(path).status_code == 403
    demo.put(path, headers=meta(protected="False"))
    answer = demo.delete(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert demo.head(path).status_code == 404
    assert images.reconciler.reconcile(image["id"])
    assert images.files() == set()


def test_members(images: ImageCloud) -> None:
    demo, alt = images.client("demo"), images.client("alt")
    image = made(images, b"x")
    path = f"/v1/images/{image['id']}/members"
    third = secrets.token_hex(16)
    assert alt.head(f"/v1/images/{image['id']}").status_code == 404
    assert demo.put(f"{path}/{ALT}", json={"member": {"can_share": False}}).status_code == 204
    assert demo.get(path).json() == {"members": [{"member_id": ALT, "can_share": False}]}
    assert alt.get(f"/v1/images/{image['id']}").content == b"x"
    assert names(images, "alt") == ["one"]
    assert alt.get(f"/v1/shared-images/{ALT}").json()["shared_images"] == [
        {"image_id": image["id"], "can_share": False}
    ]
    assert images.client("admin").get(f"/v1/shared-images/{ALT}").json()["shared_images"]
    assert demo.get(f"/v1/shared-images/{ALT}").json()["shared_images"]
    assert alt.put(f"{path}/{third}", json={}).status_code == 403
    assert alt.put(f"/v1/images/{image['id']}", headers=meta(name="x")).status_code == 403
    assert demo.put(f"{path}/{ALT}", json={"member": {"can_share": True}}).status_code == 204
    assert alt.put(f"{path}/{third}", json={}).status_code == 204
    assert {member["member_id"] for member in demo.get(path).json()["members"]} == {ALT, third}
    kept = {"memberships": [{"member_id": third, "can_share": True}]}
    assert demo.put(path, json=kept).status_code == 204
    assert demo.get(path).json() == {"members": [{"member_id": third, "can_share": True}]}
    assert demo.delete(f"{path}/{third}").status_code == 204
    assert demo.delete(f"{path}/{third}").status_code == 404
    for body in ({"member": 1}, {"member": {"can_share": "yes"}}):
        assert demo.put(f"{path}/{third}", json=body).status_code == 400
    for body in (
        {},
        {"memberships": 1},
        {"memberships": [1]},
        {"memberships": [{}]},
        {"memberships": [{"member_id": 1}]},
    ):
        assert demo.put(path, json=body).status_code == 400
    assert alt.put(f"{path}/{ALT}", json={}).status_code == 404
    public = made(images, b"x", "admin", is_public="True")
    assert demo.get(f"/v1/images/{public['id']}/members").json() == {"members": []}
    assert images.client("admin").put(f"/v1/images/{public['id']}/members/{ALT}", json={}).status_code == 403


@pytest.mark.parametrize(
    ("headers", "data", "status"),
    [
        ({"x-image-meta-colour": "red"}, None, 400),
        (meta(size="many"), None, 400),
        (meta(size="-1"), None, 400),
        (meta(size=2**63), None, 400),
        (meta(min_disk="x"), None, 400),
        (meta(min_disk=2**40), None, 400),
        (meta(id="x"), None, 400),
        (meta(disk_format="tape"), None, 400),
        (meta(disk_format="ami", container_format="bare"), None, 400),
        (meta(name="n" * 256), None, 400),
        (meta(name="a%00b"), None, 400),
        (meta(location="file:///etc/passwd"), None, 400),
        ({"x-glance-api-copy-from": "http://localhost/x"}, None, 400),
        ({"x-image-meta-property-name": "x"}, None, 400),
        ({"x-image-meta-property-os_glance_x": "x"}, None, 403),
        (meta(size=3), b"four", 400),
        (meta(checksum="0" * 32), b"four", 400),
        (meta(disk_format="qcow2"), b"four", 415),
        ({"Content-Type": "application/json"}, b"four", 400),
        (meta(store="mars"), b"four", 400),
    ],
)
def test_what_cannot_be_created(images: ImageCloud, headers: dict[str, str], data: bytes | None, status: int) -> None:
    demo = images.client("demo")
    sent = RAW | (OCTETS if data is not None else {}) | headers
    answer = demo.post("/v1/images", headers=sent, content=data)
    assert answer.status_code == status, answer.text
    assert not any(image["status"] == "active" for image in demo.get("/v1/images/detail").json()["images"])
    assert images.files() == set()


def test_an_image_without_formats_takes_no_data(images: ImageCloud) -> None:
    demo = images.client("demo")
    refused = demo.post("/v1/images", headers=OCTETS | meta(name="x"), content=b"x")
    assert (refused.status_code, refused.json()["error"]["message"]) == (400, "Disk format is not specified.")
    assert demo.get("/v1/images").json()["images"] == []


def test_what_may_not_be_changed(images: ImageCloud) -> None:
    demo = images.client("demo")
    image = made(images, b"x")
    path = f"/v1/images/{image['id']}"
    for headers, status in (
        (meta(status="queued"), 403),
        (meta(id="3f0b0d8a-8a43-4f4c-9a4b-0c2b7e1e9d11"), 403),
        (meta(checksum="0" * 32), 403),
        (meta(size=7), 403),
        (meta(disk_format="qcow2"), 403),
        (meta(location="http://localhost/x"), 400),
    ):
        assert demo.put(path, headers=headers).status_code == status, headers
    unchanged = demo.put(path, headers=meta(status="active", size=1, disk_format="raw", checksum=image["checksum"]))
    assert unchanged.status_code == 200
    assert images.client("reader").put(path, headers=meta(name="x")).status_code == 403
    assert images.client("reader").post("/v1/images", headers=RAW).status_code == 403
    assert images.client("reader").head(path).status_code == 200
    assert images.client("reader").get(path).status_code == 403


def test_a_deactivated_image_gives_no_data(images: ImageCloud) -> None:
    image = made(images, b"x")
    images.client("admin").post(f"/v2/images/{image['id']}/actions/deactivate").raise_for_status()
    assert images.client("demo").get(f"/v1/images/{image['id']}").status_code == 403
    assert images.client("demo").head(f"/v1/images/{image['id']}").status_code == 200


def test_values_do_not_end_their_headers(images: ImageCloud) -> None:
    demo = images.client("demo")
    body = {"name": "a\r\nSet-Cookie: b", "disk_format": "raw", "container_format": "bare", "k\r\n: x": "v\r\nX-Y: z"}
    image = demo.post("/v2/images", json=body).json()
    head = demo.head(f"/v1/images/{image['id']}")
    assert head.status_code == 200
    assert head.headers["x-image-meta-name"] == "a%0D%0ASet-Cookie: b"
    assert "set-cookie" not in head.headers
    assert head.headers["x-image-meta-property-k%0d%0a:%20x"] == "v%0D%0AX-Y: z"
    assert made(images, name="gr%C3%BCn")["name"] == "grün"
    row = images.database.read("test", tables.find, _id(images, "grün"))
    assert write(row)["x-image-meta-name"].encode("latin-1") == "grün".encode()


def test_versions_name_it(images: ImageCloud) -> None:
    found = {version["id"]: version for version in images.client("demo").get("/versions").json()["versions"]}
    assert found["v1.1"]["status"] == found["v1.0"]["status"] == "DEPRECATED"
    assert found["v1.1"]["links"][0]["href"] == "http://cloud:5000/image/v1/"
