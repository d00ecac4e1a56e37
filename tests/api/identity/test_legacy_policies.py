"""Stored policies, and what they are for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.api.identity.people import SYSTEM, V3, People, in_project

POLICIES = f"{V3}/policies"


def _policy(people: People, **attributes: Any) -> dict[str, Any]:
    body = {"type": "application/json", "blob": json.dumps({"rule": "role:x"}), **attributes}
    response = people.admin.post(POLICIES, json={"policy": body})
    assert response.status_code == 201, response.text
    return dict(response.json()["policy"])


def test_policies(people: People) -> None:
    policy = _policy(people, colour="red")
    assert policy == {
        "id": policy["id"],
        "type": "application/json",
        "blob": '{"rule": "role:x"}',
        "colour": "red",
        "links": {"self": f"http://127.0.0.1:5000{POLICIES}/{policy['id']}"},
    }
    other = _policy(people, type="text/plain")
    assert people.admin.get(POLICIES).json()["policies"] == [policy, other]
    assert people.admin.get(f"{POLICIES}?type=text/plain").json()["policies"] == [other]
    url = f"{POLICIES}/{policy['id']}"
    changed = people.admin.patch(url, json={"policy": {"type": "t", "size": 1}}).json()["policy"]
    assert changed == {**policy, "type": "t", "size": 1}
    assert people.admin.get(url).json()["policy"] == changed
    assert people.admin.delete(url).status_code == 204
    assert people.admin.get(url).json()["error"]["message"] == f"Could not find policy: {policy['id']}."


def test_wrong_policies(people: People) -> None:
    url = f"{POLICIES}/{_policy(people)['id']}"
    good = {"type": "t", "blob": "b"}
    for wrong in ({"type": 7}, {"type": "t" * 256}, {"type": None}, {"blob": {"rule": "x"}}, {"blob": None}):
        assert people.admin.post(POLICIES, json={"policy": {**good, **wrong}}).status_code == 400, wrong
        assert people.admin.patch(url, json={"policy": wrong}).status_code == 400, wrong
    wrong_bodies: list[Any] = [{"type": "t"}, {"blob": "b"}, [], None]
    for given in wrong_bodies:
        assert people.admin.post(POLICIES, json={"policy": given}).status_code == 400, given
    assert people.admin.post(POLICIES, json={}).status_code == 400
    assert people.admin.patch(url, json={"policy": {}}).status_code == 400


class Place:
    """A policy, and an endpoint in a region below another."""

    def __init__(self, people: People) -> None:
        self.admin = people.admin
        self.service = people.make("service", type="test")["id"]
        self.above = people.make("region")["id"]
        self.region = people.make("region", parent_region_id=self.above)["id"]
        self.endpoint = self.make_endpoint(self.region)
        self.policy = _policy(people)["id"]

    def make_endpoint(self, region_id: str | None) -> str:
        """The id of a further endpoint of the service."""
        body = {"interface": "public", "url": "http://a.example/", "service_id": self.service, "region_id": region_id}
        return str(self.admin.post(f"{V3}/endpoints", json={"endpoint": body}).json()["endpoint"]["id"])

    def association(self, place: str, policy: str | None = None) -> str:
        """The address of a policy's association."""
        return f"{POLICIES}/{policy or self.policy}/OS-ENDPOINT-POLICY/{place}"

    def endpoints(self, policy: str) -> list[str]:
        """What a policy is for."""
        listed = self.admin.get(self.association("endpoints", policy)).json()["endpoints"]
        return [endpoint["id"] for endpoint in listed]

    def policy_of(self, endpoint: str) -> str | None:
        """The policy for an endpoint."""
        response = self.admin.get(f"{V3}/endpoints/{endpoint}/OS-ENDPOINT-POLICY/policy")
        assert response.status_code in (200, 404)
        return str(response.json()["policy"]["id"]) if response.status_code == 200 else None


@pytest.fixture
def place(people: People) -> Place:
    """A fresh one."""
    return Place(people)


def test_associations(place: Place) -> None:
    for path in (
        f"endpoints/{place.endpoint}",
        f"services/{place.service}",
        f"services/{place.service}/regions/{place.region}",
    ):
        url = place.association(path)
        assert place.admin.get(url).status_code == 404
        assert place.policy_of(place.endpoint) is None
        for _ in range(2):
            assert place.admin.put(url).status_code == 204
        assert place.admin.get(url).status_code == 204
        assert place.admin.head(url).status_code == 204
        assert place.policy_of(place.endpoint) == place.policy
        assert place.endpoints(place.policy) == [place.endpoint]
        for _ in range(2):
            assert place.admin.delete(url).status_code == 204
        assert place.admin.get(url).status_code == 404


def test_the_closest_policy_counts(people: People, place: Place) -> None:
    elsewhere = place.make_endpoint(None)
    of_service, of_above, of_endpoint = (_policy(people)["id"] for _ in range(3))
    place.admin.put(place.association(f"services/{place.service}", of_service))
    assert (place.policy_of(place.endpoint), place.policy_of(elsewhere)) == (of_service, of_service)
    place.admin.put(place.association(f"services/{place.service}/regions/{place.above}", of_above))
    assert (place.policy_of(place.endpoint), place.policy_of(elsewhere)) == (of_above, of_service)
    place.admin.put(place.association(f"endpoints/{place.endpoint}", of_endpoint))
    assert place.policy_of(place.endpoint) == of_endpoint
    assert place.endpoints(of_service) == [place.endpoint, elsewhere]
    assert place.endpoints(of_above) == [place.endpoint]
    place.admin.put(place.association(f"endpoints/{place.endpoint}"))
    assert place.policy_of(place.endpoint) == place.policy
    assert place.endpoints(of_endpoint) == []
    place.admin.delete(place.association(f"endpoints/{place.endpoint}", of_endpoint))
    assert place.policy_of(place.endpoint) == place.policy
    place.admin.delete(f"{POLICIES}/{place.policy}")
    assert place.policy_of(place.endpoint) == of_above


def test_associations_of_what_is_not_there(place: Place) -> None:
    for path in ("endpoints/none", "services/none", f"services/none/regions/{place.region}"):
        for method in ("GET", "PUT", "DELETE"):
            assert place.admin.request(method, place.association(path)).status_code == 404, (method, path)
    for method in ("GET", "PUT", "DELETE"):
        url = place.association(f"services/{place.service}/regions/none")
        assert place.admin.request(method, url).status_code == 404
        assert place.admin.request(method, place.association(f"services/{place.service}", "none")).status_code == 404
    assert place.admin.get(place.association("endpoints", "none")).status_code == 404
    assert place.admin.get(f"{V3}/endpoints/none/OS-ENDPOINT-POLICY/policy").status_code == 404


def test_who_may_store_policies(people: People, place: Place) -> None:
    url, association = f"{POLICIES}/{place.policy}", place.association(f"services/{place.service}")
    reader = people.with_role("reader", SYSTEM)
    manager = people.with_role("manager", in_project(people.make("project")))
    place.admin.put(association)
    of_endpoint = f"{V3}/endpoints/{place.endpoint}/OS-ENDPOINT-POLICY/policy"
    for address in (POLICIES, url, association, place.association("endpoints"), of_endpoint):
        assert reader.get(address).status_code in (200, 204), address
        assert manager.get(address).status_code == 403, address
    for client in (reader, manager):
        assert client.post(POLICIES, json={"policy": {}}).status_code == 403
        assert client.patch(url, json={"policy": {}}).status_code == 403
        for address in (url, association):
            assert client.delete(address).status_code == 403
        assert client.put(association).status_code == 403
