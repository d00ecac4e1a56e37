"""Create, list, show, change, delete; tags; deactivation; discovery; who may do which."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.image.conftest import ALT, DEMO, OPERATOR, ImageCloud

RFC = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
DRAFT = {"Content-Type": "application/openstack-images-v2.0-json-patch"}


def make(client: TestClient, **body: Any) -> dict[str, Any]:
    given = {"name": "one", "container_format": "bare", "disk_format": "raw", **body}
    response = client.post("/v2/images", json=given)
    assert response.status_code == 201, response.text
    return response.json()


def upload(client: TestClient, image_id: str, data: bytes) -> None:
    response = client.put(
        f"/v2/images/{image_id}/file", content=data, headers={"Content-Type": "application/octet-stream"}
    )
    assert response.status_code == 204, response.text


def listed(client: TestClient, query: str = "") -> list[str]:
    response = client.get(f"/v2/images{query}")
    assert response.status_code == 200, response.text
    return [image["name"] for image in response.json()["images"]]


def patch(client: TestClient, image_id: str, *changes: dict[str, Any], headers: dict[str, str] = RFC) -> Any:
    import json

    return client.patch(f"/v2/images/{image_id}", content=json.dumps(changes), headers=headers)


def test_create_shows_every_attribute(images: ImageCloud) -> None:
    demo = images.client("demo")
    response = demo.post(
        "/v2/images",
        json={"name": "nginx", "container_format": "docker", "disk_format": "raw", "tags": ["b", "a", "b"], "os": "x"},
    )
    image = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"http://cloud:5000/image/v2/images/{image['id']}"
    assert response.headers["openstack-image-store-ids"] == "file"
    assert image == demo.get(f"/v2/images/{image['id']}").json()
    assert image["status"] == "queued"
    assert image["visibility"] == "shared"
    assert image["owner"] == DEMO
    assert image["tags"] == ["b", "a"]
    assert image["os"] == "x"
    assert image["file"] == f"/v2/images/{image['id']}/file"
    assert [image[name] for name in ("size", "checksum", "os_hash_algo", "os_hash_value", "virtual_size")] == [None] * 5
    assert (image["protected"], image["os_hidden"], image["min_disk"], image["min_ram"]) == (False, False, 0, 0)
    assert "stores" not in image


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"disk_format": "wrong"}, 400),
        ({"container_format": "wrong"}, 400),
        ({"visibility": "everyone"}, 400),
        ({"name": "n" * 256}, 400),
        ({"name": "a\0b"}, 400),
        ({"min_disk": -1}, 400),
        ({"min_ram": 2**31}, 400),
        ({"protected": "yes"}, 400),
        ({"tags": "one"}, 400),
        ({"tags": ["t" * 256]}, 400),
        ({"tags": [str(n) for n in range(129)]}, 413),
        ({"id": "not-a-uuid"}, 400),
        ({"id": "../../../../../../../../../etc/passwd"}, 400),
        ({"property": 7}, 400),
        ({"p" * 256: "x"}, 400),
        ({f"p{n}": "x" for n in range(129)}, 413),
        ({"status": "active"}, 403),
        ({"checksum": "0" * 32}, 403),
        ({"os_glance_x": "y"}, 403),
        ({"deleted": "y"}, 403),
        ({"locations": []}, 403),
        ({"owner": ALT}, 403),
        ({"visibility": "public"}, 403),
    ],
)
def test_create_refuses(images: ImageCloud, body: dict[str, Any], status: int) -> None:
    demo = images.client("demo")
    response = demo.post("/v2/images", json={"name": "x", **body})
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == status
    assert listed(demo) == []


def test_a_chosen_id_is_kept_and_taken_once(images: ImageCloud) -> None:
    demo = images.client("demo")
    chosen = "11111111-2222-3333-4444-555555555555"
    assert make(demo, id=chosen)["id"] == chosen
    assert demo.post("/v2/images", json={"id": chosen}).status_code == 409
    assert images.client("alt").post("/v2/images", json={"id": chosen}).status_code == 409


def test_malformed_bodies(images: ImageCloud) -> None:
    demo = images.client("demo")
    for content in (b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 5000):
        response = demo.post("/v2/images", content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == 400, (content[:10], response.text)


def test_quota_limits_images(images: ImageCloud) -> None:
    images.runtime.quotas.defaults["image.images"] = 2
    demo = images.client("demo")
    first = make(demo)
    make(demo)
    refused = demo.post("/v2/images", json={"name": "third"})
    assert refused.status_code == 413
    assert "limit 2" in refused.json()["error"]["message"]
    make(images.client("alt"))
    assert demo.delete(f"/v2/images/{first['id']}").status_code == 204
    make(demo)


def test_visibility_decides_who_sees(images: ImageCloud) -> None:
    admin, demo, alt = images.client("admin"), images.client("demo"), images.client("alt")
    ids = {kind: make(demo, name=kind, visibility=kind)["id"] for kind in ("private", "shared", "community")}
    ids["public"] = make(admin, name="public", visibility="public")["id"]
    assert set(listed(demo)) == {"private", "shared", "community", "public"}
    assert set(listed(alt)) == {"public"}
    assert set(listed(admin)) == {"private", "shared", "public"}
    assert set(listed(alt, "?visibility=community")) == {"community"}
    assert set(listed(alt, "?visibility=all")) == {"public", "community"}
    assert set(listed(alt, "?visibility=private")) == set()
    shown = {kind: alt.get(f"/v2/images/{image_id}").status_code for kind, image_id in ids.items()}
    assert shown == {"private": 404, "shared": 404, "community": 200, "public": 200}
    for kind, image_id in ids.items():
        expected = 404 if kind in ("private", "shared") else 403
        assert alt.delete(f"/v2/images/{image_id}").status_code == expected
        assert patch(alt, image_id, {"op": "replace", "path": "/name", "value": "x"}).status_code == expected


def test_readers_only_read(images: ImageCloud) -> None:
    demo, reader = images.client("demo"), images.client("reader")
    image = make(demo)
    upload(demo, image["id"], b"data")
    assert reader.get(f"/v2/images/{image['id']}").status_code == 200
    assert listed(reader) == ["one"]
    assert reader.post("/v2/images", json={"name": "x"}).status_code == 403
    assert reader.delete(f"/v2/images/{image['id']}").status_code == 403
    assert reader.get(f"/v2/images/{image['id']}/file").status_code == 403
    assert reader.put(f"/v2/images/{image['id']}/tags/x").status_code == 403
    assert reader.get("/v2/tasks").status_code == 403


def test_strangers_are_told_to_sign_in(images: ImageCloud) -> None:
    stranger = images.client("nobody")
    assert stranger.get("/v2/images").status_code == 401
    assert stranger.get("/").status_code == 300


def test_list_filters(images: ImageCloud) -> None:
    demo = images.client("demo")
    small = make(demo, name="small", tags=["x", "y"], os_distro="debian")
    big = make(demo, name="big", container_format="ovf", min_ram=512, protected=True, tags=["x"], os_distro="ubuntu")
    make(demo, name="hidden", os_hidden=True)
    upload(demo, small["id"], b"1234")
    upload(demo, big["id"], b"123456")
    checksum = demo.get(f"/v2/images/{small['id']}").json()["checksum"]
    expected = {
        "": {"small", "big"},
        "?os_hidden=true": {"hidden"},
        "?name=small": {"small"},
        "?name=in:small,big": {"small", "big"},
        '?name=in:"small",other': {"small"},
        "?name=eq:big": {"big"},
        "?name=nginx:latest": set(),
        f"?id={big['id']}": {"big"},
        "?status=active": {"small", "big"},
        "?status=queued": set(),
        "?status=in:queued,active": {"small", "big"},
        f"?owner={DEMO}": {"small", "big"},
        f"?owner={ALT}": set(),
        "?disk_format=raw": {"small", "big"},
        "?container_format=ovf": {"big"},
        "?size=4": {"small"},
        "?size_min=5": {"big"},
        "?size_max=4": {"small"},
        "?min_ram=512": {"big"},
        "?min_ram_min=1": {"big"},
        "?protected=true": {"big"},
        "?tag=x": {"small", "big"},
        "?tag=x&tag=y": {"small"},
        "?os_distro=debian": {"small"},
        "?os_distro=debian&tag=x": {"small"},
        "?nothing=here": set(),
        f"?checksum={checksum}": {"small"},
        "?created_at=gte:2020-01-01T00:00:00Z": {"small", "big"},
        "?created_at=lt:2020-01-01T00:00:00Z": set(),
        "?updated_at=gt:2020-01-01T00:00:00%2B02:00": {"small", "big"},
    }
    for query, names in expected.items():
        assert set(listed(demo, query)) == names, query


@pytest.mark.parametrize(
    "query",
    [
        "?visibility=x", "?member_status=x", "?size_min=x", "?size=x", "?created_at=gte:x", "?protected=maybe",
        "?os_hidden=maybe", "?limit=-1", "?limit=x", "?marker=nothing", "?sort=x", "?sort=name:up", "?sort_key=x",
        "?sort_key=name&sort_dir=up", "?sort=name&sort_key=size", "?sort_key=name&sort_dir=asc&sort_dir=asc",
        "?name=%00", "?size=99999999999999999999", "?changes-since=2020-01-01",
        "?created_at=0001-01-01T00:00:00%2B23:00",
        "?name=in:%22open",
    ],
)  # fmt: skip
def test_list_refuses(images: ImageCloud, query: str) -> None:
    assert images.client("demo").get(f"/v2/images{query}").status_code == 400


def test_list_sorts_and_pages(images: ImageCloud) -> None:
    demo = images.client("demo")
    for name in "badce":
        make(demo, name=name)
    assert listed(demo) == list("ecdab")
    assert listed(demo, "?sort=name:asc") == list("abcde")
    assert listed(demo, "?sort_key=name&sort_dir=asc") == list("abcde")
    assert listed(demo, "?sort_key=name") == list("edcba")
    assert listed(demo, "?sort_dir=asc") == list("badce")
    assert listed(demo, "?limit=0") == []
    for start in ("/v2/images?limit=2&sort=name:asc", "/v2/images?limit=2&sort=size:asc,name:asc"):
        found: list[str] = []
        link: str | None = start
        while link:
            page = demo.get(link).json()
            assert page["schema"] == "/v2/schemas/images"
            assert page["first"].startswith("/v2/images?limit=2")
            found += [image["name"] for image in page["images"]]
            link = page.get("next")
        assert found == list("abcde")


def test_default_page_is_25(images: ImageCloud) -> None:
    demo = images.client("demo")
    for number in range(26):
        make(demo, name=str(number))
    page = demo.get("/v2/images").json()
    assert len(page["images"]) == 25
    assert len(demo.get(page["next"]).json()["images"]) == 1


def test_patch_changes_attributes_and_properties(images: ImageCloud) -> None:
    demo = images.client("demo")
    image = make(demo, color="red", shape="round")
    changes = (
        {"op": "replace", "path": "/name", "value": "two"},
        {"op": "add", "path": "/color", "value": "blue"},
        {"op": "remove", "path": "/shape"},
        {"op": "add", "path": "/a~1b~0c", "value": "odd"},
        {"op": "replace", "path": "/tags", "value": ["t"]},
        {"op": "add", "path": "/min_ram", "value": 64},
    )
    response = patch(demo, image["id"], *changes)
    assert response.status_code == 200, response.text
    changed = response.json()
    assert changed == demo.get(f"/v2/images/{image['id']}").json()
    assert (changed["name"], changed["color"], changed["a/b~c"], changed["tags"], changed["min_ram"]) == (
        "two", "blue", "odd", ["t"], 64,
    )  # fmt: skip
    assert "shape" not in changed
    assert listed(demo, "?color=blue") == ["two"]
    assert listed(demo, "?color=red") == []


def test_patch_in_the_older_wording(images: ImageCloud) -> None:
    demo = images.client("demo")
    image = make(demo, color="red")
    assert patch(demo, image["id"], {"replace": "/name", "value": "two"}, headers=DRAFT).json()["name"] == "two"
    assert patch(demo, image["id"], {"add": "/size_of", "value": "x"}, headers=DRAFT).json()["size_of"] == "x"
    assert patch(demo, image["id"], {"add": "/color", "value": "x"}, headers=DRAFT).status_code == 409
    assert patch(demo, image["id"], {"add": "/name", "value": "x"}, headers=DRAFT).status_code == 409
    assert "color" not in patch(demo, image["id"], {"remove": "/color"}, headers=DRAFT).json()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"op": "replace", "path": "/status", "value": "active"}, 403),
        ({"op": "replace", "path": "/id", "value": "x"}, 403),
        ({"op": "remove", "path": "/checksum"}, 403),
        ({"op": "remove", "path": "/name"}, 403),
        ({"op": "add", "path": "/os_glance_x", "value": "x"}, 403),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
        ({"op": "replace", "path": "/owner", "value": "me"}, 403),
        ({"op": "add", "path": "/locations/-", "value": {"url": "file:///etc/passwd", "metadata": {}}}, 403),
        ({"op": "replace", "path": "/nothing", "value": "x"}, 409),
        ({"op": "remove", "path": "/nothing"}, 409),
        ({"op": "replace", "path": "/visibility", "value": "x"}, 400),
        ({"op": "replace", "path": "/name", "value": 7}, 400),
        ({"op": "replace", "path": "/name"}, 400),
        ({"op": "test", "path": "/name", "value": "x"}, 400),
        ({"path": "/name", "value": "x"}, 400),
        ({"op": "replace", "value": "x"}, 400),
        ({"op": "replace", "path": "name", "value": "x"}, 400),
        ({"op": "replace", "path": "/a/b", "value": "x"}, 400),
        ({"op": "replace", "path": "/a~2", "value": "x"}, 400),
        ({"op": "replace", "path": 7, "value": "x"}, 400),
        ({"op": "add", "path": "/x", "value": {"y": 1}}, 400),
        ("text", 400),
    ],
)
def test_patch_refuses_and_changes_nothing(images: ImageCloud, change: Any, status: int) -> None:
    demo = images.client("demo")
    image = make(demo)
    response = patch(demo, image["id"], {"op": "replace", "path": "/name", "value": "changed"}, change)
    assert response.status_code == status, response.text
    assert demo.get(f"/v2/images/{image['id']}").json()["name"] == "one"


def test_patch_needs_its_content_type(images: ImageCloud) -> None:
    demo = images.client("demo")
    image = make(demo)
    response = patch(demo, image["id"], {}, headers={"Content-Type": "application/json"})
    assert response.status_code == 415
    assert "json-patch" in response.headers["accept-patch"]


def test_formats_are_fixed_once_there_is_data(images: ImageCloud) -> None:
    demo = images.client("demo")
    image = make(demo)
    change = {"op": "replace", "path": "/disk_format", "value": "ami"}
    assert patch(demo, image["id"], change).status_code == 200
    upload(demo, image["id"], b"data")
    assert patch(demo, image["id"], change).status_code == 403


def test_admin_gives_an_image_away_with_its_quota(images: ImageCloud) -> None:
    admin, demo, alt = images.client("admin"), images.client("demo"), images.client("alt")
    image = make(demo, visibility="private")
    changes = {"op": "replace", "path": "/owner", "value": ALT}
    assert patch(admin, image["id"], changes).json()["owner"] == ALT
    assert demo.get(f"/v2/images/{image['id']}").status_code == 404
    usage = alt.get("/v2/info/usage").json()["usage"]["image_count_total"]
    assert usage == {"usage": 1, "limit": -1}
    assert demo.get("/v2/info/usage").json()["usage"]["image_count_total"]["usage"] == 0
    assert make(admin, owner=ALT)["owner"] == ALT
    assert make(admin)["owner"] == OPERATOR


def test_protected_images_stay(images: ImageCloud) -> None:
    demo = images.client("demo")
    image = make(demo, protected=True)
    assert demo.delete(f"/v2/images/{image['id']}").status_code == 403
    assert patch(demo, image["id"], {"op": "replace", "path": "/protected", "value": False}).status_code == 200
    assert demo.delete(f"/v2/images/{image['id']}").status_code == 204
    assert demo.get(f"/v2/images/{image['id']}").status_code == 404
    assert demo.delete(f"/v2/images/{image['id']}").status_code == 404


def test_tags(images: ImageCloud) -> None:
    demo = images.client("demo")
    image = make(demo)
    for _ in range(2):
        assert demo.put(f"/v2/images/{image['id']}/tags/blue%20one").status_code == 204
    assert demo.get(f"/v2/images/{image['id']}").json()["tags"] == ["blue one"]
    assert listed(demo, "?tag=blue%20one") == ["one"]
    assert demo.delete(f"/v2/images/{image['id']}/tags/blue%20one").status_code == 204
    assert demo.delete(f"/v2/images/{image['id']}/tags/blue%20one").status_code == 404
    assert listed(demo, "?tag=blue%20one") == []
    assert demo.put(f"/v2/images/{image['id']}/tags/{'t' * 256}").status_code == 400
    assert demo.put("/v2/images/11111111-2222-3333-4444-555555555555/tags/x").status_code == 404


def test_deactivated_images_are_not_downloaded(images: ImageCloud) -> None:
    demo, admin = images.client("demo"), images.client("admin")
    image = make(demo)
    assert demo.post(f"/v2/images/{image['id']}/actions/deactivate").status_code == 403
    upload(demo, image["id"], b"data")
    for _ in range(2):
        assert demo.post(f"/v2/images/{image['id']}/actions/deactivate").status_code == 204
    assert demo.get(f"/v2/images/{image['id']}").json()["status"] == "deactivated"
    assert demo.get(f"/v2/images/{image['id']}/file").status_code == 403
    assert admin.get(f"/v2/images/{image['id']}/file").content == b"data"
    assert demo.post(f"/v2/images/{image['id']}/actions/reactivate").status_code == 204
    assert demo.get(f"/v2/images/{image['id']}/file").content == b"data"


def test_discovery(images: ImageCloud) -> None:
    demo = images.client("demo")
    for path, status in (("", 300), ("/", 300), ("/versions", 200)):
        response = demo.get(path)
        assert response.status_code == status
        versions = response.json()["versions"]
        assert versions[0]["status"] == "CURRENT"
        assert {"id": "v2.0", "status": "SUPPORTED"}.items() <= versions[-3].items()
        assert versions[0]["links"] == [{"rel": "self", "href": "http://cloud:5000/image/v2/"}]
    for name in ("image", "images", "member", "members", "task", "tasks"):
        assert demo.get(f"/v2/schemas/{name}").json()["name"] == name
    assert demo.get("/v2/schemas/other").status_code == 404
    methods = ["glance-direct", "copy-image", "glance-download"]
    assert demo.get("/v2/info/import").json()["import-methods"]["value"] == methods
    assert [store["id"] for store in demo.get("/v2/info/stores").json()["stores"]] == ["file"]
    assert demo.get("/v2/info/stores/detail").status_code == 403
    assert images.client("admin").get("/v2/info/stores/detail").json()["stores"][0]["type"] == "file"


def test_ids_that_are_none(images: ImageCloud) -> None:
    demo = images.client("demo")
    for image_id in ("x", "%00", "11111111-2222-3333-4444-555555555555", "..%2f..%2fetc", "é"):
        for path in ("", "/file", "/members", "/tasks"):
            assert demo.get(f"/v2/images/{image_id}{path}").status_code == 404
        assert demo.delete(f"/v2/images/{image_id}").status_code == 404


def test_an_empty_id_is_no_list(images: ImageCloud) -> None:
    demo = images.client("demo")
    make(demo)
    assert demo.get("/v2/images/").status_code == 404
    assert demo.delete("/v2/images/").status_code == 404
    assert listed(demo) == ["one"]
