"""Networks: what they show, who may see and change them, what keeps them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud

from stackyard.core.config import Settings


def test_a_new_cloud_has_public_private_and_a_router_between(demo: Neutron, admin: Neutron) -> None:
    public, private = demo.find("network", "public"), demo.find("network", "private")
    assert (public["router:external"], public["is_default"], public["shared"]) == (True, True, False)
    assert private["status"] == "ACTIVE"
    assert len(private["subnets"]) == 2
    assert "provider:network_type" not in private
    assert admin.show("network", private["id"])["provider:network_type"] == "vxlan"
    assert admin.show("network", public["id"])["provider:network_type"] == "local"
    (router,) = demo.list("router")
    assert router["external_gateway_info"]["network_id"] == public["id"]
    owners = sorted(port["device_owner"] for port in demo.list("port", f"?network_id={private['id']}"))
    assert owners == ["network:dhcp", "network:router_interface", "network:router_interface"]


def test_create_show_update_delete(cloud: TestCloud, demo: Neutron) -> None:
    made = demo.create("network", name="one", description="first", mtu=1400, dns_domain="example.org.")
    assert (made["mtu"], made["dns_domain"], made["revision_number"], made["subnets"]) == (1400, "example.org.", 1, [])
    assert demo.show("network", made["id"]) == made
    changed = demo.update("network", made["id"], name="two", admin_state_up=False)
    assert (changed["name"], changed["admin_state_up"], changed["revision_number"]) == ("two", False, 2)
    cloud.settle()
    assert cloud.network.networks[made["id"]].mtu == 1400
    demo.delete("network", made["id"])
    cloud.settle()
    assert made["id"] not in cloud.network.networks
    assert demo.show("network", made["id"], status=404)["type"] == "NetworkNotFound"


def test_many_at_once_or_none(demo: Neutron) -> None:
    made = demo.call("POST", "networks", {"networks": [{"name": "a"}, {"name": "b"}]}, status=201)["networks"]
    assert [network["name"] for network in made] == ["a", "b"]
    before = len(demo.list("network"))
    demo.call("POST", "networks", {"networks": [{"name": "c"}, {"name": "d", "mtu": 1}]}, status=400)
    assert len(demo.list("network")) == before


def test_filters_sorting_fields_and_pages(demo: Neutron) -> None:
    for name in ("p1", "p2", "p3"):
        demo.create("network", name=name, admin_state_up=name != "p2")
    assert [n["name"] for n in demo.list("network", "?name=p1&name=p3&sort_key=name&sort_dir=desc")] == ["p3", "p1"]
    assert [n["name"] for n in demo.list("network", "?admin_state_up=false")] == ["p2"]
    assert demo.list("network", "?name=p1&fields=name&fields=mtu") == [{"name": "p1", "mtu": 1500}]
    assert [n["name"] for n in demo.list("network", "?router:external=true")] == ["public"]
    first = demo.call("GET", "networks?sort_key=name&limit=2", status=200)
    assert [n["name"] for n in first["networks"]] == ["p1", "p2"]
    (link,) = [link["href"] for link in first["networks_links"] if link["rel"] == "next"]
    second = demo.http.get(link).json()["networks"]
    assert [n["name"] for n in second] == ["p3", "private"]
    backwards = demo.call(
        "GET", f"networks?sort_key=name&limit=2&marker={second[0]['id']}&page_reverse=True", status=200
    )
    assert [n["name"] for n in backwards["networks"]] == ["p1", "p2"]
    assert [link["rel"] for link in backwards["networks_links"]] == ["next"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"{}",
        b'{"network": []}',
        b'{"networks": []}',
        b'{"network": {"name": 5}}',
        b'{"network": {"id": "mine"}}',
        b'{"network": {"mtu": "wide"}}',
        b'{"network": {"mtu": 67}}',
        b'{"network": {"admin_state_up": "perhaps"}}',
        b'{"network": {"dns_domain": "a b"}}',
        b'{"network": {"name": "' + b"x" * 256 + b'"}}',
    ],
)
def test_bodies_that_make_no_sense(demo: Neutron, body: bytes) -> None:
    answer = demo.http.post("/network/v2.0/networks", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["NeutronError"]["message"]


def test_others_see_shared_networks_only(demo: Neutron, admin: Neutron) -> None:
    hidden, shared = admin.create("network", name="hidden"), admin.create("network", name="open", shared=True)
    assert [n["name"] for n in demo.list("network", "?name=hidden&name=open")] == ["open"]
    demo.show("network", hidden["id"], status=404)
    demo.show("network", shared["id"])
    assert demo.update("network", shared["id"], status=403, name="mine")["type"] == "PolicyNotAuthorized"
    demo.delete("network", shared["id"], status=403)
    demo.delete("network", hidden["id"], status=404)
    assert demo.refuse("port", 404, network_id=hidden["id"]) == "NetworkNotFound"


def test_what_only_an_administrator_may_set(demo: Neutron, admin: Neutron) -> None:
    other = admin.find("network", "public")["project_id"]
    for given in (
        {"shared": True},
        {"router.external": True},
        {"provider.network_type": "local"},
        {"tenant_id": other},
    ):
        assert demo.refuse("network", 403, **given) == "PolicyNotAuthorized"
    assert demo.create("network", shared=False)["shared"] is False
    assert admin.refuse("network", 400, **{"provider.network_type": "gre"}) == "InvalidInput"


def test_a_network_in_use_stays(demo: Neutron) -> None:
    network, _ = demo.network()
    port = demo.create("port", network_id=network["id"])
    assert demo.delete("network", network["id"], status=409)["type"] == "NetworkInUse"
    demo.delete("port", port["id"])
    demo.delete("network", network["id"])
    assert demo.list("subnet", f"?network_id={network['id']}") == []


def test_a_shared_network_that_others_use_stays_shared(demo: Neutron, admin: Neutron) -> None:
    network = admin.create("network", shared=True)
    admin.create("subnet", network_id=network["id"], cidr="10.30.0.0/24", ip_version=4)
    port = demo.create("port", network_id=network["id"])
    assert admin.update("network", network["id"], status=409, shared=False)["type"] == "InvalidSharedSetting"
    demo.delete("port", port["id"])
    assert admin.update("network", network["id"], shared=False)["shared"] is False


def test_the_public_network_stays_external_while_a_router_needs_it(admin: Neutron) -> None:
    public = admin.find("network", "public")
    fault = admin.update("network", public["id"], status=409, **{"router.external": False})
    assert fault["type"] == "ExternalNetworkInUse"


def test_a_change_may_be_bound_to_a_revision(demo: Neutron) -> None:
    network = demo.create("network", name="one")
    body = {"network": {"name": "two"}}
    path = f"networks/{network['id']}"
    fault = demo.call("PUT", path, body, status=412, **{"If-Match": "revision_number=7"})
    assert fault["type"] == "RevisionNumberConstraintFailed"
    demo.call("PUT", path, body, status=200, **{"If-Match": "revision_number=1"})
    demo.call("DELETE", path, status=412, **{"If-Match": "revision_number=1"})
    demo.call("DELETE", path, status=400, **{"If-Match": "something"})
    demo.call("DELETE", path, status=204, **{"If-Match": "revision_number=2"})


def test_over_quota_is_a_conflict_and_leaves_nothing(demo: Neutron, admin: Neutron) -> None:
    project = demo.find("network", "private")["project_id"]
    admin.call("PUT", f"quotas/{project}", {"quota": {"network": 2}}, status=200)
    made = demo.create("network", name="second")
    assert demo.refuse("network", 409, name="third") == "OverQuota"
    assert demo.list("network", "?name=third") == []
    demo.delete("network", made["id"])
    demo.create("network", name="third")


def provider(network: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(network[f"provider:{name}"] for name in ("network_type", "physical_network", "segmentation_id"))


def test_tenants_networks_have_numbers_of_their_own(demo: Neutron, admin: Neutron) -> None:
    made = demo.call("POST", "networks", {"networks": [{"name": f"n{i}"} for i in range(5)]}, status=201)["networks"]
    assert all("provider:segmentation_id" not in network for network in made)
    found = [provider(admin.show("network", network["id"])) for network in made]
    assert {(kind, physical) for kind, physical, _ in found} == {("vxlan", None)}
    numbers = [number for _, _, number in found]
    assert len(set(numbers)) == 5
    assert all(1 <= number < 2**24 for number in numbers)
    (seen,) = admin.list("network", f"?provider:segmentation_id={numbers[0]}&provider:network_type=vxlan")
    assert seen["id"] == made[0]["id"]


CANNOT_BE: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({"provider.network_type": "geneve"}, 400, "InvalidInput"),
    ({"provider.network_type": "token-ring"}, 400, "InvalidInput"),
    ({"provider.segmentation_id": 5}, 400, "InvalidInput"),
    ({"provider.physical_network": "physnet1"}, 400, "InvalidInput"),
    ({"provider.network_type": "local", "provider.segmentation_id": 5}, 400, "InvalidInput"),
    ({"provider.network_type": "local", "provider.physical_network": "physnet1"}, 400, "InvalidInput"),
    ({"provider.network_type": "flat"}, 400, "InvalidInput"),
    ({"provider.network_type": "flat", "provider.physical_network": "elsewhere"}, 400, "InvalidInput"),
    ({"provider.network_type": "flat", "provider.physical_network": "physnet1", "provider.segmentation_id": 1},
     400, "InvalidInput"),
    ({"provider.network_type": "vlan", "provider.segmentation_id": 5}, 400, "InvalidInput"),
    ({"provider.network_type": "vlan", "provider.physical_network": "physnet1", "provider.segmentation_id": 4095},
     400, "InvalidInput"),
    ({"provider.network_type": "vlan", "provider.physical_network": "physnet1", "provider.segmentation_id": "x"},
     400, "HTTPBadRequest"),
    ({"provider.network_type": "vlan", "provider.physical_network": "physnet2"}, 503, "NoNetworkAvailable"),
    ({"provider.network_type": "vxlan", "provider.segmentation_id": 0}, 400, "InvalidInput"),
    ({"provider.network_type": "vxlan", "provider.segmentation_id": 2**24}, 400, "InvalidInput"),
    ({"provider.network_type": "vxlan", "provider.physical_network": "physnet1"}, 400, "InvalidInput"),
    ({"availability_zone_hints": ["mars"]}, 404, "AvailabilityZoneNotFound"),
    ({"vlan_transparent": True, "provider.network_type": "vlan", "provider.physical_network": "physnet1"},
     400, "VlanTransparencyDriverError"),
    ({"qos_policy_id": "nowhere"}, 404, "QosPolicyNotFound"),
    ({"tags": ["a,b"]}, 400, "HTTPBadRequest"),
)  # fmt: skip


def test_networks_that_cannot_be(physical: Neutron) -> None:
    before = len(physical.list("network"))
    for wish, status, kind in CANNOT_BE:
        assert physical.refuse("network", status, **wish) == kind, wish
    assert len(physical.list("network")) == before


def test_provider_networks_are_made_once(physical: Neutron) -> None:
    flat = {"provider.network_type": "flat", "provider.physical_network": "physnet1"}
    vlan = {"provider.network_type": "vlan", "provider.physical_network": "physnet1", "provider.segmentation_id": 7}
    tunnel = {"provider.network_type": "vxlan", "provider.segmentation_id": 4242}
    for wish, fault in ((flat, "FlatNetworkInUse"), (vlan, "VlanIdInUse"), (tunnel, "TunnelIdInUse")):
        made = physical.create("network", **wish)
        assert physical.refuse("network", 409, **wish) == fault
        physical.delete("network", made["id"])
        physical.delete("network", physical.create("network", **wish)["id"])
    kind, name, number = provider(physical.create("network", **{"provider.network_type": "vlan"}))
    assert (kind, name) == ("vlan", "physnet1")
    assert 100 <= number <= 102
    for _ in range(2):
        physical.create("network", **{"provider.network_type": "vlan"})
    assert physical.refuse("network", 503, **{"provider.network_type": "vlan"}) == "NoNetworkAvailable"


def test_only_the_number_of_a_segment_changes(physical: Neutron) -> None:
    vlan = {"provider.network_type": "vlan", "provider.physical_network": "physnet1"}
    network = physical.create("network", **vlan, **{"provider.segmentation_id": 7})
    other = physical.create("network", **vlan, **{"provider.segmentation_id": 8})
    changed = physical.update("network", network["id"], **{"provider.segmentation_id": 9})
    assert provider(changed) == ("vlan", "physnet1", 9)
    assert physical.update("network", network["id"], **{"provider.network_type": "vlan"})["name"] == network["name"]
    fault = physical.update("network", network["id"], status=409, **{"provider.segmentation_id": 8})
    assert fault["type"] == "VlanIdInUse"
    fault = physical.update("network", other["id"], status=400, **{"provider.network_type": "vxlan"})
    assert fault["type"] == "InvalidInput"


def test_tenants_say_nothing_of_segments(demo: Neutron, admin: Neutron) -> None:
    for given in ({"segments": [{"provider:network_type": "local"}]}, {"provider.segmentation_id": 5}):
        assert demo.refuse("network", 403, **given) == "PolicyNotAuthorized"
    network = demo.create("network")
    fault = demo.update("network", network["id"], status=403, **{"provider.segmentation_id": 5})
    assert fault["type"] == "PolicyNotAuthorized"
    assert admin.update("network", network["id"], **{"provider.segmentation_id": 5})["provider:segmentation_id"] == 5


def test_what_else_a_network_shows(demo: Neutron) -> None:
    made = demo.create(
        "network", availability_zone_hints=["nova"], vlan_transparent=True, tags=["blue", "warm"], mtu=None
    )
    assert (made["availability_zone_hints"], made["availability_zones"]) == (["nova"], [])
    assert (made["vlan_transparent"], made["l2_adjacency"], made["qos_policy_id"]) == (True, True, None)
    assert [network["id"] for network in demo.list("network", "?tags=blue,warm")] == [made["id"]]
    assert [network["id"] for network in demo.list("network", "?vlan_transparent=true")] == [made["id"]]
    demo.create("subnet", network_id=made["id"], cidr="10.40.0.0/24", ip_version=4)
    assert demo.show("network", made["id"])["availability_zones"] == ["nova"]


def test_tunnels_take_a_part_of_each_packet(database_url: str, tmp_path: Path) -> None:
    settings = replace(Settings(), network=replace(Settings().network, tunnel_address="192.0.2.1"))
    cloud = TestCloud(database_url, tmp_path / "state", settings)
    try:
        admin = Neutron(cloud, "admin")
        assert admin.create("network")["mtu"] == 1450
        assert admin.create("network", **{"provider.network_type": "local"})["mtu"] == 1500
        assert admin.create("network", mtu=1400)["mtu"] == 1400
        assert admin.refuse("network", 400, mtu=1451) == "InvalidInput"
    finally:
        cloud.close()
