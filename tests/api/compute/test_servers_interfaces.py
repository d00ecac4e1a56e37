"""Network cards of servers that are there: plugged and unplugged."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

from stackyard.host.errors import HostError, SpecError
from stackyard.services.compute.reconcile import interfaces

GONE = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def nova(cloud: TestCloud) -> Nova:
    return Nova(cloud, "demo")


def _plugged(cloud: TestCloud, server_id: str) -> set[str]:
    seen = cloud.machines["machine"].inspect(server_id)
    assert seen is not None
    return set(seen.ports)


def _network(cloud: TestCloud, name: str, cidr: str) -> str:
    http = cloud.client("demo")
    network = http.post("/network/v2.0/networks", json={"network": {"name": name}}).json()["network"]["id"]
    subnet = {"network_id": network, "ip_version": 4, "cidr": cidr}
    assert http.post("/network/v2.0/subnets", json={"subnet": subnet}).status_code == 201
    return str(network)


def test_cards_come_and_go(cloud: TestCloud, nova: Nova) -> None:
    server_id = booted.server(cloud, nova)
    path, second = f"/servers/{server_id}/os-interface", _network(cloud, "second", "10.77.0.0/24")
    (first,) = nova.get(path)["interfaceAttachments"]
    assert set(first) == {"net_id", "port_id", "mac_addr", "port_state", "fixed_ips"}
    assert nova.get(path, version="2.70")["interfaceAttachments"][0]["tag"] is None

    def attach(status: int = 200, **fields: Any) -> Any:
        found = nova.post(path, {"interfaceAttachment": fields}, status=status, version=LATEST)
        cloud.settle()
        return found

    made = attach(net_id=second, fixed_ips=[{"ip_address": "10.77.0.9"}], tag="data")["interfaceAttachment"]
    assert (made["net_id"], made["fixed_ips"][0]["ip_address"], made["tag"]) == (second, "10.77.0.9", "data")
    assert nova.get(f"{path}/{made['port_id']}")["interfaceAttachment"]["port_state"] == "ACTIVE"
    assert _plugged(cloud, server_id) == {first["port_id"], made["port_id"]}
    port = cloud.client("demo").post("/network/v2.0/ports", json={"port": {"network_id": second}}).json()["port"]
    given = attach(port_id=port["id"])["interfaceAttachment"]
    assert given["port_id"] == port["id"]
    assert list(nova.get(f"/servers/{server_id}/ips")["addresses"]) == ["private", "second"]
    assert [one["device"] for one in rows.row(cloud, server_id).interfaces] == ["eth0", "eth1", "eth2"]

    cases: list[tuple[dict[str, Any], int]] = [
        ({"port_id": port["id"]}, 409), ({"net_id": second, "fixed_ips": [{"ip_address": "10.77.0.9"}]}, 409),
        ({"net_id": GONE}, 404), ({"port_id": GONE}, 404), ({"net_id": second, "port_id": port["id"]}, 400),
        ({"fixed_ips": [{"ip_address": "10.77.0.8"}]}, 400), ({"net_id": "x"}, 400), ({"port_id": 7}, 400),
        ({"net_id": second, "fixed_ips": []}, 400), ({"net_id": second, "fixed_ips": [{"ip_address": "x"}]}, 400),
        ({"net_id": second, "tag": "data"}, 400), ({"net_id": second, "tag": "a/b"}, 400), ({"bogus": 1}, 400),
        ({}, 400),
    ]  # fmt: skip
    for fields, status in cases:
        attach(status, **fields)
    nova.post(path, {"interfaceAttachment": {"net_id": second, "tag": "t"}}, status=400, version="2.48")
    assert len(nova.get(path)["interfaceAttachments"]) == 3

    for gone in (made["port_id"], port["id"]):
        nova.delete(f"{path}/{gone}", status=202)
        cloud.settle()
        assert nova.get(f"{path}/{gone}", status=404)["code"] == 404
        assert nova.delete(f"{path}/{gone}", status=404)["code"] == 404
    assert _plugged(cloud, server_id) == {first["port_id"]}
    http = cloud.client("demo")
    assert http.get(f"/network/v2.0/ports/{made['port_id']}").status_code == 404
    left = http.get(f"/network/v2.0/ports/{port['id']}").json()["port"]
    assert (left["device_id"], left["device_owner"], left["dns_name"]) == ("", "", "")
    named = [action for action, _ in booted.actions(nova, server_id)]
    assert named == ["create", "attach_interface", "attach_interface", "detach_interface", "detach_interface"]


def test_when_they_may_not_change(cloud: TestCloud, nova: Nova) -> None:
    server_id = booted.server(cloud, nova)
    path = f"/servers/{server_id}/os-interface"
    (first,) = nova.get(path)["interfaceAttachments"]
    booted.act(nova, server_id, "suspend")
    cloud.settle()
    assert "vm_state suspended" in nova.post(path, {"interfaceAttachment": {}}, status=409)["message"]
    assert "vm_state suspended" in nova.delete(f"{path}/{first['port_id']}", status=409)["message"]
    booted.act(nova, server_id, "resume")
    cloud.settle()
    booted.act(Nova(cloud, "admin"), server_id, "lock")
    assert "is locked" in nova.post(path, {"interfaceAttachment": {}}, status=409)["message"]
    assert "is locked" in nova.delete(f"{path}/{first['port_id']}", status=409)["message"]


def test_a_stopped_server_has_its_new_card_when_it_starts(cloud: TestCloud, nova: Nova) -> None:
    server_id = booted.server(cloud, nova, networks="none")
    booted.act(nova, server_id, "os-stop")
    cloud.settle()
    made = nova.post(f"/servers/{server_id}/os-interface", {"interfaceAttachment": {}})["interfaceAttachment"]
    cloud.settle()
    booted.act(nova, server_id, "os-start")
    cloud.settle()
    assert _plugged(cloud, server_id) == {made["port_id"]}
    shown = nova.get(f"/servers/{server_id}/os-interface/{made['port_id']}")["interfaceAttachment"]
    assert shown["port_state"] == "ACTIVE"


def test_a_card_that_could_not_be_plugged_is_tried_again(
    cloud: TestCloud, nova: Nova, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interfaces, "AGAIN_SECONDS", 0.05)
    server_id = booted.server(cloud, nova)
    cloud.machines["machine"].fail_next["attach_port"] = HostError("not now")
    made = nova.post(f"/servers/{server_id}/os-interface", {"interfaceAttachment": {}})["interfaceAttachment"]
    booted.until(lambda: made["port_id"] in _plugged(cloud, server_id))
    assert booted.status(nova, server_id) == "ACTIVE"


def test_a_card_that_cannot_be_plugged_does_the_server_no_harm(cloud: TestCloud, nova: Nova) -> None:
    server_id = booted.server(cloud, nova)
    cloud.machines["machine"].fail_next["attach_port"] = SpecError("no slot is free")
    made = nova.post(f"/servers/{server_id}/os-interface", {"interfaceAttachment": {}})["interfaceAttachment"]
    cloud.settle()
    assert booted.status(nova, server_id) == "ACTIVE"
    booted.act(nova, server_id, "reboot", {"type": "HARD"})
    cloud.settle()
    assert made["port_id"] in _plugged(cloud, server_id)
