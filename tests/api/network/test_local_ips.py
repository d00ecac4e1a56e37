"""Local IPs and the ports that they lead to."""

from __future__ import annotations

from typing import Any

from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud

from stackyard.core.db import Transaction
from stackyard.services.network import api


def associate(user: Neutron, local: dict[str, Any], status: int = 201, **fields: Any) -> Any:
    body = {"port_association": fields}
    answer = user.call("POST", f"local_ips/{local['id']}/port_associations", body, status=status)
    return answer["port_association"] if status == 201 else answer["type"]


def bind(cloud: TestCloud, port: dict[str, Any]) -> None:
    """Have a port wired, as a container's is."""

    def write(tx: Transaction) -> None:
        api.bind_port(tx, port["id"], netns="/run/netns/c1", device="eth0", host="testhost")

    cloud.database.write("bind", write)
    cloud.settle()


def test_a_local_ip_leads_to_a_port(cloud: TestCloud, demo: Neutron, admin: Neutron) -> None:
    network, _ = demo.network()
    local = demo.create("local_ip", name="vip", network_id=network["id"], local_ip_address="10.20.0.77")
    assert (local["local_ip_address"], local["ip_mode"]) == ("10.20.0.77", "translate")
    assert admin.show("port", local["local_port_id"])["device_owner"] == "network:local_ip"
    port = demo.create("port", network_id=network["id"])
    bind(cloud, port)
    made = associate(demo, local, fixed_port_id=port["id"])
    assert made == {
        "local_ip_id": local["id"], "local_ip_address": "10.20.0.77", "fixed_port_id": port["id"],
        "fixed_ip": port["fixed_ips"][0]["ip_address"], "host": "testhost",
    }  # fmt: skip
    cloud.settle()
    assert [item.ip for item in cloud.network.ports[port["id"]].addresses][-1] == "10.20.0.77"
    path = f"local_ips/{local['id']}/port_associations"
    assert demo.call("GET", path, status=200)["port_associations"] == [made]
    assert demo.call("GET", f"{path}?host=elsewhere", status=200)["port_associations"] == []
    assert demo.call("GET", f"{path}/{port['id']}", status=200)["port_association"] == made
    assert demo.delete("local_ip", local["id"], status=409)["type"] == "LocalIPInUse"
    other = demo.create("port", network_id=network["id"])
    assert associate(demo, local, status=409, fixed_port_id=other["id"]) == "LocalIPInUse"
    demo.call("DELETE", f"{path}/{port['id']}", status=204)
    assert demo.call("DELETE", f"{path}/{port['id']}", status=404)["type"] == "LocalIPAssociationNotFound"
    cloud.settle()
    assert "10.20.0.77" not in [item.ip for item in cloud.network.ports[port["id"]].addresses]
    assert demo.update("local_ip", local["id"], name="v", description="d")["name"] == "v"
    assert [item["id"] for item in demo.list("local_ip", "?local_ip_address=10.20.0.77")] == [local["id"]]
    associate(demo, local, fixed_port_id=other["id"])
    demo.delete("port", other["id"])
    assert demo.call("GET", path, status=200)["port_associations"] == []
    assert admin.delete("port", local["local_port_id"], status=409)["type"] == "ServicePortInUse"
    demo.delete("local_ip", local["id"])
    assert demo.show("local_ip", local["id"], status=404)["type"] == "LocalIPNotFound"
    admin.show("port", local["local_port_id"], status=404)


def test_of_a_port_that_there_is(demo: Neutron) -> None:
    network, subnet = demo.network()
    port = demo.create("port", network_id=network["id"])
    local = demo.create("local_ip", local_port_id=port["id"], ip_mode="passthrough")
    assert (local["local_ip_address"], local["network_id"]) == (port["fixed_ips"][0]["ip_address"], network["id"])
    assert demo.delete("port", port["id"], status=409)["type"] == "ServicePortInUse"
    demo.delete("local_ip", local["id"])
    demo.delete("port", port["id"])
    two = demo.create("port", network_id=network["id"], fixed_ips=[{"subnet_id": subnet["id"]}] * 2)
    assert demo.refuse("local_ip", 400, local_port_id=two["id"]) == "LocalIPNoRequestedIP"
    wanted = two["fixed_ips"][1]["ip_address"]
    assert demo.create("local_ip", local_port_id=two["id"], local_ip_address=wanted)["local_ip_address"] == wanted
    elsewhere = {"local_port_id": two["id"], "local_ip_address": "10.20.0.250"}
    assert demo.refuse("local_ip", 400, **elsewhere) == "LocalIPRequestedIPNotFound"


def test_what_cannot_be(cloud: TestCloud, demo: Neutron, admin: Neutron) -> None:
    network, _ = demo.network()
    given = {"network_id": network["id"]}
    assert demo.refuse("local_ip", 400) == "LocalIPPortOrNetworkRequired"
    assert demo.refuse("local_ip", 404, network_id="nowhere") == "NetworkNotFound"
    assert demo.refuse("local_ip", 404, local_port_id="nowhere") == "PortNotFound"
    for fields in ({"ip_mode": "magic"}, {"local_ip_address": "fd00::1"}, {"local_ip_address": "no"},
                   {"local_ip_address": "192.0.2.1"}, {"name": "x" * 256}, {"more": 1}):  # fmt: skip
        assert demo.refuse("local_ip", 400, **given, **fields) in (
            "HTTPBadRequest",
            "InvalidInput",
            "InvalidIpForNetwork",
        )
    assert demo.refuse("local_ip", 403, **given, project_id=admin.create("network")["project_id"]) == (
        "PolicyNotAuthorized"
    )
    six, _ = demo.network("fd00:5::/64")
    assert demo.refuse("local_ip", 400, network_id=six["id"]) == "HTTPBadRequest"
    local = demo.create("local_ip", **given)
    assert associate(demo, local, status=404, fixed_port_id="nowhere") == "PortNotFound"
    assert associate(demo, local, status=400) == "HTTPBadRequest"
    far, _ = demo.network("10.21.0.0/24")
    away = demo.create("port", network_id=far["id"])
    assert associate(demo, local, status=400, fixed_port_id=away["id"]) == "InvalidInput"
    port = demo.create("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.20.0.40"}])
    refused = associate(demo, local, status=400, fixed_port_id=port["id"], fixed_ip="10.20.0.250")
    assert refused == "LocalIPRequestedIPNotFound"
    bind(cloud, port)
    assert demo.refuse("local_ip", 409, local_port_id=port["id"]) == "PortInUse"
    theirs = admin.create("local_ip", network_id=admin.network("10.22.0.0/24")[0]["id"])
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/port_associations")):
        assert demo.call(method, f"local_ips/{theirs['id']}{path}", status=404)["type"] == "LocalIPNotFound"
    assert [item["id"] for item in demo.list("local_ip")] == [local["id"]]
