"""The baked guest as a machine and as a system container: it boots, learns who it is, answers SSH and consoles."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.functional.real_cloud import BAKED, RealCloud

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(900)]

SCRIPT = "#!/bin/sh\necho the script of $(hostname) ran\n"
BOOT_SECONDS = 240.0
"""A machine under software emulation, beside other tests, takes its time."""


def until(condition: Callable[[], str], seconds: float = BOOT_SECONDS) -> str:
    """What the condition says, when it says something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.25)  # polls the condition above
    return found


@pytest.fixture(scope="module")
def guests(own_cloud: RealCloud) -> RealCloud:
    """A cloud with the guest's images, whose demo lets SSH in."""
    own_cloud.succeed("bake", "--cache-dir", str(BAKED), "guest")
    own_cloud.openstack("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "default")
    return own_cloud


@pytest.fixture
def key(guests: RealCloud, tmp_path: Path) -> Iterator[Path]:
    """A private key; the cloud knows the public one."""
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    guests.openstack("keypair", "create", "--public-key", f"{path}.pub", "guest-key")
    yield path
    guests.openstack("keypair", "delete", "guest-key")


def ssh(key: Path, address: str, command: str, user: str = "cirros") -> str:
    """What a command says in a guest; nothing while it cannot be reached."""
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=5", "BatchMode=yes")
    words = ["ssh", "-q", "-i", str(key), *(f"-o{option}" for option in options), f"{user}@{address}", command]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL).stdout


@pytest.mark.parametrize(
    ("image", "options"),
    [("stackyard-guest", ()), ("stackyard-guest", ("--config-drive", "True")), ("stackyard-guest-rootfs", ())],
    ids=["machine", "machine with a config drive", "system container"],
)
def test_a_guest_learns_who_it_is_and_is_reached(
    guests: RealCloud, key: Path, tmp_path: Path, image: str, options: tuple[str, ...]
) -> None:
    user_data = tmp_path / "user-data"
    user_data.write_text(SCRIPT)
    network = guests.look("network", "show", "private")["id"]
    address = json.loads(guests.openstack("floating", "ip", "create", "public", "-f", "json"))["floating_ip_address"]
    create = ("--image", image, "--flavor", "m1.tiny", "--key-name", "guest-key", "--nic", f"net-id={network}")
    create += ("--password", "of the start")
    guests.openstack("server", "create", "--wait", *create, "--user-data", str(user_data), *options, "web-1")
    try:
        guests.openstack("server", "add", "floating", "ip", "web-1", address)
        until(
            lambda: "ran" if "the script of web-1 ran" in guests.client("console", "log", "show", "web-1").out else ""
        )
        said = until(lambda: ssh(key, address, "hostname; curl http://169.254.169.254/latest/meta-data/public-ipv4"))
        assert said.split() == ["web-1", address]
        assert ssh(key, address, "sudo id -u").strip() == "0"
        told = "config drive" if options else "metadata service"
        assert f"told by the {told}" in guests.client("console", "log", "show", "web-1").out
        if image == "stackyard-guest":
            assert int(ssh(key, address, "df -m / | awk 'END { print $2 }'")) > 900  # all of the flavor's GiB
            consoles(guests)
        if options:
            passwords(guests, key, address)
    finally:
        guests.openstack("server", "delete", "--wait", "web-1")
        guests.openstack("floating", "ip", "delete", address)


def passwords(cloud: RealCloud, key: Path, address: str) -> None:
    """The config drive tells the first one, who listens inside sets another, and a rescued system has its own."""

    def has(password: str) -> bool:
        stored = ssh(key, address, "sudo sed -n 's/^cirros:\\([^:]*\\):.*/\\1/p' /etc/shadow").strip()
        salt = stored.split("$")[2] if stored.count("$") > 2 else ""
        return bool(salt) and ssh(key, address, f"mkpasswd -m sha512 -S {salt} '{password}'").strip() == stored

    assert has("of the start")
    cloud.openstack("server", "set", "--password", "of later", "web-1")
    assert has("of later")
    cloud.openstack("server", "rescue", "--password", "of the rescue", "web-1")
    until(lambda: "rescued" if cloud.look("server", "show", "web-1")["status"] == "RESCUE" else "")
    until(lambda: "told" if has("of the rescue") else "")
    cloud.openstack("server", "unrescue", "web-1")
    until(lambda: "back" if cloud.look("server", "show", "web-1")["status"] == "ACTIVE" else "")
    until(lambda: "as before" if has("of later") else "")


def test_a_system_for_system_containers_boots(guests: RealCloud, key: Path) -> None:
    """Debian with an init of its own, which cloud-init tells who it is; it is baked once for all tests."""
    guests.succeed("bake", "--cache-dir", str(BAKED), "system", timeout=850)
    address = json.loads(guests.openstack("floating", "ip", "create", "public", "-f", "json"))["floating_ip_address"]
    network = guests.look("network", "show", "private")["id"]
    create = ("--image", "debian-system", "--flavor", "m1.small", "--key-name", "guest-key", "--nic")
    guests.openstack("server", "create", "--wait", *create, f"net-id={network}", "system-1")
    try:
        guests.openstack("server", "add", "floating", "ip", "system-1", address)
        said = until(lambda: ssh(key, address, "hostname; sudo id -u; cat /proc/1/comm", user="debian"))
        assert said.split() == ["system-1", "0", "init"]
    finally:
        guests.openstack("server", "delete", "--wait", "system-1")
        guests.openstack("floating", "ip", "delete", address)


def consoles(cloud: RealCloud) -> None:
    """The machine's screen and serial line answer at the addresses that the cloud gives."""
    url = cloud.look("console", "url", "show", "--novnc", "web-1")["url"]
    assert frames(url, b"", 12) == b"RFB 003.008\n"
    assert frames(url.replace("token%3D", "token%3Dx"), b"", 1) == b""
    serial = cloud.look("console", "url", "show", "--serial", "web-1")["url"]
    assert frames(serial, b"\r", 2)
    log = (cloud.state_dir / "log" / "stackyard.log").read_text()
    assert parse_qs(urlsplit(url).query)["path"][0].partition("token=")[2] not in log


def frames(url: str, send: bytes, count: int) -> bytes:
    """What a console's websocket sends first, `count` bytes of it at least; nothing when it is refused."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=20) as channel:
        lines = (
            f"GET /{parse_qs(parts.query)['path'][0]} HTTP/1.1", f"Host: {parts.netloc}", "Upgrade: websocket",
            "Connection: Upgrade", "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: binary", "", "",
        )  # fmt: skip
        channel.sendall("\r\n".join(lines).encode())
        stream = channel.makefile("rb")
        accepted = stream.readline().startswith(b"HTTP/1.1 101")
        while stream.readline() not in (b"\r\n", b""):
            pass
        if not accepted:
            return b""
        if send:
            # a binary frame, masked with zeros
            channel.sendall(bytes((0x82, 0x80 | len(send))) + b"\0" * 4 + send)
        found = b""
        while len(found) < count and len(head := stream.read(2)) == 2 and head[1] < 126:
            found += stream.read(head[1])
        return found
