"""What guests get from 169.254.169.254 and fe80::a9fe:a9fe, by packets from their namespaces."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
import pytest
from tests.dataplane.dhcp_client import DISCOVER, ask4
from tests.dataplane.lab import EVERYTHING, OUTWARD, Endpoint, Lab, new_id, new_mac, run, subnet, until

from stackyard.host.network import metadata_server, names, netns
from stackyard.host.network.metadata import METADATA4, METADATA6, MetadataReply, MetadataRequest
from stackyard.host.specs import HostRecord, NetworkSpec, Route

pytestmark = pytest.mark.root

ON_WIRE = (Route(destination=f"{METADATA4}/32", next_hop=METADATA4),)
"""How a port that we configure ourselves gets there."""


@dataclass
class Known:
    """A handler that says whom it takes the sender for."""

    asked: list[MetadataRequest] = field(default_factory=list)
    wait: threading.Event | None = None

    def answer(self, request: MetadataRequest) -> MetadataReply:
        self.asked.append(request)
        if self.wait is not None:
            self.wait.wait(10)
        if request.path == "/broken":
            raise RuntimeError("no")
        text = " ".join(filter(None, (request.network_id, request.router_id, request.source, request.source_mac)))
        return MetadataReply(200, {"content-type": "text/x-test"}, text.encode() + request.body)


@pytest.fixture
def known(lab: Lab) -> Iterator[Known]:
    handler = Known()
    lab.driver.answer_metadata(handler)
    yield handler
    if handler.wait is not None:
        handler.wait.set()


def exchange(end: Endpoint, data: bytes, address: str = METADATA4, seconds: float = 3) -> bytes:
    """Everything that the server answers until it closes; nothing when it cannot be reached."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with end.new_socket(family=family) as channel:
        channel.settimeout(seconds)
        where: tuple[object, ...] = (address, 80)
        if family == socket.AF_INET6:
            where = (address, 80, 0, end.within(lambda: socket.if_nametoindex("eth0")))
        found = b""
        try:
            channel.connect(where)
            channel.sendall(data)
            while more := channel.recv(1 << 16):
                found += more
        except OSError:
            pass
        return found


def get(end: Endpoint, path: str = "/openstack/latest/meta_data.json", address: str = METADATA4) -> tuple[int, str]:
    """Status and body; status 0 when nobody answers."""
    answer = exchange(end, f"GET {path} HTTP/1.1\r\nhost: {METADATA4}\r\n\r\n".encode(), address, 1.5)
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else 0), body.decode()


def isolated(lab: Lab, **options: object) -> tuple[NetworkSpec, Endpoint]:
    network = lab.served_network(subnet("10.1.0.0/24", gateway=None), **options)
    return network, lab.attach(network, "10.1.0.5", groups=(lab.group(*OUTWARD),), routes=ON_WIRE)


def test_a_guest_on_an_isolated_network_is_told_who_it_is(lab: Lab, known: Known) -> None:
    network, end = isolated(lab)
    assert get(end) == (200, f"{network.id} 10.1.0.5")
    (request,) = known.asked
    assert (request.method, request.path) == ("GET", "/openstack/latest/meta_data.json")
    assert request.headers == {"host": METADATA4}
    assert lab.driver.observe().problems == {}


def test_a_guest_of_link_local_ipv6_is_known_by_its_mac(lab: Lab, known: Known) -> None:
    network, end = isolated(lab)
    assert until(lambda: "fe80" in end.run("ip", "-6", "addr", "show", "dev", "eth0", "-tentative").stdout)
    status, said = get(end, address=METADATA6)
    assert status == 200
    assert said.split()[::2] == [network.id, end.port.mac]
    odd = lab.attach(network, "10.1.0.9", port_security=False)
    odd.run("ip", "-6", "addr", "flush", "dev", "eth0", "scope", "link")
    odd.run("ip", "-6", "addr", "add", "fe80::77/64", "dev", "eth0", "nodad")
    assert get(odd, address=METADATA6) == (200, f"{network.id} fe80::77 {odd.port.mac}")


def test_the_same_address_on_two_networks_is_two_guests(lab: Lab, known: Known) -> None:
    del known
    (first, one), (second, other) = isolated(lab), isolated(lab)
    assert one.address == other.address
    assert get(one) == (200, f"{first.id} 10.1.0.5")
    assert get(other) == (200, f"{second.id} 10.1.0.5")


def test_nobody_asks_in_anothers_name(lab: Lab, known: Known) -> None:
    network, end = isolated(lab)
    victim = lab.attach(network, "10.1.0.6", groups=(lab.group(*OUTWARD),), routes=ON_WIRE)
    end.run("ip", "addr", "add", "10.1.0.6/24", "dev", "eth0")
    end.run("ip", "route", "replace", METADATA4, "dev", "eth0", "src", "10.1.0.6")
    assert get(end) == (0, "")
    assert known.asked == []
    assert get(victim)[1].endswith("10.1.0.6")


def test_by_a_default_route_alone_the_router_answers(lab: Lab, known: Known) -> None:
    del known
    network = lab.network(subnet("10.1.0.0/24"))
    other = lab.network(subnet("10.2.0.0/24"))
    router = lab.router(network, other)
    ends = [
        lab.attach(on, f"10.{number}.0.5", groups=(lab.group(*OUTWARD),), gateways=(f"10.{number}.0.1",))
        for number, on in ((1, network), (2, other))
    ]
    for number, end in enumerate(ends, 1):
        assert get(end) == (200, f"{router.id} 10.{number}.0.5")


def test_from_outside_a_router_answers_nobody(lab: Lab, known: Known) -> None:
    outside, inside = lab.network(subnet("192.0.2.0/24")), lab.network(subnet("10.1.0.0/24"))
    lab.router(inside, external=outside, gateway="192.0.2.10")
    intruder = lab.attach(outside, "192.0.2.99", port_security=False)
    intruder.run("ip", "route", "add", METADATA4, "via", "192.0.2.10")
    assert get(intruder) == (0, "")
    assert known.asked == []


def test_a_routed_network_with_a_server_is_answered_by_that_over_dhcps_route(lab: Lab, known: Known) -> None:
    mac = new_mac()
    host = HostRecord(mac=mac, ips=("10.1.0.5",))
    network = lab.served_network(subnet("10.1.0.0/24"), hosts=(host,))
    lab.router(network)
    end = lab.attach(network, "10.1.0.5", groups=(lab.group(*OUTWARD),), mac=mac)
    answer = ask4(end, DISCOVER, (121,))
    assert answer is not None
    assert answer[1][121].startswith(bytes([32, 169, 254, 169, 254, 10, 1, 0, 2]))
    end.run("ip", "route", "add", METADATA4, "via", "10.1.0.2")
    assert get(end) == (200, f"{network.id} 10.1.0.5")
    assert known.asked[0].router_id is None


def test_a_subnet_without_dhcp_is_answered_too(lab: Lab, known: Known) -> None:
    del known
    network, _ = isolated(lab)
    more = msgspec.structs.replace(network, subnets=(*network.subnets, subnet("10.7.0.0/24", dhcp=False)))
    lab.driver.apply_network(more)
    end = lab.attach(network, "10.7.0.5", groups=(lab.group(*OUTWARD),), routes=ON_WIRE)
    assert get(end) == (200, f"{network.id} 10.7.0.5")


def test_a_group_that_lets_nothing_out_lets_no_question_out(lab: Lab, known: Known) -> None:
    network, _ = isolated(lab)
    shut = lab.attach(network, "10.1.0.8", groups=(lab.group(),), routes=ON_WIRE)
    assert get(shut) == (0, "")
    assert known.asked == []


def test_metadata_may_be_switched_off_and_on(lab: Lab, known: Known) -> None:
    network, end = isolated(lab, metadata=False)
    assert get(end) == (0, "")
    lab.driver.apply_network(msgspec.structs.replace(network, metadata=True))
    assert get(end)[0] == 200
    lab.driver.apply_network(network)
    assert get(end) == (0, "")
    assert len(known.asked) == 1
    assert lab.driver.observe().problems == {}


def test_without_a_handler_guests_are_told_to_come_back(lab: Lab) -> None:
    _, end = isolated(lab)
    assert get(end)[0] == 503


def test_a_broken_handler_breaks_one_answer(lab: Lab, known: Known) -> None:
    _, end = isolated(lab)
    assert get(end, "/broken") == (500, "metadata could not be read\n")
    assert get(end)[0] == 200
    assert len(known.asked) == 2


BAD_REQUESTS: dict[str, tuple[bytes, int]] = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "a whole address": (b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
    "control characters": (b"GET /a\x01b HTTP/1.1\r\n\r\n", 400),
    "a folded header": (b"GET / HTTP/1.1\r\na: b\r\n c: d\r\n\r\n", 400),
    "a header without a name": (b"GET / HTTP/1.1\r\n: b\r\n\r\n", 400),
    "a length in words": (b"POST / HTTP/1.1\r\ncontent-length: ten\r\n\r\n", 400),
    "a body without a length": (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    "a body too long": (b"POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n", 413),
    "headers without end": (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 4000, 431),
}


def test_requests_are_bounded(lab: Lab, known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata_server, "REQUEST_SECONDS", 0.3)
    _, end = isolated(lab)
    for what, (data, status) in BAD_REQUESTS.items():
        assert exchange(end, data).split(b" ", 2)[1:2] == [str(status).encode()], what
    assert exchange(end, b"GET / HTTP/1.1\r\n").split()[1] == b"408"
    assert known.asked == []
    body = exchange(end, b"POST /password HTTP/1.0\r\ncontent-length: 3\r\n\r\nabc")
    assert body.endswith(b"10.1.0.5abc")
    head = exchange(end, b"HEAD / HTTP/1.1\r\n\r\n")
    assert head.endswith(b"\r\n\r\n")
    assert b"content-type: text/x-test" in head


def test_one_guest_cannot_take_all_connections(lab: Lab, known: Known) -> None:
    known.wait = threading.Event()
    network, end = isolated(lab)
    other = lab.attach(network, "10.1.0.6", groups=(lab.group(*OUTWARD),), routes=ON_WIRE)
    greedy = [end.connect(METADATA4, 80) for _ in range(metadata_server.CONNECTIONS_OF_ONE)]
    assert all(greedy)
    assert until(lambda: exchange(end, b"GET / HTTP/1.1\r\n\r\n", seconds=1) == b"")
    known.wait.set()
    assert get(other)[0] == 200
    for item in greedy:
        assert item is not None
        item.close()
    assert until(lambda: get(end)[0] == 200)


def server_place(lab: Lab, network: NetworkSpec) -> str:
    return netns.path_of(names.server_namespace(lab.cloud, network.id))


def test_what_is_broken_by_hand_comes_back_and_a_new_run_serves_again(lab: Lab, known: Known) -> None:
    network, end = isolated(lab)
    inside = lab.network(subnet("10.2.0.0/24"))
    router = lab.router(inside)
    far = lab.attach(inside, "10.2.0.5", groups=(lab.group(*EVERYTHING),), gateways=("10.2.0.1",))
    router_name = names.router_namespace(lab.cloud, router.id)
    damages: dict[str, tuple[str, Callable[[], object]]] = {
        "the address deleted": (network.id, lambda: run(
            "ip", "addr", "del", f"{METADATA4}/32", "dev", "service", netns_path=server_place(lab, network))),
        "the IPv6 address deleted": (network.id, lambda: run(
            "ip", "addr", "del", f"{METADATA6}/64", "dev", "service", netns_path=server_place(lab, network))),
        "the namespace removed": (network.id, lambda: run(
            "ip", "netns", "del", names.server_namespace(lab.cloud, network.id))),
        "the router's namespace removed": (router.id, lambda: run("ip", "netns", "del", router_name)),
    }  # fmt: skip
    for what, (victim, harm) in damages.items():
        harm()
        assert until(lambda victim=victim: victim in lab.driver.observe().problems), what
        lab.driver.apply_network(network)
        lab.driver.apply_router(router)
        assert lab.driver.observe().problems == {}, what
        assert get(end)[0] == 200, what
        assert get(end, address=METADATA6)[0] == 200, what
        assert get(far)[0] == 200, what
    lab.restart_driver()
    assert get(end)[0] == 0
    lab.driver.answer_metadata(known)
    lab.driver.apply_network(network)
    lab.driver.apply_router(router)
    assert get(end)[0] == 200
    assert get(far)[0] == 200


def test_removed_networks_and_routers_leave_no_socket_and_no_namespace(lab: Lab, known: Known) -> None:
    del known
    network, end = isolated(lab)
    router = lab.router(lab.network(subnet("10.2.0.0/24")))
    assert get(end)[0] == 200
    lab.driver.remove_network(network.id)
    lab.driver.remove_router(router.id)
    assert get(end) == (0, "")
    lab.driver.remove_network(new_id())
    assert lab.driver.observe().problems.keys() <= {end.port.id}
    gone = (names.server_namespace(lab.cloud, network.id), names.router_namespace(lab.cloud, router.id))
    assert not set(gone) & set(run("ip", "netns").stdout.split())
