"""What machines may take of their host, and firmware other than BIOS: with real processes and control groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.dataplane.lab import new_id
from tests.engine_fixture import wait_until
from tests.machine_bench import QemuBench, defined, observed, started

from stackyard.host.errors import SpecError
from stackyard.host.machines.qemu import cgroups, firmware
from stackyard.host.machines.qemu.home import Home
from stackyard.host.machines.qemu.monitor import Monitor

pytestmark = pytest.mark.root


@pytest.fixture
def bench() -> Iterator[QemuBench]:
    made = QemuBench()
    try:
        yield made
    finally:
        made.close()


def groups(bench: QemuBench, machine: str) -> list[Path]:
    """The directories of its control group, one for each hierarchy."""
    found = cgroups.find()
    assert found is not None, "this host lets nobody make control groups"
    name = cgroups.name_of(Home(bench.path / "machines", machine))
    return [root / "stackyard.machines" / name for root in found.roots]


def setting(bench: QemuBench, machine: str, *names: str) -> str:
    """A limit, whatever its file is called in this version of control groups."""
    for group in groups(bench, machine):
        for name in names:
            if (group / name).exists():
                return (group / name).read_text().strip()
    raise AssertionError(f"none of {names}")


def test_its_process_is_confined_and_its_group_goes_with_it(bench: QemuBench) -> None:
    machine = started(bench, defined(bench, new_id(), memory=32))
    pid = observed(bench.driver, machine).pid
    for group in groups(bench, machine):
        assert (group / "cgroup.procs").read_text().split() == [str(pid)]
    limits = cgroups.limits(Home(bench.path / "machines", machine).spec())
    assert int(setting(bench, machine, "memory.max", "memory.limit_in_bytes")) == limits.memory
    assert int(setting(bench, machine, "pids.max")) == limits.threads
    bench.driver.stop(machine, 0)
    assert not any(group.exists() for group in groups(bench, machine))
    bench.driver.start(machine)
    bench.driver.remove(machine)
    assert not any(group.exists() for group in groups(bench, machine))


def test_a_flavor_s_share_of_processors_is_held(bench: QemuBench) -> None:
    wanted = {"quota_cpu_quota": "20000", "quota_cpu_period": "100000", "quota_cpu_shares": "512"}
    machine = started(bench, defined(bench, new_id(), properties=wanted))
    assert setting(bench, machine, "cpu.max", "cpu.cfs_quota_us").split()[0] == "20000"
    assert setting(bench, machine, "cpu.shares", "cpu.weight") in ("512", "20")
    bench.driver.stop(machine, 0)
    unlimited = defined(bench, machine, properties={})
    bench.driver.start(unlimited)
    assert setting(bench, machine, "cpu.max", "cpu.cfs_quota_us").split()[0] == "200000"


@pytest.mark.parametrize("bus", ["virtio", "ide", "scsi"])
def test_a_flavor_s_limits_of_disks_are_held(bench: QemuBench, bus: str) -> None:
    wanted = {"quota_disk_read_bytes_sec": "50000000", "quota_disk_total_iops_sec": "400", "hw_disk_bus": bus}
    machine = started(bench, defined(bench, new_id(), properties=wanted, ephemeral=(1,)))
    with Monitor(bench.path / "machines" / machine / "look.sock") as look:
        seen = {
            one["inserted"]["node-name"]: one["inserted"] for one in look.execute("query-block") if "inserted" in one
        }
    assert {"root", "ephemeral0"} <= seen.keys()
    for name in ("root", "ephemeral0"):
        assert (seen[name]["bps_rd"], seen[name]["bps_wr"], seen[name]["iops"]) == (50_000_000, 0, 400)


@pytest.mark.parametrize("machine_type", ["pc", "q35"])
def test_a_machine_boots_by_uefi_and_keeps_its_variables(bench: QemuBench, machine_type: str) -> None:
    wanted = {"hw_firmware_type": "uefi", "hw_machine_type": machine_type}
    machine = defined(bench, new_id(), properties=wanted, memory=256)
    bench.driver.start(machine)
    wait_until(lambda: "Bds" in bench.driver.console_output(machine), "the firmware to look for something to boot", 60)
    variables = bench.path / "machines" / machine / "firmware.fd"
    status, process = variables.stat(), Path(f"/proc/{observed(bench.driver, machine).pid}").stat()
    assert (status.st_mode & 0o777, status.st_uid) == (0o600, process.st_uid)
    bench.driver.suspend(machine)
    bench.driver.start(machine)
    assert observed(bench.driver, machine).state == "running"
    bench.driver.stop(machine, 0)
    assert variables.exists()
    bench.driver.remove_root(machine)
    assert not variables.exists()


def test_without_the_firmware_uefi_is_refused(bench: QemuBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "_PLACES", (("/nowhere/code", "/nowhere/variables"),))
    with pytest.raises(SpecError, match="apt-get install ovmf"):
        defined(bench, new_id(), properties={"hw_firmware_type": "uefi"})
