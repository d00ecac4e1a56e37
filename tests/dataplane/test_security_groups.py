"""Security groups with real packets: stateless ones, address groups, what a change cuts and what comes back."""

from __future__ import annotations

import socket

import msgspec
import pytest
from tests.dataplane.lab import EVERYTHING, OUTWARD, Endpoint, Lab, allow, echoes, new_id, subnet, until

from stackyard.host.network import names
from stackyard.host.network.address_groups import address_set
from stackyard.host.network.filter import TABLE, group_chain
from stackyard.host.network.nft import Nftables
from stackyard.host.specs import AddressGroupSpec, NetworkSpec, PacketRateLimit, Qos, SecurityGroupSpec, SecurityRule

pytestmark = pytest.mark.root


def stateless(lab: Lab, *rules: SecurityRule) -> SecurityGroupSpec:
    spec = SecurityGroupSpec(id=new_id(), rules=rules, stateful=False)
    lab.driver.apply_security_group(spec)
    return spec


def addresses(lab: Lab, *texts: str, group_id: str = "") -> AddressGroupSpec:
    spec = AddressGroupSpec(id=group_id or new_id(), addresses=texts)
    lab.driver.apply_address_group(spec)
    return spec


def in_fabric(lab: Lab, text: str) -> None:
    def body() -> None:
        nftables = Nftables()
        nftables.run(text)
        nftables.close()

    lab.fabric.within(body)


def pair(lab: Lab, *groups: SecurityGroupSpec) -> tuple[NetworkSpec, Endpoint, Endpoint]:
    """A network with a port in each of two groups, with addresses of both kinds."""
    network = lab.network(subnet("10.1.0.0/24"), subnet("fd01::/64"))
    one = lab.attach(network, "10.1.0.5", "fd01::5/64", groups=(groups[0],))
    two = lab.attach(network, "10.1.0.6", "fd01::6/64", groups=(groups[-1],))
    return network, one, two


@pytest.mark.parametrize(("version", "target"), [(4, "10.1.0.6"), (6, "fd01::6")])
def test_answers_to_a_stateless_port_need_a_rule(lab: Lab, version: int, target: str) -> None:
    kind = "icmp" if version == 4 else "ipv6-icmp"
    group = stateless(lab, *OUTWARD)
    _, one, _ = pair(lab, group, lab.group(*EVERYTHING))
    assert not one.pings(target, wait=0.4)
    answer = allow("ingress", version, protocol=kind, port_min=0 if version == 4 else 129)
    lab.driver.apply_security_group(msgspec.structs.replace(group, rules=(*OUTWARD, answer)))
    assert one.pings(target)
    lab.driver.apply_security_group(group)
    assert not one.pings(target, wait=0.4)


def test_what_a_stateless_port_lets_in_it_answers_only_by_a_rule(lab: Lab) -> None:
    web = allow("ingress", protocol="tcp", port_min=80, port_max=80)
    group = stateless(lab, web)
    _, one, two = pair(lab, lab.group(*EVERYTHING), group)
    with two.serves(80):
        assert not one.reaches("10.1.0.6", 80, wait=0.4)
        answers = allow("egress", protocol="tcp", port_min=32768, port_max=65535)
        lab.driver.apply_security_group(msgspec.structs.replace(group, rules=(web, answers)))
        assert one.reaches("10.1.0.6", 80)


def test_a_stateful_port_beside_a_stateless_one_keeps_its_memory(lab: Lab) -> None:
    _, one, two = pair(lab, lab.group(*OUTWARD), stateless(lab, *EVERYTHING))
    assert one.pings("10.1.0.6")
    assert one.pings("fd01::6")
    assert not two.pings("10.1.0.5", wait=0.4)


def test_a_group_becomes_stateless_and_stateful_again_also_for_another_process(lab: Lab) -> None:
    group = lab.group(*OUTWARD)
    network, one, _ = pair(lab, group, lab.group(*EVERYTHING))
    assert one.pings("10.1.0.6")
    without = msgspec.structs.replace(group, stateful=False)
    lab.driver.apply_security_group(without)
    assert not one.pings("10.1.0.6", wait=0.4)
    lab.restart_driver()
    lab.driver.apply_network(network)
    lab.driver.apply_security_group(group)
    lab.driver.apply_port(one.port)
    assert one.pings("10.1.0.6")
    assert not lab.driver.observe().problems


def test_a_port_that_lost_its_place_among_the_stateless_gets_it_back(lab: Lab) -> None:
    group = stateless(lab, *OUTWARD)
    _, one, _ = pair(lab, group, lab.group(*EVERYTHING))
    in_fabric(lab, f"flush set {TABLE} stateless\n")
    assert one.pings("10.1.0.6")
    assert set(lab.driver.observe().problems) == {one.port.id}
    lab.driver.apply_port(one.port)
    assert not one.pings("10.1.0.6", wait=0.4)
    assert not lab.driver.observe().problems
    lab.driver.remove_port(one.port.id)
    lab.driver.apply_port(msgspec.structs.replace(one.port, security_groups=(lab.group(*OUTWARD).id,)))
    assert one.pings("10.1.0.6")


def test_the_quick_way_is_open_only_while_no_port_of_the_host_has_more_to_pass(lab: Lab) -> None:
    network, one, _ = pair(lab, lab.group(*OUTWARD), lab.group(*EVERYTHING))

    def is_open() -> bool:
        return "accept" in lab.fabric.run("nft", "list", "chain", *TABLE.split(), "quick").stdout

    assert is_open()
    rated = Qos(packet_rate=(PacketRateLimit(direction="ingress", max_kpps=1),))
    for options in ({"groups": (stateless(lab, *EVERYTHING),)}, {"qos": rated}):
        slow = lab.attach(network, "10.1.0.7", **options)
        assert not is_open(), options
        assert not lab.driver.observe().problems
        assert one.pings("10.1.0.6"), options
        lab.restart_driver()
        assert not lab.driver.observe().problems
        assert not is_open(), options
        lab.driver.remove_port(slow.port.id)
        assert is_open(), options
    in_fabric(lab, f"flush chain {TABLE} quick\n")
    lab.driver.observe()
    assert is_open()
    assert one.pings("10.1.0.6")


@pytest.mark.parametrize(
    ("version", "source", "target", "other"),
    [(4, "10.1.0.5/32", "10.1.0.6", "10.9.0.0/16"), (6, "fd01::5/128", "fd01::6", "fd09::/16")],
)
def test_addresses_join_and_leave_a_group_while_traffic_flows(
    lab: Lab, version: int, source: str, target: str, other: str
) -> None:
    offices = addresses(lab, other)
    inward = lab.group(allow("ingress", version, remote_address_group=offices.id))
    _, one, two = pair(lab, lab.group(*EVERYTHING), inward)
    assert not one.pings(target, wait=0.4)
    addresses(lab, other, source, group_id=offices.id)
    assert one.pings(target)
    with two.serves(80, socket.AF_INET if version == 4 else socket.AF_INET6) as listener:
        client = one.connect(target, 80)
        assert client is not None
        server, _ = listener.accept()
        with client, server:
            addresses(lab, source, group_id=offices.id)
            assert echoes(client, server)
            addresses(lab, other, group_id=offices.id)
            assert not echoes(client, server)
    assert not one.pings(target, wait=0.4)


def test_an_address_group_that_comes_late_opens_and_one_that_goes_closes(lab: Lab) -> None:
    group_id = new_id()
    outward = lab.group(allow("egress", remote_address_group=group_id), allow("egress", protocol="tcp", port_min=80))
    _, one, _ = pair(lab, outward, lab.group(*EVERYTHING))
    assert not one.pings("10.1.0.6", wait=0.4)
    addresses(lab, "10.1.0.0/30", "10.1.0.4/30", group_id=group_id)
    assert one.pings("10.1.0.6")
    lab.driver.remove_address_group(group_id)
    assert not one.pings("10.1.0.6", wait=0.4)
    addresses(lab, "0.0.0.0/0", group_id=group_id)
    assert one.pings("10.1.0.6")


def test_one_group_is_a_remote_group_on_two_networks(lab: Lab) -> None:
    first = lab.network(subnet("10.1.0.0/24"))
    second = lab.network(subnet("10.2.0.0/24"))
    members = lab.group(*EVERYTHING, members=("10.1.0.5", "10.2.0.5"))
    inward = lab.group(allow("ingress", remote_group=members.id))
    lab.router(first, second)
    one = lab.attach(first, "10.1.0.5", groups=(members,), gateways=("10.1.0.1",))
    plain = lab.attach(first, "10.1.0.9", groups=(lab.group(*EVERYTHING),), gateways=("10.1.0.1",))
    two = lab.attach(second, "10.2.0.6", groups=(inward,), gateways=("10.2.0.1",))
    near = lab.attach(second, "10.2.0.5", groups=(members,), gateways=("10.2.0.1",))
    assert until(lambda: one.pings("10.2.0.6"))
    assert near.pings("10.2.0.6")
    assert not plain.pings("10.2.0.6", wait=0.4)
    lab.driver.apply_security_group(msgspec.structs.replace(members, members=("10.2.0.5",)))
    assert not one.pings("10.2.0.6", wait=0.4)
    assert near.pings("10.2.0.6")
    assert two.port.id in lab.driver.observe().ports


def test_one_of_many_rules_goes_and_only_what_it_allowed_is_cut(lab: Lab) -> None:
    rules = tuple(allow("ingress", protocol="tcp", port_min=80 + i, port_max=80 + i) for i in range(20))
    group = lab.group(*OUTWARD, *rules)
    _, one, two = pair(lab, lab.group(*EVERYTHING), group)
    with two.serves(83) as first, two.serves(84) as second:
        ends = []
        for port, listener in ((83, first), (84, second)):
            client = one.connect("10.1.0.6", port)
            assert client is not None
            ends.append((client, listener.accept()[0]))
        fewer = tuple(rule for rule in rules if rule.port_min != 83)
        lab.driver.apply_security_group(msgspec.structs.replace(group, rules=(*OUTWARD, *fewer)))
        assert not echoes(*ends[0])
        assert echoes(*ends[1])
        assert not one.reaches("10.1.0.6", 83, wait=0.4)
        assert one.reaches("10.1.0.6", 84)
        lab.driver.apply_security_group(msgspec.structs.replace(group, rules=(*fewer, *OUTWARD, rules[3])))
        assert one.reaches("10.1.0.6", 83)
        for client, server in ends:
            client.close()
            server.close()
    assert not lab.driver.observe().problems


def test_what_of_an_address_group_is_changed_by_hand_comes_back_and_foreign_tables_stay(lab: Lab) -> None:
    offices = addresses(lab, "10.1.0.0/24", "fd01::/64")
    unnamed = addresses(lab, "192.0.2.0/24")
    inward = lab.group(allow("ingress", remote_address_group=offices.id))
    _, one, _ = pair(lab, lab.group(*EVERYTHING), inward)
    in_fabric(lab, "add table bridge mine\nadd chain bridge mine input\n")
    for damage in (
        f"flush set {TABLE} {address_set(offices.id, 4)}\n",
        f"add element {TABLE} {address_set(offices.id, 4)} {{ 198.51.100.0/24 }}\n",
        f"flush chain {TABLE} a_{names.short(offices.id)}\ndelete chain {TABLE} a_{names.short(offices.id)}\n",
    ):
        in_fabric(lab, damage)
        observed = lab.driver.observe()
        assert set(observed.problems) == {offices.id}
        assert observed.address_groups == {unnamed.id}
        lab.driver.apply_address_group(offices)
        assert lab.driver.observe().address_groups == {offices.id, unnamed.id}
        assert one.pings("10.1.0.6")
    in_fabric(lab, f"delete set {TABLE} {address_set(unnamed.id, 4)}\n")
    assert set(lab.driver.observe().problems) == {unnamed.id}
    lab.driver.apply_address_group(unnamed)
    assert not lab.driver.observe().problems
    in_fabric(lab, f"flush chain {TABLE} {group_chain(inward.id, 'ingress')}\n")
    assert set(lab.driver.observe().problems) == {inward.id}
    lab.driver.apply_security_group(inward)
    assert one.pings("10.1.0.6")
    tables = lab.fabric.run("nft", "list", "tables").stdout
    assert "table bridge mine" in tables
    lab.driver.remove_address_group(unnamed.id)
    assert lab.driver.observe().address_groups == {offices.id}


def test_a_new_process_adopts_groups_and_cuts_nothing(lab: Lab) -> None:
    offices = addresses(lab, "10.1.0.5/32")
    members = lab.group(*EVERYTHING, members=("10.1.0.5",))
    inward = lab.group(
        allow("ingress", protocol="tcp", remote_address_group=offices.id),
        allow("ingress", protocol="udp", remote_group=members.id),
    )
    network, one, two = pair(lab, members, inward)
    with two.serves(80) as listener:
        client = one.connect("10.1.0.6", 80)
        assert client is not None
        server, _ = listener.accept()
        with client, server:
            lab.restart_driver()
            assert lab.driver.observe().address_groups == {offices.id}
            # In the worst order: the rule's group last.
            lab.driver.apply_network(network)
            lab.driver.apply_port(one.port)
            lab.driver.apply_port(two.port)
            lab.driver.apply_security_group(inward)
            lab.driver.apply_security_group(members)
            assert echoes(client, server)
            lab.driver.apply_address_group(offices)
            assert echoes(client, server)
    assert not lab.driver.observe().problems
