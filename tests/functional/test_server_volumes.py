"""Servers and their volumes by the client's commands: real machines and containers, real files, data that stays."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import machine_guest
from tests.functional.real_cloud import RealCloud

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(300)]

WRITTEN = b"W" * 512


@pytest.fixture(scope="module")
def image(real_cloud: RealCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The id of the image of a machine that is up at once, and writes on its disk when told to."""
    path = tmp_path_factory.mktemp("images") / "tiny.raw"
    path.write_bytes(machine_guest.boot_disk())
    made = real_cloud.look("image", "create", "bootable", "--file", str(path), "--disk-format", "raw")["id"]
    yield made
    real_cloud.openstack("image", "delete", made)


def reaches(cloud: RealCloud, what: str, name: str, status: str) -> None:
    """Wait for the status of a server, volume or image."""
    until = time.monotonic() + 90
    while True:
        shown = cloud.look(what, "show", name)
        if shown["status"] == status:
            return
        assert shown["status"].lower() not in ("error", "error_deleting"), shown
        assert time.monotonic() < until, f"{name} is {shown['status']}, not {status}"


def gone(cloud: RealCloud, what: str, name: str) -> None:
    """Wait until there is no such thing any more."""
    until = time.monotonic() + 60
    while cloud.client(what, "show", name).status == 0:
        assert time.monotonic() < until, f"{what} {name} is not gone"


def volume(cloud: RealCloud, *words: str) -> str:
    """A new volume of 1 GiB; its id."""
    made: str = cloud.look("volume", "create", "--size", "1", *words)["id"]
    reaches(cloud, "volume", made, "available")
    return made


def delete(cloud: RealCloud, server: str) -> None:
    cloud.openstack("server", "delete", server)
    gone(cloud, "server", server)


def serial(cloud: RealCloud, server: str, said: bytes, answer: bytes) -> None:
    """Tell the system in a machine something, and wait for what it answers."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(str(cloud.state_dir / "machines" / server / "serial.sock"))
        line.sendall(said)
        heard = b""
        while answer not in heard:
            heard += line.recv(100)


def up(cloud: RealCloud, server: str) -> None:
    until = time.monotonic() + 60
    while machine_guest.GREETING not in cloud.openstack("console", "log", "show", server):
        assert time.monotonic() < until, "the system inside does not come up"


def content(cloud: RealCloud, volume_id: str) -> bytes:
    """What is on a volume, as its file has it."""
    (path,) = (path for path in cloud.state_dir.rglob(f"*{volume_id}*") if path.is_file())
    with Path(path).open("rb") as file:
        return file.read(1024)


def test_a_machine_gets_a_volume_and_gives_it_back(real_cloud: RealCloud, image: str) -> None:
    data = volume(real_cloud, "data")
    words = ("--image", image, "--flavor", "m1.nano", "--nic", "none")
    server = real_cloud.look("server", "create", "plain", *words)["id"]
    try:
        reaches(real_cloud, "server", server, "ACTIVE")
        up(real_cloud, server)
        real_cloud.openstack("server", "add", "volume", server, data)
        reaches(real_cloud, "volume", data, "in-use")
        (shown,) = json.loads(real_cloud.openstack("server", "volume", "list", server, "-f", "json"))
        assert (shown["Volume ID"], shown["Device"]) == (data, "/dev/vdb")
        real_cloud.openstack("volume", "set", "--size", "2", data)
        reaches(real_cloud, "volume", data, "in-use")
        assert real_cloud.look("volume", "show", data)["size"] == 2
        real_cloud.openstack("server", "remove", "volume", server, data)
        reaches(real_cloud, "volume", data, "available")
    finally:
        delete(real_cloud, server)
    real_cloud.openstack("volume", "delete", data)
    gone(real_cloud, "volume", data)


def test_a_machine_boots_from_a_volume_that_outlives_it(real_cloud: RealCloud, image: str) -> None:
    root = volume(real_cloud, "--image", image, "--bootable", "root")
    words = ("--volume", root, "--flavor", "m1.nano", "--nic", "none")
    for number in range(2):
        server = real_cloud.look("server", "create", f"booted-{number}", *words)["id"]
        try:
            reaches(real_cloud, "server", server, "ACTIVE")
            up(real_cloud, server)
            assert real_cloud.look("volume", "show", root)["status"] == "in-use"
            assert (content(real_cloud, root)[512:1024] == WRITTEN) == (number == 1)
            serial(real_cloud, server, b"w", b"!")
        finally:
            delete(real_cloud, server)
        reaches(real_cloud, "volume", root, "available")
        assert content(real_cloud, root)[512:1024] == WRITTEN
    real_cloud.openstack("volume", "delete", root)
    gone(real_cloud, "volume", root)


def test_a_machine_with_a_volume_of_its_own_making_becomes_an_image(real_cloud: RealCloud, image: str) -> None:
    words = ("--image", image, "--boot-from-volume", "1", "--flavor", "m1.nano", "--nic", "none")
    server = real_cloud.look("server", "create", "made", *words)["id"]
    copy = ""
    try:
        reaches(real_cloud, "server", server, "ACTIVE")
        up(real_cloud, server)
        serial(real_cloud, server, b"w", b"!")
        real_cloud.openstack("server", "image", "create", server, "--name", "kept")
        reaches(real_cloud, "image", "kept", "active")
        copy = real_cloud.look("server", "create", "copy", "--image", "kept", *words[4:])["id"]
        reaches(real_cloud, "server", copy, "ACTIVE")
        (attached,) = real_cloud.look("server", "show", copy)["volumes_attached"]
        assert content(real_cloud, attached["id"])[512:1024] == WRITTEN
    finally:
        for one in filter(None, (server, copy)):
            delete(real_cloud, one)
    real_cloud.openstack("image", "delete", "kept")
    for one in json.loads(real_cloud.openstack("volume", "list", "-f", "json")):
        real_cloud.openstack("volume", "delete", "--purge", one["ID"])
        gone(real_cloud, "volume", one["ID"])


def test_a_container_has_a_volume_that_the_next_one_finds(real_cloud: RealCloud) -> None:
    data = volume(real_cloud, "shelf")
    command = ("image", "set", "busybox", "--property", "os_command_line=sleep 3600")
    real_cloud.openstack(*command, cloud="stackyard-admin")
    words = ("--image", "busybox", "--flavor", "m1.tiny", "--network", "private")
    mapped = f"uuid={data},source_type=volume,destination_type=volume,device_name=/data"
    first = real_cloud.look("server", "create", "first", *words, "--block-device", mapped)["id"]
    try:
        reaches(real_cloud, "server", first, "ACTIVE")
        real_cloud.docker("exec", f"nova-{first}", "sh", "-c", "echo kept > /data/told")
    finally:
        delete(real_cloud, first)
    reaches(real_cloud, "volume", data, "available")
    second = real_cloud.look("server", "create", "second", *words)["id"]
    try:
        reaches(real_cloud, "server", second, "ACTIVE")
        real_cloud.openstack("server", "add", "volume", second, data, "--device", "/srv/data")
        reaches(real_cloud, "volume", data, "in-use")
        assert real_cloud.docker("exec", f"nova-{second}", "cat", "/srv/data/told").strip() == "kept"
        real_cloud.openstack("server", "reboot", "--hard", second)
        reaches(real_cloud, "server", second, "ACTIVE")
        assert real_cloud.docker("exec", f"nova-{second}", "cat", "/srv/data/told").strip() == "kept"
        real_cloud.openstack("server", "remove", "volume", second, data)
        reaches(real_cloud, "volume", data, "available")
    finally:
        delete(real_cloud, second)
    real_cloud.openstack("volume", "delete", data)
    gone(real_cloud, "volume", data)
