"""Metadata definitions: namespaces with what lies in them; made by administrators, read by all."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.image.conftest import ImageCloud
from tests.cloud import TestCloud

from stackyard.core.policy import PolicySet
from stackyard.services.image import SERVICE
from stackyard.services.image.metadefs import catalogue
from stackyard.services.image.metadefs.bodies import READ_ONLY

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
    assert shown["tags"] == [{"name": "fast"}]
    assert shown["properties"] == {"cores": PROPERTY}
    assert shown["objects"][0]["properties"] == {"cores": PROPERTY}
    assert shown["self"] == f"{BASE}/Compute"
    assert [tag["name"] for tag in shown["tags"]] == ["fast"]
    prefixed = demo.get(f"{BASE}/Compute?resource_type=OS::Glance::Image").json()
    assert list(prefixed["properties"]) == ["hw_cores"]
    assert (list(prefixed["objects"][0]["properties"]), prefixed["objects"][0]["required"]) == (["hw_cores"],) * 2
    listed = demo.get(f"{BASE}?resource_types=OS::Glance::Image").json()["namespaces"]
    assert [entry["namespace"] for entry in listed] == ["Compute"]
    assert listed[0]["resource_type_associations"][0]["prefix"] == "hw_"
    assert demo.get(f"{BASE}?resource_types=OS::Nova::Flavor").json()["namespaces"] == []
    several = demo.get(f"{BASE}?resource_types=OS::Nova::Flavor,OS::Glance::Image").json()["namespaces"]
    assert [entry["namespace"] for entry in several] == ["Compute"]


def test_namespaces_are_listed_in_pages(images: ImageCloud) -> None:
    for name in "abc":
        make(images, name)
    page = images.client("demo").get(f"{BASE}?limit=2&sort_key=namespace&sort_dir=asc").json()
    assert [entry["namespace"] for entry in page["namespaces"]] == ["a", "b"]
    rest = images.client("demo").get(page["next"]).json()
    assert [entry["namespace"] for entry in rest["namespaces"]] == ["c"]
    assert images.client("demo").get(f"{BASE}?limit=0").json()["namespaces"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=x", 400),
        ("limit=-1", 400),
        ("limit=%C2%B2", 400),
        ("limit=" + "9" * 5000, 400),
        ("sort_dir=up", 400),
        ("sort_key=owner", 400),
        ("visibility=shared", 400),
        ("marker=nothing", 404),
        ("marker=secret", 404),
    ],
)
def test_lists_of_namespaces_refuse(images: ImageCloud, query: str, status: int) -> None:
    make(images, "secret", visibility="private")
    assert images.client("demo").get(f"{BASE}?{query}").status_code == status


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
    make(images, tags=[{"name": "fast"}], description="d")
    make(images, "Other")
    assert admin.put(f"{BASE}/Compute", json={"namespace": "Other"}).status_code == 409
    changed = admin.put(f"{BASE}/Compute", json={"namespace": "Cpu", "protected": True}).json()
    # What is left out is what a new namespace has.
    assert (changed["namespace"], changed["protected"], changed["visibility"]) == ("Cpu", True, "private")
    assert "description" not in changed
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
    assert admin.post(path, json={"tags": [{"name": "e"}, {"name": "e"}]}).status_code == 409
    assert admin.post(path, json={"tags": []}).status_code == 201
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
        {"namespace": "x", "objects": [{}]},
        {"namespace": "x", "unknown": 1},
    ],
)
def test_what_is_no_namespace_is_refused(images: ImageCloud, body: dict[str, Any]) -> None:
    admin = images.client("admin")
    assert admin.post(BASE, json=body).status_code == 400
    assert admin.get(BASE).json()["namespaces"] == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("objects", {}),
        ("objects", {"name": "n" * 81}),
        ("objects", {"name": "x", "properties": {"p": {"title": "t"}}}),
        ("objects", {"name": "x", "properties": []}),
        ("objects", {"name": "x", "required": [1]}),
        ("objects", {"name": "x", "description": "a\0b"}),
        ("objects", []),
        ("properties", {"name": "x", "type": "string"}),
        ("properties", {"name": "x", "title": "t", "type": "blob"}),
        ("properties", {"name": "x", "title": 1, "type": "string"}),
        ("properties", {"name": "x", **PROPERTY, "maxLength": -1}),
        ("properties", {"name": "x", **PROPERTY, "minimum": "1"}),
        ("properties", {"name": "x", **PROPERTY, "unknown": 1}),
        ("properties", PROPERTY),
        ("tags", {}),
        ("tags", {"tags": "x"}),
        ("tags", {"tags": [{"name": "n" * 81}]}),
        ("tags", {"tags": [{"name": ""}]}),
        ("tags", {"tags": [{"name": "x", "unknown": 1}]}),
        ("resource_types", {}),
        ("resource_types", {"name": "n" * 81}),
        ("resource_types", {"name": "x", "prefix": "p" * 81}),
        ("resource_types", {"name": "x", "properties_target": 5}),
    ],
)
def test_what_cannot_lie_in_a_namespace_is_refused(images: ImageCloud, kind: str, body: Any) -> None:
    make(images)
    path = f"{BASE}/Compute/{kind}"
    before = images.client("admin").get(path).json()
    assert images.client("admin").post(path, json=body).status_code == 400
    assert images.client("admin").get(path).json() == before


def test_a_name_given_twice_conflicts_and_leaves_nothing(images: ImageCloud) -> None:
    admin = images.client("admin")
    assert admin.post(BASE, json={"namespace": "x", "tags": [{"name": "t"}, {"name": "t"}]}).status_code == 409
    assert admin.get(f"{BASE}/x").status_code == 404


@pytest.mark.parametrize("field", ["self", "schema", "created_at", "updated_at"])
def test_what_the_service_writes_is_read_only(images: ImageCloud, field: str) -> None:
    admin = images.client("admin")
    make(images)
    linked = field in ("self", "schema")
    assert admin.post(BASE, json={"namespace": "x", field: "y"}).status_code == 403
    assert admin.put(f"{BASE}/Compute", json={"namespace": "Compute", field: "y"}).status_code == 403
    assert admin.post(f"{BASE}/Compute/objects", json={"name": "x", field: "y"}).status_code == 403
    for kind, body in (("properties", {"name": "x", **PROPERTY}), ("resource_types", {"name": "x"})):
        response = admin.post(f"{BASE}/Compute/{kind}", json={**body, field: "y"})
        assert response.status_code == (400 if linked else 403), kind


def test_what_was_shown_can_be_sent_again(images: ImageCloud) -> None:
    admin = images.client("admin")
    make(images, tags=[{"name": "t"}], objects=[{"name": "o"}], resource_type_associations=[{"name": "R"}])
    shown = admin.get(f"{BASE}/Compute").json()
    assert admin.delete(f"{BASE}/Compute").status_code == 204
    again = {name: value for name, value in shown.items() if name not in ("self", "schema", "created_at", "updated_at")}
    made = admin.post(BASE, json=again)
    assert made.status_code == 201, made.text
    assert [entry["name"] for entry in made.json()["objects"]] == ["o"]


def test_a_namespace_is_made_with_what_one_may_make(images: ImageCloud) -> None:
    overrides = {"add_metadef_namespace": "role:member", "add_metadef_tag": "role:member"}
    images.runtime.policies = PolicySet(SERVICE.policies, overrides)
    demo = images.client("demo")
    assert demo.post(BASE, json={"namespace": "x", "tags": [{"name": "t"}]}).status_code == 201
    for field, content in (
        ("properties", {"p": PROPERTY}),
        ("objects", [{"name": "o"}]),
        ("resource_type_associations", [{"name": "R"}]),
    ):
        assert demo.post(BASE, json={"namespace": field, field: content}).status_code == 403, field
        assert demo.get(f"{BASE}/{field}").status_code == 404


def test_tags_are_listed_in_pages(images: ImageCloud) -> None:
    make(images, tags=[{"name": name} for name in "abc"])
    demo = images.client("demo")

    def listed(query: str) -> Any:
        response = demo.get(f"{BASE}/Compute/tags?{query}")
        return [tag["name"] for tag in response.json()["tags"]] if response.status_code == 200 else response.status_code

    assert listed("sort_key=name&sort_dir=asc&limit=2") == ["a", "b"]
    assert listed("sort_key=name&sort_dir=asc&marker=b") == ["c"]
    assert listed("sort_key=name") == ["c", "b", "a"]
    assert [listed(query) for query in ("limit=x", "limit=-1", "sort_dir=x", "sort_key=x")] == [400] * 4
    assert listed("marker=nothing") == 404


def test_a_property_by_its_name_on_a_type_of_resource(images: ImageCloud) -> None:
    make(
        images,
        properties={"cores": PROPERTY},
        resource_type_associations=[{"name": "OS::Glance::Image", "prefix": "hw_"}, {"name": "Plain"}],
    )
    path = f"{BASE}/Compute/properties"
    demo = images.client("demo")
    assert demo.get(f"{path}/hw_cores?resource_type=OS::Glance::Image").json()["name"] == "cores"
    for asked in ("cores?resource_type=OS::Glance::Image", "cores?resource_type=Plain", "cores?resource_type=No"):
        assert demo.get(f"{path}/{asked}").status_code == 404, asked


def test_what_lies_in_a_private_namespace_is_its_owners(images: ImageCloud) -> None:
    make(images, visibility="private", tags=[{"name": "t"}])
    demo = images.client("demo")
    for kind in ("objects", "tags", "properties", "resource_types"):
        assert demo.get(f"{BASE}/Compute/{kind}").status_code == 404, kind
    assert demo.post(f"{BASE}/Compute/tags/x").status_code == 404
    assert demo.get(f"{BASE}/Compute/tags/t").status_code == 404


def test_the_standard_catalogue(images: ImageCloud) -> None:
    images.database.write("load", catalogue.load)
    demo, admin = images.client("demo"), images.client("admin")
    listed = demo.get(f"{BASE}?limit=100&sort_key=namespace&sort_dir=asc").json()["namespaces"]
    assert len(listed) == 32
    assert (listed[0]["namespace"], listed[0]["owner"]) == ("CIM::ProcessorAllocationSettingData", "admin")
    for entry in listed:
        shown = demo.get(f"{BASE}/{entry['namespace']}").json()
        assert shown.get("properties") or shown.get("objects"), entry["namespace"]
        # Each is something that the API itself would take.
        given = {key: value for key, value in shown.items() if key not in READ_ONLY.values()}
        copy = admin.post(BASE, json={**given, "namespace": "copy", "protected": False})
        assert copy.status_code == 201, copy.text
        assert admin.delete(f"{BASE}/copy").status_code == 204
    pinning = demo.get(f"{BASE}/OS::Compute::CPUPinning?resource_type=OS::Nova::Flavor").json()
    assert pinning["properties"]["hw:cpu_policy"]["enum"] == ["shared", "dedicated"]
    assert demo.delete(f"{BASE}/OS::Compute::CPUPinning").status_code == 403
    types = [entry["name"] for entry in demo.get("/v2/metadefs/resource_types").json()["resource_types"]]
    assert "OS::Trove::Instance" in types


def test_changes_of_the_catalogue_stay(images: ImageCloud) -> None:
    images.database.write("load", catalogue.load)
    admin = images.client("admin")
    name = "OS::Compute::CPUPinning"
    assert admin.delete(f"{BASE}/{name}").status_code == 403
    admin.put(f"{BASE}/{name}", json={"namespace": name, "visibility": "public", "display_name": "Ours"})
    assert admin.delete(f"{BASE}/OS::Glance::Signatures").status_code == 204
    images.database.write("load", catalogue.load)
    assert admin.get(f"{BASE}/{name}").json()["display_name"] == "Ours"
    assert admin.get(f"{BASE}/OS::Glance::Signatures").status_code == 404


def test_the_catalogue_leaves_what_was_there_before(images: ImageCloud) -> None:
    name = "OS::Compute::CPUPinning"
    make(images, name, display_name="Ours")
    images.database.write("load", catalogue.load)
    assert images.client("demo").get(f"{BASE}/{name}").json()["display_name"] == "Ours"


def test_a_cloud_has_the_catalogue_from_its_start(cloud: TestCloud) -> None:
    listed = cloud.client("demo").get(f"/image{BASE}?limit=100").json()["namespaces"]
    assert len(listed) == 32


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
