"""What machines may be given by images and flavors, as QEMU and the kernel are told: pure, and safe from any value."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.host.errors import SpecError
from stackyard.host.machines.qemu import cgroups, devices, throttle
from stackyard.host.machines.qemu.command import basics
from stackyard.host.machines.qemu.hardware import Hardware, Slots
from stackyard.host.machines.qemu.home import Home
from stackyard.host.machines.qemu.topology import topology
from stackyard.host.specs import MachineNic, MachineSpec
from stackyard.services.compute.reconcile.spec import hardware

ID = "0b4e7a52-7a6e-4c9d-9d0c-2f1f0a7f6f11"
CHOICES = {
    "hw_disk_bus": "scsi", "hw_cdrom_bus": "sata", "hw_vif_model": "e1000", "hw_scsi_model": "lsilogic",
    "hw_video_model": "cirrus", "hw_rng_model": "virtio", "hw_pointer_model": "usbtablet", "hw_input_bus": "virtio",
    "hw_watchdog_action": "reset", "hw_machine_type": "q35", "hw_firmware_type": "uefi", "hw_time_hpet": "true",
    "hw_boot_menu": "yes", "hw_video_ram": "64", "hw_video_ram_max_mb": "64", "hw_cpu_sockets": "2",
    "hw_cpu_max_cores": "4", "hw_rng_rate_bytes": "1024", "img_hide_hypervisor_id": "true",
    "hw_qemu_guest_agent": "yes", "quota_cpu_quota": "5000", "quota_disk_read_iops_sec": "100",
}  # fmt: skip
HOSTILE = st.text(max_size=40) | st.sampled_from(
    ["pc,accel=kvm", "virtio,readonly=off", "-drive", "e1000,romfile=/etc/shadow", "q35\n", "\0", "on,x=y", "٣", "1e3"]
)
WORDS = re.compile(r"[A-Za-z0-9 .,=:/_-]+|\{[A-Za-z0-9 .,:/_\"{}-]+\}")


def machine(vcpus: int = 4, memory: int = 64, **properties: str) -> MachineSpec:
    return MachineSpec(id=ID, name="one", kind="machine", image=None, memory=memory, vcpus=vcpus, properties=properties)


@given(st.dictionaries(st.sampled_from(sorted(CHOICES)), HOSTILE | st.sampled_from(sorted(set(CHOICES.values())))))
def test_no_property_puts_in_a_word_of_its_own(properties: dict[str, str]) -> None:
    spec = machine(**properties)
    try:
        chosen = Hardware.of(properties)
        words = basics(spec, chosen, "kvm", chosen.machine_type)
        cgroups.limits(spec)
        throttle.limits(spec)
    except SpecError:
        return
    assert sum(word.startswith("-") for word in words) == sum(
        word.startswith("-") for word in basics(machine(), Hardware.of({"hw_machine_type": chosen.machine_type}), "tcg",
                                                chosen.machine_type)
    )  # fmt: skip
    slots = Slots({})
    made = [*devices.controllers([], chosen, slots), *devices.others(chosen, slots)]
    made.append(devices.card(MachineNic(port_id="p", mac="fa:16:3e:00:00:01"), chosen, slots))
    for word in (*words, *(str(value) for device in made for value in device.values())):
        assert not word or WORDS.fullmatch(word)
    for value in properties.values():
        if len(value) > 3 and value not in CHOICES.values() and "pc-" not in value:
            assert value not in words


@pytest.mark.parametrize(
    ("vcpus", "wanted", "expected"),
    [
        (4, {}, (4, 1, 1)),
        (4, {"sockets": 2}, (2, 2, 1)),
        (4, {"cores": 4}, (1, 4, 1)),
        (4, {"threads": 2}, (2, 1, 2)),
        (8, {"sockets": 2, "threads": 2}, (2, 2, 2)),
        (4, {"sockets": 3}, (4, 1, 1)),
        (4, {"max_sockets": 2}, (2, 2, 1)),
        (4, {"max_sockets": 1}, (1, 4, 1)),
        (8, {"max_sockets": 2, "max_cores": 2}, (2, 2, 2)),
        (6, {"max_sockets": 4}, (3, 2, 1)),
        (1, {"cores": 4}, (1, 1, 1)),
    ],
)
def test_processors_are_spread_as_asked(vcpus: int, wanted: dict[str, int], expected: tuple[int, int, int]) -> None:
    properties = {f"hw_cpu_{name}": str(number) for name, number in wanted.items()}
    assert topology(vcpus, properties) == expected
    sockets, cores, threads = expected
    words = basics(machine(vcpus, **properties), Hardware.of({}), "tcg", "pc")
    assert words[words.index("-smp") + 1] == f"{vcpus},sockets={sockets},cores={cores},threads={threads}"


@pytest.mark.parametrize(
    "wanted",
    [{"max_sockets": "1", "max_cores": "1", "max_threads": "2"}, {"sockets": "4", "max_sockets": "2"},
     {"cores": "0"}, {"cores": "-1"}, {"threads": "two"}],
)  # fmt: skip
def test_processors_that_cannot_be_spread(wanted: dict[str, str]) -> None:
    with pytest.raises(SpecError, match=r"hw_cpu_|CPUs"):
        topology(4, {f"hw_cpu_{name}": value for name, value in wanted.items()})


def test_a_flavor_s_word_goes_before_an_image_s() -> None:
    image = {
        "hw_cpu_sockets": "4",
        "hw_cpu_cores": "1",
        "hw_cpu_max_cores": "8",
        "quota_cpu_quota": "1",
        "os_type": "x",
    }
    found = hardware(
        image, {"hw:cpu_cores": "2", "quota:cpu_shares": "64", "hw_video:ram_max_mb": "16", "other:x": "1"}
    )
    assert found == {
        "hw_cpu_cores": "2", "hw_cpu_max_cores": "8", "os_type": "x", "quota_cpu_shares": "64",
        "hw_video_ram_max_mb": "16",
    }  # fmt: skip


def test_other_choices_of_hardware() -> None:
    words = basics(machine(), Hardware.of({"hw_time_hpet": "true", "hw_boot_menu": "True"}), "tcg", "pc")
    assert words[words.index("-machine") + 1] == "pc,dump-guest-core=off,vmport=off,hpet=on"
    assert words[words.index("-boot") + 1] == "strict=on,menu=on"
    words = basics(machine(), Hardware.of({"img_hide_hypervisor_id": "yes", "hw_firmware_type": "uefi"}), "kvm", "q35")
    assert words[words.index("-cpu") + 1] == "host,kvm=off"
    assert words[words.index("-machine") + 1].endswith(",hpet=off,pflash0=firmware-code,pflash1=firmware")
    made = devices.others(Hardware.of({"hw_input_bus": "virtio", "hw_rng_rate_bytes": "512"}), Slots({}))
    drivers = {device["driver"]: device for device in made}
    assert "virtio-tablet-pci" in drivers
    assert (drivers["virtio-rng-pci"]["max-bytes"], drivers["virtio-rng-pci"]["period"]) == (512, 1000)
    assert not any(
        "rng" in device["driver"] for device in devices.others(Hardware.of({"hw_rng_allowed": "no"}), Slots({}))
    )
    screen = devices.others(Hardware.of({"hw_video_ram": "32", "hw_video_ram_max_mb": "64"}), Slots({}))[0]
    assert (screen["driver"], screen["vgamem_mb"]) == ("VGA", 32)


@pytest.mark.parametrize(
    "properties",
    [{"hw_video_ram": "32"}, {"hw_video_ram": "32", "hw_video_ram_max_mb": "16"}, {"hw_time_hpet": "maybe"},
     {"hw_video_ram": "33", "hw_video_ram_max_mb": "64"}, {"hw_input_bus": "ps2"}, {"hw_firmware_type": "coreboot"},
     {"hw_video_ram": "32", "hw_video_ram_max_mb": "64", "hw_video_model": "virtio"}],
)  # fmt: skip
def test_other_choices_that_cannot_be(properties: dict[str, str]) -> None:
    with pytest.raises(SpecError, match=r"hw_|screen"):
        Hardware.of(properties)


def test_disks_are_limited_by_the_flavor() -> None:
    wanted = {"quota_disk_read_bytes_sec": "1000", "quota_disk_total_iops_sec": "50", "quota_disk_write_iops_sec": "0"}
    assert throttle.limits(machine(**wanted)) == {"bps_rd": 1000, "iops": 50}
    for hostile in ("-1", "x", "1" * 20, ""):
        with pytest.raises(SpecError, match="quota:disk"):
            throttle.limits(machine(quota_disk_read_bytes_sec=hostile))
    with pytest.raises(SpecError, match="together"):
        throttle.limits(machine(quota_disk_total_iops_sec="5", quota_disk_read_iops_sec="5"))


# ---------------------------------------------------------------------------------------------------- control groups


def test_limits_of_a_machine() -> None:
    own = cgroups.limits(machine(vcpus=2, memory=1024))
    assert (own.shares, own.quota, own.period) == (2048, 300_000, 100_000)
    assert own.memory > 1024 << 20
    asked = cgroups.limits(machine(vcpus=2, quota_cpu_quota="25000", quota_cpu_period="50000", quota_cpu_shares="64"))
    assert (asked.shares, asked.quota, asked.period) == (64, 50_000, 50_000)
    assert cgroups.limits(machine(vcpus=2, quota_cpu_quota="-1")).quota == 300_000
    for name, value in (("period", "10"), ("period", "2000000"), ("quota", "5"), ("shares", "many")):
        with pytest.raises(SpecError, match=f"quota:cpu_{name}"):
            cgroups.limits(machine(**{f"quota_cpu_{name}": value}))


def test_control_groups_of_version_2_are_found_and_written(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    root.mkdir()
    (root / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (root / "cgroup.subtree_control").write_text("memory pids\n")
    (tmp_path / "mounts").write_text(f"proc /proc proc rw 0 0\ncgroup2 {root} cgroup2 rw,nosuid 0 0\n")
    found = cgroups.find(tmp_path / "mounts")
    assert found == cgroups.Cgroups(2, (root,))
    home = Home(tmp_path / "machines", ID)
    parent = root / "stackyard.machines"
    parent.mkdir()
    (parent / "cgroup.subtree_control").write_text("")
    group = parent / cgroups.name_of(home)
    group.mkdir()
    for name in ("cpu.max", "cpu.weight", "memory.max", "pids.max"):
        (group / name).write_text("")
    found.confine(home, machine(vcpus=2), 4711)
    assert (group / "cpu.max").read_text() == "300000 100000"
    assert (group / "cpu.weight").read_text() == "79"
    assert (group / "cgroup.procs").read_text() == "4711"
    assert (root / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (parent / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_control_groups_of_version_1_are_found(tmp_path: Path) -> None:
    for name in ("cpu,cpuacct", "memory", "pids", "unified"):
        (tmp_path / name).mkdir()
    (tmp_path / "mounts").write_text(
        f"cgroup2 {tmp_path}/unified cgroup2 rw 0 0\n"
        f"cgroup {tmp_path}/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n"
        f"cgroup {tmp_path}/memory cgroup rw,memory 0 0\ncgroup {tmp_path}/pids cgroup rw,pids 0 0\n"
    )
    found = cgroups.find(tmp_path / "mounts")
    assert found == cgroups.Cgroups(1, tuple(tmp_path / name for name in ("cpu,cpuacct", "memory", "pids")))


def test_without_control_groups_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text("proc /proc proc rw 0 0\n")
    assert cgroups.find(tmp_path / "mounts") is None
    (tmp_path / "mounts").write_text(f"cgroup {tmp_path}/gone cgroup rw,memory 0 0\n")
    assert cgroups.find(tmp_path / "mounts") is None
