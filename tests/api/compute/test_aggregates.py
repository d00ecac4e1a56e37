"""os-aggregates and os-availability-zone: groups of hosts, and the zones they make."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

from stackyard.core import ids
from stackyard.host.specs import MachineImage

BRIEF = {"id", "name", "availability_zone", "created_at", "updated_at", "deleted", "deleted_at"}
IMAGE = "11111111-1111-4111-8111-111111111111"


def make(admin: Nova, name: str = "fast", zone: str | None = None) -> int:
    """An aggregate; its id."""
    body: dict[str, Any] = {"name": name} | ({"availability_zone": zone} if zone else {})
    return int(admin.post("/os-aggregates", {"aggregate": body})["aggregate"]["id"])


def act(admin: Nova, aggregate: int, name: str, body: Any, *, status: int = 200) -> Any:
    """An action on an aggregate."""
    return admin.post(f"/os-aggregates/{aggregate}/action", {name: body}, status=status)


def zones(admin: Nova) -> dict[str, bool]:
    """Zone -> whether it is available."""
    found = admin.get("/os-availability-zone")["availabilityZoneInfo"]
    return {one["zoneName"]: one["zoneState"]["available"] for one in found}


def test_the_life_of_an_aggregate(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    made = admin.post("/os-aggregates", {"aggregate": {"name": "fast"}})["aggregate"]
    assert set(made) == BRIEF
    path = f"/os-aggregates/{made['id']}"
    assert admin.get(path)["aggregate"] == made | {"hosts": [], "metadata": {}}
    assert admin.get("/os-aggregates")["aggregates"] == [made | {"hosts": [], "metadata": {}}]
    changed = admin.put(path, {"aggregate": {"name": " faster ", "availability_zone": "east"}})["aggregate"]
    assert (changed["name"], changed["availability_zone"]) == ("faster", "east")
    assert changed["metadata"] == {"availability_zone": "east"}
    assert changed["updated_at"] is not None
    admin.delete(path)
    admin.get(path, status=404)
    assert admin.get("/os-aggregates")["aggregates"] == []


def test_a_number_is_never_given_again(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    first = make(admin)
    admin.delete(f"/os-aggregates/{first}")
    assert make(admin) > first


def test_an_aggregate_has_a_uuid_since_2_41(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    path = f"/os-aggregates/{make(admin)}"
    assert set(admin.get(path, version="2.40")["aggregate"]) == BRIEF | {"hosts", "metadata"}
    assert set(admin.get(path, version="2.41")["aggregate"]) == BRIEF | {"hosts", "metadata", "uuid"}
    made = admin.post("/os-aggregates", {"aggregate": {"name": "b"}}, version=LATEST)["aggregate"]
    assert set(made) == BRIEF | {"uuid"}


def test_hosts_come_and_go(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    one = make(admin)
    assert act(admin, one, "add_host", {"host": "testhost"})["aggregate"]["hosts"] == ["testhost"]
    act(admin, one, "add_host", {"host": "testhost"}, status=409)
    act(admin, one, "add_host", {"host": "elsewhere"}, status=404)
    assert "not empty" in admin.delete(f"/os-aggregates/{one}", status=400)["message"]
    assert act(admin, one, "remove_host", {"host": "testhost"})["aggregate"]["hosts"] == []
    act(admin, one, "remove_host", {"host": "testhost"}, status=404)


def test_placement_knows_of_it(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    made = admin.post("/os-aggregates", {"aggregate": {"name": "fast"}}, version="2.41")["aggregate"]
    provider = admin.get("/os-hypervisors", version=LATEST)["hypervisors"][0]["id"]

    def known() -> list[str]:
        path = f"/placement/resource_providers/{provider}/aggregates"
        answer = admin.http.get(path, headers={"OpenStack-API-Version": "placement 1.39"})
        return list(answer.json()["aggregates"])

    act(admin, made["id"], "add_host", {"host": "testhost"})
    assert known() == [made["uuid"]]
    act(admin, made["id"], "remove_host", {"host": "testhost"})
    assert known() == []


def test_metadata_is_added_and_taken_away(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    one = make(admin)
    told = act(admin, one, "set_metadata", {"metadata": {"ssd": "true", "rack": "7"}})["aggregate"]
    assert told["metadata"] == {"ssd": "true", "rack": "7"}
    told = act(admin, one, "set_metadata", {"metadata": {"ssd": None, "availability_zone": "west"}})["aggregate"]
    assert told["metadata"] == {"rack": "7", "availability_zone": "west"}
    assert told["availability_zone"] == "west"


def test_an_aggregate_gives_its_hosts_a_zone(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    assert zones(admin) == {"nova": True}
    one = make(admin, zone="east")
    assert zones(admin) == {"nova": True}
    act(admin, one, "add_host", {"host": "testhost"})
    assert zones(admin) == {"east": True}
    service = admin.get("/os-services?binary=nova-compute")["services"][0]
    assert service["zone"] == "east"
    admin.put("/os-services/disable", {"host": "testhost", "binary": "nova-compute"})
    assert zones(admin) == {"east": False}
    other = make(admin, "other", "west")
    assert "already in availability zone" in act(admin, other, "add_host", {"host": "testhost"}, status=409)["message"]


def test_servers_do_not_change_their_zone(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    one = make(admin, zone="east")
    plain = make(admin, "plain")
    rows.insert(cloud, IMAGE, mark=False, task=None, task_state=None, interfaces=[])
    assert "would change" in act(admin, one, "add_host", {"host": "testhost"}, status=409)["message"]
    act(admin, plain, "add_host", {"host": "testhost"})
    body = {"aggregate": {"availability_zone": "west"}}
    assert "contain instances" in admin.put(f"/os-aggregates/{plain}", body, status=400)["message"]
    act(admin, plain, "set_metadata", {"metadata": {"availability_zone": "west"}}, status=400)
    act(admin, plain, "remove_host", {"host": "testhost"})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"aggregate": {}},
        {"aggregate": []},
        {"aggregate": {"name": ""}},
        {"aggregate": {"name": "x" * 256}},
        {"aggregate": {"name": " padded"}},
        {"aggregate": {"name": 7}},
        {"aggregate": {"name": "a\nb"}},
        {"aggregate": {"name": "a", "availability_zone": ""}},
        {"aggregate": {"name": "a", "availability_zone": "a:b"}},
        {"aggregate": {"name": "a", "availability_zone": "x" * 256}},
        {"aggregate": {"name": "a", "more": 1}},
    ],
)
def test_a_bad_aggregate_is_refused(cloud: TestCloud, body: Any) -> None:
    admin = Nova(cloud, "admin")
    admin.post("/os-aggregates", body, status=400)
    assert admin.get("/os-aggregates")["aggregates"] == []


def test_names_are_taken_once(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    make(admin)
    other = make(admin, "other")
    admin.post("/os-aggregates", {"aggregate": {"name": "fast"}}, status=409)
    admin.put(f"/os-aggregates/{other}", {"aggregate": {"name": "fast"}}, status=409)
    admin.put(f"/os-aggregates/{other}", {"aggregate": {"name": "other"}})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"explode": {}}, 400),
        ({"add_host": {"host": "testhost"}, "remove_host": {"host": "testhost"}}, 400),
        ({"add_host": {}}, 400),
        ({"add_host": {"host": "a b"}}, 400),
        ({"add_host": {"host": "x" * 256}}, 400),
        ({"set_metadata": {"metadata": {"k": 7}}}, 400),
        ({"set_metadata": {"metadata": {"": "v"}}}, 400),
        ({"set_metadata": {"metadata": {"x" * 256: "v"}}}, 400),
        ({"set_metadata": {"metadata": {"k": "v" * 256}}}, 400),
        ({"set_metadata": {"metadata": {"availability_zone": None}}}, 400),
        ({"set_metadata": {}}, 400),
    ],
)
def test_a_bad_action_is_refused(cloud: TestCloud, body: Any, status: int) -> None:
    admin = Nova(cloud, "admin")
    one = make(admin)
    admin.post(f"/os-aggregates/{one}/action", body, status=status)
    assert admin.get(f"/os-aggregates/{one}")["aggregate"]["metadata"] == {}


def test_ids_that_are_none(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    admin.get("/os-aggregates/777", status=404)
    admin.get("/os-aggregates/99999999999", status=404)
    admin.get("/os-aggregates/-1", status=404)
    admin.get("/os-aggregates/x", status=400)
    admin.delete("/os-aggregates/777", status=404)
    admin.put("/os-aggregates/777", {"aggregate": {"name": "a"}}, status=404)
    act(admin, 777, "add_host", {"host": "testhost"}, status=404)
    admin.put(f"/os-aggregates/{make(admin)}", {"aggregate": {}}, status=400)


def test_hosts_fetch_images_ahead(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    one = make(admin)
    act(admin, one, "add_host", {"host": "testhost"})
    image = rows.image(cloud)
    path = f"/os-aggregates/{one}/images"
    admin.post(path, {"cache": [{"id": image}]}, version="2.81", status=202)
    cloud.settle()
    assert cloud.machines["machine"].has_image(MachineImage(image, "raw", "bare"))
    admin.post(path, {"cache": [{"id": image}]}, version="2.80", status=404)


@pytest.mark.parametrize(
    "cache",
    [[], [{}], [{"id": "x"}], [{"id": ids.new_uuid()}], [{"id": 7}], "all", [{"id": IMAGE, "more": 1}]],
)
def test_images_that_are_none_are_refused(cloud: TestCloud, cache: Any) -> None:
    admin = Nova(cloud, "admin")
    admin.post(f"/os-aggregates/{make(admin)}/images", {"cache": cache}, version=LATEST, status=400)


def test_an_image_is_named_once(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    image = rows.image(cloud)
    body = {"cache": [{"id": image}, {"id": image}]}
    admin.post(f"/os-aggregates/{make(admin)}/images", body, version=LATEST, status=400)


def test_zones_with_their_hosts(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    found = admin.get("/os-availability-zone/detail")["availabilityZoneInfo"]
    assert [one["zoneName"] for one in found] == ["internal", "nova"]
    state = found[1]["hosts"]["testhost"]["nova-compute"]
    assert set(state) == {"available", "active", "updated_at"}
    assert (state["available"], state["active"]) == (True, True)
    admin.put("/os-services/disable", {"host": "testhost", "binary": "nova-compute"})
    found = admin.get("/os-availability-zone/detail")["availabilityZoneInfo"]
    assert found[1] == {"zoneName": "nova", "zoneState": {"available": False}, "hosts": None}


def test_everybody_sees_the_zones(cloud: TestCloud) -> None:
    demo = Nova(cloud, "demo")
    assert demo.get("/os-availability-zone")["availabilityZoneInfo"] == [
        {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}
    ]
    demo.get("/os-availability-zone/detail", status=403)
    demo.get("/os-availability-zone?nonsense=1", version="2.101")
    demo.get("/os-availability-zone?nonsense=1", version="2.102", status=400)


def test_only_administrators(cloud: TestCloud) -> None:
    demo, one = Nova(cloud, "demo"), make(Nova(cloud, "admin"))
    demo.get("/os-aggregates", status=403)
    demo.get(f"/os-aggregates/{one}", status=403)
    demo.post("/os-aggregates", {"aggregate": {"name": "mine"}}, status=403)
    demo.put(f"/os-aggregates/{one}", {"aggregate": {"name": "mine"}}, status=403)
    demo.delete(f"/os-aggregates/{one}", status=403)
    for name, body in (
        ("add_host", {"host": "testhost"}),
        ("remove_host", {"host": "testhost"}),
        ("set_metadata", {"metadata": {}}),
    ):
        act(demo, one, name, body, status=403)
    demo.post(f"/os-aggregates/{one}/images", {"cache": [{"id": IMAGE}]}, version=LATEST, status=403)
