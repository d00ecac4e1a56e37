"""Trunks: parents, subports, what keeps them, and that subports are wired where the parent is."""

from __future__ import annotations

from typing import Any

from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud

from stackyard.host.errors import SpecError
from stackyard.services.network import api as network_api


def some_ports(demo: Neutron, count: int = 3) -> list[dict[str, Any]]:
    network = demo.create("network")
    bodies = [{"network_id": network["id"], "name": f"p{n}"} for n in range(count)]
    found: list[dict[str, Any]] = demo.call("POST", "ports", {"ports": bodies}, status=201)["ports"]
    return found


def sub(port: dict[str, Any], number: int) -> dict[str, Any]:
    return {"port_id": port["id"], "segmentation_type": "vlan", "segmentation_id": number}


def test_create_show_change_delete(demo: Neutron) -> None:
    parent, one, two = some_ports(demo)
    trunk = demo.create(
        "trunk", port_id=parent["id"], name="t", description="first", sub_ports=[sub(one, 10)], tags=["a"]
    )
    assert (trunk["status"], trunk["admin_state_up"], trunk["sub_ports"]) == ("DOWN", True, [sub(one, 10)])
    assert (trunk["tags"], trunk["status_reason"], trunk["revision_number"]) == (["a"], "", 1)
    assert demo.show("trunk", trunk["id"]) == trunk
    assert demo.list("trunk", f"?port_id={parent['id']}&status=DOWN&name=t&tags=a") == [trunk]
    assert demo.list("trunk", "?status=ACTIVE") == []
    details = demo.show("port", parent["id"])["trunk_details"]
    assert details["trunk_id"] == trunk["id"]
    assert details["sub_ports"] == [sub(one, 10) | {"mac_address": one["mac_address"]}]
    assert "trunk_details" not in demo.show("port", one["id"])
    (listed,) = demo.list("port", f"?id={parent['id']}")
    assert listed["trunk_details"] == details
    path = f"trunks/{trunk['id']}"
    grown = demo.call("PUT", f"{path}/add_subports", {"sub_ports": [sub(two, 20)]}, status=200)
    assert grown["sub_ports"] == [sub(one, 10), sub(two, 20)]
    assert demo.call("GET", f"{path}/get_subports", status=200) == {"sub_ports": grown["sub_ports"]}
    less = demo.call("PUT", f"{path}/remove_subports", {"sub_ports": [{"port_id": one["id"]}]}, status=200)
    assert less["sub_ports"] == [sub(two, 20)]
    assert demo.update("trunk", trunk["id"], name="u", description="")["name"] == "u"
    demo.call("PUT", f"{path}/tags/b", status=201)
    assert demo.show("trunk", trunk["id"])["tags"] == ["a", "b"]
    demo.delete("trunk", trunk["id"])
    assert demo.show("trunk", trunk["id"], status=404)["type"] == "TrunkNotFound"
    demo.show("port", two["id"])


def test_trunks_that_cannot_be(physical: Neutron) -> None:
    parent, one, two, other = some_ports(physical, 4)
    narrow = physical.create("network", mtu=1400)
    low = physical.create("port", network_id=narrow["id"])
    busy = physical.update("port", other["id"], device_id="a machine")
    trunk = physical.create("trunk", port_id=parent["id"], sub_ports=[sub(one, 10)])
    for given, status, kind in (
        ({"port_id": parent["id"]}, 409, "ParentPortInUse"),
        ({"port_id": one["id"]}, 409, "TrunkPortInUse"),
        ({"port_id": "nowhere"}, 404, "PortNotFound"),
        ({}, 400, "HTTPBadRequest"),
        ({"port_id": two["id"], "colour": "red"}, 400, "HTTPBadRequest"),
        ({"port_id": two["id"], "name": "x" * 256}, 400, "HTTPBadRequest"),
        ({"port_id": two["id"], "admin_state_up": "perhaps"}, 400, "HTTPBadRequest"),
        ({"port_id": two["id"], "sub_ports": "all"}, 400, "HTTPBadRequest"),
        ({"port_id": two["id"], "sub_ports": [sub(one, 10)]}, 409, "TrunkPortInUse"),
        ({"port_id": two["id"], "sub_ports": [sub(parent, 10)]}, 409, "ParentPortInUse"),
        ({"port_id": two["id"], "sub_ports": [sub(two, 10)]}, 409, "ParentPortInUse"),
        ({"port_id": two["id"], "sub_ports": [sub(busy, 10)]}, 409, "PortInUse"),
        ({"port_id": low["id"], "sub_ports": [sub(two, 10)]}, 409, "SubPortMtuGreaterThanTrunkPortMtu"),
        ({"port_id": two["id"], "sub_ports": [sub(low, 4095)]}, 400, "InvalidInput"),
        ({"port_id": two["id"], "sub_ports": [sub(low, 1), sub(low, 2)]}, 400, "InvalidInput"),
        ({"port_id": two["id"], "sub_ports": [sub(low, 1) | {"segmentation_type": "vxlan"}]}, 400, "InvalidInput"),
        ({"port_id": two["id"], "sub_ports": [sub(low, 1) | {"segmentation_type": "inherit"}]}, 400, "InvalidInput"),
        ({"port_id": two["id"], "sub_ports": [sub(low, 1) | {"segmentation_id": None}]}, 400, "InvalidInput"),
        ({"port_id": two["id"], "sub_ports": [{"port_id": low["id"]}]}, 400, "InvalidInput"),
    ):
        assert physical.refuse("trunk", status, **given) == kind, given
    assert physical.list("trunk") == [trunk]


def test_subports_that_cannot_be(demo: Neutron) -> None:
    parent, one, two = some_ports(demo)
    trunk = demo.create("trunk", port_id=parent["id"], sub_ports=[sub(one, 10)])
    add, remove = (f"trunks/{trunk['id']}/{verb}_subports" for verb in ("add", "remove"))
    for path, given, status, kind in (
        (add, [sub(two, 10)], 409, "DuplicateSubPort"),
        (add, [sub(one, 11)], 409, "TrunkPortInUse"),
        (add, [sub(parent, 11)], 409, "ParentPortInUse"),
        (add, "all", 400, "InvalidInput"),
        (add, [5], 400, "HTTPBadRequest"),
        (remove, [{"port_id": two["id"]}], 404, "SubPortNotFound"),
        (remove, [{}], 400, "HTTPBadRequest"),
        (remove, None, 400, "InvalidInput"),
    ):
        assert demo.call("PUT", path, {"sub_ports": given}, status=status)["type"] == kind, (path, given)
    demo.update("trunk", trunk["id"], admin_state_up=False)
    assert demo.call("PUT", add, {"sub_ports": [sub(two, 11)]}, status=409)["type"] == "TrunkDisabled"
    assert demo.call("PUT", remove, {"sub_ports": [sub(one, 10)]}, status=409)["type"] == "TrunkDisabled"
    assert demo.delete("trunk", trunk["id"], status=409)["type"] == "TrunkDisabled"
    assert demo.show("trunk", trunk["id"])["sub_ports"] == [sub(one, 10)]


def test_a_subport_inherits_the_vlan_of_its_network(physical: Neutron) -> None:
    vlan = {"provider.network_type": "vlan", "provider.physical_network": "physnet1", "provider.segmentation_id": 55}
    tagged = physical.create("port", network_id=physical.create("network", **vlan)["id"])
    (parent,) = some_ports(physical, 1)
    wish = {"port_id": tagged["id"], "segmentation_type": "inherit"}
    assert physical.create("trunk", port_id=parent["id"], sub_ports=[wish])["sub_ports"] == [sub(tagged, 55)]


def test_ports_of_a_trunk_stay(demo: Neutron) -> None:
    parent, one, _ = some_ports(demo)
    trunk = demo.create("trunk", port_id=parent["id"], sub_ports=[sub(one, 10)])
    assert demo.delete("port", parent["id"], status=409)["type"] == "PortInUseAsTrunkParent"
    assert demo.delete("port", one["id"], status=409)["type"] == "PortInUseAsSubPort"
    demo.delete("trunk", trunk["id"])
    demo.delete("port", parent["id"])
    demo.delete("port", one["id"])


def test_trunks_of_others(demo: Neutron, admin: Neutron) -> None:
    parent, one = some_ports(admin, 2)
    trunk = admin.create("trunk", port_id=parent["id"])
    assert demo.list("trunk") == []
    for call in (demo.show, demo.delete):
        call("trunk", trunk["id"], status=404)
    demo.update("trunk", trunk["id"], status=404, name="mine")
    demo.call("PUT", f"trunks/{trunk['id']}/add_subports", {"sub_ports": []}, status=404)
    assert demo.refuse("trunk", 404, port_id=one["id"]) == "PortNotFound"
    (own,) = some_ports(demo, 1)
    assert demo.refuse("trunk", 403, port_id=own["id"], project_id=parent["project_id"]) == "PolicyNotAuthorized"


def test_a_quota_of_trunks(demo: Neutron, admin: Neutron) -> None:
    parent, one, _ = some_ports(demo)
    admin.call("PUT", f"quotas/{parent['project_id']}", {"quota": {"trunk": 1}}, status=200)
    trunk = demo.create("trunk", port_id=parent["id"])
    assert demo.refuse("trunk", 409, port_id=one["id"]) == "OverQuota"
    demo.delete("trunk", trunk["id"])
    demo.create("trunk", port_id=one["id"])


def test_subports_are_wired_with_their_parent(cloud: TestCloud, demo: Neutron, admin: Neutron) -> None:
    parent, one, two = some_ports(demo)
    trunk = demo.create("trunk", port_id=parent["id"], sub_ports=[sub(one, 10)])
    bind = {"netns": "/run/netns/x", "device": "eth0", "host": "testhost"}
    cloud.database.write("bind", lambda tx: network_api.bind_port(tx, parent["id"], **bind))
    network_api.wire_now(cloud.runtime, [parent["id"]])
    cloud.settle()
    spec = cloud.network.ports[one["id"]]
    assert (spec.kind, spec.parent, spec.vlan_id) == ("vlan", parent["id"], 10)
    assert demo.show("trunk", trunk["id"])["status"] == "ACTIVE"
    assert [item["id"] for item in demo.list("trunk", "?status=ACTIVE")] == [trunk["id"]]
    assert admin.show("port", one["id"])["binding:host_id"] == "testhost"
    path = f"trunks/{trunk['id']}"
    demo.call("PUT", f"{path}/add_subports", {"sub_ports": [sub(two, 20)]}, status=200)
    cloud.settle()
    assert cloud.network.ports[two["id"]].vlan_id == 20
    demo.call("PUT", f"{path}/remove_subports", {"sub_ports": [sub(one, 10)]}, status=200)
    demo.update("trunk", trunk["id"], admin_state_up=False)
    cloud.settle()
    assert one["id"] not in cloud.network.ports
    assert cloud.network.ports[two["id"]].admin_up is False
    assert demo.show("trunk", trunk["id"])["status"] == "DOWN"
    cloud.database.write("unbind", network_api.unbind_port, parent["id"])
    cloud.settle()
    assert two["id"] not in cloud.network.ports
    assert admin.show("port", two["id"])["binding:host_id"] == ""


def test_a_port_that_goes_with_its_workload_takes_its_trunk_along(cloud: TestCloud, demo: Neutron) -> None:
    parent, one, _ = some_ports(demo)
    trunk = demo.create("trunk", port_id=parent["id"], sub_ports=[sub(one, 10)])
    cloud.database.write("delete", network_api.delete_port, cloud.runtime, parent["id"])
    demo.show("trunk", trunk["id"], status=404)
    demo.delete("port", one["id"])


def test_a_trunk_says_why_it_is_not_whole(cloud: TestCloud, demo: Neutron) -> None:
    parent, one, _ = some_ports(demo)
    trunk = demo.create("trunk", port_id=parent["id"])
    bind = {"netns": "/run/netns/x", "device": "eth0", "host": "testhost"}
    cloud.database.write("bind", lambda tx: network_api.bind_port(tx, parent["id"], **bind))
    network_api.wire_now(cloud.runtime, [parent["id"]])
    cloud.settle()
    cloud.network.fail_next("apply_port", SpecError("the kernel of this host has no 802.1Q VLANs"))
    demo.call("PUT", f"trunks/{trunk['id']}/add_subports", {"sub_ports": [sub(one, 10)]}, status=200)
    cloud.settle()
    shown = demo.show("trunk", trunk["id"])
    assert shown["status"] == "DEGRADED"
    assert "802.1Q" in shown["status_reason"]
