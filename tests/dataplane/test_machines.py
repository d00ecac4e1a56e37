"""Virtual machines on the real kernel: what their process may do, and what hostile images and properties come to."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.dataplane.lab import new_id
from tests.engine_fixture import wait_until
from tests.machine_bench import QemuBench, defined, observed, started
from tests.machine_guest import GREETING, boot_disk

from stackyard.host.errors import HostError, SpecError
from stackyard.host.machines.qemu import watch
from stackyard.host.machines.qemu.disks import volume_key
from stackyard.host.machines.qemu.monitor import Monitor
from stackyard.host.specs import MachineImage, MachineVolume

pytestmark = pytest.mark.root


@pytest.fixture
def bench() -> Iterator[QemuBench]:
    made = QemuBench()
    try:
        yield made
    finally:
        made.close()


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def open_files(pid: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            found.add(str(entry.readlink()))
    return found


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


@contextlib.contextmanager
def as_user(uid: int) -> Iterator[None]:
    """What this process asks of the kernel meanwhile, it asks as that user: as an escaped machine would."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def upload(bench: QemuBench, data: bytes, disk_format: str) -> MachineImage:
    image = MachineImage(id=new_id(), disk_format=disk_format, container_format="bare")
    bench.driver.load_image(image, io.BytesIO(data))
    return image


def qemu_img(*arguments: object) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True, stdin=subprocess.DEVNULL)


# ---------------------------------------------------------------------------------------------- what it may do


def test_its_process_has_a_user_of_its_own_and_no_privileges(bench: QemuBench) -> None:
    machines = [started(bench, defined(bench, new_id())) for _ in range(2)]
    found = [status(observed(bench.driver, machine).pid) for machine in machines]
    users = [set(one["Uid"].split()) for one in found]
    assert users[0] != users[1]
    for one, user in zip(found, users, strict=True):
        assert len(user) == 1
        assert "0" not in user
        assert one["Groups"] == ""
        assert {int(one[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
        assert (one["NoNewPrivs"], one["Seccomp"]) == ("1", "2")


def test_its_process_sees_no_network(bench: QemuBench) -> None:
    machine = started(bench, defined(bench, new_id(), nics=(bench.nic(),)))
    pid = observed(bench.driver, machine).pid
    assert Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    devices = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
    assert [line.partition(":")[0].strip() for line in devices] == ["lo"]


def test_its_process_has_what_it_was_handed_and_nothing_else(bench: QemuBench) -> None:
    machine = started(bench, defined(bench, new_id(), config_drive={"a": b"x"}))
    home = bench.path / "machines" / machine
    pid = observed(bench.driver, machine).pid
    links = open_files(pid)
    files = {link for link in links if link.startswith("/") and not link.startswith(("/dev/", "/memfd:"))}
    image = str(bench.path / "machines" / "_images" / bench.image.id)
    handed = {str(home / name) for name in ("root.qcow2", "config.iso", "console.log", "qemu.log")}
    assert files == handed | {image}


def test_its_user_reaches_no_disk_and_no_socket(bench: QemuBench) -> None:
    machine, other = (started(bench, defined(bench, new_id())) for _ in range(2))
    uid = int(status(observed(bench.driver, machine).pid)["Uid"].split()[0])
    for victim in (machine, other):
        home = bench.path / "machines" / victim
        for name in ("control.sock", "look.sock", "watch.sock", "serial.sock", "vnc.sock"):
            assert (home / name).is_socket()
            with socket.socket(socket.AF_UNIX) as caller, as_user(uid), pytest.raises(PermissionError):
                caller.connect(str(home / name))
        for name in ("root.qcow2", "record.json", "spec.json", "console.log"):
            with as_user(uid), pytest.raises(PermissionError):
                (home / name).open()


def test_its_secrets_are_in_no_process_list(bench: QemuBench) -> None:
    secret = "correct horse battery staple"
    machine = started(bench, defined(bench, new_id(), config_drive={"openstack/latest/user_data": secret.encode()}))
    words = command_line(observed(bench.driver, machine).pid)
    assert not any(secret in word for word in words)
    assert (bench.path / "machines" / machine).stat().st_mode & 0o077 == 0


# ------------------------------------------------------------------------------------------------- hostile images


def test_an_image_with_a_backing_file_is_refused(bench: QemuBench, tmp_path: Path) -> None:
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", tmp_path / "x", "1M")
    with pytest.raises(SpecError, match="backing file"):
        upload(bench, (tmp_path / "x").read_bytes(), "qcow2")


def test_an_image_with_its_data_elsewhere_is_refused(bench: QemuBench, tmp_path: Path) -> None:
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'}", tmp_path / "x", "1M")
    with pytest.raises(SpecError):
        upload(bench, (tmp_path / "x").read_bytes(), "qcow2")


@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk", "vdi", "vhd", "vhdx"])
def test_what_is_no_image_of_its_format_is_refused(bench: QemuBench, disk_format: str) -> None:
    with pytest.raises(SpecError):
        upload(bench, b"not an image" * 1000, disk_format)
    assert list((bench.path / "machines" / "_images").glob(".*")) == []


def test_a_format_that_no_machine_has_is_refused(bench: QemuBench) -> None:
    with pytest.raises(SpecError, match="ploop"):
        upload(bench, boot_disk(), "ploop")


def test_a_vmdk_that_names_a_file_of_the_host_is_refused(bench: QemuBench) -> None:
    text = b'# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
    with pytest.raises(SpecError):
        upload(bench, text + b'RW 2 FLAT "/etc/shadow" 0\n', "vmdk")


@pytest.mark.parametrize(
    ("disk_format", "driver"), [("vmdk", "vmdk"), ("vdi", "vdi"), ("vhd", "vpc"), ("vhdx", "vhdx")]
)
def test_an_image_of_another_format_starts(bench: QemuBench, tmp_path: Path, disk_format: str, driver: str) -> None:
    (tmp_path / "raw").write_bytes(boot_disk())
    qemu_img("convert", "-f", "raw", "-O", driver, tmp_path / "raw", tmp_path / "other")
    image = upload(bench, (tmp_path / "other").read_bytes(), disk_format)
    started(bench, defined(bench, new_id(), image=image))


def test_a_raw_disk_that_looks_like_another_format_stays_raw(bench: QemuBench, tmp_path: Path) -> None:
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", tmp_path / "x", "1M")
    disguised = (tmp_path / "x").read_bytes()
    machine = defined(bench, new_id(), image=upload(bench, disguised, "raw"))
    bench.driver.snapshot(machine, tmp_path / "out")
    qemu_img("convert", "-O", "raw", tmp_path / "out", tmp_path / "plain")
    assert (tmp_path / "plain").read_bytes()[: len(disguised)] == disguised


def test_a_disk_whose_machine_rewrote_its_header_leads_nowhere(bench: QemuBench, tmp_path: Path) -> None:
    """An escaped machine can write anything into the file of its root disk."""
    machine = defined(bench, new_id())
    root = bench.path / "machines" / machine / "root.qcow2"
    name = b"/etc/shadow"
    with root.open("r+b") as file:
        header = file.read(512)
        place = struct.unpack(">I", header[100:104])[0] + 512
        file.seek(8)
        file.write(struct.pack(">QI", place, len(name)))
        file.seek(place)
        file.write(name)
    bench.driver.snapshot(machine, tmp_path / "out")
    qemu_img("convert", "-O", "raw", tmp_path / "out", tmp_path / "plain")
    assert (tmp_path / "plain").read_bytes()[:1024] == boot_disk()[:1024]
    started(bench, machine)


def test_an_image_bigger_than_the_flavor_s_disk_is_refused(bench: QemuBench, tmp_path: Path) -> None:
    qemu_img("create", "-q", "-f", "qcow2", tmp_path / "x", "3G")
    image = upload(bench, (tmp_path / "x").read_bytes(), "qcow2")
    with pytest.raises(SpecError, match="flavor"):
        defined(bench, new_id(), image=image, root_disk=2)


# ---------------------------------------------------------------------------------------------- hostile properties


@pytest.mark.parametrize(
    "properties",
    [
        {"hw_disk_bus": "virtio,readonly=off"},
        {"hw_disk_bus": "floppy"},
        {"hw_vif_model": "e1000,romfile=/etc/shadow"},
        {"hw_vif_model": "fake"},
        {"hw_rng_model": "egd"},
        {"hw_machine_type": "pc,accel=kvm"},
        {"hw_machine_type": "none"},
        {"hw_machine_type": "pc-i440fx-99.9"},
        {"hw_video_model": "gop"},
        {"hw_cdrom_bus": "xen"},
        {"hw_scsi_model": "buslogic"},
        {"hw_watchdog_action": "explode"},
        {"hw_firmware_type": "coreboot"},
        {"quota_cpu_period": "1"},
        {"quota_disk_total_bytes_sec": "5", "quota_disk_read_bytes_sec": "5"},
        {"hw_cpu_max_sockets": "1", "hw_cpu_sockets": "2"},
        {"os_secure_boot": "required"},
        {"hw_mem_encryption": "True"},
        {"hw_tpm_version": "2.0"},
        {"hw_machine_type": "q35", "hw_disk_bus": "ide"},
    ],
)
def test_what_a_machine_cannot_be_made_of_is_refused(bench: QemuBench, properties: dict[str, str]) -> None:
    with pytest.raises(SpecError):
        bench.driver.start(defined(bench, new_id(), properties=properties))


@pytest.mark.parametrize(
    "properties",
    [
        {"hw_disk_bus": "scsi"},
        {"hw_disk_bus": "scsi", "hw_scsi_model": "lsilogic"},
        {"hw_disk_bus": "ide", "hw_vif_model": "e1000", "hw_video_model": "cirrus"},
        {"hw_disk_bus": "sata", "hw_cdrom_bus": "ide", "hw_vif_model": "rtl8139"},
        {"hw_disk_bus": "usb", "hw_pointer_model": "usbtablet", "hw_video_model": "none"},
        {"hw_machine_type": "q35", "hw_disk_bus": "sata", "hw_video_model": "virtio"},
        {"hw_machine_type": "q35", "hw_vif_model": "e1000e", "hw_watchdog_action": "reset"},
        {"hw_qemu_guest_agent": "yes", "hw_rng_model": "virtio", "hw_watchdog_action": "poweroff"},
        {"hw_input_bus": "virtio", "hw_time_hpet": "yes", "hw_boot_menu": "no", "hw_rng_rate_bytes": "512"},
    ],
    ids=lambda properties: "-".join(properties.values()),
)
def test_a_machine_starts_of_other_parts(bench: QemuBench, properties: dict[str, str]) -> None:
    machine = defined(
        bench, new_id(), properties=properties, nics=(bench.nic(),), config_drive={"a": b"x"}, ephemeral=(1,)
    )
    started(bench, machine)


@pytest.mark.parametrize("line", ["console=ttyS0 a,b=c -drive file=/etc/shadow", "x\ny", "--"])
def test_a_kernel_s_line_is_one_argument(bench: QemuBench, line: str) -> None:
    kernel = upload(bench, b"\0" * 4096, "aki")
    image = MachineImage(id=bench.image.id, disk_format="ami", container_format="ami", kernel=kernel.id)
    machine = defined(bench, new_id(), image=image, kernel_command_line=line)
    bench.driver.start(machine)
    words = command_line(observed(bench.driver, machine).pid)
    assert words[words.index("-append") + 1] == line


def test_a_name_that_is_a_path_is_no_machine(bench: QemuBench) -> None:
    for hostile in ("../x", "a/b", "", ".", "a\nb", "x,y=z"):
        with pytest.raises(SpecError):
            defined(bench, hostile)


# ------------------------------------------------------------------------------------------------------- the rest


def test_a_port_that_is_not_wired_stops_the_start(bench: QemuBench) -> None:
    nic = bench.nic()
    bench.unwire(nic)
    machine = defined(bench, new_id(), nics=(nic,))
    with pytest.raises(HostError):
        bench.driver.start(machine)
    found = observed(bench.driver, machine)
    assert (found.state, found.pid) == ("defined", 0)


def test_a_card_has_its_address_and_its_tap_is_up_while_it_runs(bench: QemuBench) -> None:
    nic = bench.nic()
    machine = started(bench, defined(bench, new_id(), nics=(nic,)))
    device = bench.tap(nic.port_id).device
    assert "LOWER_UP" in bench.lab.fabric.run("ip", "link", "show", device).stdout
    words = command_line(observed(bench.driver, machine).pid)
    assert any(nic.mac in word and '"host_mtu":1500' in word for word in words)
    bench.driver.stop(machine, 0)
    assert "LOWER_UP" not in bench.lab.fabric.run("ip", "link", "show", device).stdout


def test_a_volume_of_qcow2_is_written_and_leads_nowhere(bench: QemuBench, tmp_path: Path) -> None:
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw", tmp_path / "v", "1M")
    machine = started(bench, defined(bench, new_id()))
    volume = MachineVolume(id=new_id(), path=str(tmp_path / "v"), device="vdb", format="qcow2")
    bench.driver.attach_volume(machine, volume)
    pid = observed(bench.driver, machine).pid
    assert "/etc/shadow" not in open_files(pid)


def test_a_volume_that_is_not_there_is_told(bench: QemuBench, tmp_path: Path) -> None:
    machine = started(bench, defined(bench, new_id()))
    volume = MachineVolume(id=new_id(), path=str(tmp_path / "gone"), device="vdb")
    with pytest.raises(HostError, match="cannot be opened"):
        bench.driver.attach_volume(machine, volume)
    assert observed(bench.driver, machine).volumes == ()


def test_a_snapshot_holds_what_was_written_before_it(bench: QemuBench, tmp_path: Path) -> None:
    machine = started(bench, defined(bench, new_id()))
    with socket.socket(socket.AF_UNIX) as serial:
        serial.settimeout(20)
        serial.connect(bench.driver.console(machine, "serial").path)
        serial.sendall(b"w")
        assert serial.recv(1) == b"!"
    bench.driver.snapshot(machine, tmp_path / "out")
    qemu_img("convert", "-O", "raw", tmp_path / "out", tmp_path / "plain")
    assert (tmp_path / "plain").read_bytes()[512:1024] == b"W" * 512


def test_the_vnc_console_speaks_rfb(bench: QemuBench) -> None:
    machine = started(bench, defined(bench, new_id()))
    with socket.socket(socket.AF_UNIX) as screen:
        screen.settimeout(20)
        screen.connect(bench.driver.console(machine, "vnc").path)
        assert screen.recv(12).startswith(b"RFB 003.")


def test_what_was_begun_and_never_written_down_is_ended(bench: QemuBench) -> None:
    machine = started(bench, defined(bench, new_id()))
    pid = observed(bench.driver, machine).pid
    record = bench.path / "machines" / machine / "record.json"
    record.write_text(
        record.read_text().replace('"state":"running"', '"state":"defined"').replace(f'"pid":{pid}', '"pid":0')
    )
    bench.restart()
    assert observed(bench.driver, machine).state == "defined"
    wait_until(lambda: not Path(f"/proc/{pid}/exe").exists(), "it is ended")
    started_again(bench, machine)


def started_again(bench: QemuBench, machine: str) -> None:
    bench.driver.start(machine)
    wait_until(lambda: bench.greetings(machine) >= 2, "its system comes up")


def test_a_process_with_the_same_number_is_not_taken_for_it(bench: QemuBench) -> None:
    machine = started(bench, defined(bench, new_id()))
    pid = observed(bench.driver, machine).pid
    record = bench.path / "machines" / machine / "record.json"
    text = record.read_text()
    bench.driver.stop(machine, 0)
    record.write_text(text.replace(f'"pid":{pid}', f'"pid":{os.getpid()}'))
    assert observed(bench.driver, machine).state == "crashed"
    bench.driver.remove(machine)


def test_a_log_keeps_its_end_only(tmp_path: Path) -> None:
    path = tmp_path / "log"
    line = b"x" * 1023 + b"\n"
    path.write_bytes(line * 3000 + b"the end\n")
    watch.trim(path)
    assert path.stat().st_blocks * 512 < 3000 * 1024 / 2
    assert watch.tail(path, 1) == b"the end\n"
    assert len(watch.tail(path, None)) <= watch.LOG_BYTES
    with path.open("ab") as file:
        file.write(b"and more\n")
    assert watch.tail(path, 2) == b"the end\nand more\n"


def test_the_guest_says_what_the_tests_wait_for(bench: QemuBench) -> None:
    machine: Any = started(bench, defined(bench, new_id()))
    assert GREETING in bench.driver.console_output(machine)


def test_a_disk_grows_with_its_volume(bench: QemuBench, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(1 << 20))
    volume = MachineVolume(id=new_id(), path=str(path), device="vdb")
    machine = started(bench, defined(bench, new_id(), volumes=(volume,)))
    os.truncate(path, 3 << 20)
    bench.driver.extend_volume(machine, volume.id)
    with Monitor(bench.path / "machines" / machine / "look.sock") as look:
        nodes = {one["node-name"]: one for one in look.execute("query-named-block-nodes")}
    assert nodes[volume_key(volume.id)]["image"]["virtual-size"] == 3 << 20
