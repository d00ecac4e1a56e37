"""Regions, services and endpoints, and what clients see of them."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient
from tests.api.identity.people import V3, People
from tests.cloud import PASSWORDS


def _endpoint(people: People, **attributes: Any) -> Any:
    service = people.make("service", type="test")
    body = {"interface": "public", "url": "http://a.example/", "service_id": service["id"], **attributes}
    return people.admin.post(f"{V3}/endpoints", json={"endpoint": body})


def test_regions(people: People) -> None:
    top = people.make("region", id="top", description="d", colour="red")
    below = people.make("region", parent_region_id="top")
    assert (top["id"], top["description"], top["colour"]) == ("top", "d", "red")
    assert len(below["id"]) == 32
    assert people.admin.put(f"{V3}/regions/other", json={"region": {}}).status_code == 201
    assert people.admin.put(f"{V3}/regions/one", json={"region": {"id": "two"}}).status_code == 400
    assert people.admin.post(f"{V3}/regions", json={"region": {"id": "top"}}).status_code == 409
    assert people.admin.post(f"{V3}/regions", json={"region": {"parent_region_id": "none"}}).status_code == 404
    listed = people.admin.get(f"{V3}/regions?parent_region_id=top").json()["regions"]
    assert [region["id"] for region in listed] == [below["id"]]
    circle = people.admin.patch(f"{V3}/regions/top", json={"region": {"parent_region_id": below["id"]}})
    assert circle.status_code == 400
    assert people.admin.patch(f"{V3}/regions/top", json={"region": {"description": "e"}}).status_code == 200
    assert people.admin.delete(f"{V3}/regions/top").status_code == 204
    assert people.admin.get(f"{V3}/regions/{below['id']}").status_code == 404


WRONG_REGIONS: list[dict[str, Any]] = [
    {"description": "d" * 256},
    {"description": 7},
    {"parent_region_id": ""},
    {"parent_region_id": 7},
    {"parent_region_id": "p" * 256},
    {"id": "i" * 256},
    {"id": 7},
]


def test_wrong_regions(people: People) -> None:
    url = f"{V3}/regions/{people.make('region', id='top')['id']}"
    for wrong in WRONG_REGIONS:
        assert people.admin.post(f"{V3}/regions", json={"region": wrong}).status_code == 400, wrong
        assert people.admin.patch(url, json={"region": wrong}).status_code == 400, wrong
    for wrong in ({}, {"id": "other"}, {"parent_region_id": "top"}):
        assert people.admin.patch(url, json={"region": wrong}).status_code == 400, wrong
    assert people.admin.patch(url, json={"region": {"parent_region_id": "none"}}).status_code == 404
    assert people.admin.put(f"{V3}/regions/{'i' * 256}", json={"region": {}}).status_code == 400
    assert people.admin.put(f"{V3}/regions/top", json={"region": {}}).status_code == 409
    assert people.admin.get(f"{V3}/regions/none").json()["error"]["message"] == "Could not find region: none."


def test_regions_in_a_tree(people: People) -> None:
    for region_id, parent in (("a", None), ("b", "a"), ("c", "b")):
        people.make("region", id=region_id, parent_region_id=parent)
    circle = people.admin.patch(f"{V3}/regions/a", json={"region": {"parent_region_id": "c"}})
    assert circle.status_code == 400
    assert people.admin.patch(f"{V3}/regions/c", json={"region": {"parent_region_id": None}}).status_code == 200
    assert people.admin.patch(f"{V3}/regions/a", json={"region": {"parent_region_id": "c"}}).status_code == 200
    assert _endpoint(people, region_id="b").status_code == 201
    for region_id in ("c", "a", "b"):
        assert people.admin.delete(f"{V3}/regions/{region_id}").status_code == 403, region_id
    listed = people.admin.get(f"{V3}/regions?parent_region_id=c").json()["regions"]
    assert [region["id"] for region in listed] == ["a"]


WRONG_SERVICES: list[dict[str, Any]] = [
    {"type": ""},
    {"type": "t" * 256},
    {"type": None},
    {"type": ["compute"]},
    {"name": ""},
    {"name": "n" * 256},
    {"enabled": 1},
]


def test_wrong_services(people: People) -> None:
    made = people.make("service", type="thing")
    for wrong in WRONG_SERVICES:
        assert people.admin.post(f"{V3}/services", json={"service": {"type": "t", **wrong}}).status_code == 400, wrong
        assert people.admin.patch(f"{V3}/services/{made['id']}", json={"service": wrong}).status_code == 400, wrong
    nameless = people.admin.post(f"{V3}/services", json={"service": {"type": "t"}}).json()["service"]
    assert nameless["name"] == ""
    assert people.admin.patch(f"{V3}/services/{made['id']}", json={"service": {}}).status_code == 400
    assert people.admin.patch(f"{V3}/services/{made['id']}", json={"service": {"id": "other"}}).status_code == 400
    assert people.admin.get(f"{V3}/services/{made['id']}").json()["service"] == made


def test_services(people: People) -> None:
    made = people.make("service", type="thing", description="d")
    url = f"{V3}/services/{made['id']}"
    assert people.admin.get(url).json()["service"] == made
    assert people.admin.get(f"{V3}/services?type=thing").json()["services"] == [made]
    changed = people.admin.patch(url, json={"service": {"description": "e"}}).json()["service"]
    assert changed == {**made, "description": "e"}
    assert people.admin.post(f"{V3}/services", json={"service": {"name": "x"}}).status_code == 400
    assert people.admin.patch(url, json={"service": {"enabled": "True"}}).status_code == 400
    assert people.admin.delete(url).status_code == 204
    assert people.admin.get(url).status_code == 404


def test_endpoints(people: People) -> None:
    made = _endpoint(people, region="new-region")
    assert made.status_code == 201
    endpoint = made.json()["endpoint"]
    assert (endpoint["region"], endpoint["region_id"], endpoint["enabled"]) == ("new-region", "new-region", True)
    assert people.admin.get(f"{V3}/regions/new-region").status_code == 200
    url = f"{V3}/endpoints/{endpoint['id']}"
    assert people.admin.get(url).json()["endpoint"] == endpoint
    query = f"{V3}/endpoints?service_id={endpoint['service_id']}&interface=public&region_id=new-region"
    assert people.admin.get(query).json()["endpoints"] == [endpoint]
    assert people.admin.get(f"{query}&interface=admin").json()["endpoints"] != []
    assert people.admin.get(f"{V3}/endpoints?interface=secret").status_code == 400
    changed = people.admin.patch(url, json={"endpoint": {"url": "http://b.example/", "interface": "internal"}})
    assert changed.json()["endpoint"]["url"] == "http://b.example/"
    assert people.admin.delete(f"{V3}/regions/new-region").status_code == 403
    assert people.admin.delete(f"{V3}/services/{endpoint['service_id']}").status_code == 204
    assert people.admin.get(url).status_code == 404


WRONG: list[dict[str, Any]] = [
    {"enabled": "False"},
    {"interface": "secret"},
    {"url": "no url"},
    {"url": "http://a/%(password)s"},
    {"url": "http://a/$(tenant_id"},
    {"service_id": "unknown"},
    {"region_id": "unknown"},
    {"url": None},
    {"url": "http://a/" + "b" * 225},
    {"region_id": 7},
    {"enabled": None},
]


def test_wrong_endpoints(people: People) -> None:
    for attributes in WRONG:
        assert _endpoint(people, **attributes).status_code == 400, attributes


def _catalog(client: TestClient, kind: str) -> list[str]:
    services = client.get(f"{V3}/auth/catalog").json()["catalog"]
    return [endpoint["url"] for service in services if service["type"] == kind for endpoint in service["endpoints"]]


def test_the_catalogue_shows_what_is_enabled_with_its_places_filled_in(people: People) -> None:
    demo = people.cloud.client("demo")
    project_id = demo.get(f"{V3}/auth/projects").json()["projects"][0]["id"]
    made = _endpoint(people, url="http://a.example/v1/AUTH_$(tenant_id)s/%(project_id)s").json()["endpoint"]
    assert _catalog(demo, "test") == [f"http://a.example/v1/AUTH_{project_id}/{project_id}"]
    assert people.admin.get(f"{V3}/endpoints/{made['id']}").json()["endpoint"]["url"] == made["url"]
    people.admin.patch(f"{V3}/endpoints/{made['id']}", json={"endpoint": {"enabled": False}})
    assert _catalog(demo, "test") == []
    people.admin.patch(f"{V3}/services/{made['service_id']}", json={"service": {"enabled": False}})
    types = [service["type"] for service in demo.get(f"{V3}/auth/catalog").json()["catalog"]]
    assert "test" not in types


def test_an_endpoint_for_projects_is_left_out_without_one(people: People) -> None:
    _endpoint(people, url="http://a.example/%(tenant_id)s")
    user = people.user()
    people.grant(f"users/{user['id']}", "reader", "system")
    token = people.sign_in(user, {"system": {"all": True}}).json()["token"]
    service = next(service for service in token["catalog"] if service["type"] == "test")
    assert service["endpoints"] == []


def test_the_clouds_own_endpoints_have_the_address_at_which_it_was_reached(people: People) -> None:
    headers = {"X-Auth-Token": people.cloud.token("admin")}
    elsewhere = TestClient(people.cloud.cloud, base_url="http://cloud.example:8080", headers=headers)
    assert set(_catalog(elsewhere, "identity")) == {"http://cloud.example:8080/identity"}
    assert set(_catalog(people.admin, "identity")) == {"http://127.0.0.1:5000/identity"}
    listed = elsewhere.get(f"{V3}/endpoints").json()["endpoints"]
    assert {endpoint["url"].split("/")[2] for endpoint in listed} == {"cloud.example:8080"}


def test_seeding_again_changes_nothing(people: People) -> None:
    def everything() -> dict[str, Any]:
        kinds = ("domains", "projects", "users", "roles", "regions", "services", "endpoints", "role_assignments")
        return {kind: people.admin.get(f"{V3}/{kind}").json()[kind] for kind in kinds}

    before = everything()
    people.cloud.cloud.seed(dict.fromkeys(PASSWORDS, "another-password"))
    assert everything() == before
    assert people.cloud.sign_in("admin", PASSWORDS["admin"], "admin")
    assert {project["name"] for project in before["projects"]} == {"admin", "demo", "service"}
    assert {role["name"] for role in before["roles"]} == {"admin", "manager", "member", "reader", "service"}
