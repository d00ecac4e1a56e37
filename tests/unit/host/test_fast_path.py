"""The fast path's text: who may skip the filter, what is learnt where, and how nft's own writing of it is read."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

import msgspec
import pytest

from stackyard.host.network import fast_path, names
from stackyard.host.network.fabric import Fabric
from stackyard.host.network.filter import quick
from stackyard.host.specs import AddressPair, PacketRateLimit, PortSpec, Qos

MAC, OTHER = "fa:16:3e:00:00:01", "fa:16:3e:00:00:02"
PORT = PortSpec(id=str(uuid.uuid4()), network_id="n", mac=MAC.upper(), netns="/run/netns/x")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, True),
        ({"port_security": False}, False),
        ({"qos": Qos(dscp=0)}, False),
        ({"qos": Qos(packet_rate=(PacketRateLimit(direction="egress", max_kpps=1),))}, False),
        ({"qos": Qos(packet_rate=(PacketRateLimit(direction="ingress", max_kpps=1),))}, True),
        ({"allowed_pairs": (AddressPair(ip="10.0.0.0/8"),)}, True),
        ({"allowed_pairs": (AddressPair(ip="10.0.0.9", mac=MAC),)}, True),
        ({"allowed_pairs": (AddressPair(ip="10.0.0.9", mac=OTHER),)}, False),
    ],
)
def test_who_may_skip_his_own_rules(options: dict[str, object], expected: bool) -> None:
    spec = msgspec.structs.replace(PORT, **options)
    assert fast_path.may_skip(spec) is expected
    entering, leaving = fast_path.port_chains(spec, 7)
    assert any("fwd to" in rule for rule in entering.rules) is expected
    assert entering.rules[1:2] == (("meta mark set 0x00000700",) if expected else ())
    assert any("add @flows" in rule for rule in leaving.rules)
    assert leaving.rules[-1] == "meta mark set 0"


def test_a_port_is_known_by_its_mac_both_ways() -> None:
    entering, leaving = fast_path.port_chains(PORT, 7)
    (forward,) = [rule for rule in entering.rules if "fwd to" in rule]
    assert "@ll,48,48 0xfa163e000001 fwd" in forward
    assert "@ll,0,48 { 0xfa163e000001 } " in leaving.rules[0]
    assert f'ingress device "{names.port(PORT.id)}"' in entering.hook
    assert f'egress device "{names.port(PORT.id)}"' in leaving.hook


def test_a_number_too_great_for_the_mark_is_nobodys() -> None:
    entering, _ = fast_path.port_chains(PORT, 2**24)
    assert entering.rules == ("meta mark set 0",)
    entering, _ = fast_path.port_chains(PORT, 2**24 - 1)
    assert entering.rules[1] == "meta mark set 0xffffff00"


def test_what_a_vlan_above_the_device_gets_has_no_number() -> None:
    for chains in (fast_path.port_chains(PORT, 7), fast_path.tunnel_chains("syv1", 9, {MAC})):
        assert chains[0].rules[0] == "@ll,96,16 != 0x0800 meta mark set 0 accept"
        assert all("@ll,96,16 0x0800" in rule for rule in chains[1].rules if "@flows" in rule)


def test_a_subport_has_nothing_and_loses_what_its_name_had() -> None:
    assert fast_path.port_chains(msgspec.structs.replace(PORT, kind="vlan"), 7) == ()
    text = fast_path.text("syp1", ())
    assert text == fast_path.remove_text("syp1")
    assert "delete chain netdev stackyard in_syp1\n" in text
    assert "delete chain netdev stackyard out_syp1\n" in text


def test_a_tunnel_learns_for_the_macs_beyond_it_and_an_uplink_for_none() -> None:
    _, leaving = fast_path.tunnel_chains("syv1", 9, {OTHER, MAC})
    assert "@ll,0,48 { 0xfa163e000001, 0xfa163e000002 } " in leaving.rules[0]
    for chains in (fast_path.tunnel_chains("syv1", 9, set()), fast_path.uplink_chains("syu1", 9)):
        assert any("fwd to" in rule for rule in chains[0].rules)
        assert chains[1].rules == ("meta mark set 0",)


def test_only_what_the_filters_quick_way_let_pass_is_learnt() -> None:
    assert quick(on=True, remembered=True).rules == ("meta mark set meta mark | 8 accept",)
    assert quick(on=True).rules == ("meta mark set 0 accept",)
    assert quick(on=False, remembered=True).rules == ()
    _, leaving = fast_path.port_chains(PORT, 7)
    assert leaving.rules[0].startswith("meta mark & 8 == 8 meta mark > 255 ")


LISTING = """table netdev stackyard {
\tmap flows {
\t\ttypeof meta mark . ip saddr . ip daddr . @th,0,32 : oif
\t\tsize 65536
\t\tflags dynamic,timeout
\t\ttimeout 2s
\t}

\tchain in_syp1 {
\t\ttype filter hook ingress device "syp1" priority filter; policy accept;
\t\tmeta mark set 0x00000700 comment "one"
\t\taccept
\t\t@ll,0,48 { 0x1,
\t\t\t   0x2 } meta mark set 0x00000000 comment "three"
\t}

\tchain out_syp1 {
\t\ttype filter hook egress device "syp1" priority filter; policy accept;
\t}
}
"""


def test_a_listing_is_read_with_rules_that_others_added() -> None:
    found = fast_path.parse(LISTING).chains
    assert found["in_syp1"] == ("one", "", "three")
    assert found["out_syp1"] == ()
    assert fast_path.parse("").chains == {}


@dataclass
class _Recorder:
    """Stands for nft: what a fabric has it do."""

    done: list[str] = field(default_factory=list)

    def run(self, text: str) -> None:
        self.done.append(text)


def test_connections_that_end_are_forgotten_when_no_packet_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, fabric = _Recorder(), Fabric("abcd")
    fabric._nft = recorder  # type: ignore[assignment]
    monkeypatch.setattr(fast_path, "await_packets", lambda: recorder.done.append("waited"))
    monkeypatch.setattr("stackyard.host.network.fabric.end_connections", lambda chosen, zone: 2)
    assert fabric.end_connections(lambda _: True) == 2
    assert recorder.done == []
    fabric.fast = True
    assert fabric.end_connections(lambda _: True) == 2
    assert recorder.done == ["waited", ""]
