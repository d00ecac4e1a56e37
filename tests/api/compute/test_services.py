"""os-services: the services of hosts, enabled and disabled, forced down, forgotten."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from tests.api.compute import rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

from stackyard.services.compute import hosts
from stackyard.services.compute.tables import compute_services
from stackyard.services.placement import api as placement_api

COMPUTE = {"host": "testhost", "binary": "nova-compute"}
AT_FIRST = {"binary", "host", "id", "zone", "status", "state", "updated_at", "disabled_reason"}


def compute(admin: Nova, version: str = "2.1") -> dict[str, Any]:
    """The compute service of the one host."""
    found: dict[str, Any] = admin.get("/os-services?binary=nova-compute", version=version)["services"][0]
    return found


def test_each_host_has_three_services(cloud: TestCloud) -> None:
    found = Nova(cloud, "admin").get("/os-services")["services"]
    assert {one["binary"]: one["zone"] for one in found} == {
        "nova-scheduler": "internal", "nova-conductor": "internal", "nova-compute": "nova",
    }  # fmt: skip
    assert all(set(one) == AT_FIRST for one in found)
    assert all(one["state"] == "up" and one["status"] == "enabled" for one in found)
    assert all(not one["updated_at"].endswith("Z") for one in found)


def test_a_service_is_a_number_until_2_52_and_a_uuid_since(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    assert isinstance(compute(admin, "2.52")["id"], int)
    assert len(compute(admin, "2.53")["id"]) == 36
    assert set(compute(admin, "2.11")) == AT_FIRST | {"forced_down"}


def test_a_list_is_narrowed_by_host_and_binary(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    assert admin.get("/os-services?host=elsewhere")["services"] == []
    assert len(admin.get("/os-services?host=testhost&binary=nova-conductor")["services"]) == 1
    assert len(admin.get("/os-services?nonsense=1")["services"]) == 3
    assert "nonsense" in admin.get("/os-services?nonsense=1", version="2.75", status=400)["message"]


def test_a_service_is_disabled_with_a_reason_and_enabled_again(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    assert admin.put("/os-services/disable", COMPUTE)["service"] == COMPUTE | {"status": "disabled"}
    told = admin.put("/os-services/disable-log-reason", COMPUTE | {"disabled_reason": "broken fan"})["service"]
    assert told == COMPUTE | {"status": "disabled", "disabled_reason": "broken fan"}
    assert compute(admin)["disabled_reason"] == "broken fan"
    assert admin.put("/os-services/enable", COMPUTE)["service"] == COMPUTE | {"status": "enabled"}
    assert compute(admin)["status"] == "enabled"
    assert compute(admin)["disabled_reason"] is None


def test_a_service_is_forced_down(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    told = admin.put("/os-services/force-down", COMPUTE | {"forced_down": True}, version="2.11")["service"]
    assert told == COMPUTE | {"forced_down": True}
    assert compute(admin)["state"] == "down"
    admin.put("/os-services/force-down", COMPUTE | {"forced_down": "false"}, version="2.11")
    assert compute(admin)["state"] == "up"
    assert admin.put("/os-services/force-down", COMPUTE, version="2.10", status=404)["message"] == "Unknown action"


def test_since_2_53_all_is_said_in_one_body(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    path = f"/os-services/{compute(admin, LATEST)['id']}"
    body = {"status": "disabled", "disabled_reason": "moving", "forced_down": True}
    told = admin.put(path, body, version=LATEST)["service"]
    assert set(told) == AT_FIRST | {"forced_down"}
    assert (told["status"], told["disabled_reason"], told["forced_down"]) == ("disabled", "moving", True)
    told = admin.put(path, {"status": "enabled", "forced_down": False}, version=LATEST)["service"]
    assert (told["status"], told["disabled_reason"], told["forced_down"]) == ("enabled", None, False)


def test_a_disabled_host_shows_in_placement(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    provider = admin.get("/os-hypervisors", version=LATEST)["hypervisors"][0]["id"]

    def traits() -> set[str]:
        answer = admin.http.get(
            f"/placement/resource_providers/{provider}/traits", headers={"OpenStack-API-Version": "placement 1.39"}
        )
        assert answer.status_code == 200, answer.text
        return set(answer.json()["traits"])

    assert "COMPUTE_STATUS_DISABLED" not in traits()
    admin.put("/os-services/disable", COMPUTE)
    assert "COMPUTE_STATUS_DISABLED" in traits()
    admin.put("/os-services/enable", COMPUTE)
    assert "COMPUTE_STATUS_DISABLED" not in traits()


def test_a_host_that_beats_no_more_is_down(cloud: TestCloud) -> None:
    past = cloud.database.clock.now().replace(year=2020)

    def age(tx: Any) -> None:
        tx.execute(sa.update(compute_services).values(last_seen_at=past))

    cloud.database.write("age", age)
    assert compute(Nova(cloud, "admin"))["state"] == "down"
    hosts.report(cloud.runtime)
    assert compute(Nova(cloud, "admin"))["state"] == "up"


def test_a_forgotten_service_is_back_with_the_next_beat(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    before = compute(admin, LATEST)["id"]
    node = admin.get("/os-hypervisors", version=LATEST)["hypervisors"][0]["id"]
    admin.delete(f"/os-services/{before}", version=LATEST, status=204)
    assert admin.get("/os-hypervisors")["hypervisors"] == []
    assert node not in cloud.database.read("usages", placement_api.usages)
    hosts.report(cloud.runtime)
    assert compute(admin, LATEST)["id"] != before
    assert len(admin.get("/os-hypervisors")["hypervisors"]) == 1


def test_a_host_with_servers_is_not_forgotten(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    rows.insert(cloud, "11111111-1111-4111-8111-111111111111", mark=False, task=None, task_state=None)
    fault = admin.delete(f"/os-services/{compute(admin)['id']}", status=409)
    assert "hosting instances" in fault["message"]
    assert compute(admin)["state"] == "up"


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("enable", {"host": "elsewhere", "binary": "nova-compute"}, 404, "elsewhere"),
        ("enable", {"host": "testhost", "binary": "nova-conductor"}, 400, "Only nova-compute"),
        ("explode", COMPUTE, 404, "Unknown action"),
        ("enable", {"host": "testhost"}, 400, "binary"),
        ("enable", {}, 400, "host"),
        ("enable", COMPUTE | {"more": 1}, 400, "more"),
        ("enable", COMPUTE | {"host": "test host"}, 400, "host"),
        ("enable", COMPUTE | {"host": "x" * 256}, 400, "host"),
        ("enable", COMPUTE | {"host": 7}, 400, "host"),
        ("disable-log-reason", COMPUTE, 400, "reason"),
        ("disable-log-reason", COMPUTE | {"disabled_reason": ""}, 400, "disabled_reason"),
        ("disable-log-reason", COMPUTE | {"disabled_reason": "x" * 256}, 400, "disabled_reason"),
    ],
)
def test_a_bad_update_is_refused(cloud: TestCloud, path: str, body: Any, status: int, said: str) -> None:
    admin = Nova(cloud, "admin")
    assert said in admin.put(f"/os-services/{path}", body, status=status)["message"]
    assert compute(admin)["status"] == "enabled"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "No updates"),
        ({"status": "enabled", "disabled_reason": "x"}, "disabled_reason"),
        ({"status": "broken"}, "status"),
        ({"forced_down": "perhaps"}, "forced_down"),
        ({"host": "testhost"}, "host"),
        ([], "body"),
    ],
)
def test_a_bad_update_since_2_53_is_refused(cloud: TestCloud, body: Any, said: str) -> None:
    admin = Nova(cloud, "admin")
    path = f"/os-services/{compute(admin, LATEST)['id']}"
    assert said in admin.put(path, body, version=LATEST, status=400)["message"]


def test_ids_that_are_none(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    nobody = "00000000-0000-4000-8000-000000000000"
    assert "Invalid uuid" in admin.put("/os-services/7", {"status": "enabled"}, version=LATEST, status=400)["message"]
    admin.put(f"/os-services/{nobody}", {"status": "enabled"}, version=LATEST, status=404)
    admin.delete(f"/os-services/{nobody}", version=LATEST, status=404)
    admin.delete("/os-services/7", version=LATEST, status=400)
    admin.delete("/os-services/x", status=400)
    admin.delete("/os-services/777", status=404)


def test_only_administrators(cloud: TestCloud) -> None:
    demo = Nova(cloud, "demo")
    one = compute(Nova(cloud, "admin"), LATEST)["id"]
    demo.get("/os-services", status=403)
    demo.put("/os-services/disable", COMPUTE, status=403)
    demo.put(f"/os-services/{one}", {"status": "disabled"}, version=LATEST, status=403)
    demo.delete(f"/os-services/{one}", version=LATEST, status=403)
