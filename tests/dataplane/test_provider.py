"""Networks on an interface of the host: what is on the wire there, and the interface left as it was found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tests.dataplane.lab import EVERYTHING, Lab, Place, new_id, subnet
from tests.dataplane.two_hosts import Host, Underlay

from stackyard.host.errors import HostError, SpecError
from stackyard.host.network import names
from stackyard.host.network.features import network_features
from stackyard.host.specs import FloatingIPSpec, NetworkSpec, Segment, SubnetSpec

pytestmark = pytest.mark.root

OUTSIDE = "203.0.113.1"
SUBNET = SubnetSpec(id="outside", cidr="203.0.113.0/24", gateway=OUTSIDE, dhcp=False)


@dataclass
class Wire:
    """A host with the interface `ext0`, and a machine outside at its other end, which is the subnet's gateway."""

    underlay: Underlay
    host: Host
    outside: Place

    @property
    def lab(self) -> Lab:
        return self.host.lab

    def interface(self, name: str = "ext0") -> dict[str, object]:
        (found,) = json.loads(self.host.place.run("ip", "-d", "-json", "link", "show", name).stdout)
        kept = ("ifname", "ifindex", "flags", "mtu", "master", "promiscuity", "address")
        return {key: found.get(key) for key in kept}


def flat(**options: object) -> NetworkSpec:
    segment = Segment(network_type="flat", physical_network="physnet1")
    return NetworkSpec(id=new_id(), segment=segment, subnets=(SUBNET,), **options)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    underlay = Underlay(tmp_path)
    try:
        host = underlay.host(interfaces={"physnet1": "ext0", "used": "eth1", "gone": "ext9"})
        underlay.plug(host.place, "ext0", "x1")
        outside = underlay.namespace("out")
        underlay.plug(outside, "eth0", "x2")
        underlay.command("ip", "addr", "add", f"{OUTSIDE}/24", "dev", "eth0", at=outside)
        yield Wire(underlay, host, outside)
    finally:
        underlay.close()


def test_ports_of_a_flat_network_are_on_the_wire(wire: Wire) -> None:
    before = wire.interface()
    network = flat()
    wire.lab.driver.apply_network(network)
    group = wire.lab.group(*EVERYTHING)
    one = wire.lab.attach(network, "203.0.113.5", groups=(group,))
    two = wire.lab.attach(network, "203.0.113.6", groups=(wire.lab.group(),))
    assert one.pings(OUTSIDE)
    assert wire.outside.pings("203.0.113.5")
    assert not wire.outside.pings("203.0.113.6", wait=0.4), "security groups hold on the wire as well"
    assert not two.pings(OUTSIDE, wait=0.4)
    wire.lab.driver.remove_network(network.id)
    assert wire.interface() == before
    assert not wire.outside.pings("203.0.113.5", wait=0.4)


def test_an_external_network_on_the_wire_leads_out_by_it_and_not_by_the_host(wire: Wire) -> None:
    network, inside = flat(external=True), wire.lab.network(subnet("10.1.0.0/24"))
    wire.lab.driver.apply_network(network)
    one = wire.lab.attach(inside, "10.1.0.5", groups=(wire.lab.group(*EVERYTHING),), gateways=("10.1.0.1",))
    router = wire.lab.router(inside, external=network, gateway="203.0.113.9")
    floating = FloatingIPSpec(id=new_id(), floating_ip="203.0.113.20", fixed_ip="10.1.0.5")
    assert one.pings(OUTSIDE), "translated to the router's address"
    wire.lab.driver.apply_router(msgspec.structs.replace(router, floating_ips=(floating,)))
    assert wire.outside.pings("203.0.113.20")
    links = wire.host.place.run("ip", "-json", "link").stdout
    assert {item["ifname"] for item in json.loads(links)} == {"lo", "eth1", "ext0"}


def test_the_interface_is_left_as_it_was(wire: Wire) -> None:
    wire.underlay.command("ip", "link", "set", "ext0", "down", at=wire.host.place)
    before, network = wire.interface(), flat()
    wire.lab.driver.apply_network(network)
    assert "UP" in wire.interface()["flags"]  # type: ignore[operator]
    wire.lab.driver.remove_network(network.id)
    assert wire.interface() == before
    wire.lab.driver.apply_network(network)
    wire.lab.driver.purge()
    assert wire.interface() == before
    wire.lab.driver.start()


def test_an_interface_by_which_the_host_talks_is_refused_unless_told(wire: Wire) -> None:
    taken = msgspec.structs.replace(flat(), segment=Segment(network_type="flat", physical_network="used"))
    before = wire.interface("eth1")
    with pytest.raises(SpecError, match=r"192\.0\.2\.1.*cut off.*take_used_interfaces"):
        wire.lab.driver.apply_network(taken)
    assert wire.interface("eth1") == before
    assert wire.lab.driver.observe().networks == frozenset()
    wire.lab.driver.close()
    wire.lab.reach = type(wire.lab.reach)(**{
        **{name: getattr(wire.lab.reach, name) for name in ("tunnel_address", "interfaces", "host_namespace")},
        "take_used": True,
    })  # fmt: skip
    wire.lab.driver = wire.lab.new_driver()
    wire.lab.driver.start()
    wire.lab.driver.apply_network(taken)
    assert taken.id in wire.lab.driver.observe().networks
    wire.lab.driver.remove_network(taken.id)
    assert wire.interface("eth1") == before


def test_what_cannot_be_says_why(wire: Wire) -> None:
    network = flat()
    with pytest.raises(SpecError, match=r"no interface on physical network 'physnet7' \(it has: gone, physnet1, used"):
        wire.lab.driver.apply_network(_on(network, "physnet7"))
    with pytest.raises(HostError, match="no interface ext9"):
        wire.lab.driver.apply_network(_on(network, "gone"))
    with pytest.raises(SpecError, match="1500 bytes, and the network has an MTU of 9000"):
        wire.lab.driver.apply_network(msgspec.structs.replace(network, mtu=9000))
    wire.underlay.command("ip", "link", "add", "mine", "type", "bridge", at=wire.host.place)
    wire.underlay.command("ip", "link", "set", "ext0", "master", "mine", at=wire.host.place)
    before = wire.interface()
    with pytest.raises(HostError, match="taken: it is a port of a bridge"):
        wire.lab.driver.apply_network(network)
    assert wire.interface() == before, "what another program has done stays"
    assert names.bridge(network.id) not in wire.lab.fabric.run("ip", "link").stdout


def _on(network: NetworkSpec, physical: str) -> NetworkSpec:
    return msgspec.structs.replace(network, segment=Segment(network_type="flat", physical_network=physical))


def test_the_way_out_is_adopted_and_repaired(wire: Wire) -> None:
    network = flat()
    wire.lab.driver.apply_network(network)
    one = wire.lab.attach(network, "203.0.113.5", groups=(wire.lab.group(*EVERYTHING),))
    device = names.uplink(network.id)
    index = json.loads(wire.lab.fabric.run("ip", "-json", "link", "show", device).stdout)[0]["ifindex"]
    wire.lab.restart_driver()
    wire.lab.driver.apply_network(network)
    assert json.loads(wire.lab.fabric.run("ip", "-json", "link", "show", device).stdout)[0]["ifindex"] == index
    for damage in (
        ("ip", "link", "del", device),
        ("ip", "link", "set", device, "down"),
        ("ip", "link", "set", device, "nomaster"),
        ("nft", "flush", "map", "bridge", "stackyard", "leaving"),
        ("nft", "flush", "chain", "netdev", "stackyard", f"in_{device}"),
    ):
        assert wire.lab.fabric.run(*damage).returncode == 0, damage
        assert network.id in wire.lab.driver.observe().problems, damage
        wire.lab.driver.apply_network(network)
        assert wire.lab.driver.observe().problems == {}, damage
        assert one.pings(OUTSIDE), damage


def test_a_vlan_network_is_tagged_on_the_wire_or_says_that_the_kernel_cannot(wire: Wire) -> None:
    segment = Segment(network_type="vlan", physical_network="physnet1", segmentation_id=42)
    network = msgspec.structs.replace(flat(), segment=segment)
    known = {feature.name: feature for feature in network_features()}
    if not known["vlan"].ok:
        assert "8021q" in known["vlan"].remedy
        with pytest.raises(SpecError, match=r"no VLAN devices \(8021q\): load the module"):
            wire.lab.driver.apply_network(network)
        assert wire.lab.driver.observe().networks == frozenset()
        return
    wire.lab.driver.apply_network(network)
    untagged = flat()
    wire.lab.driver.apply_network(untagged)
    group = wire.lab.group(*EVERYTHING)
    one = wire.lab.attach(network, "203.0.113.5", groups=(group,))
    two = wire.lab.attach(untagged, "203.0.113.6", groups=(group,))
    assert two.pings(OUTSIDE)
    assert not one.pings(OUTSIDE, wait=0.4)
    wire.underlay.command("ip", "link", "add", "link", "eth0", "eth0.42", "type", "vlan", "id", "42", at=wire.outside)
    wire.underlay.command("ip", "addr", "add", "203.0.113.99/24", "dev", "eth0.42", at=wire.outside)
    wire.underlay.command("ip", "link", "set", "eth0.42", "up", at=wire.outside)
    assert one.pings("203.0.113.99")
    assert not two.pings("203.0.113.99", wait=0.4)
