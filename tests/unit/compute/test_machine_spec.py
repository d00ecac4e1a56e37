"""A server's row as what its host's driver is told."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest

from stackyard.host.errors import SpecError
from stackyard.host.specs import MachineImage, MachineNic, MachineRescue
from stackyard.services.compute.reconcile.spec import Surroundings, hardware, machine_spec

FLAVOR = {"ram": 512, "vcpus": 2, "disk": 3, "ephemeral": 4, "swap": 64, "extra_specs": {"hw:cpu_sockets": 2, "x": "y"}}


def server(**columns: Any) -> Any:
    """A row."""
    row = {
        "id": "s", "sequence": 255, "kind": "machine", "image_id": "i", "hostname": "one", "flavor": FLAVOR,
        "image": {"disk_format": "qcow2", "container_format": "bare", "size": 9, "properties": {"hw_disk_bus": "scsi"}},
        "interfaces": [{"port": "p", "network": "n", "mac": "fa:16:3e:00:00:01"}], "metadata": {"a": "b"},
        "personality": [{"path": "/etc/motd", "contents": base64.b64encode(b"hello").decode()}],
        "user_data": base64.b64encode(b"#!/bin/sh").decode(), "rescue": None, "system_metadata": {},
    }  # fmt: skip
    return SimpleNamespace(**(row | columns))


def test_a_machine() -> None:
    """Flavor, image, cards; what a machine asks metadata for is not told to its host."""
    found = machine_spec(server(), Surroundings(mtus={"n": 1450}))
    assert (found.name, found.memory, found.vcpus, found.root_disk, found.ephemeral, found.swap) == (
        "instance-000000ff", 512, 2, 3, (4,), 64,
    )  # fmt: skip
    assert found.image == MachineImage("i", "qcow2", "bare", 9)
    assert found.nics == (MachineNic("p", "fa:16:3e:00:00:01", 1450, "eth0"),)
    assert found.properties == {"hw_disk_bus": "scsi", "hw_cpu_sockets": "2"}
    assert (found.environment, found.files, found.user_data, found.command) == ({}, {}, b"", None)


def test_a_container() -> None:
    """Metadata is its environment; files, user data, names and its command are told."""
    image = {"container_format": "docker", "properties": {"os_command_line": "sh -c 'echo a b'"}}
    around = Surroundings(addresses=("fd00::1", "10.0.0.5"), dns_servers=("10.0.0.2",), dns_search=("lab",))
    found = machine_spec(server(kind="container", image=image), around)
    assert found.command == ("sh", "-c", "echo a b")
    assert found.environment == {"a": "b"}
    assert found.files == {"/etc/motd": b"hello"}
    assert found.user_data == b"#!/bin/sh"
    assert (found.dns_servers, found.dns_search, found.hosts) == (("10.0.0.2",), ("lab",), {"one": "10.0.0.5"})
    assert found.kernel_command_line == ""


def test_the_command_line_of_a_machine_is_its_kernel_s() -> None:
    """With kernel and ramdisk as images of their own."""
    image = {"kernel_id": "k", "ramdisk_id": "r", "properties": {"os_command_line": "console=ttyS0"}}
    found = machine_spec(server(image=image), Surroundings())
    assert found.kernel_command_line == "console=ttyS0"
    assert found.image is not None
    assert (found.image.kernel, found.image.ramdisk) == ("k", "r")


def test_a_command_that_is_none() -> None:
    """Unbalanced quotes: never possible, with the reason."""
    image = {"properties": {"os_command_line": "sh -c 'oops"}}
    with pytest.raises(SpecError, match="os_command_line"):
        machine_spec(server(kind="container", image=image), Surroundings())


def test_disks_that_were_asked_for_replace_the_flavor_s() -> None:
    """Blank local disks are ephemeral ones, or swap."""
    disks = [
        SimpleNamespace(volume_size=2, guest_format=None),
        SimpleNamespace(volume_size=1, guest_format="swap"),
    ]
    flavor = FLAVOR | {"swap": 0}
    found = machine_spec(server(flavor=flavor), Surroundings(disks=disks))
    assert (found.ephemeral, found.swap) == ((2,), 1024)


def test_no_image_when_it_boots_from_a_volume() -> None:
    """Its root disk is not its host's."""
    assert machine_spec(server(), Surroundings(boots_from_volume=True)).image is None
    assert machine_spec(server(image_id=None), Surroundings()).image is None


def test_a_rescued_server() -> None:
    """Another image beside its own."""
    rescue = {"image_id": "j", "image": {"disk_format": "raw", "container_format": "bare"}, "stable": True}
    found = machine_spec(server(rescue=rescue), Surroundings())
    assert found.rescue == MachineRescue(MachineImage("j", "raw", "bare"), stable=True)
    assert found.image is not None
    assert found.image.id == "i"


def test_the_flavor_goes_before_the_image() -> None:
    """Only what concerns hardware, and as text."""
    found = hardware(
        {"hw_cpu_sockets": 1, "os_type": "linux", "architecture": "x"}, {"hw:cpu_sockets": 4, "quota:x": 1}
    )
    assert found == {"hw_cpu_sockets": "4", "os_type": "linux", "quota_x": "1"}
