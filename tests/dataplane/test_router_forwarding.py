"""Forwarded ports, helpers, limits and meters of a router, by packets."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import msgspec
import pytest
from tests.dataplane.lab import EVERYTHING, HOST, OUTSIDE, Endpoint, Lab, Place, echoes, new_id, subnet, until

from stackyard.host.errors import SpecError
from stackyard.host.network import conntrack_helpers
from stackyard.host.specs import (
    BandwidthLimit,
    ConntrackHelper,
    FloatingIPSpec,
    MeteringLabel,
    MeteringRule,
    NetworkSpec,
    PortForwarding,
    Qos,
    RouterSpec,
)

pytestmark = pytest.mark.root

PUBLIC = f"{OUTSIDE}.60"


@contextlib.contextmanager
def two_ends(lab: Lab) -> Iterator[tuple[NetworkSpec, RouterSpec, Endpoint, Endpoint]]:
    outside = lab.network(subnet(f"{OUTSIDE}.0/24"), external=True)
    inside, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    router = lab.router(inside, external=outside, gateway=f"{OUTSIDE}.10")
    one = lab.attach(inside, "10.1.0.5", groups=(group,), gateways=("10.1.0.1",))
    two = lab.attach(inside, "10.1.0.6", groups=(group,), gateways=("10.1.0.1",))
    yield outside, router, one, two


def forward(
    external: tuple[int, int], internal: tuple[int, int], protocol: str = "tcp", fixed: str = "10.1.0.5"
) -> PortForwarding:
    return PortForwarding(
        id=new_id(), floating_ip=PUBLIC, protocol=protocol, external_ports=external, fixed_ip=fixed,
        internal_ports=internal,
    )  # fmt: skip


def serving_port(end: Endpoint, port: int, asker: Place, asked: int, address: str = PUBLIC) -> bool:
    """Whether a connection to a public port arrives at the endpoint's own."""
    with end.serves(port) as listener:
        client = asker.connect(address, asked, wait=0.6)
        if client is None:
            return False
        server, _ = listener.accept()
        with client, server:
            return echoes(client, server)


def test_ports_are_forwarded_one_by_one_in_ranges_and_many_to_one(lab: Lab) -> None:
    with two_ends(lab) as (_, router, one, two):
        forwardings = (
            forward((2222, 2222), (22, 22)),
            forward((3000, 3010), (3000, 3010), fixed="10.1.0.6"),
            forward((4000, 4010), (5000, 5010)),
            forward((6000, 6010), (80, 80), fixed="10.1.0.6"),
        )
        lab.driver.apply_router(msgspec.structs.replace(router, port_forwardings=forwardings))
        assert serving_port(one, 22, HOST, 2222)
        assert serving_port(two, 3007, HOST, 3007)
        assert serving_port(one, 5003, HOST, 4003)
        assert serving_port(two, 80, HOST, 6010)
        assert not HOST.reaches(PUBLIC, 22, wait=0.3)
        assert lab.driver.observe().problems == {}


def test_a_forwarded_port_is_reached_from_inside_too(lab: Lab) -> None:
    with two_ends(lab) as (_, router, one, two):
        lab.driver.apply_router(msgspec.structs.replace(router, port_forwardings=(forward((8080, 8080), (80, 80)),)))
        assert serving_port(one, 80, two, 8080)
        assert serving_port(one, 80, one, 8080)


def test_datagrams_and_sctp_are_forwarded(lab: Lab) -> None:
    with two_ends(lab) as (_, router, one, _two):
        forwardings = (forward((53, 53), (5353, 5353), "udp"), forward((53, 53), (7000, 7000), "sctp"))
        lab.driver.apply_router(msgspec.structs.replace(router, port_forwardings=forwardings))
        with one.new_socket(socket.SOCK_DGRAM) as server, HOST.new_socket(socket.SOCK_DGRAM) as client:
            server.bind(("", 5353))
            server.settimeout(2)
            client.settimeout(2)
            client.sendto(b"question", (PUBLIC, 53))
            data, asker = server.recvfrom(100)
            server.sendto(b"answer", asker)
            assert (data, client.recvfrom(100)) == (b"question", (b"answer", (PUBLIC, 53)))
        assert lab.driver.observe().problems == {}


def test_a_protocol_that_the_kernel_does_not_track_is_refused_before_anything_changes(lab: Lab) -> None:
    with two_ends(lab) as (_, router, one, _two):
        kept = msgspec.structs.replace(router, port_forwardings=(forward((80, 80), (80, 80)),))
        lab.driver.apply_router(kept)
        with contextlib.suppress(SpecError):
            more = (*kept.port_forwardings, forward((81, 81), (81, 81), "dccp"))
            lab.driver.apply_router(msgspec.structs.replace(kept, port_forwardings=more))
        assert serving_port(one, 80, HOST, 80)


def test_connections_end_with_their_forwarding_and_others_stay(lab: Lab) -> None:
    with two_ends(lab) as (_, router, one, two), one.serves(80) as first, two.serves(80) as second:
        gone, kept = forward((81, 81), (80, 80)), forward((82, 82), (80, 80), fixed="10.1.0.6")
        lab.driver.apply_router(msgspec.structs.replace(router, port_forwardings=(gone, kept)))
        to_first, to_second = HOST.connect(PUBLIC, 81), HOST.connect(PUBLIC, 82)
        assert to_first is not None
        assert to_second is not None
        (at_first, _), (at_second, _) = first.accept(), second.accept()
        with to_first, to_second, at_first, at_second:
            assert echoes(to_first, at_first)
            lab.driver.apply_router(msgspec.structs.replace(router, port_forwardings=(kept,)))
            assert not echoes(to_first, at_first)
            assert echoes(to_second, at_second)
        lab.driver.apply_router(router)
        assert not HOST.pings(PUBLIC, wait=0.3)


def test_what_changed_while_nobody_was_there_ends_its_connections(lab: Lab) -> None:
    with two_ends(lab) as (_, router, one, _two), one.serves(80) as listener:
        lab.driver.apply_router(msgspec.structs.replace(router, port_forwardings=(forward((81, 81), (80, 80)),)))
        client = HOST.connect(PUBLIC, 81)
        assert client is not None
        server, _ = listener.accept()
        with client, server:
            assert echoes(client, server)
            lab.restart_driver()
            lab.driver.apply_router(router)
            assert not echoes(client, server)


def test_ftps_data_connection_is_recognised(lab: Lab) -> None:
    """The server names a port of its own in a line of text; the helper opens and translates just that one."""
    with two_ends(lab) as (_, router, one, _two):
        spec = msgspec.structs.replace(
            router,
            port_forwardings=(forward((21, 21), (21, 21)),),
            conntrack_helpers=(ConntrackHelper(helper="ftp", protocol="tcp", port=21),),
        )
        lab.driver.apply_router(spec)
        with one.serves(21) as control, one.serves(2021) as data:
            client = HOST.connect(PUBLIC, 21)
            assert client is not None
            server, _ = control.accept()
            with client, server:
                client.settimeout(2)
                server.sendall(b"220 ready\r\n")  # the kernel reads lines only after it has seen one end
                assert client.recv(100) == b"220 ready\r\n"
                client.sendall(b"PASV\r\n")
                server.recv(100)
                server.sendall(b"227 Entering Passive Mode (10,1,0,5,7,229)\r\n")
                numbers = client.recv(200).decode().partition("(")[2].partition(")")[0].split(",")
                assert ".".join(numbers[:4]) == PUBLIC
                port = int(numbers[4]) * 256 + int(numbers[5])
                through = HOST.connect(PUBLIC, port)
                assert through is not None
                with through, data.accept()[0] as inner:
                    assert echoes(through, inner)


def test_a_helper_that_the_kernel_has_not_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conntrack_helpers, "_kernel_has", lambda _name, _protocol: False)
    with two_ends(lab) as (_, router, one, _two):
        helper = (ConntrackHelper(helper="tftp", protocol="udp", port=69),)
        with pytest.raises(SpecError, match="tftp"):
            lab.driver.apply_router(msgspec.structs.replace(router, conntrack_helpers=helper))
        assert one.pings(f"{OUTSIDE}.1")


def seconds_to_receive(sender: socket.socket, receiver: socket.socket, size: int) -> float:
    """How long so many bytes take."""
    sender.setblocking(False)  # noqa: FBT003
    receiver.settimeout(10)
    begin, sent, got = time.monotonic(), 0, 0
    chunk = bytes(1 << 16)
    while got < size:
        with contextlib.suppress(BlockingIOError):
            sent += sender.send(chunk[: max(0, size - sent)]) if sent < size else 0
        receiver.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            got += len(receiver.recv(1 << 20))
        assert time.monotonic() - begin < 20, f"{got} of {size} bytes"
    return time.monotonic() - begin


@pytest.mark.parametrize("direction", ["ingress", "egress"])
@pytest.mark.parametrize("where", ["floating IP", "gateway"])
def test_a_limit_holds_for_what_passes_an_address(lab: Lab, where: str, direction: str) -> None:
    qos = Qos(bandwidth=(BandwidthLimit(direction=direction, max_kbps=8_000, max_burst_kbps=2000),))
    with two_ends(lab) as (_, router, one, _two):
        if where == "gateway":
            leg = msgspec.structs.replace(router.gateways[0], qos=qos)
            spec = msgspec.structs.replace(router, gateways=(leg,))
        else:
            item = FloatingIPSpec(id=new_id(), floating_ip=PUBLIC, fixed_ip="10.1.0.5", qos=qos)
            spec = msgspec.structs.replace(router, floating_ips=(item,))
        lab.driver.apply_router(spec)
        with HOST.serves(lab.host_ports[0]) as listener:
            client = one.connect(f"{OUTSIDE}.1", lab.host_ports[0])
            assert client is not None
            server, _ = listener.accept()
            with client, server:
                ends = (client, server) if direction == "egress" else (server, client)
                limited = seconds_to_receive(*ends, 4_000_000)
                lab.driver.apply_router(router if where == "gateway" else spec)
                free = seconds_to_receive(*reversed(ends), 4_000_000)
        assert limited > 2.5  # a second's worth at once, then 3 MB at 1 MB/s
        assert free < limited / 2


def test_meters_count_what_passes_the_gateway_and_go_on_after_a_change(lab: Lab) -> None:
    with two_ends(lab) as (_, router, one, two):
        every = MeteringLabel(id=new_id(), rules=tuple(
            MeteringRule(direction=direction) for direction in ("ingress", "egress")
        ))  # fmt: skip
        less = MeteringLabel(id=new_id(), rules=(
            MeteringRule(direction="egress", remote_cidr="10.1.0.0/24"),
            MeteringRule(direction="egress", remote_cidr="10.1.0.6/32", excluded=True),
        ))  # fmt: skip
        spec = msgspec.structs.replace(router, metering=(every, less))
        lab.driver.apply_router(spec)
        assert one.pings(f"{OUTSIDE}.1", count=3)
        assert two.pings(f"{OUTSIDE}.1", count=2)
        assert lab.driver.read_meters() == {every.id: (10, 840), less.id: (3, 252)}
        lab.restart_driver()
        lab.driver.apply_router(spec)
        lab.driver.apply_router(msgspec.structs.replace(spec, port_forwardings=(forward((81, 81), (80, 80)),)))
        assert one.pings(f"{OUTSIDE}.1")
        assert lab.driver.read_meters()[every.id] == (12, 1008)
        lab.driver.apply_router(msgspec.structs.replace(spec, metering=(less,)))
        assert lab.driver.read_meters() == {less.id: (4, 336)}
        lab.driver.apply_router(router)
        assert lab.driver.read_meters() == {}
        assert until(lambda: lab.driver.observe().problems == {})
