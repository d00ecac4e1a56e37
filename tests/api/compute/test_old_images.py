"""Images and their metadata through Nova's old API."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import rows
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

NOBODYS = "3f0b0d8a-8a43-4f4c-9a4b-0c2b7e1e9d11"
KEYS = {
    "id", "name", "links", "minRam", "minDisk", "metadata", "created", "updated", "status", "progress",
    "OS-EXT-IMG-SIZE:size",
}  # fmt: skip


@pytest.fixture
def demo(still_cloud: TestCloud) -> Nova:
    return Nova(still_cloud, "demo")


def make(nova: Nova, name: str = "mine", **fields: Any) -> str:
    body = {"name": name, "disk_format": "raw", "container_format": "bare"} | fields
    return str(nova.http.post("/image/v2/images", json=body).json()["id"])


def test_list_see_and_delete(still_cloud: TestCloud, demo: Nova) -> None:
    ready = rows.image(still_cloud)
    waiting = make(demo, colour="red", min_ram=64)
    images = {one["id"]: one for one in demo.get("/images")["images"]}
    assert set(images) == {ready, waiting}
    assert set(images[ready]) == {"id", "name", "links"}
    assert [link["rel"] for link in images[ready]["links"]] == ["self", "bookmark", "alternate"]
    found = {one["id"]: one for one in demo.get("/images/detail")["images"]}
    assert set(found[ready]) == KEYS
    assert (found[ready]["status"], found[ready]["progress"], found[ready]["OS-EXT-IMG-SIZE:size"]) == (
        "ACTIVE", 100, 1024,
    )  # fmt: skip
    assert (found[waiting]["status"], found[waiting]["progress"]) == ("SAVING", 25)
    assert (found[waiting]["metadata"], found[waiting]["minRam"]) == ({"colour": "red"}, 64)
    assert demo.get(f"/images/{waiting}") == {"image": found[waiting]}
    assert demo.delete(f"/images/{waiting}", status=204) is None
    demo.get(f"/images/{waiting}", status=404)
    demo.delete(f"/images/{waiting}", status=404)
    demo.delete(f"/images/{ready}", status=403)


def test_snapshots_say_of_which_server(demo: Nova) -> None:
    server = "3f0b0d8a-8a43-4f4c-9a4b-0c2b7e1e9d12"
    made = make(demo, instance_uuid=server, image_type="snapshot", auto_disk_config="True")
    shown = demo.get(f"/images/{made}")["image"]
    assert shown["server"]["id"] == server
    assert [link["rel"] for link in shown["server"]["links"]] == ["self", "bookmark"]
    assert shown["OS-DCF:diskConfig"] == "AUTO"
    make(demo)
    for query in (
        f"server={server}",
        f"server=http://cloud/servers/{server}",
        "type=snapshot",
        "property-image_type=snapshot",
    ):
        assert [one["id"] for one in demo.get(f"/images?{query}")["images"]] == [made]


def test_filters_and_pages(still_cloud: TestCloud, demo: Nova) -> None:
    ready = rows.image(still_cloud)
    waiting = [make(demo, name) for name in ("one", "two")]
    assert [one["id"] for one in demo.get("/images?name=one")["images"]] == waiting[:1]
    assert [one["id"] for one in demo.get("/images?status=ACTIVE")["images"]] == [ready]
    assert len(demo.get("/images?changes-since=2020-01-01T00:00:00Z")["images"]) == 3
    assert demo.get("/images?changes-since=2100-01-01T00:00:00Z")["images"] == []
    first = demo.get("/images?limit=2")
    assert "images_links" in first
    rest = demo.get(f"/images/detail?limit=2&marker={first['images'][-1]['id']}")
    assert len(first["images"] + rest["images"]) == 3
    assert "images_links" not in rest
    for query in ("limit=-1", "limit=x", f"marker={NOBODYS}", "changes-since=then"):
        demo.get(f"/images?{query}", status=400)


def test_metadata(demo: Nova) -> None:
    path = f"/images/{make(demo, colour='red')}/metadata"
    assert demo.get(path) == {"metadata": {"colour": "red"}}
    body = {"metadata": {"scale": "big", "a/b~c": "x"}}
    demo.post(path, body, status=400)
    assert demo.post(path, {"metadata": {"scale": "big"}}) == {"metadata": {"colour": "red", "scale": "big"}}
    assert demo.put(f"{path}/scale", {"meta": {"scale": "small"}}) == {"meta": {"scale": "small"}}
    assert demo.get(f"{path}/scale") == {"meta": {"scale": "small"}}
    assert demo.put(path, {"metadata": {"only": "this"}}) == {"metadata": {"only": "this"}}
    assert demo.get(path) == {"metadata": {"only": "this"}}
    assert demo.delete(f"{path}/only", status=204) is None
    demo.delete(f"{path}/only", status=404)
    demo.get(f"{path}/only", status=404)
    demo.get(path, version="2.38")
    demo.get(path, status=404, version="2.39")


def test_metadata_that_cannot_be(still_cloud: TestCloud, demo: Nova) -> None:
    path = f"/images/{make(demo)}/metadata"
    for metadata in ({"k" * 256: "x"}, {"k": "v" * 256}, {"": "x"}, {"k": 5}, {"k": None}, "x", None):
        demo.post(path, {"metadata": metadata}, status=400)
        demo.put(path, {"metadata": metadata}, status=400)
        demo.put(f"{path}/k", {"meta": metadata}, status=400)
    demo.put(f"{path}/k", {"meta": {"other": "x"}}, status=400)
    demo.put(f"{path}/k", {"meta": {"k": "x", "other": "x"}}, status=400)
    demo.post(path, {"metadata": {f"k{number}": "x" for number in range(129)}}, status=403)
    for nothing in (f"/images/{NOBODYS}/metadata", "/images/not-a-uuid/metadata"):
        demo.get(nothing, status=404)
        demo.post(nothing, {"metadata": {"k": "x"}}, status=404)
    assert demo.get(path) == {"metadata": {}}
    public = f"/images/{rows.image(still_cloud)}/metadata"
    demo.post(public, {"metadata": {"k": "x"}}, status=403)
    demo.put(public, {"metadata": {"k": "x"}}, status=403)


def test_others_images_are_not_there(still_cloud: TestCloud, demo: Nova) -> None:
    hidden = make(Nova(still_cloud, "admin"), "hidden")
    for path in (f"/images/{hidden}", f"/images/{hidden}/metadata"):
        demo.get(path, status=404)
    demo.delete(f"/images/{hidden}", status=404)
    assert demo.get("/images") == {"images": []}
    demo.get("/images", status=404, version="2.36")
    demo.delete(f"/images/{hidden}", status=404, version="2.36")


def test_an_image_without_an_id(demo: Nova) -> None:
    """Deleting it is a 404, as Nova has it, not a method that is not there."""
    demo.delete("/images/", status=404)
