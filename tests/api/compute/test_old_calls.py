"""What Nova had once: gone, or a service's that this cloud has not; another address of servers; the audit log."""

from __future__ import annotations

import pytest
from tests.api.compute import rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/os-agents"), ("PUT", "/os-agents/1"), ("GET", "/os-cells/detail"), ("POST", "/os-cells"),
        ("GET", "/os-cells/one/capacities"), ("POST", "/os-certificates"), ("GET", "/os-cloudpipe"),
        ("GET", "/os-fixed-ips/192.0.2.1"), ("POST", "/os-fixed-ips/192.0.2.1/action"), ("GET", "/os-floating-ip-dns"),
        ("DELETE", "/os-floating-ip-dns/domain/entries/one"), ("POST", "/os-floating-ips-bulk"), ("GET", "/os-fping"),
        ("POST", "/os-networks/add"), ("POST", "/os-networks/one/action"), ("GET", "/os-security-group-default-rules"),
        ("GET", "/servers/one/consoles"), ("GET", "/servers/one/os-virtual-interfaces"),
    ],
)  # fmt: skip
def test_gone(still_cloud: TestCloud, method: str, path: str) -> None:
    body = {} if method in ("POST", "PUT") else None
    for version in ("2.1", LATEST):
        assert Nova(still_cloud, "demo").call(method, path, body, status=410, version=version)["code"] == 410
    assert still_cloud.http.request(method, f"/compute/v2.1{path}", json=body).status_code == 401


def test_volumes_in_the_old_words(cloud: TestCloud) -> None:
    demo = Nova(cloud, "demo")
    body = {"volume": {"size": "1", "display_name": "data", "metadata": {"a": "b"}}}
    made = demo.post("/os-volumes", body)["volume"]
    assert (made["displayName"], made["size"], made["status"], made["attachments"]) == ("data", 1, "creating", [{}])
    cloud.settle()
    shown = demo.get(f"/os-volumes/{made['id']}")["volume"]
    assert (shown["status"], shown["metadata"], shown["volumeType"]) == ("available", {"a": "b"}, "__DEFAULT__")
    for path in ("/os-volumes", "/os-volumes/detail"):
        assert demo.get(path)["volumes"] == [shown]
        assert demo.get(f"{path}?offset=1")["volumes"] == []
    kept = {"snapshot": {"volume_id": made["id"], "display_name": "kept", "force": "true"}}
    snapshot = demo.post("/os-snapshots", kept)["snapshot"]
    cloud.settle()
    assert demo.get(f"/os-snapshots/{snapshot['id']}")["snapshot"] == snapshot | {"status": "available"}
    assert [one["displayName"] for one in demo.get("/os-snapshots/detail")["snapshots"]] == ["kept"]
    demo.delete(f"/os-volumes/{made['id']}", status=400)
    demo.delete(f"/os-snapshots/{snapshot['id']}", status=202)
    cloud.settle()
    demo.delete(f"/os-volumes/{made['id']}", status=202)
    cloud.settle()
    assert demo.get("/os-volumes")["volumes"] == demo.get("/os-snapshots")["snapshots"] == []


def test_volumes_that_are_not_there_in_the_old_words(cloud: TestCloud) -> None:
    demo = Nova(cloud, "demo")
    gone = "11111111-2222-4333-8444-555555555555"
    for path in ("/os-volumes", "/os-snapshots"):
        demo.get(path, status=404, version="2.36")
        demo.get(f"{path}/{gone}", status=404)
    demo.get("/os-volumes/", status=404)
    for path in ("/os-volumes", "/os-snapshots"):
        demo.delete(f"{path}/{gone}", status=404)
    assert Nova(cloud, "admin").get("/os-volumes")["volumes"] == []
    for body in ({}, {"size": 0}, {"size": "x"}, {"size": 1, "bogus": 2}, {"size": 1, "display_name": "x" * 256}):
        demo.post("/os-volumes", {"volume": body}, status=400)
    demo.post("/os-volumes", {"volume": {"size": 1, "snapshot_id": gone}}, status=404)
    demo.post("/os-volumes", {"volume": {"size": 100000}}, status=403)
    demo.post("/os-snapshots", {"snapshot": {"volume_id": gone}}, status=400)


def test_no_server_has_a_share(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    server = rows.insert(still_cloud)
    path = f"/servers/{server}/shares"
    assert demo.get(path, version="2.97") == {"shares": []}
    demo.get(path, status=404, version="2.96")
    share = "3f0b0d8a-8a43-4f4c-9a4b-0c2b7e1e9d11"
    fault = demo.post(path, {"share": {"share_id": share}}, status=404, version="2.97")
    assert fault["message"] == f"Share {share} could not be found."
    for body in ({}, {"share_id": "x"}, {"share_id": 5}, {"share_id": share, "tag": ""}, {"share_id": share, "x": 1}):
        demo.post(path, {"share": body}, status=400, version="2.97")
    demo.get(f"{path}/{share}", status=404, version="2.97")
    demo.delete(f"{path}/{share}", status=404, version="2.97")
    foreign = rows.insert(still_cloud, project_id="another")
    demo.get(f"/servers/{foreign}/shares", status=404, version="2.97")


def test_bare_metal_is_for_administrators(still_cloud: TestCloud) -> None:
    demo, admin = Nova(still_cloud, "demo"), Nova(still_cloud, "admin")
    for path in ("/os-baremetal-nodes", "/os-baremetal-nodes/one"):
        demo.get(path, status=403)
        admin.get(path, status=501)
        admin.get(path, status=404, version="2.36")
    admin.post("/os-baremetal-nodes", {}, status=400)
    admin.delete("/os-baremetal-nodes/one", status=400)


def test_another_address_of_servers(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    server = rows.insert(still_cloud)
    assert [one["id"] for one in demo.get("/os-volumes_boot")["servers"]] == [server]
    assert demo.get(f"/os-volumes_boot/{server}") == demo.get(f"/servers/{server}")
    demo.post(f"/os-volumes_boot/{server}/action", {"unknown": None}, status=400)
    demo.get("/os-volumes_boot", version="2.102")
    demo.get("/os-volumes_boot", status=404, version="2.103")
    demo.get("/os-volumes_boot/none", status=404)


def test_the_audit_log(still_cloud: TestCloud) -> None:
    demo, admin = Nova(still_cloud, "demo"), Nova(still_cloud, "admin")
    now = admin.get("/os-instance_usage_audit_log")["instance_usage_audit_logs"]
    assert set(now) == {
        "period_beginning", "period_ending", "num_hosts", "num_hosts_done", "num_hosts_running", "num_hosts_not_run",
        "hosts_not_run", "total_instances", "total_errors", "overall_status", "log",
    }  # fmt: skip
    then = admin.get("/os-instance_usage_audit_log/2012-07-05 10:00:00")["instance_usage_audit_log"]
    assert (then["period_beginning"], then["period_ending"]) == ("2012-06-01 00:00:00", "2012-07-01 00:00:00")
    new_year = admin.get("/os-instance_usage_audit_log/2012-01-01 00:00:00.000")["instance_usage_audit_log"]
    assert (new_year["period_beginning"], new_year["period_ending"]) == ("2011-11-01 00:00:00", "2011-12-01 00:00:00")
    for wrong in ("then", "2012-13-01 10:00:00", "0001-01-01 00:00:00x"):
        admin.get(f"/os-instance_usage_audit_log/{wrong}", status=400)
    admin.get("/os-instance_usage_audit_log/0001-01-01 00:00:00")
    demo.get("/os-instance_usage_audit_log", status=403)
    demo.get("/os-instance_usage_audit_log/2012-07-05 10:00:00", status=403)
