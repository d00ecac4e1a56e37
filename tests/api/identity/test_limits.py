"""Unified limits: registered ones, those of projects and domains, who sees them, and what is in force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.identity.people import SYSTEM, V3, People, in_domain, in_project
from tests.cloud import TestCloud

from stackyard.core.config import Settings, UnifiedLimit
from stackyard.services.identity.api import effective_limit

REGISTERED, LIMITS = f"{V3}/registered_limits", f"{V3}/limits"


def _service(people: People) -> str:
    return str(people.make("service", type="storage")["id"])


def _register(people: People, **attributes: Any) -> dict[str, Any]:
    body = {"resource_name": "volume", "default_limit": 10, **attributes}
    response = people.admin.post(REGISTERED, json={"registered_limits": [body]})
    assert response.status_code == 201, response.text
    return dict(response.json()["registered_limits"][0])


def _set(client: TestClient, *limits: dict[str, Any]) -> Any:
    return client.post(LIMITS, json={"limits": list(limits)})


def _limit(people: People, **attributes: Any) -> dict[str, Any]:
    response = _set(people.admin, {"resource_name": "volume", "resource_limit": 5, **attributes})
    assert response.status_code == 201, response.text
    return dict(response.json()["limits"][0])


def test_registered_limits(people: People) -> None:
    service_id = _service(people)
    everywhere = _register(people, service_id=service_id)
    here = _register(people, service_id=service_id, region_id="RegionOne", description="d")
    assert everywhere == {
        "id": everywhere["id"],
        "service_id": service_id,
        "region_id": None,
        "resource_name": "volume",
        "default_limit": 10,
        "description": None,
        "links": {"self": f"http://127.0.0.1:5000{REGISTERED}/{everywhere['id']}"},
    }
    assert people.admin.get(REGISTERED).json()["registered_limits"] == [everywhere, here]
    for query in ("region_id=RegionOne", f"service_id={service_id}&region_id=RegionOne", "region_id=RegionOne&x=1"):
        assert people.admin.get(f"{REGISTERED}?{query}").json()["registered_limits"] == [here]
    assert people.admin.get(f"{REGISTERED}?resource_name=other").json()["registered_limits"] == []
    url = f"{REGISTERED}/{here['id']}"
    changed = people.admin.patch(url, json={"registered_limit": {"default_limit": 0, "resource_name": "snapshot"}})
    assert changed.json()["registered_limit"] == {**here, "default_limit": 0, "resource_name": "snapshot"}
    assert people.admin.patch(url, json={"registered_limit": {}}).status_code == 200
    assert people.admin.delete(url).status_code == 204
    for response in (people.admin.get(url), people.admin.delete(url)):
        assert response.status_code == 404
        assert response.json()["error"]["message"] == f"Could not find registered limit: {here['id']}."


def test_a_limit_is_registered_once(people: People) -> None:
    service_id = _service(people)
    first = _register(people, service_id=service_id)
    other = _register(people, service_id=service_id, region_id="RegionOne")
    again = {"service_id": service_id, "resource_name": "volume", "default_limit": 1}
    new = {**again, "resource_name": "new"}
    for bodies in ([again], [{**again, "region_id": "RegionOne"}], [new, new]):
        assert people.admin.post(REGISTERED, json={"registered_limits": bodies}).status_code == 409
    assert people.admin.get(REGISTERED).json()["registered_limits"] == [first, other]
    url = f"{REGISTERED}/{other['id']}"
    assert people.admin.patch(url, json={"registered_limit": {"region_id": None}}).status_code == 409
    assert people.admin.patch(url, json={"registered_limit": {"region_id": "RegionOne"}}).status_code == 200


WRONG_REGISTERED: list[dict[str, Any]] = [
    {"service_id": "unknown"},
    {"service_id": None},
    {"region_id": "unknown"},
    {"region_id": ""},
    {"resource_name": ""},
    {"resource_name": " "},
    {"resource_name": "n" * 256},
    {"resource_name": 7},
    {"default_limit": -2},
    {"default_limit": "10"},
    {"default_limit": True},
    {"default_limit": 2**31},
    {"default_limit": None},
    {"description": "d" * 256},
    {"description": 7},
    {"colour": "red"},
]


def test_wrong_registered_limits(people: People) -> None:
    good = {"service_id": _service(people), "resource_name": "volume", "default_limit": 1}
    made = _register(people, **good)
    for wrong in WRONG_REGISTERED:
        body = {"registered_limits": [{**good, "resource_name": "other", **wrong}]}
        assert people.admin.post(REGISTERED, json=body).status_code == 400, wrong
        changed = people.admin.patch(f"{REGISTERED}/{made['id']}", json={"registered_limit": wrong})
        assert changed.status_code == 400, wrong
    for missing in good:
        body = {"registered_limits": [{name: value for name, value in good.items() if name != missing}]}
        assert people.admin.post(REGISTERED, json=body).status_code == 400, missing
    for given in ([], good, [7], None):
        assert people.admin.post(REGISTERED, json={"registered_limits": given}).status_code == 400, given
    assert people.admin.post(REGISTERED, json={}).status_code == 400
    assert people.admin.get(REGISTERED).json()["registered_limits"] == [made]


def test_a_registered_limit_in_use_stays_as_it_is(people: People) -> None:
    service_id = _service(people)
    registered = _register(people, service_id=service_id)
    limit = _limit(people, service_id=service_id, project_id=people.make("project")["id"])
    url = f"{REGISTERED}/{registered['id']}"
    changed = people.admin.patch(url, json={"registered_limit": {"default_limit": 1}})
    assert changed.status_code == 403
    assert people.admin.delete(url).status_code == 403
    assert people.admin.delete(f"{LIMITS}/{limit['id']}").status_code == 204
    assert people.admin.delete(url).status_code == 204


def test_limits(people: People) -> None:
    service_id, project = _service(people), people.make("project")
    _register(people, service_id=service_id)
    limit = _limit(people, service_id=service_id, project_id=project["id"], description="d")
    assert limit == {
        "id": limit["id"],
        "project_id": project["id"],
        "domain_id": None,
        "service_id": service_id,
        "region_id": None,
        "resource_name": "volume",
        "resource_limit": 5,
        "description": "d",
        "links": {"self": f"http://127.0.0.1:5000{LIMITS}/{limit['id']}"},
    }
    url = f"{LIMITS}/{limit['id']}"
    assert people.admin.get(url).json()["limit"] == limit
    changed = people.admin.patch(url, json={"limit": {"resource_limit": 0, "description": None}}).json()["limit"]
    assert changed == {**limit, "resource_limit": 0, "description": None}
    for wrong in ({"resource_limit": -2}, {"service_id": service_id}, {"resource_limit": None}, {"id": "other"}):
        assert people.admin.patch(url, json={"limit": wrong}).status_code == 400, wrong
    assert people.admin.delete(f"{V3}/projects/{project['id']}").status_code == 204
    assert people.admin.get(url).json()["error"]["message"] == f"Could not find limit: {limit['id']}."


def test_the_limit_of_a_domain(people: People) -> None:
    service_id, domain = _service(people), people.make("domain")
    _register(people, service_id=service_id)
    limit = _limit(people, service_id=service_id, project_id=domain["id"])
    assert (limit["project_id"], limit["domain_id"]) == (None, domain["id"])
    again = {"service_id": service_id, "resource_name": "volume", "resource_limit": 1, "domain_id": domain["id"]}
    assert _set(people.admin, again).status_code == 409


def test_limits_are_filtered(people: People) -> None:
    service_id, project, domain = _service(people), people.make("project"), people.make("domain")
    for region_id in (None, "RegionOne"):
        _register(people, service_id=service_id, region_id=region_id)
    one = _limit(people, service_id=service_id, project_id=project["id"])
    two = _limit(people, service_id=service_id, region_id="RegionOne", domain_id=domain["id"])
    for query, expected in (
        ("", [one, two]),
        (f"project_id={project['id']}", [one]),
        (f"domain_id={domain['id']}", [two]),
        ("region_id=RegionOne", [two]),
        (f"service_id={service_id}&resource_name=volume", [one, two]),
        ("resource_name__contains=olu", [one, two]),
        ("service_id=other", []),
    ):
        assert people.admin.get(f"{LIMITS}?{query}").json()["limits"] == expected, query


def test_wrong_limits(people: People) -> None:
    service_id, project, domain = _service(people), people.make("project"), people.make("domain")
    _register(people, service_id=service_id)
    good = {"service_id": service_id, "resource_name": "volume", "resource_limit": 1, "project_id": project["id"]}
    wrong: list[dict[str, Any]] = [
        {"service_id": "unknown"},
        {"region_id": "unknown"},
        {"project_id": "unknown"},
        {"project_id": None},
        {"project_id": "a/b"},
        {"domain_id": domain["id"]},
        {"resource_limit": "1"},
        {"resource_limit": -2},
        {"resource_limit": 2**31},
        {"description": "d" * 256},
        {"colour": "red"},
    ]
    for attributes in wrong:
        assert _set(people.admin, {**good, **attributes}).status_code == 400, attributes
    for missing in good:
        body = {name: value for name, value in good.items() if name != missing}
        assert _set(people.admin, body).status_code == 400, missing
    of_project = {name: value for name, value in good.items() if name != "project_id"}
    assert _set(people.admin, {**of_project, "domain_id": project["id"]}).status_code == 400
    assert _set(people.admin).status_code == 400
    assert _set(people.admin, {**good, "resource_name": "other"}).status_code == 403
    assert _set(people.admin, {**good, "region_id": "RegionOne"}).status_code == 403
    assert _set(people.admin, good, good).status_code == 409
    assert people.admin.get(LIMITS).json()["limits"] == []


def test_who_sees_limits(people: People) -> None:
    service_id, domain = _service(people), people.make("domain")
    own, other = people.make("project", domain_id=domain["id"]), people.make("project")
    registered = _register(people, service_id=service_id)
    of_own = _limit(people, service_id=service_id, project_id=own["id"])
    of_other = _limit(people, service_id=service_id, project_id=other["id"])
    of_domain = _limit(people, service_id=service_id, domain_id=domain["id"])
    for role, scope, seen in (
        ("reader", in_project(own), [of_own]),
        ("manager", in_domain(domain), [of_own, of_domain]),
        ("reader", SYSTEM, [of_own, of_other, of_domain]),
        ("service", in_project(own), [of_own, of_other, of_domain]),
    ):
        client = people.with_role(role, scope)
        assert client.get(LIMITS).json()["limits"] == seen, (role, scope)
        readable = seen if role != "service" else [of_own]
        for limit in (of_own, of_other, of_domain):
            status = client.get(f"{LIMITS}/{limit['id']}").status_code
            assert status == (200 if limit in readable else 403), (role, scope, limit)
        assert client.get(f"{REGISTERED}/{registered['id']}").status_code == 200
        assert client.get(f"{LIMITS}/model").json()["model"]["name"] == "flat"
    unscoped = people.client(people.token(people.user()))
    assert unscoped.get(LIMITS).json()["limits"] == []


def test_only_administrators_set_limits(people: People) -> None:
    service_id, project = _service(people), people.make("project")
    registered = _register(people, service_id=service_id)
    limit = _limit(people, service_id=service_id, project_id=project["id"])
    for role, scope in (
        ("manager", in_project(project)),
        ("member", SYSTEM),
        ("manager", in_domain({"id": "default"})),
    ):
        client = people.with_role(role, scope)
        for url, key in (
            (f"{REGISTERED}/{registered['id']}", "registered_limit"),
            (f"{LIMITS}/{limit['id']}", "limit"),
        ):
            assert client.patch(url, json={key: {}}).status_code == 403
            assert client.delete(url).status_code == 403
            listing = url.rpartition("/")[0]
            assert client.post(listing, json={f"{key}s": [{}]}).status_code == 403


def test_what_is_in_force(people: People) -> None:
    service_id, own, other = _service(people), people.make("project")["id"], people.make("project")["id"]

    def in_force(project_id: str, region: str | None = None) -> int | None:
        read = people.cloud.database.read
        return read("ask", lambda tx: effective_limit(tx, "storage", "volume", project_id, region))

    assert in_force(own) is None
    _register(people, service_id=service_id)
    _limit(people, service_id=service_id, project_id=own)
    assert (in_force(own), in_force(other), in_force(own, "RegionOne")) == (5, 10, 5)
    _register(people, service_id=service_id, region_id="RegionOne", default_limit=-1)
    assert (in_force(own), in_force(own, "RegionOne"), in_force(other, "Elsewhere")) == (5, -1, 10)


@pytest.fixture
def hierarchical(database_url: str, tmp_path: Path) -> Any:
    """People of a cloud whose limits are two levels."""
    settings = Settings(unified_limit=UnifiedLimit(enforcement_model="strict_two_level"))
    made = TestCloud(database_url, tmp_path / "state", settings)
    try:
        yield People(made)
    finally:
        made.close()


def test_two_levels(hierarchical: People) -> None:
    people = hierarchical
    assert people.admin.get(f"{LIMITS}/model").json()["model"] == {
        "name": "strict_two_level",
        "description": "This model requires project hierarchy never exceeds a depth of two",
    }
    domain = people.make("domain")
    project = people.make("project", domain_id=domain["id"])
    common = {"service_id": _service(people), "resource_name": "volume"}
    _register(people, **common)
    of_project = {**common, "project_id": project["id"]}
    of_domain = {**common, "domain_id": domain["id"]}
    assert _set(people.admin, {**of_project, "resource_limit": 11}).status_code == 403
    assert _set(people.admin, {**of_project, "resource_limit": -1}).status_code == 403
    refused = _set(people.admin, {**of_domain, "resource_limit": 20}, {**of_project, "resource_limit": 21})
    assert refused.status_code == 403
    assert people.admin.get(LIMITS).json()["limits"] == []
    made = _set(people.admin, {**of_project, "resource_limit": 20}, {**of_domain, "resource_limit": 20})
    assert made.status_code == 201
    low, high = (f"{LIMITS}/{limit['id']}" for limit in made.json()["limits"])
    for url, limit, status in ((low, 21, 403), (high, 19, 403), (high, -1, 200), (low, -1, 200), (high, 50, 403)):
        assert people.admin.patch(url, json={"limit": {"resource_limit": limit}}).status_code == status, (url, limit)


def test_projects_of_two_levels_are_at_most_two_deep(hierarchical: People) -> None:
    parent = "default"
    for status in (201, 201, 403):
        body = {"name": f"below-{parent}", "parent_id": parent}
        made = hierarchical.admin.post(f"{V3}/projects", json={"project": body})
        assert made.status_code == status, made.text
        parent = made.json().get("project", {}).get("id")
