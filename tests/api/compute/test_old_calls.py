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


def test_volumes_need_a_block_storage_service(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    for path in ("/os-volumes", "/os-volumes/detail", "/os-volumes/one", "/os-snapshots", "/os-snapshots/detail"):
        assert "no block storage service" in demo.get(path, status=501)["message"]
        demo.get(path, status=404, version="2.36")
    demo.post("/os-volumes", {"volume": {"size": 1}}, status=501)
    demo.post("/os-snapshots", {"snapshot": {"volume_id": "one"}}, status=501)
    demo.delete("/os-volumes/one", status=501)
    demo.delete("/os-snapshots/one", status=501)


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
