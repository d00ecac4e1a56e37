"""Choices of hardware, places on buses, and what this host is said to have."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackyard.host.errors import SpecError
from stackyard.host.machines import capacity
from stackyard.host.machines.features import machine_features
from stackyard.host.machines.qemu import emulator
from stackyard.host.machines.qemu.config_drive import write_config_drive
from stackyard.host.machines.qemu.hardware import Hardware, Slots


def test_without_properties_everything_is_virtio() -> None:
    found = Hardware.of({})
    assert (found.machine_type, found.disk_bus, found.cdrom_bus, found.card) == ("pc", "virtio", "virtio", "virtio")


def test_an_unknown_value_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="hw_vif_model='fast' is none of virtio, e1000"):
        Hardware.of({"hw_vif_model": "fast"})


def test_properties_that_concern_no_machine_are_left_alone() -> None:
    assert Hardware.of({"hw_mem_encryption": "False", "hw_firmware_type": "bios", "os_type": "linux"})


def test_a_place_is_kept_and_given_back() -> None:
    slots = Slots({})
    first, second = slots.take("pci", "a"), slots.take("pci", "b")
    assert first != second
    assert slots.take("pci", "a") == first
    assert slots.take("ide", "a") == 0
    slots.give_back("a")
    assert slots.take("pci", "c") == first
    assert Slots(slots.taken).take("pci", "b") == second


def test_a_full_bus_is_told() -> None:
    slots = Slots({})
    for number in range(4):
        slots.take("ide", str(number))
    with pytest.raises(SpecError, match="ide"):
        slots.take("ide", "one more")


@pytest.mark.parametrize("name", ["../x", "a/../../b", "", "/"])
def test_a_config_drive_has_no_file_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError):
        write_config_drive(tmp_path / "drive.iso", {name: b"x"}, 0)


@pytest.mark.root
def test_a_config_drive_is_labelled_and_holds_its_files(tmp_path: Path) -> None:
    from pycdlib.pycdlib import PyCdlib

    files = {"openstack/latest/meta_data.json": b"{}", "openstack/content/0000": b"\0" * 5000}
    write_config_drive(tmp_path / "drive.iso", files, 0)
    assert (tmp_path / "drive.iso").read_bytes()[32808:32816] == b"config-2"
    disc = PyCdlib()
    disc.open(str(tmp_path / "drive.iso"))
    try:
        for name, content in files.items():
            for view in ("rr_path", "joliet_path"):
                read = tmp_path / "read"
                disc.get_file_from_iso(str(read), **{view: f"/{name}"})
                assert read.read_bytes() == content
    finally:
        disc.close()


def test_the_host_s_capacity_is_whole(tmp_path: Path) -> None:
    found = capacity.host_capacity(tmp_path)
    assert 0 < found.memory_free <= found.memory
    assert found.vcpus >= 1
    assert found.cpu_model
    assert set(found.kinds) | set(found.missing) == set(capacity.KINDS)
    assert "load average" in found.uptime
    qemu = emulator.find()
    assert found.version == (0 if isinstance(qemu, str) else qemu.number)


def test_what_is_known_of_the_emulator_is_not_asked_again(tmp_path: Path) -> None:
    notes = tmp_path / "new" / "notes"
    asked = emulator.find(notes)
    if isinstance(asked, str):
        assert not notes.exists()
        return
    assert asked.version == emulator.find().version
    text = notes.read_text()
    emulator._version.cache_clear()
    (tmp_path / "other").write_text(text.rpartition(" ")[0] + " 99.8.7")
    other = emulator.find(tmp_path / "other")
    assert isinstance(other, emulator.Emulator)
    assert other.version == (99, 8, 7)
    (tmp_path / "stale").write_text("/usr/bin/other 1 version 1.2.3")
    stale = emulator.find(tmp_path / "stale")
    assert isinstance(stale, emulator.Emulator)
    assert stale.version == asked.version


def test_every_feature_that_is_missing_has_a_remedy() -> None:
    rows = machine_features()
    assert {"QEMU", "KVM", "tap devices"} <= {row.name for row in rows}
    assert all(row.detail and (row.ok or row.remedy) for row in rows)
