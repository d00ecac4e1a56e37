"""os-hypervisors and os-hosts: what hosts have, what is used, how they are found."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

from stackyard.core import ids
from stackyard.services.compute.tables import compute_nodes, compute_services

BRIEF = {"id", "hypervisor_hostname", "state", "status"}
FIGURES = {
    "vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "free_ram_mb", "free_disk_gb",
    "current_workload", "running_vms", "disk_available_least",
}  # fmt: skip
FULL = BRIEF | {"hypervisor_type", "hypervisor_version", "host_ip", "service"}
IMAGE = "11111111-1111-4111-8111-111111111111"


def other_host(cloud: TestCloud, name: str) -> None:
    """A further host, as another process would write it."""

    def write(tx: Any) -> None:
        node = tx.first(compute_nodes.select().where(compute_nodes.c.host == "testhost"))
        service = tx.first(compute_services.select().where(compute_services.c.binary == "nova-compute"))
        number = len(tx.all(compute_nodes.select())) + 1
        tx.execute(compute_nodes.insert(), dict(node._mapping) | {"id": ids.new_uuid(), "number": number, "host": name})
        row = {key: value for key, value in service._mapping.items() if key != "id"}
        tx.execute(compute_services.insert(), row | {"uuid": ids.new_uuid(), "host": name})

    cloud.database.write("other host", write)


def test_a_hypervisor_at_each_microversion(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    for version, keys in (
        ("2.1", FULL | FIGURES | {"cpu_info"}),
        ("2.28", FULL | FIGURES | {"cpu_info"}),
        ("2.53", FULL | FIGURES | {"cpu_info"}),
        ("2.88", FULL | {"uptime"}),
        (LATEST, FULL | {"uptime"}),
    ):
        one = admin.get("/os-hypervisors/detail", version=version)["hypervisors"][0]
        assert set(one) == keys, version
        assert set(one["service"]) == {"id", "host", "disabled_reason"}
        assert admin.get(f"/os-hypervisors/{one['id']}", version=version)["hypervisor"] == one
        assert set(admin.get("/os-hypervisors", version=version)["hypervisors"][0]) == BRIEF
        assert isinstance(one["id"], str if version in ("2.53", "2.88", LATEST) else int)
        if "cpu_info" in one:
            assert isinstance(one["cpu_info"], str if version == "2.1" else dict)


def test_what_servers_use_is_counted(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    flavor = rows.FLAVOR | {"vcpus": 2, "ram": 1024, "disk": 20, "ephemeral": 5}
    idle = {"mark": False, "task": None, "task_state": None, "interfaces": []}
    rows.insert(cloud, IMAGE, flavor=flavor, **idle)
    rows.insert(cloud, IMAGE, flavor=flavor, **(idle | {"task_state": "rebooting"}))
    rows.insert(cloud, IMAGE, flavor=flavor, **(idle | {"deleted_at": cloud.database.clock.now()}))
    one = admin.get("/os-hypervisors/detail")["hypervisors"][0]
    assert (one["vcpus_used"], one["memory_mb_used"], one["local_gb_used"]) == (4, 2048 + 512, 50)
    assert (one["running_vms"], one["current_workload"]) == (2, 1)
    assert one["free_ram_mb"] == one["memory_mb"] - 2560
    total = admin.get("/os-hypervisors/statistics")["hypervisor_statistics"]
    assert set(total) == FIGURES | {"count"}
    assert (total["count"], total["vcpus_used"]) == (1, 4)


def test_servers_of_hypervisors(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    assert "servers" not in admin.get("/os-hypervisors/test/servers")["hypervisors"][0]
    server = rows.insert(cloud, IMAGE, mark=False, task=None, task_state=None, interfaces=[])
    expected = [{"uuid": server, "name": "one"}]
    assert admin.get("/os-hypervisors/TEST/servers")["hypervisors"][0]["servers"] == expected
    for path in ("/os-hypervisors", "/os-hypervisors/detail"):
        found = admin.get(f"{path}?with_servers=true", version="2.53")["hypervisors"][0]
        assert found["servers"] == expected
        assert "servers" not in admin.get(path, version="2.53")["hypervisors"][0]
    one = f"/os-hypervisors/{found['id']}?with_servers=1"
    assert admin.get(one, version=LATEST)["hypervisor"]["servers"] == expected


def test_no_servers_are_an_empty_list_since_2_75(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    path = "/os-hypervisors?with_servers=true"
    assert "servers" not in admin.get(path, version="2.74")["hypervisors"][0]
    assert admin.get(path, version="2.75")["hypervisors"][0]["servers"] == []


def test_hypervisors_are_found_by_a_part_of_their_name(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    other_host(cloud, "second.example")
    assert [one["hypervisor_hostname"] for one in admin.get("/os-hypervisors/ample/search")["hypervisors"]] == [
        "second.example"
    ]
    admin.get("/os-hypervisors/nothing/search", status=404)
    admin.get("/os-hypervisors/nothing/servers", status=404)
    path = "/os-hypervisors?hypervisor_hostname_pattern="
    assert len(admin.get(f"{path}e", version="2.53")["hypervisors"]) == 2
    admin.get(f"{path}nothing", version="2.53", status=404)
    admin.get(f"{path}a%20b", version="2.53", status=400)
    admin.get(f"{path}e&limit=1", version="2.53", status=400)
    admin.get("/os-hypervisors/ample/search", version="2.53", status=404)


def test_pages_of_hypervisors(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    for name in ("b", "c"):
        other_host(cloud, name)
    assert len(admin.get("/os-hypervisors?limit=1", version="2.32")["hypervisors"]) == 3
    for version in ("2.33", "2.53", LATEST):
        first = admin.get("/os-hypervisors?limit=2", version=version)
        assert len(first["hypervisors"]) == 2
        link = first["hypervisors_links"][0]
        assert link["rel"] == "next"
        rest = admin.get(link["href"].partition("/v2.1")[2], version=version)
        assert [one["hypervisor_hostname"] for one in rest["hypervisors"]] == ["c"]
        assert "hypervisors_links" not in rest
        admin.get("/os-hypervisors?marker=777", version=version, status=400)
        admin.get("/os-hypervisors?limit=-1", version=version, status=400)
        admin.get("/os-hypervisors?limit=x", version=version, status=400)


def test_uptime_until_2_87(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")

    def say(tx: Any) -> None:
        node = tx.first(compute_nodes.select())
        tx.execute(compute_nodes.update().values(capacity=node.capacity | {"uptime": "up 3 days"}))

    cloud.database.write("uptime", say)
    found = admin.get("/os-hypervisors/1/uptime")["hypervisor"]
    assert set(found) == BRIEF | {"uptime"}
    assert found["uptime"] == "up 3 days"
    admin.get("/os-hypervisors/1/uptime", version="2.88", status=404)
    admin.get("/os-hypervisors/statistics", version="2.88", status=404)
    admin.put(
        "/os-services/force-down",
        {"host": "testhost", "binary": "nova-compute", "forced_down": True},
        version="2.11",
    )
    assert "unavailable" in admin.get("/os-hypervisors/1/uptime", status=400)["message"]


def test_hypervisors_that_are_none(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    for path in ("/os-hypervisors/777", "/os-hypervisors/x", "/os-hypervisors/777/uptime"):
        admin.get(path, status=404)
    admin.get("/os-hypervisors/777", version="2.53", status=400)
    admin.get(f"/os-hypervisors/{ids.new_uuid()}", version="2.53", status=404)
    admin.get("/os-hypervisors?with_servers=perhaps", version="2.53", status=400)
    admin.get("/os-hypervisors?nonsense=1", version="2.53", status=400)
    assert admin.get("/os-hypervisors?nonsense=1", version="2.52")["hypervisors"]


@pytest.mark.parametrize(
    "path",
    [
        "/os-hypervisors",
        "/os-hypervisors/detail",
        "/os-hypervisors/statistics",
        "/os-hypervisors/1",
        "/os-hypervisors/1/uptime",
        "/os-hypervisors/test/search",
        "/os-hypervisors/test/servers",
        "/os-hosts",
        "/os-hosts/testhost",
        "/os-hosts/testhost/startup",
        "/os-hosts/testhost/shutdown",
        "/os-hosts/testhost/reboot",
    ],
)
def test_only_administrators(cloud: TestCloud, path: str) -> None:
    Nova(cloud, "demo").get(path, status=403)


def test_hosts_of_a_zone(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    found = admin.get("/os-hosts")["hosts"]
    assert {one["service"]: one["zone"] for one in found} == {
        "scheduler": "internal", "conductor": "internal", "compute": "nova",
    }  # fmt: skip
    assert all(set(one) == {"host_name", "service", "zone"} for one in found)
    assert [one["service"] for one in admin.get("/os-hosts?zone=nova")["hosts"]] == ["compute"]
    assert admin.get("/os-hosts?zone=elsewhere")["hosts"] == []
    assert len(admin.get("/os-hosts?zone=")["hosts"]) == 3
    admin.get("/os-hosts", version="2.43", status=404)


def test_a_host_and_who_uses_it(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    rows.insert(cloud, IMAGE, mark=False, task=None, task_state=None, interfaces=[])
    found = [one["resource"] for one in admin.get("/os-hosts/testhost")["host"]]
    project = rows.caller(cloud).project_id
    assert [one["project"] for one in found] == ["(total)", "(used_now)", "(used_max)", project]
    assert found[3] == {"host": "testhost", "project": project, "cpu": 1, "memory_mb": 512, "disk_gb": 1}
    admin.get("/os-hosts/elsewhere", status=404)


def test_a_host_is_disabled_and_enabled(cloud: TestCloud) -> None:
    admin = Nova(cloud, "admin")
    assert admin.put("/os-hosts/testhost", {"status": "Disable"}) == {"host": "testhost", "status": "disabled"}
    assert [one["service"] for one in admin.get("/os-hosts")["hosts"]] == ["scheduler", "conductor"]
    assert admin.put("/os-hosts/testhost", {"status": "enable"}) == {"host": "testhost", "status": "enabled"}


@pytest.mark.parametrize(
    ("host", "body", "status"),
    [
        ("testhost", {"status": "explode"}, 400),
        ("testhost", {"status": "enable", "param": "x"}, 400),
        ("testhost", {}, 400),
        ("testhost", {"maintenance_mode": "enable"}, 501),
        ("elsewhere", {"status": "enable"}, 404),
    ],
)
def test_a_bad_change_of_a_host_is_refused(cloud: TestCloud, host: str, body: Any, status: int) -> None:
    admin = Nova(cloud, "admin")
    admin.put(f"/os-hosts/{host}", body, status=status)
    assert admin.get("/os-hypervisors")["hypervisors"][0]["status"] == "enabled"


@pytest.mark.parametrize("action", ["startup", "shutdown", "reboot"])
def test_a_host_is_not_switched_by_the_cloud(cloud: TestCloud, action: str) -> None:
    admin = Nova(cloud, "admin")
    admin.get(f"/os-hosts/testhost/{action}", status=501)
    admin.get(f"/os-hosts/elsewhere/{action}", status=404)
    Nova(cloud, "demo").put("/os-hosts/testhost", {"status": "disable"}, status=403)
