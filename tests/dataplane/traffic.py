"""How much passes between two endpoints, counted where it arrives."""

from __future__ import annotations

import socket
import struct
import threading
import time

from tests.dataplane.lab import Endpoint

_BLOCK = bytes(65536)
_ETH_P_ALL = 3


def bytes_a_second(sender: Endpoint, receiver: Endpoint, address: str, seconds: float = 1.0) -> float:
    """The rate of one TCP connection, measured at the receiver after what fits into a bucket at once has passed."""
    with receiver.serves(5001) as listener:
        client = sender.connect(address, 5001)
        assert client is not None
        server, _ = listener.accept()
        done = threading.Event()

        def send() -> None:
            client.settimeout(0.2)
            while not done.is_set():
                try:
                    client.send(_BLOCK)
                except OSError:
                    continue

        worker = threading.Thread(target=send)
        worker.start()
        try:
            with client, server:
                return _count(server, seconds)
        finally:
            done.set()
            worker.join()


def _count(server: socket.socket, seconds: float) -> float:
    server.settimeout(2)
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        server.recv(1 << 20)
    begin, total = time.monotonic(), 0
    while time.monotonic() < begin + seconds:
        total += len(server.recv(1 << 20))
    return total / (time.monotonic() - begin)


def packets_received(sender: Endpoint, receiver: Endpoint, address: str, count: int) -> int:
    """How many of `count` datagrams, sent as fast as they go, arrive."""
    with receiver.new_socket(socket.SOCK_DGRAM) as ear, sender.new_socket(socket.SOCK_DGRAM) as mouth:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        ear.bind(("", 5002))
        for _ in range(count):
            mouth.sendto(b"x", (address, 5002))
        ear.settimeout(0.5)
        found = 0
        while True:
            try:
                ear.recv(100)
            except TimeoutError:
                return found
            found += 1


def traffic_class(sender: Endpoint, receiver: Endpoint, address: str) -> int:
    """The DSCP mark of a datagram as it arrives."""
    six = ":" in address
    family = socket.AF_INET6 if six else socket.AF_INET
    with receiver.new_socket(socket.SOCK_DGRAM, family) as ear, sender.new_socket(socket.SOCK_DGRAM, family) as mouth:
        if six:
            ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        else:
            ear.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        ear.bind(("", 5003))
        ear.settimeout(2)
        mouth.sendto(b"x", (address, 5003))
        _, ancillary, _, _ = ear.recvmsg(100, 100)
        return int(ancillary[0][2][0]) >> 2


class Wire:
    """A raw socket on a namespace's device: sends any frame, and says what frames arrive."""

    def __init__(self, end: Endpoint, device: str = "eth0") -> None:
        def opened() -> socket.socket:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            made.bind((device, _ETH_P_ALL))
            return made

        found = end.within(opened)
        assert isinstance(found, socket.socket)
        self.socket = found

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exception: object) -> None:
        self.socket.close()

    def send(self, frame: bytes) -> None:
        self.socket.send(frame)

    def hears(self, marker: bytes, wait: float = 0.4) -> bool:
        """Whether a frame with these bytes in it arrives."""
        deadline = time.monotonic() + wait
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                if marker in self.socket.recv(65536):
                    return True
            except TimeoutError:
                break
        return False


def packed(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(source: str, target: str, kind: int, payload: bytes) -> bytes:
    return packed(target) + packed(source) + struct.pack("!H", kind) + payload


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source: str, target: str, protocol: int, payload: bytes, *, offset: int = 0, more: bool = False) -> bytes:
    fragment = (offset // 8) | (0x2000 if more else 0)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, fragment, 64, protocol, 0)
    head += socket.inet_aton(source) + socket.inet_aton(target)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(source: int, target: int, payload: bytes) -> bytes:
    """A datagram without a checksum, which IPv4 allows."""
    return struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload


def ipv6(source: str, target: str, next_header: int, payload: bytes, *, hops: int = 255) -> bytes:
    addresses = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
    return struct.pack("!IHBB", 6 << 28, len(payload), next_header, hops) + addresses + payload


def icmpv6(source: str, target: str, kind: int, body: bytes) -> bytes:
    addresses = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
    message = struct.pack("!BBH", kind, 0, 0) + body
    digest = checksum(addresses + struct.pack("!IBBBB", len(message), 0, 0, 0, 58) + message)
    return message[:2] + struct.pack("!H", digest) + message[4:]
