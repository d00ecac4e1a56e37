"""Subports of trunks: VLANs on a parent's wire where the kernel knows them, a refusal that says so elsewhere.

No test is skipped: each holds the driver to what the kernel of this machine can do.
"""

from __future__ import annotations

import msgspec
import pytest
from tests.dataplane.lab import EVERYTHING, Lab, new_id, new_mac, subnet, until

from stackyard.host.errors import HostError, SpecError
from stackyard.host.network.features import network_features
from stackyard.host.specs import Address, PortSpec

pytestmark = pytest.mark.root


def kernel_has_vlans() -> bool:
    (found,) = [feature for feature in network_features() if feature.name == "802.1Q VLANs"]
    assert found.ok or "8021q" in found.remedy
    return found.ok


def subport(network_id: str, parent: str, group_id: str, **options: object) -> PortSpec:
    values = {"mac": new_mac(), "vlan_id": 100, **options}
    return PortSpec(
        id=new_id(), network_id=network_id, kind="vlan", parent=parent, security_groups=(group_id,),
        addresses=(Address(ip="10.2.0.5", prefix_length=24),), **values,
    )  # fmt: skip


def test_a_subport_is_on_its_own_network_or_is_refused_by_name(lab: Lab) -> None:
    first, second = lab.network(subnet("10.1.0.0/24")), lab.network(subnet("10.2.0.0/24"))
    group = lab.group(*EVERYTHING)
    parent = lab.attach(first, "10.1.0.5", groups=(group,))
    other = lab.attach(second, "10.2.0.6", groups=(group,))
    spec = subport(second.id, parent.port.id, group.id)
    if not kernel_has_vlans():
        with pytest.raises(SpecError, match="8021q"):
            lab.driver.apply_port(spec)
        assert spec.id not in lab.driver.observe().ports
        assert lab.driver.observe().problems == {}
        return
    lab.driver.apply_port(spec)
    parent.run("ip", "link", "add", "eth0.100", "link", "eth0", "type", "vlan", "id", "100")
    parent.run("ip", "link", "set", "eth0.100", "address", spec.mac, "up")
    parent.run("ip", "addr", "add", "10.2.0.5/24", "dev", "eth0.100")
    assert until(lambda: parent.pings("10.2.0.6"))
    parent.run("ip", "addr", "add", "10.2.0.77/24", "dev", "eth0.100")
    assert parent.run("ping", "-n", "-c1", "-W0.4", "-I", "10.2.0.77", "10.2.0.6").returncode != 0
    lab.driver.apply_port(msgspec.structs.replace(spec, vlan_id=101))
    assert not other.pings("10.2.0.5", wait=0.4)
    lab.driver.remove_port(spec.id)
    assert spec.id not in lab.driver.observe().ports


def test_a_subport_waits_for_its_parent(lab: Lab) -> None:
    network, group = lab.network(subnet("10.2.0.0/24")), lab.group(*EVERYTHING)
    spec = subport(network.id, new_id(), group.id)
    with pytest.raises(HostError if kernel_has_vlans() else SpecError):
        lab.driver.apply_port(spec)
    assert spec.id not in lab.driver.observe().ports


@pytest.mark.parametrize("options", [{"vlan_id": 0}, {"vlan_id": 4095}, {"vlan_id": None}, {"parent": None}])
def test_a_subport_needs_a_parent_and_a_vlan(lab: Lab, options: dict[str, object]) -> None:
    network, group = lab.network(), lab.group()
    spec = msgspec.structs.replace(subport(network.id, new_id(), group.id), **options)
    with pytest.raises(SpecError):
        lab.driver.apply_port(spec)
