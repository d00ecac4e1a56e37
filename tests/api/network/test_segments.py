"""Segments of networks, and the ranges that their numbers are from."""

from __future__ import annotations

from typing import Any

from tests.api.network.neutron import Neutron

SEVERAL = [
    {"provider:network_type": "vlan", "provider:physical_network": "physnet1", "provider:segmentation_id": 11},
    {"provider:network_type": "vlan", "provider:physical_network": "physnet2", "provider:segmentation_id": 11},
    {"provider:network_type": "vxlan"},
]


def test_a_network_of_several_segments(physical: Neutron) -> None:
    network = physical.create("network", segments=SEVERAL)
    assert "provider:network_type" not in network
    assert network["segments"][:2] == SEVERAL[:2]
    assert network["segments"][2]["provider:segmentation_id"] > 0
    (listed,) = physical.list("network", f"?id={network['id']}")
    assert listed["segments"] == network["segments"]
    found = physical.list("segment", f"?network_id={network['id']}&sort_key=segmentation_id")
    assert [segment["physical_network"] for segment in found][:2].count("physnet1") == 1
    assert physical.refuse("network", 400, segments=SEVERAL[:1], **{"provider.network_type": "local"}) == (
        "SegmentsSetInConjunctionWithProviders"
    )
    again = [SEVERAL[0] | {"provider:segmentation_id": 12}] * 2
    assert physical.refuse("network", 400, segments=again) == "SegmentsContainDuplicateEntry"
    assert physical.refuse("network", 409, segments=SEVERAL) == "VlanIdInUse"
    assert physical.refuse("network", 400, segments=[{}]) == "InvalidInput"
    assert physical.refuse("network", 400, segments="x") == "HTTPBadRequest"
    physical.delete("network", network["id"])
    assert physical.list("segment", f"?network_id={network['id']}") == []


def test_segments_come_and_go(physical: Neutron) -> None:
    network = physical.create("network")
    (first,) = physical.list("segment", f"?network_id={network['id']}")
    assert (first["network_type"], first["name"]) == ("vxlan", None)
    made = physical.create(
        "segment", network_id=network["id"], network_type="vlan", physical_network="physnet1", segmentation_id=31,
        name="rack 1", description="left",
    )  # fmt: skip
    assert (made["name"], made["description"], made["segmentation_id"]) == ("rack 1", "left", 31)
    assert physical.show("segment", made["id"]) == made
    assert len(physical.show("network", network["id"])["segments"]) == 2
    assert physical.update("segment", made["id"], name="rack 2", description=None)["description"] is None
    again = {"network_id": network["id"], "network_type": "vlan", "physical_network": "physnet1", "segmentation_id": 31}
    assert physical.refuse("segment", 409, **again) == "VlanIdInUse"
    assert physical.refuse("segment", 404, **(again | {"network_id": "nowhere"})) == "NetworkNotFound"
    assert physical.refuse("segment", 400, **(again | {"network_type": "gre"})) == "InvalidInput"
    assert physical.refuse("segment", 400, **(again | {"segmentation_id": "many"})) == "HTTPBadRequest"
    assert physical.update("segment", made["id"], status=400, segmentation_id=3)["type"] == "HTTPBadRequest"
    physical.call("PUT", f"segments/{made['id']}/tags/red", status=201)
    assert physical.show("segment", made["id"])["tags"] == ["red"]
    physical.delete("segment", first["id"])
    shown = physical.show("network", network["id"])
    assert (shown["provider:network_type"], shown["provider:segmentation_id"]) == ("vlan", 31)
    physical.delete("segment", made["id"])
    assert physical.show("segment", made["id"], status=404)["type"] == "SegmentNotFound"


def test_a_segment_with_a_subnet_stays(physical: Neutron) -> None:
    network = physical.create("network")
    (segment,) = physical.list("segment", f"?network_id={network['id']}")
    subnet = physical.create(
        "subnet", network_id=network["id"], cidr="10.70.0.0/24", ip_version=4, segment_id=segment["id"]
    )
    assert physical.show("network", network["id"])["l2_adjacency"] is False
    assert physical.delete("segment", segment["id"], status=409)["type"] == "SegmentInUse"
    physical.delete("subnet", subnet["id"])
    physical.delete("segment", segment["id"])


def test_tenants_know_nothing_of_segments(demo: Neutron, admin: Neutron) -> None:
    network = demo.create("network")
    (segment,) = admin.list("segment", f"?network_id={network['id']}")
    assert demo.list("segment") == []
    assert demo.list("network_segment_range") == []
    demo.show("segment", segment["id"], status=404)
    demo.update("segment", segment["id"], status=404, name="x")
    demo.delete("segment", segment["id"], status=404)
    assert demo.refuse("segment", 403, network_id=network["id"], network_type="vxlan") == "PolicyNotAuthorized"
    wish = {"network_type": "vxlan", "minimum": 1, "maximum": 2}
    assert demo.refuse("network_segment_range", 403, **wish) == "PolicyNotAuthorized"


def a_range(**more: Any) -> dict[str, Any]:
    return {"network_type": "vxlan", "minimum": 500, "maximum": 502, "name": "mine"} | more


def test_default_ranges_are_the_settings(physical: Neutron) -> None:
    tunnels, vlans = physical.list("network_segment_range", "?default=true&sort_key=maximum&sort_dir=desc")
    assert (tunnels["network_type"], tunnels["minimum"], tunnels["maximum"]) == ("vxlan", 1, 2**24 - 1)
    assert (vlans["physical_network"], vlans["available"], vlans["shared"]) == ("physnet1", [100, 101, 102], True)
    fault = physical.update("network_segment_range", vlans["id"], status=400, name="x")
    assert fault["type"] == "NetworkSegmentRangeDefaultReadOnly"
    physical.delete("network_segment_range", vlans["id"], status=400)


def test_a_range_of_a_projects_own(demo: Neutron, admin: Neutron) -> None:
    project = demo.find("network", "private")["project_id"]
    made = admin.create("network_segment_range", **a_range(shared=False, project_id=project))
    assert (made["available"], made["used"], made["default"]) == ([500, 501, 502], {}, False)
    networks = [demo.create("network") for _ in range(3)]
    numbers = {admin.show("network", network["id"])["provider:segmentation_id"] for network in networks}
    assert numbers == {500, 501, 502}
    assert admin.show("network_segment_range", made["id"])["used"] == dict.fromkeys(("500", "501", "502"), project)
    other = admin.show("network", admin.create("network")["id"])["provider:segmentation_id"]
    assert other not in numbers
    fault = admin.update("network_segment_range", made["id"], status=409, maximum=501)
    assert fault["type"] == "NetworkSegmentRangeReferencedByProject"
    assert admin.update("network_segment_range", made["id"], maximum=600)["maximum"] == 600
    fault = admin.delete("network_segment_range", made["id"], status=409)
    assert fault["type"] == "NetworkSegmentRangeReferencedByProject"
    for network in networks:
        demo.delete("network", network["id"])
    admin.delete("network_segment_range", made["id"])
    assert admin.show("network_segment_range", made["id"], status=404)["type"] == "NetworkSegmentRangeNotFound"


def test_ranges_that_cannot_be(physical: Neutron) -> None:
    physical.create("network_segment_range", **a_range())
    for more, status, kind in (
        ({}, 409, "NetworkSegmentRangeOverlaps"),
        ({"minimum": 0}, 400, "NetworkTunnelRangeError"),
        ({"minimum": 9, "maximum": 8}, 400, "NetworkTunnelRangeError"),
        ({"maximum": 2**24}, 400, "NetworkTunnelRangeError"),
        ({"maximum": "many"}, 400, "HTTPBadRequest"),
        ({"network_type": "flat"}, 400, "NetworkSegmentRangeNetTypeNotSupported"),
        ({"network_type": "gre"}, 400, "NetworkSegmentRangeNetTypeNotSupported"),
        ({"network_type": "vlan"}, 400, "HTTPBadRequest"),
        ({"network_type": "vlan", "physical_network": "elsewhere"}, 400, "InvalidInput"),
        ({"network_type": "vlan", "physical_network": "physnet1", "maximum": 4095}, 400, "NetworkVlanRangeError"),
        ({"physical_network": "physnet1"}, 400, "HTTPBadRequest"),
        ({"name": "x" * 256}, 400, "HTTPBadRequest"),
        ({"colour": "red"}, 400, "HTTPBadRequest"),
    ):
        assert physical.refuse("network_segment_range", status, **a_range(**more)) == kind, more
