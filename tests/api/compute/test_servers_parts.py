"""What a server has: changes of itself, metadata, tags, addresses, actions, volumes; and events of other services."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from tests.api.compute import booted, rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

from stackyard.core.db import Transaction
from stackyard.services.compute.guests import password
from stackyard.services.compute.tables import servers

GONE = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def nova(cloud: TestCloud) -> Nova:
    return Nova(cloud, "demo")


@pytest.fixture
def server(cloud: TestCloud, nova: Nova) -> str:
    return booted.server(cloud, nova)


def _write(cloud: TestCloud, server_id: str, **columns: Any) -> None:
    def write(tx: Transaction) -> None:
        tx.execute(sa.update(servers).where(servers.c.id == server_id).values(**columns))

    cloud.database.write("write", write)


def _lock(nova: Nova, server_id: str) -> Nova:
    """Lock a server as an administrator, so that the owner's changes are refused."""
    booted.act(nova, server_id, "lock")
    return nova


def test_changes(cloud: TestCloud, nova: Nova, server: str) -> None:
    path = f"/servers/{server}"
    body = {
        "name": "other", "description": "d", "hostname": "host-2", "accessIPv4": "192.0.2.9",
        "accessIPv6": "2001:DB8:0::1", "OS-DCF:diskConfig": "MANUAL",
    }  # fmt: skip
    shown = nova.put(path, {"server": body}, version=LATEST)["server"]
    assert shown == nova.get(path, version=LATEST)["server"]
    assert (shown["name"], shown["description"], shown["accessIPv6"]) == ("other", "d", "2001:db8::1")
    assert shown["OS-EXT-SRV-ATTR:hostname"] == "host-2"
    port = cloud.client("demo").get(f"/network/v2.0/ports?device_id={server}").json()["ports"][0]
    assert port["dns_name"] == "host-2"
    assert nova.put(path, {"server": {"description": None}}, version="2.19")["server"]["description"] is None
    part = nova.put(path, {"server": {"name": "x"}}, version="2.74")["server"]
    assert not {"key_name", "config_drive", "OS-EXT-STS:vm_state", "security_groups"} & set(part)
    assert set(part["addresses"]["private"][0]) == {"version", "addr"}
    assert {"locked", "tags", "server_groups", "locked_reason", "description"} <= set(part)
    for fields, version in (
        ({"name": ""}, "2.1"), ({"name": "x" * 256}, "2.1"), ({"name": 7}, "2.1"), ({"bogus": 1}, "2.1"),
        ({"description": "x"}, "2.18"), ({"hostname": "a.b"}, "2.90"), ({"hostname": "abc"}, "2.89"),
        ({"accessIPv4": "x"}, "2.1"), ({"accessIPv6": "1.2.3.4"}, "2.1"), ({"OS-DCF:diskConfig": "x"}, "2.1"),
        ({"pinned_availability_zone": "nova"}, "2.103"), ({"pinned_availability_zone": ""}, "2.104"),
        ({"description": "a\x01"}, "2.19"),
    ):  # fmt: skip
        nova.put(path, {"server": fields}, status=400, version=version)
    nova.put(path, {"name": "x"}, status=400)


def test_pinning_to_a_zone(nova: Nova, server: str) -> None:
    path = f"/servers/{server}"

    def pin(zone: str | None, status: int = 200) -> Any:
        return nova.put(path, {"server": {"pinned_availability_zone": zone}}, status=status, version="2.104")

    assert "only be pinned to its current" in pin("mars", 409)["message"]
    assert pin("nova")["server"]["pinned_availability_zone"] == "nova"
    assert pin("nova")["server"]["pinned_availability_zone"] == "nova"
    assert "Unpin first" in pin("mars", 409)["message"]
    assert pin(None)["server"]["pinned_availability_zone"] is None


def test_metadata(cloud: TestCloud, nova: Nova, server: str) -> None:
    path = f"/servers/{server}/metadata"
    assert nova.get(path) == {"metadata": {}}
    assert nova.post(path, {"metadata": {"a": "1", "b": "2"}}) == {"metadata": {"a": "1", "b": "2"}}
    assert nova.post(path, {"metadata": {"b": "3"}}) == {"metadata": {"a": "1", "b": "3"}}
    assert nova.put(path, {"metadata": {"c": "4"}}) == {"metadata": {"c": "4"}}
    assert nova.put(f"{path}/d", {"meta": {"d": "5"}}) == {"meta": {"d": "5"}}
    assert nova.get(f"{path}/d") == {"meta": {"d": "5"}}
    nova.delete(f"{path}/d", status=204)
    for method in ("GET", "DELETE"):
        assert nova.call(method, f"{path}/d", status=404)["message"] == "Metadata item was not found"
    for body in ({"metadata": {"": "x"}}, {"metadata": {"a": 1}}, {"metadata": {"k" * 256: "x"}}, {"metadata": []}, {}):
        nova.post(path, body, status=400)
        nova.put(path, body, status=400)
    for item in ({"meta": {}}, {"meta": {"e": "1", "f": "2"}}, {"meta": {"other": "1"}}, {"meta": {"e": 1}}, {"x": {}}):
        nova.put(f"{path}/e", item, status=400)
    nova.put(path, {"metadata": {f"k{n}": "v" for n in range(128)}})
    assert "Quota exceeded" in nova.post(path, {"metadata": {"one more": "v"}}, status=403)["message"]
    assert "Quota exceeded" in nova.put(f"{path}/e", {"meta": {"e": "1"}}, status=403)["message"]
    _lock(Nova(cloud, "admin"), server)
    for method, where, body in (
        ("POST", path, {"metadata": {}}), ("PUT", path, {"metadata": {}}), ("DELETE", f"{path}/k1", None),
    ):  # fmt: skip
        assert nova.call(method, where, body, status=409)["message"] == f"Instance {server} is locked"
    _write(cloud, server, vm_state="building", locked=False)
    assert "vm_state building" in nova.post(path, {"metadata": {}}, status=409)["message"]


def test_tags(cloud: TestCloud, nova: Nova, server: str) -> None:
    path = f"/servers/{server}/tags"
    nova.get(path, status=404, version="2.25")

    def call(method: str, tag: str = "", body: Any = None, status: int = 200) -> Any:
        return nova.call(method, f"{path}/{tag}" if tag else path, body, status=status, version="2.26")

    assert call("PUT", body={"tags": ["b", "a", "a"]}) == {"tags": ["a", "b"]}
    made = nova.http.put(f"/compute/v2.1{path}/c d", headers={"X-OpenStack-Nova-API-Version": "2.26"})
    assert (made.status_code, made.content) == (201, b"")
    assert made.headers["location"].endswith(f"{path}/c%20d")
    call("PUT", "a", status=204)
    call("GET", "a", status=204)
    call("DELETE", "a", status=204)
    assert call("GET", "a", status=404)["message"] == f"Server {server} has no tag 'a'"
    assert call("DELETE", "a", status=404)["message"] == f"Server {server} has no tag 'a'"
    assert call("GET") == {"tags": ["b", "c d"]}
    for tags in (["x" * 61], ["a/b"], ["a,b"], [""], [7], [str(n) for n in range(51)]):
        call("PUT", body={"tags": tags}, status=400)
    call("PUT", "x" * 61, status=400)
    call("PUT", body={"tags": [str(n) for n in range(50)]})
    assert "per-server limit 50" in call("PUT", "more", status=400)["message"]
    call("DELETE", status=204)
    assert call("GET") == {"tags": []}
    _write(cloud, server, vm_state="error")
    for method, tag, body in (
        ("PUT", "a", None), ("PUT", "", {"tags": []}), ("DELETE", "a", None), ("DELETE", "", None),
    ):  # fmt: skip
        assert "vm_state error" in call(method, tag, body, 409)["message"]


def test_what_can_be_looked_at(cloud: TestCloud, nova: Nova, server: str) -> None:
    path = f"/servers/{server}"
    assert nova.get(f"{path}/topology", version="2.78") == {"nodes": [], "pagesize_kb": None}
    nova.get(f"{path}/topology", status=404, version="2.77")
    found = nova.get(f"{path}/ips")["addresses"]
    assert nova.get(f"{path}/ips/private") == {"private": found["private"]}
    assert nova.get(f"{path}/ips/none", status=404)["message"] == "Instance is not a member of specified network"
    assert nova.get(f"{path}/os-server-password") == {"password": ""}
    _write(cloud, server, system_metadata=password.stored({"kept": 1}, "x" * 300))
    assert nova.get(f"{path}/os-server-password") == {"password": "x" * 300}
    nova.delete(f"{path}/os-server-password", status=204)
    assert nova.get(f"{path}/os-server-password") == {"password": ""}
    assert rows.row(cloud, server).system_metadata == {"kept": 1}
    for part in ("ips", "os-server-password", "metadata", "os-interface"):
        nova.get(f"{path}/{part}?x=1", status=400, version="2.102")
        nova.get(f"{path}/{part}?x=1", version="2.101")


def test_actions_and_their_events(cloud: TestCloud, nova: Nova, server: str) -> None:
    booted.act(nova, server, "os-stop")
    cloud.settle()
    path, admin = f"/servers/{server}/os-instance-actions", Nova(cloud, "admin")
    stop, create = nova.get(path)["instanceActions"]
    assert (stop["action"], create["action"]) == ("stop", "create")
    assert set(stop) == {"action", "instance_uuid", "request_id", "user_id", "project_id", "start_time", "message"}
    assert set(nova.get(path, version="2.58")["instanceActions"][0]) == {*stop, "updated_at"}
    one = f"{path}/{create['request_id']}"
    event = {"event", "start_time", "finish_time", "result"}
    for version, mine, all_of_it in (
        ("2.1", None, event | {"traceback"}), ("2.51", event, event | {"traceback"}),
        ("2.62", event | {"hostId"}, event | {"traceback", "host", "hostId"}),
        ("2.84", event | {"hostId"}, event | {"traceback", "host", "hostId", "details"}),
    ):  # fmt: skip
        shown = nova.get(one, version=version)["instanceAction"]
        assert (set(shown["events"][0]) if "events" in shown else None) == mine, version
        assert set(admin.get(one, version=version)["instanceAction"]["events"][0]) == all_of_it, version
    assert nova.get(one, version="2.51")["instanceAction"]["events"][0]["event"] == "compute__do_build_instance"
    page = nova.get(f"{path}?limit=1", version="2.58")
    assert [action["action"] for action in page["instanceActions"]] == ["stop"]
    following = page["links"][0]["href"].partition("/v2.1")[2]
    assert [action["action"] for action in nova.get(following, version="2.58")["instanceActions"]] == ["create"]
    assert nova.get(f"{path}?changes-before=2020-01-01T00:00:00Z", version="2.66")["instanceActions"] == []
    assert len(nova.get(f"{path}?changes-since=2020-01-01T00:00:00Z", version="2.58")["instanceActions"]) == 2
    for query in (
        "limit=x",
        "marker=none",
        "changes-since=x",
        "bogus=1",
        "changes-since=2021-01-01T00:00:00Z&changes-before=2020-01-01T00:00:00Z",
    ):
        nova.get(f"{path}?{query}", status=400, version="2.66")
    assert nova.get(f"{path}/req-none", status=404)["message"] == "Action req-none not found"
    nova.delete(f"/servers/{server}", status=204)
    cloud.settle()
    nova.get(path, status=404, version="2.20")
    assert nova.get(path, version="2.21")["instanceActions"][0]["action"] == "delete"


def test_a_server_without_volumes_says_so(cloud: TestCloud, nova: Nova, server: str) -> None:
    path = f"/servers/{server}/os-volume_attachments"
    assert nova.get(path) == {"volumeAttachments": []}
    for body, version in (
        ({"volumeId": "x"}, "2.1"), ({}, "2.1"), ({"volumeId": GONE, "tag": "t"}, "2.48"),
        ({"volumeId": GONE, "delete_on_termination": True}, "2.78"), ({"volumeId": GONE, "bogus": 1}, "2.1"),
    ):  # fmt: skip
        nova.post(path, {"volumeAttachment": body}, status=400, version=version)
    for method, body in (("GET", None), ("DELETE", None)):
        assert "is not attached" in nova.call(method, f"{path}/{GONE}", body, status=404)["message"]
    same = {"volumeAttachment": {"volumeId": GONE}}
    assert "is not attached" in nova.put(f"{path}/{GONE}", same, status=404, version="2.85")["message"]
    other = {"volumeAttachment": {"volumeId": "22222222-2222-4333-8444-555555555555"}}
    assert "swap" in nova.put(f"{path}/{GONE}", other, status=403)["message"]
    nova.get(f"{path}?bogus=1", status=400, version="2.75")


def test_events_of_other_services(cloud: TestCloud, nova: Nova, server: str) -> None:
    admin, path = Nova(cloud, "admin"), "/os-server-external-events"
    event = {"name": "network-changed", "server_uuid": server}
    assert admin.post(path, {"events": [event]})["events"] == [event | {"status": "completed", "code": 200}]
    lost = {"name": "network-vif-plugged", "server_uuid": GONE, "status": "completed", "tag": "t"}
    power = {"name": "power-update", "server_uuid": server}
    told = admin.post(path, {"events": [event, lost, power]}, status=207, version="2.76")["events"]
    assert [one["code"] for one in told] == [200, 404, 400]
    _write(cloud, server, host=None)
    assert admin.post(path, {"events": [event]}, status=207)["events"][0]["code"] == 422
    for events in ([], [{"name": "bogus", "server_uuid": server}], [power], [{"name": "network-changed"}],
                   [event | {"status": "odd"}], [event | {"server_uuid": "x"}], [event | {"x": 1}],
                   [event | {"tag": "x" * 256}]):  # fmt: skip
        admin.post(path, {"events": events}, status=400)
    assert "server-external-events" in nova.post(path, {"events": [event]}, status=403)["message"]


def test_deleting(cloud: TestCloud, nova: Nova, server: str) -> None:
    project = str(rows.caller(cloud).project_id)
    _lock(Nova(cloud, "admin"), server)
    assert nova.delete(f"/servers/{server}", status=409)["message"] == f"Instance {server} is locked"
    Nova(cloud, "admin").delete(f"/servers/{server}", status=204)
    cloud.settle()
    nova.get(f"/servers/{server}", status=404)
    nova.delete(f"/servers/{server}", status=404)
    assert booted.used(cloud, project) == (0, 0, 0)
    assert booted.held(cloud, server) == {}
    assert cloud.client("demo").get(f"/network/v2.0/ports?device_id={server}").json()["ports"] == []


def test_deleting_again_while_it_is_under_way(still_cloud: TestCloud) -> None:
    nova = Nova(still_cloud, "demo")
    server_id = rows.insert(still_cloud)
    nova.delete(f"/servers/{server_id}", status=204)
    before = rows.row(still_cloud, server_id)
    nova.delete(f"/servers/{server_id}", status=204)
    assert rows.row(still_cloud, server_id).version == before.version
    assert [action for action, _ in booted.actions(nova, server_id)].count("delete") == 1
