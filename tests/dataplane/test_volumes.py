"""Volumes on the kernel's own file systems: mounts, growth under way, full disks, copies of one moment, crashes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.disk_bench import GIB, MIB, FileDisks, SharingDisks, drain, new_id

from stackyard.host.disks import mounts
from stackyard.host.disks.file import FileVolumes
from stackyard.host.errors import ConflictError, HostError, SpecError

pytestmark = pytest.mark.root

NOBODY = 65534


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[FileDisks]:
    made = FileDisks(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def sharing(tmp_path: Path) -> Iterator[SharingDisks]:
    made = SharingDisks(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def volume(disks: FileDisks) -> str:
    disks.driver.create(volume_id := new_id(), 1)
    return volume_id


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


# ---------------------------------------------------------------------------------------------------------- mounts


def test_what_containers_write_is_there_after_the_next_mount(disks: FileDisks, volume: str) -> None:
    place = disks.driver.mount(volume)
    assert list(place.iterdir()) == [], "databases want an empty directory"
    (place / "page").write_text("hello")
    disks.driver.unmount(volume)
    assert not place.exists()
    again = disks.again().mount(volume)
    assert (again / "page").read_text() == "hello"


def test_no_loop_device_is_left(disks: FileDisks, volume: str) -> None:
    disks.driver.mount(volume)
    assert str(disks.pool) in run("losetup", "--all", "--output", "BACK-FILE")
    disks.driver.remove(volume)
    assert str(disks.pool) not in run("losetup", "--all", "--output", "BACK-FILE")


def test_neither_devices_nor_set_uid_programs_count_on_it(disks: FileDisks, volume: str) -> None:
    place = disks.driver.mount(volume)
    options = next(
        line.split()[5]
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        if line.split()[4] == str(place)
    )
    assert {"nosuid", "nodev"} <= set(options.split(","))


def test_read_only_is_read_only(disks: FileDisks, volume: str) -> None:
    (disks.driver.mount(volume) / "page").write_text("hello")
    disks.driver.unmount(volume)
    place = disks.driver.mount(volume, read_only=True)
    assert (place / "page").read_text() == "hello"
    with pytest.raises(OSError, match="Read-only"):
        (place / "page").write_text("other")


def test_a_mounted_volume_grows_under_its_users(disks: FileDisks, volume: str) -> None:
    """At once where the kernel lets us (CAP_SYS_RESOURCE), else when it is mounted the next time."""
    place = disks.driver.mount(volume)
    (place / "page").write_text("hello")
    disks.driver.extend(volume, 3)
    if not _may_use_resources():
        disks.driver.unmount(volume)
        disks.driver.mount(volume)
    found = os.statvfs(place)
    assert found.f_blocks * found.f_frsize > 2.5 * GIB
    assert (place / "page").read_text() == "hello"


def _may_use_resources() -> bool:
    status = Path("/proc/self/status").read_text()
    return bool(int(status.partition("CapEff:")[2].split()[0], 16) >> 24 & 1)


@pytest.mark.parametrize("read_only", [False, True])
def test_one_that_grew_unmounted_is_as_large_when_it_is_mounted(disks: FileDisks, volume: str, read_only: bool) -> None:
    disks.driver.mount(volume)
    disks.driver.unmount(volume)
    disks.driver.extend(volume, 3)
    found = os.statvfs(disks.driver.mount(volume, read_only=read_only))
    assert found.f_blocks * found.f_frsize > 2.5 * GIB


def test_a_disk_without_a_file_system_is_not_formatted(disks: FileDisks, volume: str) -> None:
    disks.write(volume, b"the partitions of a machine")
    with pytest.raises(SpecError, match="no file system"):
        disks.driver.mount(volume)
    assert drain(disks.driver.path(volume), 3) == b"the"


def test_half_a_file_system_is_made_anew(disks: FileDisks, volume: str) -> None:
    """A crash while it was made: the marker says that what is there is nobody's data."""
    disks.write(volume, b"\0" * 4096 + b"half a file system")
    (disks.pool / "formatting" / volume).touch()
    assert disks.again().mount(volume).is_dir()
    assert not (disks.pool / "formatting" / volume).exists()


def test_what_is_mounted_is_not_replaced(disks: FileDisks, volume: str) -> None:
    disks.driver.mount(volume)
    with pytest.raises(ConflictError, match="mounted"):
        disks.driver.restore(volume, 1, io.BytesIO(b"other"))


# --------------------------------------------------------------------------------------------------------- content


def test_nobody_else_can_read_a_volume(disks: FileDisks, volume: str) -> None:
    disks.driver.snapshot(kept := new_id(), volume)
    disks.pool.parent.chmod(0o755)
    for path in (disks.driver.path(volume), disks.pool / "snapshots" / kept):
        assert path.stat().st_mode & 0o007 == 0
        assert path.stat().st_uid == 0
        said = subprocess.run(["cat", str(path)], user=NOBODY, group=NOBODY, capture_output=True, check=False, cwd="/")
        assert said.returncode != 0


@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk", "vdi", "vhd", "vhdx"])
def test_an_image_of_any_format_becomes_a_volume_and_an_image_again(disks: FileDisks, disk_format: str) -> None:
    content = os.urandom(MIB)
    disks.driver.restore(first := new_id(), 1, io.BytesIO(content))
    image = disks.file()
    disks.driver.save(first, image, disk_format)
    assert image.stat().st_blocks * 512 < 16 * MIB
    assert image.stat().st_uid == 0
    disks.driver.create_from_image(second := new_id(), 2, image, disk_format)
    assert drain(disks.driver.path(second), MIB) == content
    assert disks.driver.path(second).stat().st_size == 2 * GIB
    assert disks.driver.path(second).stat().st_blocks * 512 < 16 * MIB
    assert disks.driver.path(second).stat().st_uid == 0


def test_an_image_that_leads_to_other_files_is_refused(disks: FileDisks, tmp_path: Path) -> None:
    image = tmp_path / "evil.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/shadow", "-F", "raw", str(image), "1M")
    with pytest.raises(SpecError, match="backing file"):
        disks.driver.create_from_image(new_id(), 1, image, "qcow2")
    assert not disks.driver.list()


def test_an_image_that_is_none_is_refused(disks: FileDisks) -> None:
    with pytest.raises(SpecError, match="not qcow2"):
        disks.driver.create_from_image(new_id(), 1, disks.file(b"hello" * 100), "qcow2")
    with pytest.raises(SpecError, match="docker"):
        disks.driver.create_from_image(new_id(), 1, disks.file(b"hello"), "docker")
    assert not disks.driver.list()


def test_a_volume_can_become_an_image_while_a_machine_has_it(disks: FileDisks, volume: str) -> None:
    disks.write(volume, b"hello")
    tool = ["qemu-io", "-f", "raw", "-c", "sleep 60000", str(disks.driver.path(volume))]
    holder = subprocess.Popen(tool, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        image = disks.file()
        disks.driver.save(volume, image, "qcow2")
        disks.driver.create_from_image(copy := new_id(), 1, image, "qcow2")
        assert drain(disks.driver.path(copy), 5) == b"hello"
        assert holder.poll() is None
    finally:
        holder.kill()
        holder.wait()


# ---------------------------------------------------------------------------------------------------- full, broken


@pytest.fixture
def small(tmp_path: Path) -> Iterator[FileVolumes]:
    """Volumes on a file system of 8 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder))
    driver = FileVolumes(folder / "pool", tmp_path / "mounts")
    try:
        driver.start_up()
        yield driver
    finally:
        driver.purge()
        run("umount", "--lazy", str(folder))


def test_a_full_disk_is_said_and_leaves_nothing(small: FileVolumes) -> None:
    before = small.capacity().free
    calls: list[Callable[[], object]] = [lambda: small.restore(new_id(), 1, io.BytesIO(os.urandom(9 * MIB)))]
    small.restore(half := new_id(), 1, io.BytesIO(os.urandom(5 * MIB)))
    calls += [lambda: small.clone(new_id(), 1, half), lambda: small.snapshot(new_id(), half)]
    for call in calls:
        with pytest.raises(HostError, match="full"):
            call()
    assert [one.id for one in small.list()] == [half]
    assert not small.snapshots()
    small.remove(half)
    assert small.capacity().free >= before - MIB


def test_an_image_that_does_not_fit_on_the_disk(small: FileVolumes, disks: FileDisks) -> None:
    disks.driver.restore(source := new_id(), 1, io.BytesIO(b"1" * (20 * MIB)))
    image = disks.file()
    disks.driver.save(source, image, "qcow2")
    with pytest.raises(HostError, match="full"):
        small.create_from_image(new_id(), 1, image, "qcow2")
    assert not small.list()


_KILLED = """
import sys, io, os
from pathlib import Path
from stackyard.host.disks.file import FileVolumes
driver = FileVolumes(Path(sys.argv[1]), Path(sys.argv[2]))
driver.start_up()
class Slow(io.RawIOBase):
    def readable(self): return True
    def readinto(self, buffer):
        buffer[:] = os.urandom(len(buffer))
        print("going on", flush=True)
        return len(buffer)
driver.restore(sys.argv[3], 1, Slow())
"""


def test_a_killed_copy_leaves_neither_volume_nor_rubbish(disks: FileDisks) -> None:
    key = new_id()
    words = [sys.executable, "-c", _KILLED, str(disks.pool), str(disks.mounts), key]
    writer = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"going on\n"
    other = disks.again()
    assert list((disks.pool / "work").iterdir()), "what another process writes now is left alone"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert other.inspect(key) is None
    disks.again()
    assert list((disks.pool / "work").iterdir()) == []


# ----------------------------------------------------------------------------------------------------- one moment


def test_copies_take_no_room_where_blocks_are_shared(sharing: SharingDisks) -> None:
    assert "live_snapshot" in sharing.driver.abilities
    sharing.driver.restore(key := new_id(), 1, io.BytesIO(os.urandom(64 * MIB)))
    before = sharing.driver.capacity().free
    sharing.driver.snapshot(new_id(), key)
    sharing.driver.clone(new_id(), 1, key)
    with sharing.driver.read(key) as data:
        assert len(data.read(MIB)) == MIB
        assert before - sharing.driver.capacity().free < 8 * MIB


def test_copies_elsewhere_are_not_said_to_be_of_one_moment(disks: FileDisks) -> None:
    if "live_snapshot" not in disks.driver.abilities:
        assert disks.driver.abilities == {"revert", "mount"}


def test_a_snapshot_of_what_containers_write_to_is_a_whole_file_system(sharing: SharingDisks) -> None:
    """Whoever writes meanwhile waits; nothing that was written before is missing."""
    sharing.driver.create(key := new_id(), 1)
    place = sharing.driver.mount(key)
    written, stop = [0], threading.Event()

    def write() -> None:
        while not stop.wait(0.002):
            (place / f"file-{written[0]}").write_text(str(written[0]) * 1000)
            written[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            before = written[0]
            sharing.driver.snapshot(kept := new_id(), key)
            sharing.driver.create_from_snapshot(copy := new_id(), 1, kept)
            assert run("e2fsck", "-f", "-n", str(sharing.driver.path(copy))).count("Error") == 0
            found = sharing.driver.mount(copy)
            for index in range(before):
                assert (found / f"file-{index}").read_text() == str(index) * 1000
            sharing.driver.remove(copy)
    finally:
        stop.set()
        writer.join(20)
    assert not writer.is_alive()


def test_who_was_held_by_a_killed_process_goes_on(disks: FileDisks, volume: str) -> None:
    place = disks.driver.mount(volume)
    with mounts.frozen(place):
        disks.again()
        done = threading.Event()

        def write() -> None:
            (place / "page").write_text("hello")
            done.set()

        threading.Thread(target=write, daemon=True).start()
        assert done.wait(10)
