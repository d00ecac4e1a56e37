"""The fast path of established TCP: what takes it, what never does, and that nothing outlives what allowed it."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.dataplane.lab import EVERYTHING, OUTWARD, Endpoint, Lab, allow, echoes, new_id, new_mac, subnet, until
from tests.dataplane.traffic import Wire, checksum, ethernet, ipv4, packed
from tests.dataplane.two_hosts import Host, Spanning, Underlay

from stackyard.host.network import fast_path, names
from stackyard.host.network.features import network_features
from stackyard.host.specs import AddressPair, NetworkSpec, PacketRateLimit, PortSpec, Qos, SecurityGroupSpec

pytestmark = pytest.mark.root

LIFETIME = 2.0
IP4, TAG = 0x0800, 0x8100
ACK, PUSH, SYN, RST = 0x10, 0x08, 0x02, 0x04


@contextlib.contextmanager
def connected(one: Endpoint, two: Endpoint, port: int = 80) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection whose two ways are remembered: both ends have spoken, and heard."""
    with two.serves(port) as listener:
        client = one.connect(two.address, port)
        assert client is not None
        server, _ = listener.accept()
        with client, server:
            for _ in range(3):
                assert echoes(client, server)
                assert echoes(server, client)
            yield client, server


def remembered(lab: Lab) -> str:
    done = lab.fabric.run("nft", "list", "map", *fast_path.TABLE.split(), "flows")
    assert done.returncode == 0, done.stderr
    return done.stdout


def index(lab: Lab, device: str) -> int:
    return int(str(lab.fabric.within(lambda: socket.if_nametoindex(device))))


def is_remembered(lab: Lab, sender: Endpoint, receiver: Endpoint) -> bool:
    """Whether there is an entry for what the sender sends to the receiver, and it leads there."""
    key = f"0x{index(lab, lab.outer(sender)) << 8:08x} . {sender.address} . {receiver.address} "
    found = [line for line in remembered(lab).replace(", 0x", ",\n0x").splitlines() if key in line]
    return bool(found) and all(f'"{lab.outer(receiver)}"' in line for line in found)


def becomes_known(lab: Lab, one: Endpoint, two: Endpoint, ends: tuple[socket.socket, socket.socket]) -> bool:
    """Whether both ways of a connection are remembered, which they are for two seconds after one of them was used."""
    client, server = ends

    def known() -> bool:
        talk(client, server, 1)
        return is_remembered(lab, one, two) and is_remembered(lab, two, one)

    return until(known)


@contextlib.contextmanager
def counted(lab: Lab, match: str) -> Iterator[Callable[[], int]]:
    """How many packets with data or acknowledgements, of those that match, the bridge's filter has seen meanwhile."""
    place = ("bridge", "probe")
    rule = f"{match} tcp flags & (fin | syn | rst) == 0 counter"
    for words in (
        ("add", "table", *place),
        ("add", "chain", *place, "c", "{ type filter hook prerouting priority -400; }"),
        ("add", "rule", *place, "c", rule),
    ):
        done = lab.fabric.run("nft", " ".join(words))
        assert done.returncode == 0, done.stderr

    def packets() -> int:
        found = re.search(r"counter packets (\d+)", lab.fabric.run("nft", "list", "table", *place).stdout)
        assert found
        return int(found[1])

    try:
        yield packets
    finally:
        lab.fabric.run("nft", "delete", "table", *place)


def talk(client: socket.socket, server: socket.socket, times: int = 60) -> None:
    for _ in range(times):
        assert echoes(client, server, wait=3)
        assert echoes(server, client, wait=3)


def pair(lab: Lab, **options: object) -> tuple[NetworkSpec, SecurityGroupSpec, Endpoint, Endpoint]:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    one = lab.attach(network, "10.1.0.5", groups=(group,), **options)
    return network, group, one, lab.attach(network, "10.1.0.6", groups=(group,))


# ------------------------------------------------------------------------------------------------ what takes it


def test_this_machine_has_it() -> None:
    (found,) = [feature for feature in network_features() if feature.name == "fast path of TCP"]
    assert found.ok, found.detail


def test_what_an_established_connection_carries_does_not_reach_the_bridge(lab: Lab) -> None:
    _, _, one, two = pair(lab)
    with connected(one, two) as (client, server):
        assert becomes_known(lab, one, two, (client, server))
        with counted(lab, "ip protocol tcp") as packets:
            talk(client, server)
            assert packets() <= 30  # of more than 120: those that are to be asked about again


def test_a_connection_lasts_and_is_seen_again_and_again(lab: Lab) -> None:
    _, _, one, two = pair(lab)
    with connected(one, two) as (client, server), counted(lab, "ip protocol tcp") as packets:
        for _ in range(2):
            seen = packets()
            assert until(lambda: "10.1.0.5" not in remembered(lab), 2 * LIFETIME + 2)
            assert echoes(client, server)
            assert packets() > seen
        shown = lab.fabric.run("conntrack", "-L", "-p", "tcp").stdout
        (line,) = [line for line in shown.splitlines() if "dport=80" in line]
        assert "ESTABLISHED" in line
        # Silent for days, not for the minutes that are enough for data that nobody has acknowledged.
        assert int(line.split()[2]) > 100_000, line


def carry(sender: socket.socket, receiver: socket.socket, size: int) -> None:
    block = os.urandom(1 << 16)

    def send() -> None:
        sender.settimeout(20)
        for _ in range(size // len(block)):
            sender.sendall(block)

    worker = threading.Thread(target=send)
    worker.start()
    receiver.settimeout(20)
    for _ in range(size // len(block)):
        found = b""
        while len(found) < len(block):
            piece = receiver.recv(len(block) - len(found))
            assert piece
            found += piece
        assert found == block
    worker.join()


def test_much_passes_both_ways_on_one_host(lab: Lab) -> None:
    _, _, one, two = pair(lab)
    with connected(one, two) as (client, server):
        carry(client, server, 1 << 25)
        carry(server, client, 1 << 25)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Host]]:
    underlay = Underlay(tmp_path)
    try:
        yield [underlay.host(), underlay.host()]
    finally:
        underlay.close()


def test_much_passes_both_ways_between_hosts_and_a_rule_that_goes_cuts_it(hosts: list[Host]) -> None:
    network = Spanning(hosts, int(new_id()[:5], 16) + 1, (subnet("10.1.0.0/24"),))
    network.apply()
    one, two = network.attach(hosts[0], "10.1.0.5"), network.attach(hosts[1], "10.1.0.6")
    with connected(one, two) as (client, server):
        carry(client, server, 1 << 24)
        carry(server, client, 1 << 24)
        for host, near, far in ((hosts[0], "10.1.0.5", "10.1.0.6"), (hosts[1], "10.1.0.6", "10.1.0.5")):
            talk(client, server, 2)
            shown = remembered(host.lab)
            assert f"{near} . {far}" in shown
            assert f"{far} . {near}" in shown
            assert f': "{names.tunnel(network.id)}"' in shown
            with counted(host.lab, "ip protocol tcp") as packets:
                talk(client, server)
                assert packets() <= 30
        hosts[1].lab.driver.apply_security_group(msgspec.structs.replace(network.groups[id(hosts[1])], rules=OUTWARD))
        assert not echoes(client, server)
        assert not echoes(server, client)


def test_ports_that_are_used_again_at_once_are_a_new_connection(lab: Lab) -> None:
    _, _, one, two = pair(lab)
    with two.serves(80) as listener:
        for _ in range(3):
            client = one.new_socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.bind(("10.1.0.5", 4321))
            client.settimeout(5)
            client.connect(("10.1.0.6", 80))
            server, _ = listener.accept()
            with client, server:
                assert echoes(client, server)
                assert echoes(server, client)
                shown = lab.fabric.run("conntrack", "-L", "-p", "tcp", "--orig-port-src", "4321").stdout
                assert "ESTABLISHED" in shown, shown


def test_what_is_flooded_is_not_remembered_for_the_wrong_port(lab: Lab) -> None:
    network, group, one, two = pair(lab)
    others = [lab.attach(network, f"10.1.0.{number}", groups=(group,)) for number in (7, 8)]
    with connected(one, two) as (client, server):
        for _ in range(2):
            assert until(lambda: "10.1.0.5" not in remembered(lab), 2 * LIFETIME + 2)
            gone = lab.fabric.run("bridge", "fdb", "del", two.port.mac, "dev", lab.outer(two), "master")
            assert gone.returncode == 0, gone.stderr
            assert echoes(client, server)
            shown = remembered(lab)
            assert not any(lab.outer(other) in shown for other in others), shown
            talk(client, server, 3)


def test_a_machine_has_it_too(lab: Lab) -> None:
    network, group, *_ = pair(lab)
    spec = PortSpec(
        id=new_id(), network_id=network.id, mac=new_mac(), kind="tap", addresses=(), security_groups=(group.id,)
    )
    lab.driver.apply_port(spec)
    assert lab.driver.observe().problems == {}
    assert "fwd to" in chain(lab, f"in_{names.port(spec.id)}")
    lab.driver.remove_port(spec.id)
    assert names.port(spec.id) not in lab.fabric.run("nft", "list", "ruleset").stdout


def chain(lab: Lab, name: str) -> str:
    return lab.fabric.run("nft", "list", "chain", *fast_path.TABLE.split(), name).stdout


def test_without_it_everything_works_as_before(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.driver.purge()
    with monkeypatch.context() as patch:
        patch.setattr(fast_path, "works", lambda: False)
        lab.driver.start()
        _, group, one, two = pair(lab)
        assert "netdev" not in lab.fabric.run("nft", "list", "tables").stdout
        assert lab.driver.observe().problems == {}
        with connected(one, two) as (client, server), counted(lab, "ip protocol tcp") as packets:
            talk(client, server)
            assert packets() >= 120
            lab.driver.apply_security_group(msgspec.structs.replace(group, rules=OUTWARD))
            assert not echoes(client, server)
        lab.driver.remove_port(one.port.id)
        lab.driver.purge()
    lab.driver.start()


# ------------------------------------------------------------------------------------------------ what ends it


def no_rule(lab: Lab, group: SecurityGroupSpec, two: Endpoint) -> None:
    lab.driver.apply_security_group(msgspec.structs.replace(group, rules=OUTWARD))


def no_group(lab: Lab, group: SecurityGroupSpec, two: Endpoint) -> None:
    lab.driver.apply_port(msgspec.structs.replace(two.port, security_groups=(lab.group(*OUTWARD).id,)))


def group_removed(lab: Lab, group: SecurityGroupSpec, two: Endpoint) -> None:
    lab.driver.remove_security_group(group.id)


def address_gone(lab: Lab, group: SecurityGroupSpec, two: Endpoint) -> None:
    addresses = (msgspec.structs.replace(two.port.addresses[0], ip="10.1.0.66"),)
    lab.driver.apply_port(msgspec.structs.replace(two.port, addresses=addresses))


def port_down(lab: Lab, group: SecurityGroupSpec, two: Endpoint) -> None:
    lab.driver.apply_port(msgspec.structs.replace(two.port, admin_up=False))


def network_gone(lab: Lab, group: SecurityGroupSpec, two: Endpoint) -> None:
    lab.driver.remove_network(two.port.network_id)


@pytest.mark.parametrize("end", [no_rule, no_group, group_removed, address_gone, port_down, network_gone])
def test_nothing_outlives_what_allowed_it(lab: Lab, end: Callable[[Lab, SecurityGroupSpec, Endpoint], None]) -> None:
    network, own = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    group = lab.group(*OUTWARD, allow("ingress", protocol="tcp"))
    one = lab.attach(network, "10.1.0.5", groups=(own,))
    two = lab.attach(network, "10.1.0.6", groups=(group,))
    with connected(one, two) as (client, server):
        assert becomes_known(lab, one, two, (client, server))
        end(lab, group, two)
        assert not echoes(client, server)
        assert not echoes(server, client)


def flood(client: socket.socket, server: socket.socket, over: threading.Event, arrived: list[int]) -> None:
    """Send as fast as it goes, and count what arrives, until told to stop."""

    def send() -> None:
        client.settimeout(0.1)
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                client.send(bytes(1 << 16))

    worker = threading.Thread(target=send)
    worker.start()
    server.settimeout(0.1)
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            arrived[0] += len(server.recv(1 << 20))
    worker.join()


def test_a_rule_that_goes_cuts_what_is_under_way(lab: Lab) -> None:
    network, own = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    group = lab.group(*OUTWARD, allow("ingress", protocol="tcp"))
    one = lab.attach(network, "10.1.0.5", groups=(own,))
    two = lab.attach(network, "10.1.0.6", groups=(group,))
    for port in (80, 81, 82):
        with connected(one, two, port) as (client, server):
            over, arrived = threading.Event(), [0]
            worker = threading.Thread(target=flood, args=(client, server, over, arrived))
            worker.start()
            try:
                assert until(lambda arrived=arrived: arrived[0] > 1 << 24)
                lab.driver.apply_security_group(msgspec.structs.replace(group, rules=OUTWARD))
                over.wait(0.15)  # what had arrived is read
                seen = arrived[0]
                over.wait(0.5)
                assert arrived[0] == seen
            finally:
                over.set()
                worker.join()
        lab.driver.apply_security_group(group)


def test_a_connection_that_is_ended_by_hand_is_over(lab: Lab) -> None:
    _, _, one, two = pair(lab)
    with connected(one, two) as (client, server):
        fabric = lab.driver._fabric
        assert fabric.run(lambda: fabric.end_connections(lambda item: item.destination_port == 80)) == 1
        assert not echoes(client, server)


def test_who_gets_a_departed_ports_address_gets_nothing_of_its_connections(lab: Lab) -> None:
    network, group, one, two = pair(lab)
    with connected(one, two) as (client, server):
        talk(client, server, 2)
        lab.driver.remove_port(two.port.id)
        heir = lab.attach(network, "10.1.0.6", groups=(group,), mac=two.port.mac)
        with Wire(heir) as ear:
            client.sendall(b"<for the other>")
            assert not ear.hears(b"<for the other>")
        assert one.pings("10.1.0.6")


def test_a_stateless_port_ends_and_stops_it_for_all(lab: Lab) -> None:
    network, _, one, two = pair(lab)
    spec = SecurityGroupSpec(id=new_id(), rules=EVERYTHING, stateful=False)
    lab.driver.apply_security_group(spec)
    with connected(one, two) as (client, server):
        assert becomes_known(lab, one, two, (client, server))
        slow = lab.attach(network, "10.1.0.7", groups=(spec,))
        assert "10.1.0.5" not in remembered(lab)
        talk(client, server, 3)
        assert "10.1.0.5" not in remembered(lab)
        lab.driver.remove_port(slow.port.id)
        assert becomes_known(lab, one, two, (client, server))


# ------------------------------------------------------------------------------------------------ what never takes it


def segment(
    client: socket.socket, marker: bytes, *, flags: int = ACK | PUSH, more: bool = False, shift: int = 0
) -> bytes:
    """A packet as the client's connection has them; what it says of sequences is wrong."""
    source, target = client.getsockname(), client.getpeername()
    head = struct.pack("!HHIIBBHHH", source[1] + shift, target[1], 5, 5, 0x50, flags, 1000, 0, 0)
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    marker += bytes(len(marker) % 2)
    digest = checksum(addresses + struct.pack("!BBH", 0, 6, len(head) + len(marker)) + head + marker)
    whole = head[:16] + struct.pack("!H", digest) + head[18:] + marker
    return ipv4(source[0], target[0], 6, whole, more=more)


def test_only_the_connections_own_packets_take_it(lab: Lab) -> None:
    network, group, one, two = pair(lab)
    rogue = lab.attach(network, "10.1.0.7", groups=(group,))
    second = lab.network(subnet("10.1.0.0/24"))
    elsewhere = lab.attach(second, "10.1.0.5", groups=(group,), mac=one.port.mac)
    own, target = one.port.mac, two.port.mac
    with connected(one, two) as (client, server), Wire(two) as ear:
        assert becomes_known(lab, one, two, (client, server))

        def arrives(name: str, sender: Endpoint, frame: bytes) -> bool:
            assert echoes(client, server)  # keeps it remembered
            with Wire(sender) as mouth:
                mouth.send(frame)
            return ear.hears(f"<{name}>".encode(), 0.3)

        def tagged(name: str) -> bytes:
            body = segment(client, f"<{name}>".encode())
            return packed(target) + packed(own) + struct.pack("!HHH", TAG, 5, IP4) + body

        def plain(name: str, source: str = own, **options: object) -> bytes:
            return ethernet(source, target, IP4, segment(client, f"<{name}>".encode(), **options))

        assert arrives("its own", one, plain("its own"))
        assert not arrives("forged", rogue, plain("forged"))
        assert not arrives("forged from his own", rogue, plain("forged from his own", rogue.port.mac))
        assert not arrives("another network", elsewhere, plain("another network"))
        assert not arrives("foreign mac", one, plain("foreign mac", new_mac()))
        assert not arrives("tag", one, tagged("tag"))
        assert not arrives("other port", one, plain("other port", shift=1))
        assert not arrives("no flags", one, plain("no flags", flags=0))
        assert not arrives("both", one, plain("both", flags=SYN | RST))
        assert not arrives("piece", one, plain("piece", more=True))
        assert arrives("its own again", one, plain("its own again"))


def test_the_same_addresses_on_two_networks_do_not_meet(lab: Lab) -> None:
    ends = [pair(lab)[2:] for _ in range(2)]
    with contextlib.ExitStack() as stack:
        sockets = []
        for one, two in ends:
            listener = stack.enter_context(two.serves(80))
            client = stack.enter_context(one.new_socket())
            client.bind(("10.1.0.5", 4321))
            client.settimeout(5)
            client.connect(("10.1.0.6", 80))
            sockets.append((client, stack.enter_context(listener.accept()[0])))
        for _ in range(20):
            for number, (client, server) in enumerate(sockets):
                client.sendall(bytes([number]) * 10)
                server.settimeout(5)
                assert set(server.recv(100)) == {number}


SLOW = {
    "marks": {"qos": Qos(dscp=26)},
    "rates": {"qos": Qos(packet_rate=(PacketRateLimit(direction="egress", max_kpps=1000),))},
    "no port security": {"port_security": False},
    "another mac": {"allowed_pairs": (AddressPair(ip="10.1.0.77", mac=new_mac()),)},
}


@pytest.mark.parametrize("why", SLOW)
def test_a_port_with_more_to_pass_never_skips_it(lab: Lab, why: str) -> None:
    _, _, one, two = pair(lab)
    with connected(one, two) as (client, server):
        assert becomes_known(lab, one, two, (client, server))
        slow = msgspec.structs.replace(one.port, **SLOW[why])
        lab.driver.apply_port(slow)
        with counted(lab, "ip saddr 10.1.0.5") as packets:
            talk(client, server, 20)
            assert packets() >= 20
        assert lab.driver.observe().problems == {}
        lab.driver.apply_port(one.port)
        assert becomes_known(lab, one, two, (client, server))


def test_a_dscp_mark_is_on_every_packet(lab: Lab) -> None:
    _, _, one, two = pair(lab, qos=Qos(dscp=26))
    with connected(one, two) as (client, server), counted(lab, "ip saddr 10.1.0.5") as sent, Wire(two) as ear:
        talk(client, server, 20)
        assert sent() >= 20
        ear.socket.settimeout(0.3)
        marks = []
        with contextlib.suppress(TimeoutError):
            while True:
                frame = ear.socket.recv(65536)
                if frame[12:14] == b"\x08\x00" and frame[26:30] == socket.inet_aton("10.1.0.5"):
                    marks.append(frame[15] >> 2)
    assert len(marks) >= 20
    assert set(marks) == {26}


# ------------------------------------------------------------------------------------------------ repair


@pytest.mark.parametrize(
    "damage",
    [
        "flush chain {table} in_{device}",
        "flush chain {table} out_{device}",
        "delete chain {table} in_{device}",
        "add rule {table} in_{device} accept",
        "insert rule {table} out_{device} drop",
        "delete table {table}",
        "flush table {table}",
    ],
)
def test_damage_is_seen_and_repaired(lab: Lab, damage: str) -> None:
    _, _, one, two = pair(lab)
    assert lab.driver.observe().problems == {}
    device = lab.outer(one)
    done = lab.fabric.run("nft", damage.format(table=fast_path.TABLE, device=device))
    assert done.returncode == 0, done.stderr
    assert "fast path" in lab.driver.observe().problems[one.port.id]
    for end in (one, two):
        lab.driver.apply_port(end.port)
    assert lab.driver.observe().problems == {}
    with connected(one, two) as ends:
        assert becomes_known(lab, one, two, ends)


def test_a_new_run_takes_it_over_and_a_port_that_goes_leaves_nothing(lab: Lab) -> None:
    _, _, one, two = pair(lab)
    with connected(one, two) as (client, server):
        lab.restart_driver()
        for end in (one, two):
            lab.driver.apply_port(end.port)
        assert lab.driver.observe().problems == {}
        assert becomes_known(lab, one, two, (client, server))
    lab.driver.remove_port(one.port.id)
    assert lab.outer(one) not in lab.fabric.run("nft", "list", "ruleset").stdout


def test_a_map_of_another_version_is_replaced(lab: Lab) -> None:
    _, _, one, two = pair(lab)
    table = fast_path.TABLE
    for words in (
        f"delete table {table}",
        f"add table {table}",
        f"add map {table} flows {{ typeof meta mark . ip saddr : meta oif; flags dynamic,timeout; timeout 9s; }}",
    ):
        assert lab.fabric.run("nft", words).returncode == 0
    lab.restart_driver()
    for end in (one, two):
        lab.driver.apply_port(end.port)
    assert lab.driver.observe().problems == {}
    with connected(one, two) as ends:
        assert becomes_known(lab, one, two, ends)


def test_a_look_from_another_process_changes_nothing(lab: Lab) -> None:
    _, _, one, two = pair(lab)
    other = lab.new_driver()
    other.start()
    assert other.observe().problems == {}
    other.close()
    assert lab.driver.observe().problems == {}
    with connected(one, two) as ends:
        assert becomes_known(lab, one, two, ends)


def test_a_device_made_anew_has_it_again(lab: Lab) -> None:
    _, _, one, two = pair(lab)
    assert lab.fabric.run("ip", "link", "del", lab.outer(one)).returncode == 0
    assert one.port.id in lab.driver.observe().problems
    lab.driver.apply_port(one.port)
    assert lab.driver.observe().problems == {}
    with connected(one, two) as ends:
        assert becomes_known(lab, one, two, ends)
