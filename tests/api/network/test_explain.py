"""What `stackyard why` tells: who uses a thing, and so why it cannot be deleted."""

from __future__ import annotations

from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud

from stackyard.core.explain import Explanation
from stackyard.services.network import explain


def told(cloud: TestCloud, resource_id: str) -> Explanation:
    (found,) = cloud.database.read("explain", explain.explain, resource_id)
    return found


def test_an_address_group_is_kept_by_the_rules_that_name_it(cloud: TestCloud, demo: Neutron) -> None:
    group = demo.create("address_group", name="offices", addresses=["192.0.2.0/24"])
    security = demo.create("security_group", name="g")["id"]
    rule = {"security_group_id": security, "direction": "ingress", "remote_address_group_id": group["id"]}
    made = demo.create("security_group_rule", **rule)
    found = told(cloud, group["id"])
    assert (found.kind, found.name) == ("address group", "offices")
    assert found.blockers == (f"rule {made['id']} of security group {security}",)


def test_a_trunk_uses_its_ports(cloud: TestCloud, demo: Neutron) -> None:
    network, _ = demo.network()
    parent, below = (demo.create("port", network_id=network["id"])["id"] for _ in range(2))
    subport = {"port_id": below, "segmentation_type": "vlan", "segmentation_id": 7}
    trunk = demo.create("trunk", port_id=parent, sub_ports=[subport])
    assert told(cloud, trunk["id"]).uses == (f"port {parent}", f"subport {below}")


def test_a_policy_is_kept_by_what_it_limits(cloud: TestCloud, admin: Neutron) -> None:
    policy = admin.call("POST", "qos/policies", {"policy": {"name": "slow"}}, status=201)["policy"]["id"]
    network = admin.create("network", qos_policy_id=policy)["id"]
    found = told(cloud, policy)
    assert (found.kind, found.blockers) == ("QoS policy", (f"network {network}",))
    assert cloud.database.read("count", explain.counts)["QoS policies"] == 1
