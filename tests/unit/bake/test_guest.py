"""The parts of a baked guest that need neither packages nor tools: archives, modules, the partition table, scripts."""

from __future__ import annotations

import stat
import struct
import subprocess
from pathlib import Path

import pytest

from stackyard.bake import guest
from stackyard.bake.guest import disk, kernel, userland
from stackyard.host.errors import HostError

FILES = Path(guest.__file__).with_name("files")


def module(*needs: str, alias: str = "") -> bytes:
    """What counts of a module: its notes."""
    return b"\x7fELF\0depends=" + ",".join(needs).encode() + b"\0alias=" + alias.encode() + b"\0name=x\0"


def unpacked(directory: Path, **modules: bytes) -> Path:
    (directory / "boot").mkdir()
    (directory / "boot/vmlinuz-6.1-cloud").write_bytes(b"kernel")
    folder = directory / "lib/modules/6.1-cloud/kernel/drivers"
    folder.mkdir(parents=True)
    for name, content in modules.items():
        (folder / f"{name.replace('_', '-')}.ko").write_bytes(content)
    return directory


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    found = kernel.Kernel(
        unpacked(tmp_path, virtio=module("virtio_ring"), virtio_ring=module(), virtio_blk=module("virtio"))
    )
    assert [path.stem for path in found.in_order(["virtio_blk", "absent"])] == ["virtio-ring", "virtio", "virtio-blk"]
    assert found.version == "6.1-cloud"


def test_modprobe_finds_them_by_name_and_alias(tmp_path: Path) -> None:
    found = kernel.Kernel(
        unpacked(tmp_path, virtio=module(), virtio_net=module("virtio", alias="virtio:d1v*"), other=module())
    )
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/modules").write_text("virtio_net\n")
    found.add_modules(root)
    folder = root / "usr/lib/modules/6.1-cloud"
    assert (folder / "modules.dep").read_text() == "virtio.ko: \nvirtio-net.ko: virtio.ko\n"
    assert "alias virtio:d1v* virtio_net\n" in (folder / "modules.alias").read_text()
    assert sorted(path.name for path in folder.glob("*.ko")) == ["virtio-net.ko", "virtio.ko"]


def test_packages_without_a_kernel_are_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no kernel"):
        kernel.Kernel(tmp_path)


def test_the_archive_is_one_that_cpio_reads(tmp_path: Path) -> None:
    made = kernel.Cpio()
    made.add("bin", b"", stat.S_IFDIR | 0o755)
    made.add("bin/hello", b"hello\n", stat.S_IFREG | 0o755)
    made.add("bin/link", b"hello", stat.S_IFLNK | 0o777)
    data = made.end()
    assert len(data) % 4 == 0
    done = subprocess.run(["busybox", "cpio", "-i", "-d"], input=data, cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bin/link").read_text() == "hello\n"
    assert (tmp_path / "bin/hello").stat().st_mode & 0o777 == 0o755


def test_the_partition_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "mbr.bin"
    code.write_bytes(b"\xfa" * 500)
    monkeypatch.setattr(disk, "_MBR_CODE", (code,))
    sector = disk._master_boot_record(40960, 77824)
    assert (len(sector), sector[510:]) == (512, b"\x55\xaa")
    assert sector[440:446] == b"\0" * 6
    entries = [struct.unpack("<B3xB3xII", sector[446 + 16 * n : 462 + 16 * n]) for n in range(4)]
    assert entries == [(0x80, 0x0E, 2048, 40960), (0, 0x83, 43008, 77824), (0, 0, 0, 0), (0, 0, 0, 0)]


def test_missing_tools_are_named_by_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        disk.shutil, "which", lambda tool: None if tool in ("mcopy", "syslinux") else f"/usr/bin/{tool}"
    )
    monkeypatch.setattr(disk, "_MBR_CODE", (Path("/nowhere"),))
    with pytest.raises(HostError, match="mtools, syslinux, syslinux-common"):
        disk.require_tools()


def test_only_root_bakes_a_guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest.os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match="root"):
        guest.build(tmp_path, print)


def test_a_broken_package_is_told(tmp_path: Path) -> None:
    deb = tmp_path / "broken.deb"
    deb.write_bytes(b"no package")
    with pytest.raises(HostError, match=r"broken\.deb"):
        userland.unpack(deb, tmp_path / "out")


@pytest.mark.parametrize(
    "path", sorted(path for path in FILES.rglob("*") if path.is_file()), ids=lambda path: path.name
)
def test_the_scripts_are_ones_that_the_shell_reads(path: Path) -> None:
    text = path.read_text()
    assert text.endswith("\n")
    if text.startswith("#!"):
        done = subprocess.run(["busybox", "sh", "-n", str(path)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def script(name: str, *arguments: str, programs: dict[str, str], directory: Path) -> str:
    """What a script of the guest prints, with programs that it calls replaced."""
    for program, text in programs.items():
        place = directory / program
        place.write_text(f"#!/bin/sh\n{text}\n")
        place.chmod(0o755)
    environment = {"PATH": f"{directory}:/usr/bin:/bin"}
    argv = ["/bin/sh", str(FILES / "usr/bin" / name), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=10)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sudo_runs_the_command(tmp_path: Path) -> None:
    assert (
        script("sudo", "-n", "-u", "root", "A=1", "sh", "-c", "echo $A $0", programs={}, directory=tmp_path) == "1 sh\n"
    )
    assert script("sudo", "--", "echo", "-n", "x", programs={}, directory=tmp_path) == "x"


def test_curl_is_wget(tmp_path: Path) -> None:
    echo = {"wget": 'for word; do echo "$word"; done', "timeout": 'shift; exec "$@"'}
    words = ("-s", "-f", "-H", "A: b c", "-o", "a file", "http://x/y?z=1&a=2")
    said = script("curl", *words, programs=echo, directory=tmp_path).split("\n")
    assert said == ["-q", "--header=A: b c", "-O", "a file", "http://x/y?z=1&a=2", ""]
    assert script("curl", "x/y", programs=echo, directory=tmp_path).split() == ["-q", "-O", "-", "http://x/y"]
    assert "curl" in script("curl", "-V", programs=echo, directory=tmp_path)


def test_nc_takes_a_command_with_arguments(tmp_path: Path) -> None:
    echo = {"nc.traditional": 'echo "$@"'}
    assert script("nc", "-w", "1", "-u", "host", "80", programs=echo, directory=tmp_path) == "-w 1 -u host 80\n"
    assert (
        script("nc", "-p", "80", "-l", "-e", "echo", "a", programs=echo, directory=tmp_path) == "-p 80 -l -c echo a\n"
    )
