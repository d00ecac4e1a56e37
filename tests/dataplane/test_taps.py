"""Ports of kind tap: what a machine sends and receives by its device."""

from __future__ import annotations

import os
import select
import socket
import struct

import msgspec
import pytest
from tests.dataplane.lab import EVERYTHING, Lab, new_id, new_mac, subnet
from tests.dataplane.traffic import ethernet, icmpv6, ipv4, ipv6, packed, udp

from stackyard.host.errors import HostError
from stackyard.host.network.taps import open_tap
from stackyard.host.specs import Address, BandwidthLimit, PortSpec, Qos, SecurityGroupSpec

pytestmark = pytest.mark.root

EVERYBODY = "ff:ff:ff:ff:ff:ff"


def tap_port(network_id: str, group: SecurityGroupSpec, **options: object) -> PortSpec:
    return PortSpec(
        id=new_id(), network_id=network_id, mac=new_mac(), kind="tap",
        addresses=(Address(ip="10.1.0.9", prefix_length=24),), security_groups=(group.id,), **options,
    )  # fmt: skip


def answer_arp(descriptor: int, mac: str, seconds: float = 3) -> None:
    """Do what a machine does first: say who has its address."""
    while select.select([descriptor], [], [], seconds)[0]:
        frame = os.read(descriptor, 65536)
        if frame[12:14] == b"\x08\x06" and frame[38:42] == socket.inet_aton("10.1.0.9"):
            head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2)
            body = head + packed(mac) + socket.inet_aton("10.1.0.9") + frame[22:32]
            os.write(descriptor, frame[6:12] + packed(mac) + b"\x08\x06" + body)
            return
    raise AssertionError("nobody asked")


def receives(descriptor: int, marker: bytes, seconds: float = 0.5) -> bool:
    while select.select([descriptor], [], [], seconds)[0]:
        if marker in os.read(descriptor, 65536):
            return True
    return False


def test_a_machine_exchanges_packets_by_its_tap(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    end = lab.attach(network, "10.1.0.5", groups=(group,))
    spec = tap_port(network.id, group)
    lab.driver.apply_port(spec)
    assert spec.id in lab.driver.observe().ports
    machine = open_tap(lab.driver.tap(spec.id))
    try:
        with end.new_socket(socket.SOCK_DGRAM) as ear:
            ear.bind(("", 4000))
            ear.settimeout(2)
            ear.sendto(b"to the machine", ("10.1.0.9", 4000))
            answer_arp(machine, spec.mac)
            assert receives(machine, b"to the machine")
            target = end.port.mac
            os.write(machine, ethernet(spec.mac, target, 0x800,
                                       ipv4("10.1.0.9", "10.1.0.5", 17, udp(4000, 4000, b"from it"))))  # fmt: skip
            assert ear.recv(100) == b"from it"
            ear.settimeout(0.4)
            os.write(machine, ethernet(spec.mac, target, 0x800,
                                       ipv4("10.1.0.77", "10.1.0.5", 17, udp(4000, 4000, b"spoofed"))))  # fmt: skip
            with pytest.raises(TimeoutError):
                ear.recv(100)
    finally:
        os.close(machine)


def test_a_machine_without_rules_is_closed_and_cannot_advertise(lab: Lab) -> None:
    network, closed, group = lab.network(subnet("10.1.0.0/24")), lab.group(), lab.group(*EVERYTHING)
    end = lab.attach(network, "10.1.0.5", "fd01::5/64", groups=(group,))
    spec = tap_port(network.id, closed)
    lab.driver.apply_port(spec)
    machine = open_tap(lab.driver.tap(spec.id))
    try:
        with end.new_socket(socket.SOCK_DGRAM) as ear:
            ear.bind(("", 4000))
            ear.settimeout(0.4)
            os.write(machine, ethernet(spec.mac, end.port.mac, 0x800,
                                       ipv4("10.1.0.9", "10.1.0.5", 17, udp(4000, 4000, b"x"))))  # fmt: skip
            with pytest.raises(TimeoutError):
                ear.recv(100)
        source, everybody = "fe80::1", "ff02::1"
        router = icmpv6(source, everybody, 134, struct.pack("!BBHII", 64, 0, 1800, 0, 0))
        os.write(machine, ethernet(spec.mac, "33:33:00:00:00:01", 0x86DD, ipv6(source, everybody, 58, router)))
        assert "default" not in end.run("ip", "-6", "route").stdout
    finally:
        os.close(machine)


def test_a_tap_outlives_its_machine_and_the_driver(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    spec = tap_port(network.id, group, qos=Qos(bandwidth=(BandwidthLimit(direction="egress", max_kbps=1000),)))
    lab.driver.apply_port(spec)
    os.close(open_tap(lab.driver.tap(spec.id), offload=True))
    assert lab.driver.observe().problems == {}
    lab.restart_driver()
    lab.driver.apply_port(spec)
    machine = open_tap(lab.driver.tap(spec.id))
    try:
        assert lab.driver.observe().ports == {spec.id}
        lab.driver.apply_port(msgspec.structs.replace(spec, admin_up=False))
        with pytest.raises(OSError, match="Input/output"):
            os.write(machine, bytes(64))
    finally:
        os.close(machine)
    lab.driver.remove_port(spec.id)
    assert lab.driver.observe().ports == frozenset()
    # A machine that comes too late finds nothing, and leaves nothing.
    with pytest.raises(HostError):
        open_tap(lab.driver.tap(spec.id))
    assert lab.driver.tap(spec.id).device not in lab.fabric.run("ip", "link").stdout


def test_a_port_changes_its_kind(lab: Lab) -> None:
    network, group = lab.network(subnet("10.1.0.0/24")), lab.group(*EVERYTHING)
    end = lab.attach(network, "10.1.0.9", groups=(group,))
    other = lab.attach(network, "10.1.0.5", groups=(group,))
    assert other.pings("10.1.0.9")
    lab.driver.apply_port(msgspec.structs.replace(end.port, kind="tap"))
    assert "eth0" not in end.run("ip", "link").stdout
    lab.driver.apply_port(end.port)
    assert other.pings("10.1.0.9")
