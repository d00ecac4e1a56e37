"""Lists of images are remembered: whatever changes shows at once, to whom it should, in every process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.image.conftest import ALT, DEMO, ImageCloud

from stackyard.core.policy import PolicySet
from stackyard.services.image import SERVICE

RFC = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
OCTETS = {"Content-Type": "application/octet-stream"}
PERSONAS = ("admin", "demo", "reader", "alt")

Change = Callable[[ImageCloud, str], Any]


def make(client: TestClient, **body: Any) -> str:
    response = client.post("/v2/images", json={"disk_format": "raw", "container_format": "bare", **body})
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def listed(images: ImageCloud, user: str, query: str = "") -> list[dict[str, Any]]:
    response = images.client(user).get(f"/v2/images{query}")
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["images"]
    return found


def by_hand(images: ImageCloud, user: str) -> list[dict[str, Any]]:
    """What the list must be: each image that it may hold, shown by itself."""
    ids = [image["id"] for image in listed(images, "admin", "?visibility=all&limit=1000")]
    client = images.client(user)
    return [client.get(f"/v2/images/{image_id}").json() for image_id in ids]


def patch(user: str, *changes: dict[str, Any]) -> Change:
    def apply(images: ImageCloud, image_id: str) -> Any:
        return images.client(user).patch(f"/v2/images/{image_id}", content=json.dumps(changes), headers=RFC)

    return apply


def send(user: str, method: str, path: str, **options: Any) -> Change:
    return lambda images, image_id: images.client(user).request(method, f"/v2/images/{image_id}{path}", **options)


CHANGES: dict[str, Change] = {
    "name": patch("demo", {"op": "replace", "path": "/name", "value": "new"}),
    "property": patch("demo", {"op": "add", "path": "/os_distro", "value": "x"}),
    "owner": patch("admin", {"op": "replace", "path": "/owner", "value": ALT}),
    "tag": send("demo", "PUT", "/tags/t"),
    "stage": send("demo", "PUT", "/stage", content=b"data", headers=OCTETS),
    "data": send("demo", "PUT", "/file", content=b"data", headers=OCTETS),
    "public": patch("admin", {"op": "replace", "path": "/visibility", "value": "public"}),
    "hidden": patch("demo", {"op": "replace", "path": "/os_hidden", "value": True}),
    "delete": send("demo", "DELETE", ""),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_shows_at_once(images: ImageCloud, name: str) -> None:
    other, changed = make(images.client("alt"), name="other"), make(images.client("demo"), name="old")
    before = {user: listed(images, user) for user in PERSONAS}
    assert before == {user: listed(images, user) for user in PERSONAS}
    assert CHANGES[name](images, changed).status_code in (200, 204)
    for user in ("demo", "reader"):
        shown = [image for image in by_hand(images, "admin") if image["id"] == changed and not image["os_hidden"]]
        expected = [image for image in shown if image["owner"] == DEMO or image["visibility"] == "public"]
        assert listed(images, user) == expected, user
        assert listed(images, user) != before[user], user
    assert [image["id"] for image in listed(images, "alt")][-1:] == [other]
    assert {image["id"] for image in listed(images, "alt")} >= ({changed} if name in ("owner", "public") else set())


def test_deactivation_shows_at_once(images: ImageCloud) -> None:
    image_id = make(images.client("demo"))
    assert CHANGES["data"](images, image_id).status_code == 204
    for verb, status in (("deactivate", "deactivated"), ("reactivate", "active")):
        assert images.client("demo").post(f"/v2/images/{image_id}/actions/{verb}").status_code == 204
        assert [image["status"] for image in listed(images, "demo")] == [status]


def test_sharing_shows_at_once(images: ImageCloud) -> None:
    image_id = make(images.client("demo"), visibility="shared")
    demo, alt = images.client("demo"), images.client("alt")
    members = f"/v2/images/{image_id}/members"

    def seen() -> list[int]:
        queries = ("", "?member_status=pending", "?member_status=rejected", "?member_status=all", "?visibility=shared")
        return [len(listed(images, "alt", query)) for query in queries]

    assert seen() == [0, 0, 0, 0, 0]
    demo.post(members, json={"member": ALT})
    assert seen() == [0, 1, 0, 1, 0]
    alt.put(f"{members}/{ALT}", json={"status": "accepted"})
    assert seen() == [1, 0, 0, 1, 1]
    alt.put(f"{members}/{ALT}", json={"status": "rejected"})
    assert seen() == [0, 0, 1, 1, 0]
    demo.delete(f"{members}/{ALT}")
    assert seen() == [0, 0, 0, 0, 0]


def test_each_persona_has_a_list_of_its_own(images: ImageCloud) -> None:
    for visibility in ("private", "shared", "community"):
        make(images.client("demo"), name=f"demo {visibility}", visibility=visibility)
        make(images.client("alt"), name=f"alt {visibility}", visibility=visibility)
    make(images.client("admin"), name="everyone's", visibility="public")
    expected = {
        "demo": {"demo private", "demo shared", "demo community", "everyone's"},
        "reader": {"demo private", "demo shared", "demo community", "everyone's"},
        "alt": {"alt private", "alt shared", "alt community", "everyone's"},
        "admin": {"demo private", "demo shared", "alt private", "alt shared", "everyone's"},
    }
    for _ in range(2):
        for user, names in expected.items():
            assert {image["name"] for image in listed(images, user)} == names, user


def test_two_processes_agree(images: ImageCloud, database_url: str, tmp_path: Path) -> None:
    other = ImageCloud(database_url, tmp_path / "state")
    try:
        assert listed(images, "demo") == listed(other, "demo") == []
        for number, cloud in enumerate((images, other, images), 1):
            make(cloud.client("demo"), name=str(number))
            assert len(listed(images, "demo")) == len(listed(other, "demo")) == number
    finally:
        other.runtime.close()


def test_a_change_of_the_policy_is_noticed(images: ImageCloud) -> None:
    make(images.client("demo"))
    assert len(listed(images, "reader")) == 1
    images.runtime.policies = PolicySet(SERVICE.policies, {"get_image": "role:member"})
    assert (len(listed(images, "reader")), len(listed(images, "demo"))) == (0, 1)


def test_a_refused_change_leaves_the_list(images: ImageCloud) -> None:
    image_id = make(images.client("demo"), name="old")
    before = listed(images, "demo")
    assert CHANGES["name"](images, image_id).status_code == 200
    assert patch("demo", {"op": "replace", "path": "/id", "value": "x"})(images, image_id).status_code == 403
    assert patch("alt", {"op": "replace", "path": "/name", "value": "x"})(images, image_id).status_code == 404
    assert [image["name"] for image in listed(images, "demo")] == ["new"]
    assert [image["name"] for image in before] == ["old"]


def test_long_lists_are_whole(images: ImageCloud) -> None:
    demo = images.client("demo")
    for number in range(3):
        make(demo, name=str(number), description="x" * 60000)
    for _ in range(2):
        assert [image["name"] for image in listed(images, "demo")] == ["2", "1", "0"]
    make(demo, name="3")
    assert [image["name"] for image in listed(images, "demo")] == ["3", "2", "1", "0"]


def pages(client: TestClient, path: str) -> Iterator[list[str]]:
    while path:
        page = client.get(path).json()
        yield [image["name"] for image in page["images"]]
        path = page.get("next", "")


def test_links_lead_through_all_pages(images: ImageCloud) -> None:
    demo = images.client("demo")
    for name in "caebd":
        make(demo, name=name)
    for _ in range(2):
        assert list(pages(demo, "/v2/images?limit=2&sort=name:asc")) == [["a", "b"], ["c", "d"], ["e"]]
        assert list(pages(demo, "/v2/images?limit=2&sort_key=name&sort_dir=desc")) == [["e", "d"], ["c", "b"], ["a"]]


def test_a_marker_is_an_image_that_one_may_see(images: ImageCloud) -> None:
    mine, others = make(images.client("demo")), make(images.client("alt"), visibility="private")
    assert images.client("demo").get(f"/v2/images?marker={mine}").status_code == 200
    for marker in (others, "no-uuid", "6b1b0b7e-3f5c-4b3b-8b5e-5d0d7a1f2c3d"):
        response = images.client("demo").get(f"/v2/images?marker={marker}")
        assert response.status_code == 400, marker
        assert "could not be found" in response.text
    assert images.client("admin").get(f"/v2/images?marker={others}").status_code == 200


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=in:one,two", ["one", "two"]),
        ('name=in:"a,b",one', ["a,b", "one"]),
        ("name=x:1", ["x:1"]),
        ("status=in:queued,active&name=one", ["one"]),
        ("disk_format=in:raw,qcow2", ["a,b", "one", "two", "x:1"]),
        ("disk_format=iso", []),
        ("tag=red", ["one", "two"]),
        ("tag=red&tag=big", ["two"]),
        ("tag=red&os_distro=d", ["one"]),
        ("min_ram=512", ["two"]),
        ("min_ram_max=100", ["a,b", "one", "x:1"]),
        ("protected=true", ["x:1"]),
        ("created_at=gte:2020-01-01T00:00:00Z", ["a,b", "one", "two", "x:1"]),
        ("created_at=lt:2020-01-01T00:00:00%2B02:00", []),
        ("updated_at=neq:2020-01-01T00:00:00Z&name=one", ["one"]),
        ("os_hidden=true", ["hidden"]),
        ("visibility=all", ["a,b", "alien", "one", "two", "x:1"]),
        ("visibility=community", ["alien"]),
        (f"owner={ALT}", []),
        (f"owner={ALT}&visibility=all", ["alien"]),
        (f"owner={DEMO}&visibility=private", ["one"]),
        ("deleted=true", ["a,b", "one", "two", "x:1"]),
    ],
)
def test_filters(images: ImageCloud, query: str, names: list[str]) -> None:
    demo = images.client("demo")
    make(demo, name="one", tags=["red"], os_distro="d", visibility="private")
    make(demo, name="two", tags=["red", "big"], min_ram=512)
    make(demo, name="a,b")
    make(demo, name="x:1", protected=True)
    make(demo, name="hidden", os_hidden=True)
    make(images.client("alt"), name="alien", visibility="community")
    assert [image["name"] for image in listed(images, "demo", f"?{query}&sort=name:asc")] == names


def test_an_image_of_nobodys_is_for_administrators_to_make(images: ImageCloud) -> None:
    body = {"name": "i", "owner": None, "visibility": "public"}
    assert images.client("demo").post("/v2/images", json={**body, "visibility": "private"}).status_code == 403
    made = images.client("admin").post("/v2/images", json=body)
    assert (made.status_code, made.json()["owner"]) == (201, None)
    assert [image["owner"] for image in listed(images, "demo")] == [None]
