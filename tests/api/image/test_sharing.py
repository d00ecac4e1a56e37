"""Sharing an image with another project: pending, accepted, rejected; who sees and may do what."""

from __future__ import annotations

import pytest
from tests.api.image.conftest import ALT, DEMO, ImageCloud
from tests.api.image.test_images import listed, make, patch

OTHER = "e" * 32


def share(images: ImageCloud) -> str:
    demo = images.client("demo")
    image_id = str(make(demo, name="shared")["id"])
    response = demo.post(f"/v2/images/{image_id}/members", json={"member": ALT})
    assert response.status_code == 200
    member = response.json()
    assert (member["member_id"], member["image_id"], member["status"]) == (ALT, image_id, "pending")
    assert member["schema"] == "/v2/schemas/member"
    return image_id


def answer(images: ImageCloud, image_id: str, status: str, user: str = "alt") -> int:
    client = images.client(user)
    return client.put(f"/v2/images/{image_id}/members/{ALT}", json={"status": status}).status_code


def test_a_pending_image_is_shown_but_not_listed_until_accepted(images: ImageCloud) -> None:
    image_id = share(images)
    alt = images.client("alt")
    assert alt.get(f"/v2/images/{image_id}").status_code == 200
    assert listed(alt) == []
    assert listed(alt, "?member_status=pending&visibility=shared") == ["shared"]
    assert listed(alt, "?member_status=all") == ["shared"]
    assert answer(images, image_id, "accepted") == 200
    assert listed(alt) == ["shared"]
    assert answer(images, image_id, "rejected") == 200
    assert listed(alt) == []
    assert listed(alt, "?member_status=rejected") == ["shared"]


def test_members_download_and_do_not_change(images: ImageCloud) -> None:
    image_id = share(images)
    alt, demo = images.client("alt"), images.client("demo")
    demo.put(f"/v2/images/{image_id}/file", content=b"x", headers={"Content-Type": "application/octet-stream"})
    assert alt.get(f"/v2/images/{image_id}/file").content == b"x"
    assert alt.delete(f"/v2/images/{image_id}").status_code == 403
    assert alt.put(f"/v2/images/{image_id}/tags/x").status_code == 403
    assert alt.post(f"/v2/images/{image_id}/members", json={"member": OTHER}).status_code == 403
    assert alt.delete(f"/v2/images/{image_id}/members/{ALT}").status_code == 403


def test_only_the_member_answers(images: ImageCloud) -> None:
    image_id = share(images)
    assert answer(images, image_id, "accepted", "demo") == 403
    assert answer(images, image_id, "nonsense") == 400
    assert answer(images, image_id, "accepted", "admin") == 200


def test_the_owner_sees_all_members_and_each_member_itself(images: ImageCloud) -> None:
    image_id = share(images)
    demo, alt, reader = images.client("demo"), images.client("alt"), images.client("reader")
    demo.post(f"/v2/images/{image_id}/members", json={"member": OTHER})

    def seen(client: object) -> list[str]:
        return [member["member_id"] for member in client.get(f"/v2/images/{image_id}/members").json()["members"]]  # type: ignore[attr-defined]

    assert seen(demo) == seen(reader) == [ALT, OTHER]
    assert seen(alt) == [ALT]
    assert alt.get(f"/v2/images/{image_id}/members/{ALT}").status_code == 200
    assert alt.get(f"/v2/images/{image_id}/members/{OTHER}").status_code == 404
    assert reader.post(f"/v2/images/{image_id}/members", json={"member": DEMO}).status_code == 403


def test_removing_a_member_and_deleting_the_image_end_it(images: ImageCloud) -> None:
    image_id = share(images)
    demo, alt = images.client("demo"), images.client("alt")
    answer(images, image_id, "accepted")
    assert demo.delete(f"/v2/images/{image_id}/members/{ALT}").status_code == 204
    assert demo.delete(f"/v2/images/{image_id}/members/{ALT}").status_code == 404
    assert listed(alt) == []
    assert alt.get(f"/v2/images/{image_id}").status_code == 404
    demo.post(f"/v2/images/{image_id}/members", json={"member": ALT})
    assert demo.delete(f"/v2/images/{image_id}").status_code == 204
    assert make(demo, id=image_id)["id"] == image_id
    assert demo.get(f"/v2/images/{image_id}/members").json()["members"] == []


@pytest.mark.parametrize("body", [{}, {"member": ""}, {"member": 7}, {"member": "m" * 256}, {"member": "a\0b"}])
def test_what_is_no_project_is_refused(images: ImageCloud, body: dict[str, object]) -> None:
    image_id = share(images)
    assert images.client("demo").post(f"/v2/images/{image_id}/members", json=body).status_code == 400


def test_a_member_is_added_once_and_only_to_shared_images(images: ImageCloud) -> None:
    image_id = share(images)
    demo = images.client("demo")
    assert demo.post(f"/v2/images/{image_id}/members", json={"member": ALT}).status_code == 409
    private = make(demo, visibility="private")["id"]
    assert demo.post(f"/v2/images/{private}/members", json={"member": ALT}).status_code == 403
    assert demo.get(f"/v2/images/{private}/members").status_code == 403
    assert demo.get(f"/v2/images/{private}/members/{ALT}").status_code == 404
    for number in range(127):
        demo.post(f"/v2/images/{image_id}/members", json={"member": str(number)})
    assert demo.post(f"/v2/images/{image_id}/members", json={"member": "one more"}).status_code == 413


SEEN = {"show": 200, "file": 200, "change": 403, "tag": 403, "deactivate": 403, "delete": 403}
UNSEEN = dict.fromkeys(SEEN, 404)
ANYTHING = {"show": 200, "file": 200, "change": 200, "tag": 204, "deactivate": 204, "delete": 204}
ANSWERS = {
    ("private", "alt"): UNSEEN,
    ("shared", "alt"): UNSEEN,
    ("community", "alt"): SEEN,
    ("public", "alt"): SEEN,
    # Downloading takes the role of a member.
    ("private", "reader"): {**SEEN, "file": 403},
    ("public", "reader"): {**SEEN, "file": 403},
    ("private", "demo"): ANYTHING,
    ("public", "demo"): ANYTHING,
    ("private", "admin"): ANYTHING,
    ("community", "admin"): ANYTHING,
}


@pytest.mark.parametrize(("visibility", "user"), ANSWERS)
def test_who_may_do_what(images: ImageCloud, visibility: str, user: str) -> None:
    image_id = make(images.client("demo"), visibility="private")["id"]
    path = f"/v2/images/{image_id}"
    octets = {"Content-Type": "application/octet-stream"}
    assert images.client("demo").put(f"{path}/file", content=b"x", headers=octets).status_code == 204
    change = {"op": "replace", "path": "/visibility", "value": visibility}
    assert patch(images.client("admin"), image_id, change).status_code == 200
    client = images.client(user)
    found = {
        "show": client.get(path).status_code,
        "file": client.get(f"{path}/file").status_code,
        "change": patch(client, image_id, {"op": "replace", "path": "/name", "value": "new"}).status_code,
        "tag": client.put(f"{path}/tags/new").status_code,
        "deactivate": client.post(f"{path}/actions/deactivate").status_code,
        "delete": client.delete(path).status_code,
    }
    assert found == ANSWERS[visibility, user]


@pytest.mark.parametrize("visibility", ["private", "community", "public"])
def test_only_shared_images_have_members(images: ImageCloud, visibility: str) -> None:
    image_id = share(images)
    change = {"op": "replace", "path": "/visibility", "value": visibility}
    assert patch(images.client("admin"), image_id, change).status_code == 200
    members = f"/v2/images/{image_id}/members"
    for user in ("demo", "admin"):
        client = images.client(user)
        assert client.get(members).status_code == 403
        assert client.post(members, json={"member": OTHER}).status_code == 403
        assert client.get(f"{members}/{ALT}").status_code == 404
        assert client.delete(f"{members}/{ALT}").status_code == 403
    hidden = visibility == "private"
    assert images.client("alt").get(f"/v2/images/{image_id}").status_code == (404 if hidden else 200)
    change["value"] = "shared"
    assert patch(images.client("admin"), image_id, change).status_code == 200
    assert images.client("demo").get(f"{members}/{ALT}").status_code == 200


@pytest.mark.parametrize("body", [{}, {"status": 5}, {"status": None}, {"status": "maybe"}, {"status": "a" * 9999}, []])
def test_answers_that_are_none(images: ImageCloud, body: object) -> None:
    image_id = share(images)
    assert images.client("alt").put(f"/v2/images/{image_id}/members/{ALT}", json=body).status_code == 400
    assert images.client("alt").put(f"/v2/images/{image_id}/members/{OTHER}", json=body).status_code in (400, 403, 404)


def test_community_images_are_listed_for_who_asks(images: ImageCloud) -> None:
    make(images.client("demo"), name="own", visibility="community")
    make(images.client("alt"), name="others", visibility="community")
    demo = images.client("demo")
    assert listed(demo) == ["own"]
    assert sorted(listed(demo, "?visibility=community")) == sorted(listed(demo, "?visibility=all")) == ["others", "own"]
    assert listed(images.client("admin")) == []
