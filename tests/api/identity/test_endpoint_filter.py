"""Endpoint groups, what projects are associated with, and the catalogue that comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.identity.people import SYSTEM, V3, People, in_project

FILTER = f"{V3}/OS-EP-FILTER"
GROUPS = f"{FILTER}/endpoint_groups"


class Place:
    """Two services with an endpoint each, and a project with somebody in it."""

    def __init__(self, people: People) -> None:
        self.people, self.admin = people, people.admin
        self.services = [people.make("service", type=f"kind-{number}") for number in (1, 2)]
        self.endpoints = [
            people.make(
                "endpoint", service_id=service["id"], interface="public", url="http://a.example/", region="RegionOne"
            )
            for service in self.services
        ]
        self.project = people.make("project")
        self.user = people.user()
        people.grant(f"users/{self.user['id']}", "reader", f"projects/{self.project['id']}")

    def group(self, **filters: Any) -> dict[str, Any]:
        """A new endpoint group."""
        response = self.admin.post(GROUPS, json={"endpoint_group": {"name": "g", "filters": filters}})
        assert response.status_code == 201, response.text
        return dict(response.json()["endpoint_group"])

    def associate(self, endpoint: dict[str, Any]) -> str:
        """Associate the project with an endpoint; the association's address."""
        url = f"{FILTER}/projects/{self.project['id']}/endpoints/{endpoint['id']}"
        assert self.admin.put(url).status_code == 204
        return url

    def catalogue(self) -> dict[str, list[str]]:
        """Service type -> ids of endpoints, as a token of the project shows it."""
        token = self.people.sign_in(self.user, in_project(self.project)).json()["token"]
        return {entry["type"]: [endpoint["id"] for endpoint in entry["endpoints"]] for entry in token["catalog"]}


@pytest.fixture
def place(people: People) -> Place:
    """A fresh one."""
    return Place(people)


def test_endpoint_groups(place: Place) -> None:
    service_id = place.services[0]["id"]
    group = place.group(service_id=service_id, interface="public")
    assert group == {
        "id": group["id"],
        "name": "g",
        "description": None,
        "filters": {"service_id": service_id, "interface": "public"},
        "links": {"self": f"http://127.0.0.1:5000{GROUPS}/{group['id']}"},
    }
    url = f"{GROUPS}/{group['id']}"
    assert place.admin.get(url).json()["endpoint_group"] == group
    assert place.admin.get(GROUPS).json()["endpoint_groups"] == [group]
    assert place.admin.get(f"{GROUPS}?name=other").json()["endpoint_groups"] == []
    listed = place.admin.get(f"{url}/endpoints").json()["endpoints"]
    assert listed == [place.admin.get(f"{V3}/endpoints/{place.endpoints[0]['id']}").json()["endpoint"]]
    change = {"name": "h", "description": "d", "filters": {"region_id": "RegionOne"}}
    changed = place.admin.patch(url, json={"endpoint_group": change}).json()["endpoint_group"]
    assert changed == {**group, **change}
    everywhere = place.admin.get(f"{V3}/endpoints?region_id=RegionOne").json()["endpoints"]
    assert place.admin.get(f"{url}/endpoints").json()["endpoints"] == everywhere
    assert place.admin.delete(url).status_code == 204
    assert place.admin.get(url).json()["error"]["message"] == f"Could not find endpoint group: {group['id']}."


def test_wrong_endpoint_groups(place: Place) -> None:
    good = {"name": "g", "filters": {"interface": "public"}}
    url = f"{GROUPS}/{place.group(interface='public')['id']}"
    wrong: list[dict[str, Any]] = [
        {"name": ""},
        {"name": "n" * 256},
        {"description": 7},
        {"filters": []},
        {"filters": {"enabled": True}},
        {"filters": {"interface": "secret"}},
        {"filters": {"service_id": None}},
        {"filters": {"url": "http://a.example"}},
        {"colour": "red"},
    ]
    for attributes in wrong:
        assert place.admin.post(GROUPS, json={"endpoint_group": {**good, **attributes}}).status_code == 400, attributes
        assert place.admin.patch(url, json={"endpoint_group": attributes}).status_code == 400, attributes
    for body in ({"name": "g"}, {"filters": good["filters"]}, {**good, "filters": {}}):
        assert place.admin.post(GROUPS, json={"endpoint_group": body}).status_code == 400, body
    assert place.admin.patch(url, json={"endpoint_group": {}}).status_code == 400
    assert place.admin.post(GROUPS, json={"endpoint_group": {**good, "name": None}}).status_code == 400


def test_nulls_leave_the_name_and_filters_of_an_endpoint_group(place: Place) -> None:
    group = place.group(interface="public")
    change = {"name": None, "filters": None, "description": "of all"}
    answer = place.admin.patch(f"{GROUPS}/{group['id']}", json={"endpoint_group": change})
    assert answer.status_code == 200
    assert answer.json()["endpoint_group"] == {**group, "description": "of all"}


def test_projects_with_endpoints_of_their_own(place: Place) -> None:
    first, second = place.endpoints
    assert {"kind-1", "kind-2", "identity"} <= set(place.catalogue())
    url = place.associate(second)
    assert place.admin.put(url).status_code == 409
    assert place.admin.get(url).status_code == 204
    assert place.admin.head(url).status_code == 204
    assert place.catalogue() == {"kind-2": [second["id"]]}
    assert place.admin.get(f"{FILTER}/projects/{place.project['id']}/endpoints").json()["endpoints"] == [
        place.admin.get(f"{V3}/endpoints/{second['id']}").json()["endpoint"]
    ]
    listed = place.admin.get(f"{FILTER}/endpoints/{second['id']}/projects").json()["projects"]
    assert [project["id"] for project in listed] == [place.project["id"]]
    assert place.admin.get(f"{FILTER}/endpoints/{first['id']}/projects").json()["projects"] == []
    place.admin.patch(f"{V3}/endpoints/{second['id']}", json={"endpoint": {"enabled": False}})
    assert place.catalogue() == {}
    assert place.admin.delete(url).status_code == 204
    for response in (place.admin.get(url), place.admin.delete(url)):
        assert response.status_code == 404
    assert "identity" in place.catalogue()


def test_projects_with_endpoint_groups(place: Place) -> None:
    first, second = place.endpoints
    group = place.group(service_id=place.services[0]["id"])
    url = f"{GROUPS}/{group['id']}/projects/{place.project['id']}"
    assert place.admin.put(url).status_code == 204
    assert place.admin.put(url).status_code == 409
    assert place.admin.get(url).json()["project_endpoint_group"] == {
        "endpoint_group_id": group["id"],
        "project_id": place.project["id"],
        "links": {"self": f"http://127.0.0.1:5000{url}"},
    }
    assert place.catalogue() == {"kind-1": [first["id"]]}
    place.associate(second)
    assert place.catalogue() == {"kind-1": [first["id"]], "kind-2": [second["id"]]}
    of_project = f"{FILTER}/projects/{place.project['id']}"
    assert len(place.admin.get(f"{of_project}/endpoints").json()["endpoints"]) == 2
    assert place.admin.get(f"{of_project}/endpoint_groups").json()["endpoint_groups"] == [group]
    projects = place.admin.get(f"{GROUPS}/{group['id']}/projects").json()["projects"]
    assert [project["id"] for project in projects] == [place.project["id"]]
    assert place.admin.delete(url).status_code == 204
    assert place.admin.get(url).status_code == 404
    assert place.catalogue() == {"kind-2": [second["id"]]}


def test_what_is_deleted_is_associated_no_more(place: Place) -> None:
    group = place.group(interface="public")
    place.admin.put(f"{GROUPS}/{group['id']}/projects/{place.project['id']}")
    place.associate(place.endpoints[0])
    assert place.admin.delete(f"{V3}/endpoints/{place.endpoints[0]['id']}").status_code == 204
    assert place.admin.delete(f"{GROUPS}/{group['id']}").status_code == 204
    assert "identity" in place.catalogue()
    url = place.associate(place.endpoints[1])
    assert place.admin.delete(f"{V3}/projects/{place.project['id']}").status_code == 204
    assert place.admin.get(url).status_code == 404
    assert place.admin.get(f"{FILTER}/endpoints/{place.endpoints[1]['id']}/projects").json()["projects"] == []


def test_associations_of_what_is_not_there(place: Place) -> None:
    group = place.group(interface="public")
    for path in (
        f"projects/none/endpoints/{place.endpoints[0]['id']}",
        f"projects/{place.project['id']}/endpoints/none",
        f"endpoint_groups/none/projects/{place.project['id']}",
        f"endpoint_groups/{group['id']}/projects/none",
    ):
        for method in ("GET", "PUT", "DELETE"):
            assert place.admin.request(method, f"{FILTER}/{path}").status_code == 404, (method, path)
    for path in (
        "projects/none/endpoints",
        "projects/none/endpoint_groups",
        "endpoints/none/projects",
        "endpoint_groups/none/endpoints",
        "endpoint_groups/none/projects",
    ):
        assert place.admin.get(f"{FILTER}/{path}").status_code == 404, path


def test_who_may_filter(place: Place) -> None:
    people, group, endpoint = place.people, place.group(interface="public"), place.endpoints[0]
    paths = (f"projects/{place.project['id']}/endpoints/{endpoint['id']}", f"endpoint_groups/{group['id']}")
    reader = people.with_role("reader", SYSTEM)
    assert reader.get(GROUPS).status_code == 200
    assert reader.get(f"{FILTER}/projects/{place.project['id']}/endpoints").status_code == 200
    assert reader.put(f"{FILTER}/{paths[0]}").status_code == 403
    manager = people.with_role("manager", in_project(place.project))
    for path in (*paths, "endpoint_groups", "endpoint_groups/none", f"projects/{place.project['id']}/endpoints"):
        assert manager.get(f"{FILTER}/{path}").status_code == 403, path
    for client in (reader, manager):
        assert client.post(GROUPS, json={"endpoint_group": {}}).status_code == 403
        assert client.patch(f"{FILTER}/{paths[1]}", json={"endpoint_group": {}}).status_code == 403
        assert client.delete(f"{FILTER}/{paths[1]}").status_code == 403
        assert client.put(f"{FILTER}/{paths[1]}/projects/{place.project['id']}").status_code == 403
