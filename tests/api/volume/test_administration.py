"""Quotas, limits, services, pools and the rest that administrators look at."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.volume.cinder import Cinder
from tests.cloud import TestCloud

from stackyard.services.volume import hosts

BACKEND = "testhost@file"


def volume(cinder: Cinder, size: int = 1, **fields: Any) -> dict[str, Any]:
    made = cinder.post("/volumes", {"volume": {"size": size, **fields}}, status=202)["volume"]
    cinder.cloud.settle()
    found: dict[str, Any] = cinder.get(f"/volumes/{made['id']}")["volume"]
    return found


def test_quotas_of_a_project(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    made = volume(demo, 2)
    project = made["os-vol-tenant-attr:tenant_id"]
    path = f"/os-quota-sets/{project}"
    found = demo.get(path)["quota_set"]
    assert found["id"] == project
    assert (found["volumes"], found["gigabytes"], found["volumes___DEFAULT__"]) == (10, 1000, -1)
    used = admin.get(f"{path}?usage=True")["quota_set"]
    assert used["gigabytes"] == {"limit": 1000, "in_use": 2, "reserved": 0}
    assert used["gigabytes___DEFAULT__"]["in_use"] == 2
    assert admin.put(path, {"quota_set": {"volumes": "5", "gigabytes___DEFAULT__": 3}})["quota_set"]["volumes"] == 5
    assert admin.get(f"{path}/defaults")["quota_set"]["volumes"] == 10
    message = demo.post("/volumes", {"volume": {"size": 2}}, status=413)["message"]
    assert "gigabytes___DEFAULT__" in message
    demo.post("/volumes", {"volume": {"size": 1}}, status=202)
    admin.delete(path)
    assert admin.get(path)["quota_set"] == found


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"volumes": -2},
        {"volumes": "many"},
        {"volumes": True},
        {"volumes": 1 << 40},
        {"nothing": 1},
        {"volumes": None},
    ],
)
def test_bad_quotas_are_refused(still_cloud: TestCloud, limits: Any) -> None:
    admin = Cinder(still_cloud, "admin")
    admin.put("/os-quota-sets/p", {"quota_set": limits}, status=400)
    admin.put("/os-quota-class-sets/default", {"quota_class_set": limits}, status=400)


def test_a_quota_is_not_set_below_what_is_used_nor_by_everybody(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    project = volume(demo)["os-vol-tenant-attr:tenant_id"]
    admin.put(f"/os-quota-sets/{project}", {"quota_set": {"volumes": 0}}, status=400)
    demo.put(f"/os-quota-sets/{project}", {"quota_set": {"volumes": 9}}, status=403)
    demo.delete(f"/os-quota-sets/{project}", status=403)
    demo.get("/os-quota-sets/another", status=403)


def test_quota_classes(still_cloud: TestCloud) -> None:
    demo, admin = Cinder(still_cloud, "demo"), Cinder(still_cloud, "admin")
    assert admin.get("/os-quota-class-sets/default")["quota_class_set"]["volumes"] == 10
    admin.put("/os-quota-class-sets/default", {"quota_class_set": {"volumes": 3}})
    assert admin.get("/os-quota-sets/anybody")["quota_set"]["volumes"] == 3
    admin.put("/os-quota-class-sets/gold", {"quota_class_set": {"volumes": 99}})
    assert admin.get("/os-quota-class-sets/gold")["quota_class_set"]["volumes"] == 99
    assert admin.get("/os-quota-sets/anybody")["quota_set"]["volumes"] == 3
    demo.get("/os-quota-class-sets/default", status=403)


def test_limits(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    project = volume(demo, 3)["os-vol-tenant-attr:tenant_id"]
    found = demo.get("/limits")["limits"]
    assert found["rate"] == []
    assert found["absolute"]["maxTotalVolumes"] == 10
    assert found["absolute"]["totalGigabytesUsed"] == 3
    assert admin.get(f"/limits?project_id={project}")["limits"]["absolute"]["totalVolumesUsed"] == 1
    assert admin.get(f"/limits?project_id={project}", version="3.38")["limits"]["absolute"]["totalVolumesUsed"] == 0


def test_services(cloud: TestCloud) -> None:
    admin, demo = Cinder(cloud, "admin"), Cinder(cloud, "demo")
    found = {one["binary"]: one for one in admin.get("/os-services")["services"]}
    assert set(found) == {"cinder-scheduler", "cinder-backup", "cinder-volume"}
    assert found["cinder-volume"]["host"] == BACKEND
    assert found["cinder-volume"]["state"] == "up"
    assert found["cinder-volume"]["backend_state"] == "up"
    assert "cluster" not in admin.get("/os-services", version="3.6")["services"][0]
    assert len(admin.get("/os-services?binary=cinder-backup")["services"]) == 1
    demo.get("/os-services", status=403)


def test_a_disabled_service_gets_no_volumes(cloud: TestCloud) -> None:
    admin, demo = Cinder(cloud, "admin"), Cinder(cloud, "demo")
    named = {"host": BACKEND, "binary": "cinder-volume"}
    answer = admin.put("/os-services/disable-log-reason", {**named, "disabled_reason": "broken"})
    assert answer["disabled_reason"] == "broken"
    refused = volume(demo)
    assert refused["status"] == "error"
    hosts.report(cloud.runtime)
    (service,) = admin.get("/os-services?binary=cinder-volume")["services"]
    assert (service["status"], service["disabled_reason"]) == ("disabled", "broken")
    assert admin.get("/os-availability-zone")["availabilityZoneInfo"][0]["zoneState"] == {"available": False}
    admin.put("/os-services/enable", named)
    assert volume(demo)["status"] == "available"
    admin.put("/os-services/freeze", {"host": BACKEND})
    admin.put("/os-services/freeze", {"host": BACKEND}, status=400)
    assert volume(demo)["status"] == "error"
    admin.put("/os-services/thaw", {"host": BACKEND})
    assert volume(demo)["status"] == "available"


@pytest.mark.parametrize(
    ("action", "body", "status"),
    [
        ("enable", {}, 400),
        ("enable", {"host": BACKEND}, 400),
        ("enable", {"host": "bad host", "binary": "cinder-volume"}, 400),
        ("enable", {"host": BACKEND, "binary": "cinder-volume", "surprise": 1}, 400),
        ("enable", {"host": "nowhere", "binary": "cinder-volume"}, 404),
        ("disable-log-reason", {"host": BACKEND, "binary": "cinder-volume", "disabled_reason": " "}, 400),
        ("freeze", {}, 400),
        ("freeze", {"host": "nowhere@file"}, 400),
        ("freeze", {"cluster": "c"}, 400),
        ("failover_host", {"host": BACKEND}, 501),
        ("set-log", {"level": "LOUD"}, 400),
        ("set-log", {"binary": "nova-compute", "level": "INFO"}, 400),
    ],
)
def test_bad_asks_of_services(cloud: TestCloud, action: str, body: Any, status: int) -> None:
    Cinder(cloud, "admin").put(f"/os-services/{action}", body, status=status)
    if action != "set-log":
        Cinder(cloud, "demo").put(
            f"/os-services/{action}", {"host": BACKEND, "binary": "x"} if "able" in action else {}, status=403
        )


def test_levels_of_logs(cloud: TestCloud) -> None:
    admin = Cinder(cloud, "admin")
    asked = {"binary": "cinder-volume", "prefix": "stackyard.volume"}
    admin.put("/os-services/set-log", asked | {"level": "ERROR"}, status=202)
    (found,) = admin.put("/os-services/get-log", asked)["log_levels"]
    assert (found["host"], found["levels"]["stackyard.volume"]) == (BACKEND, "ERROR")
    admin.put("/os-services/set-log", asked | {"level": "INFO"}, status=202)
    admin.put("/os-services/get-log", asked, version="3.31", status=404)


def test_hosts(cloud: TestCloud) -> None:
    admin, demo = Cinder(cloud, "admin"), Cinder(cloud, "demo")
    project = volume(demo, 2)["os-vol-tenant-attr:tenant_id"]
    assert BACKEND in [one["host_name"] for one in admin.get("/os-hosts")["hosts"]]
    total, own = admin.get(f"/os-hosts/{BACKEND}")["host"]
    assert total["resource"]["total_volume_gb"] == "2"
    assert own["resource"] == {
        "host": BACKEND, "project": project, "volume_count": "1", "total_volume_gb": "2", "snapshot_count": "0",
        "total_snapshot_gb": "0",
    }  # fmt: skip
    assert admin.put(f"/os-hosts/{BACKEND}", {"status": "disable"})["status"] == "disabled"
    admin.put(f"/os-hosts/{BACKEND}", {"status": "sleep"}, status=400)
    admin.put(f"/os-hosts/{BACKEND}", {}, status=400)
    admin.get("/os-hosts/nowhere", status=404)
    admin.get("/os-hosts/testhost", status=404)
    demo.get("/os-hosts", status=403)


def test_pools_and_capabilities(cloud: TestCloud) -> None:
    admin, demo = Cinder(cloud, "admin"), Cinder(cloud, "demo")
    volume(demo, 5)
    (brief,) = admin.get("/scheduler-stats/get_pools")["pools"]
    assert brief == {"name": f"{BACKEND}#file"}
    (pool,) = admin.get("/scheduler-stats/get_pools?detail=true")["pools"]
    assert pool["capabilities"]["provisioned_capacity_gb"] == 5
    assert pool["capabilities"]["volume_backend_name"] == "file"
    assert admin.get("/scheduler-stats/get_pools?name=other")["pools"] == []
    assert len(admin.get("/scheduler-stats/get_pools?volume_type=__DEFAULT__")["pools"]) == 1
    admin.get("/scheduler-stats/get_pools?surprise=1", status=400)
    found = admin.get(f"/capabilities/{BACKEND}")
    assert found["namespace"] == f"OS::Storage::Capabilities::{BACKEND}"
    admin.get("/capabilities/nowhere", status=404)
    for path in ("/scheduler-stats/get_pools", f"/capabilities/{BACKEND}"):
        demo.get(path, status=403)


def test_clusters_and_cleaning_up(cloud: TestCloud) -> None:
    admin, demo = Cinder(cloud, "admin"), Cinder(cloud, "demo")
    assert admin.get("/clusters/detail") == {"clusters": []}
    admin.get("/clusters?colour=red", status=400)
    admin.get("/clusters/c", status=404)
    admin.put("/clusters/disable", {"name": "c", "disabled_reason": "x"}, status=404)
    assert admin.post("/workers/cleanup", {}, status=202) == {"cleaning": [], "unavailable": []}
    assert len(admin.post("/workers/cleanup", {"is_up": True}, status=202)["unavailable"]) == 1
    admin.post("/workers/cleanup", {"resource_type": "cat"}, status=400)
    demo.post("/workers/cleanup", {}, status=403)
    demo.get("/clusters", status=403)


def test_what_everybody_may_see(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    assert demo.get("/os-availability-zone") == {
        "availabilityZoneInfo": [{"zoneName": "nova", "zoneState": {"available": True}}]
    }
    assert "os-volume-transfer" in [one["alias"] for one in demo.get("/extensions")["extensions"]]
    assert demo.get("/extensions/backups")["extension"]["name"] == "Backups"
    demo.get("/extensions/nothing", status=404)
    (filters,) = demo.get("/resource_filters?resource=backup")["resource_filters"]
    assert filters == {"resource": "backup", "filters": ["name", "status", "volume_id"]}


def test_user_messages(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    from stackyard.services.volume import messages

    project = volume(demo)["os-vol-tenant-attr:tenant_id"]
    fields = {"project_id": project, "request_id": "req-1", "resource_type": messages.VOLUME, "resource_id": "v"}
    write = lambda tx: messages.write(tx, **fields, action="008", detail="012")  # noqa: E731
    cloud.database.write("message", write)
    (found,) = demo.get("/messages")["messages"]
    assert found["user_message"] == "create volume from backend storage:Driver failed to create the volume."
    assert found["event_id"] == "VOLUME_VOLUME_008_012"
    assert demo.get(f"/messages/{found['id']}")["message"] == found
    assert admin.get("/messages")["messages"] == []
    assert demo.get("/messages?resource_type=VOLUME_BACKUP")["messages"] == []
    demo.get("/messages", version="3.2", status=404)
    demo.delete(f"/messages/{found['id']}", status=204)
    demo.get(f"/messages/{found['id']}", status=404)


def test_qos_specs(still_cloud: TestCloud) -> None:
    admin, demo = Cinder(still_cloud, "admin"), Cinder(still_cloud, "demo")
    made = admin.post("/qos-specs", {"qos_specs": {"name": "slow", "consumer": "front-end", "total_iops_sec": "9"}})
    path = f"/qos-specs/{made['qos_specs']['id']}"
    assert made["qos_specs"]["specs"] == {"total_iops_sec": "9"}
    admin.post("/qos-specs", {"qos_specs": {"name": "slow"}}, status=409)
    admin.post("/qos-specs", {"qos_specs": {"name": "x", "consumer": "nobody"}}, status=400)
    admin.post("/qos-specs", {"qos_specs": {"consumer": "both"}}, status=400)
    admin.put(path, {"qos_specs": {"read_iops_sec": "3"}})
    admin.put(f"{path}/delete_keys", {"keys": ["total_iops_sec"]}, status=202)
    admin.put(f"{path}/delete_keys", {"keys": ["total_iops_sec"]}, status=404)
    assert admin.get(path)["qos_specs"]["specs"] == {"read_iops_sec": "3"}
    kind = admin.get("/types/default")["volume_type"]["id"]
    admin.get(f"{path}/associate?vol_type_id={kind}", status=202)
    admin.get(f"{path}/associate", status=400)
    assert [one["id"] for one in admin.get(f"{path}/associations")["qos_associations"]] == [kind]
    admin.delete(path, status=400)
    admin.get(f"{path}/disassociate?vol_type_id={kind}", status=202)
    admin.get(f"{path}/associate?vol_type_id={kind}", status=202)
    admin.delete(f"{path}?force=true", status=202)
    assert admin.get("/types/default")["volume_type"]["qos_specs_id"] is None
    admin.get(path, status=404)
    demo.get("/qos-specs", status=403)
    demo.post("/qos-specs", {"qos_specs": {"name": "x"}}, status=403)


def test_transfers(cloud: TestCloud) -> None:
    demo, admin = Cinder(cloud, "demo"), Cinder(cloud, "admin")
    made = volume(demo, 2)
    body = {"transfer": {"volume_id": made["id"], "name": "gift"}}
    offer = demo.post("/volume-transfers", body, status=202)["transfer"]
    assert demo.get(f"/volumes/{made['id']}")["volume"]["status"] == "awaiting-transfer"
    assert "auth_key" not in demo.get(f"/volume-transfers/{offer['id']}")["transfer"]
    assert set(demo.get("/os-volume-transfer")["transfers"][0]) == {"id", "volume_id", "name", "links"}
    assert demo.get("/volume-transfers/detail", version="3.57")["transfers"][0]["accepted"] is False
    demo.post("/volume-transfers", body, status=400)
    path = f"/volume-transfers/{offer['id']}"
    admin.post(f"{path}/accept", {"accept": {"auth_key": "wrong"}}, status=400)
    admin.post(f"{path}/accept", {"accept": {}}, status=400)
    admin.post(f"{path}/accept", {"accept": {"auth_key": offer["auth_key"]}}, status=202)
    demo.get(f"/volumes/{made['id']}", status=404)
    mine = admin.get(f"/volumes/{made['id']}")["volume"]
    assert mine["status"] == "available"
    assert admin.get("/limits")["limits"]["absolute"]["totalGigabytesUsed"] == 2
    assert demo.get("/limits")["limits"]["absolute"]["totalGigabytesUsed"] == 0
    admin.get(path, status=404)


def test_a_transfer_is_withdrawn(cloud: TestCloud) -> None:
    demo = Cinder(cloud, "demo")
    made = volume(demo)
    offer = demo.post("/os-volume-transfer", {"transfer": {"volume_id": made["id"]}}, status=202)["transfer"]
    other = Cinder(cloud, "admin", "admin")
    assert other.get("/os-volume-transfer")["transfers"] == []
    demo.delete(f"/os-volume-transfer/{offer['id']}", status=202)
    assert demo.get(f"/volumes/{made['id']}")["volume"]["status"] == "available"
    for bad in ({}, {"volume_id": 7}, {"volume_id": made["id"], "name": "n" * 256}, {"volume_id": made["id"], "x": 1}):
        demo.post("/volume-transfers", {"transfer": bad}, status=400)
    demo.post(
        "/volume-transfers", {"transfer": {"volume_id": made["id"], "no_snapshots": True}}, version="3.54", status=404
    )
