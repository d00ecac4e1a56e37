"""Metadata definitions: namespaces with what lies in them; made by administrators, read by all."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.image.conftest import ImageCloud

BASE = "/v2/metadefs/namespaces"
PROPERTY = {"title": "Cores", "type": "integer", "minimum": 1, "default": 2}


def make(images: ImageCloud, name: str = "Compute", **more: Any) -> dict[str, Any]:
    response = images.client("admin").post(BASE, json={"namespace": name, "visibility": "public", **more})
    assert response.status_code == 201, response.text
    return response.json()


def test_a_namespace_with_all_that_lies_in_it(images: ImageCloud) -> None:
    made = make(
        images,
        description="d",
        display_name="D",
        properties={"cores": PROPERTY},
        objects=[{"name": "cpu", "description": "x", "required": ["cores"], "properties": {"cores": PROPERTY}}],
        tags=[{"name": "fast"}],
        resource_type_associations=[{"name": "OS::Glance::Image", "prefix": "hw_"}],
    )
    demo = images.client("demo")
    shown = demo.get(f"{BASE}/Compute").json()
    assert shown == made
    assert shown["properties"] == {"cores": PROPERTY}
    assert shown["objects"][0]["properties"] == {"cores": PROPERTY}
    assert shown["self"] == f"{BASE}/Compute"
    assert [tag["name"] for tag in shown["tags"]] == ["fast"]
    prefixed = demo.get(f"{BASE}/Compute?resource_type=OS::Glance::Image").json()
    assert list(prefixed["properties"]) == ["hw_cores"]
    listed = demo.get(f"{BASE}?resource_types=OS::Glance::Image").json()["namespaces"]
    assert [entry["namespace"] for entry in listed] == ["Compute"]
    assert listed[0]["resource_type_associations"][0]["prefix"] == "hw_"
    assert demo.get(f"{BASE}?resource_types=OS::Nova::Flavor").json()["namespaces"] == []


def test_namespaces_are_listed_in_pages(images: ImageCloud) -> None:
    for name in "abc":
        make(images, name)
    page = images.client("demo").get(f"{BASE}?limit=2&sort_key=namespace&sort_dir=asc").json()
    assert [entry["namespace"] for entry in page["namespaces"]] == ["a", "b"]
    rest = images.client("demo").get(page["next"]).json()
    assert [entry["namespace"] for entry in rest["namespaces"]] == ["c"]


def test_a_private_namespace_is_its_owners(images: ImageCloud) -> None:
    make(images, visibility="private")
    assert images.client("demo").get(f"{BASE}/Compute").status_code == 404
    assert images.client("demo").get(BASE).json()["namespaces"] == []
    assert images.client("admin").get(f"{BASE}/Compute").status_code == 200


def test_only_administrators_define(images: ImageCloud) -> None:
    make(images, tags=[{"name": "fast"}])
    demo = images.client("demo")
    refused = (
        demo.post(BASE, json={"namespace": "x"}),
        demo.put(f"{BASE}/Compute", json={"namespace": "x"}),
        demo.delete(f"{BASE}/Compute"),
        demo.post(f"{BASE}/Compute/tags/x"),
        demo.delete(f"{BASE}/Compute/tags/fast"),
        demo.post(f"{BASE}/Compute/objects", json={"name": "x"}),
        demo.post(f"{BASE}/Compute/resource_types", json={"name": "x"}),
    )
    assert [response.status_code for response in refused] == [403] * 7
    assert demo.get(f"{BASE}/Compute/tags/fast").status_code == 200


def test_update_renames_and_protects(images: ImageCloud) -> None:
    admin = images.client("admin")
    make(images, tags=[{"name": "fast"}])
    make(images, "Other")
    assert admin.put(f"{BASE}/Compute", json={"namespace": "Other"}).status_code == 409
    changed = admin.put(f"{BASE}/Compute", json={"namespace": "Cpu", "protected": True}).json()
    assert (changed["namespace"], changed["protected"], changed["visibility"]) == ("Cpu", True, "public")
    assert admin.get(f"{BASE}/Compute").status_code == 404
    assert admin.delete(f"{BASE}/Cpu").status_code == 403
    assert admin.delete(f"{BASE}/Cpu/tags/fast").status_code == 403
    assert admin.delete(f"{BASE}/Cpu/tags").status_code == 403
    admin.put(f"{BASE}/Cpu", json={"namespace": "Cpu", "protected": False})
    assert admin.delete(f"{BASE}/Cpu").status_code == 204
    assert make(images, "Cpu").get("tags") is None


@pytest.mark.parametrize(
    ("kind", "body", "changed"),
    [
        ("objects", {"name": "one", "description": "d"}, {"name": "two", "properties": {"p": PROPERTY}}),
        ("properties", {"name": "one", **PROPERTY}, {"name": "two", "title": "T", "type": "string", "enum": ["a"]}),
    ],
)
def test_things_in_a_namespace(images: ImageCloud, kind: str, body: dict[str, Any], changed: dict[str, Any]) -> None:
    admin = images.client("admin")
    make(images)
    path = f"{BASE}/Compute/{kind}"
    created = admin.post(path, json=body)
    assert created.status_code == 201, created.text
    assert body.items() <= created.json().items()
    assert admin.post(path, json=body).status_code == 409
    assert admin.get(f"{path}/one").json() == created.json()
    updated = admin.put(f"{path}/one", json=changed)
    assert updated.status_code == 200
    assert changed.items() <= updated.json().items()
    assert admin.get(f"{path}/one").status_code == 404
    assert len(admin.get(path).json()[kind]) == 1
    assert admin.delete(f"{path}/two").status_code == 204
    assert admin.delete(f"{path}/two").status_code == 404
    admin.post(path, json=body)
    assert admin.delete(path).status_code == 204
    assert len(admin.get(path).json()[kind]) == 0


def names(images: ImageCloud) -> list[str]:
    return sorted(tag["name"] for tag in images.client("demo").get(f"{BASE}/Compute/tags").json()["tags"])


def test_tags_one_by_one_and_all_at_once(images: ImageCloud) -> None:
    admin = images.client("admin")
    make(images)
    path = f"{BASE}/Compute/tags"
    assert admin.post(path, json={"tags": [{"name": "a"}, {"name": "b"}]}).status_code == 201
    assert admin.post(path, json={"tags": [{"name": "c"}]}).status_code == 201
    assert names(images) == ["c"]
    append = {"X-Openstack-Append": "True"}
    assert admin.post(path, json={"tags": [{"name": "d"}]}, headers=append).status_code == 201
    assert admin.post(path, json={"tags": [{"name": "d"}]}, headers=append).status_code == 409
    assert admin.post(path, json={"tags": [{"name": "e"}, {"name": "e"}]}).status_code == 400
    assert admin.post(f"{path}/f").status_code == 201
    assert admin.post(f"{path}/f").status_code == 409
    assert admin.put(f"{path}/f", json={"name": "g"}).json()["name"] == "g"
    assert names(images) == ["c", "d", "g"]


def test_resource_types(images: ImageCloud) -> None:
    admin = images.client("admin")
    make(images)
    path = f"{BASE}/Compute/resource_types"
    assert admin.post(path, json={"name": "My::Own::Type", "prefix": "x:"}).json()["prefix"] == "x:"
    known = [entry["name"] for entry in admin.get("/v2/metadefs/resource_types").json()["resource_types"]]
    assert {"OS::Glance::Image", "My::Own::Type"} <= set(known)
    assert [entry["name"] for entry in admin.get(path).json()["resource_type_associations"]] == ["My::Own::Type"]
    assert admin.delete(f"{path}/My::Own::Type").status_code == 204
    assert admin.get(path).json()["resource_type_associations"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"namespace": ""},
        {"namespace": "n" * 81},
        {"namespace": "a\0b"},
        {"namespace": "x", "visibility": "shared"},
        {"namespace": "x", "protected": "yes"},
        {"namespace": "x", "properties": {"p": {"type": "string"}}},
        {"namespace": "x", "properties": {"p": {"title": "t", "type": "blob"}}},
        {"namespace": "x", "properties": {"p": {"title": "a\0b", "type": "string"}}},
        {"namespace": "x", "tags": [{"name": "t"}, {"name": "t"}]},
        {"namespace": "x", "objects": [{}]},
        {"namespace": "x", "unknown": 1},
    ],
)
def test_what_is_no_namespace_is_refused(images: ImageCloud, body: dict[str, Any]) -> None:
    admin = images.client("admin")
    assert admin.post(BASE, json=body).status_code == 400
    assert admin.get(BASE).json()["namespaces"] == []


def test_schemas(images: ImageCloud) -> None:
    demo = images.client("demo")
    expected = {
        "namespace": "namespace", "namespaces": "namespaces", "object": "object", "objects": "objects",
        "property": "property", "properties": "properties", "tag": "tag", "tags": "tags",
        "resource_type": "resource_type_association", "resource_types": "resource_type_associations",
    }  # fmt: skip
    for path, name in expected.items():
        assert demo.get(f"/v2/schemas/metadefs/{path}").json()["name"] == name
    assert demo.get("/v2/schemas/metadefs/other").status_code == 404
