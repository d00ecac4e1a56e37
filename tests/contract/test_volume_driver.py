"""What every back end of volumes promises, the in-memory one included."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.disk_bench import GIB, MIB, Disks, FileDisks, MemoryDisks, SharingDisks, drain, new_id

from stackyard.host.errors import NotFoundError, SpecError

FILES = [pytest.param(FileDisks, marks=pytest.mark.root), pytest.param(SharingDisks, marks=pytest.mark.root)]
HELLO = b"hello" * 1000


@pytest.fixture(params=[MemoryDisks, *FILES])
def disks(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disks]:
    made: Disks = request.param(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def volume(disks: Disks) -> str:
    """A volume of 1 GiB that begins with HELLO."""
    volume_id = new_id()
    disks.driver.restore(volume_id, 1, io.BytesIO(HELLO))
    return volume_id


def content(disks: Disks, key: str) -> bytes:
    with disks.driver.read(key) as data:
        return data.read(len(HELLO))


# --------------------------------------------------------------------------------------------------------- volumes


def test_a_new_volume_is_empty_and_takes_no_room(disks: Disks) -> None:
    volume_id = new_id()
    disks.driver.create(volume_id, 3)
    found = disks.driver.inspect(volume_id)
    assert found is not None
    assert (found.id, found.size, found.mounted) == (volume_id, 3 * GIB, "")
    assert found.used < MIB
    assert [one.id for one in disks.driver.list()] == [volume_id]
    with disks.driver.read(volume_id) as data:
        assert not any(data.read(MIB))


def test_making_one_again_changes_nothing(disks: Disks, volume: str) -> None:
    disks.driver.create(volume, 1)
    assert content(disks, volume) == HELLO


def test_volumes_are_found_again_by_the_next_process(disks: Disks, volume: str) -> None:
    disks.driver.snapshot(kept := new_id(), volume)
    driver = disks.again()
    assert [one.id for one in driver.list()] == [volume]
    assert [one.id for one in driver.snapshots()] == [kept]
    assert content(disks, volume) == HELLO


def test_one_that_is_not_there(disks: Disks) -> None:
    missing = new_id()
    assert disks.driver.inspect(missing) is None
    calls: list[Callable[[], Any]] = [
        lambda: disks.driver.path(missing),
        lambda: disks.driver.extend(missing, 2),
        lambda: disks.driver.clone(new_id(), 1, missing),
        lambda: disks.driver.create_from_snapshot(new_id(), 1, missing),
        lambda: disks.driver.snapshot(new_id(), missing),
        lambda: content(disks, missing),
        lambda: disks.driver.mount(missing),
        lambda: disks.driver.save(missing, disks.file(), "raw"),
    ]
    for call in calls:
        with pytest.raises(NotFoundError):
            call()
    disks.driver.remove(missing)
    disks.driver.remove_snapshot(missing)
    disks.driver.unmount(missing)
    assert not disks.driver.list()


def test_a_larger_volume_has_its_content_still(disks: Disks, volume: str) -> None:
    disks.driver.extend(volume, 5)
    disks.driver.extend(volume, 5)
    disks.driver.extend(volume, 2)
    found = disks.driver.inspect(volume)
    assert found is not None
    assert found.size == 5 * GIB
    assert content(disks, volume) == HELLO


def test_a_clone_goes_its_own_way(disks: Disks, volume: str) -> None:
    copy = new_id()
    disks.driver.clone(copy, 2, volume)
    disks.write(volume, b"other")
    disks.driver.remove(volume)
    found = disks.driver.inspect(copy)
    assert found is not None
    assert found.size == 2 * GIB
    assert content(disks, copy) == HELLO


def test_deleted_is_deleted(disks: Disks, volume: str) -> None:
    disks.driver.remove(volume)
    disks.driver.remove(volume)
    assert disks.driver.inspect(volume) is None
    assert not disks.driver.list()


def test_what_is_restored_takes_the_place_of_what_was(disks: Disks, volume: str) -> None:
    disks.driver.restore(volume, 1, io.BytesIO(b"new"))
    assert content(disks, volume).rstrip(b"\0") == b"new"
    found = disks.driver.inspect(volume)
    assert found is not None
    assert found.size == GIB


def test_capacity_is_bytes(disks: Disks) -> None:
    found = disks.driver.capacity()
    assert MIB < found.free <= found.total


# ------------------------------------------------------------------------------------------------------- snapshots


def test_a_snapshot_stays_as_it_was(disks: Disks, volume: str) -> None:
    kept = new_id()
    disks.driver.snapshot(kept, volume)
    disks.write(volume, b"changed")
    disks.driver.snapshot(kept, volume)
    assert content(disks, kept) == HELLO
    disks.driver.remove(volume)
    assert [one.id for one in disks.driver.snapshots()] == [kept]
    made = new_id()
    disks.driver.create_from_snapshot(made, 2, kept)
    disks.driver.remove_snapshot(kept)
    assert content(disks, made) == HELLO
    assert not disks.driver.snapshots()


def test_a_volume_goes_back_to_its_snapshot(disks: Disks, volume: str) -> None:
    kept = new_id()
    disks.driver.snapshot(kept, volume)
    disks.driver.extend(volume, 2)
    disks.write(volume, b"changed")
    disks.driver.revert(volume, kept)
    found = disks.driver.inspect(volume)
    assert found is not None
    assert found.size == 2 * GIB
    assert content(disks, volume) == HELLO


# ---------------------------------------------------------------------------------------------------------- images


def test_a_volume_begins_as_an_image_does(disks: Disks) -> None:
    image = disks.file(HELLO)
    volume_id = new_id()
    disks.driver.create_from_image(volume_id, 1, image, "raw")
    disks.driver.create_from_image(volume_id, 1, image, "raw")
    found = disks.driver.inspect(volume_id)
    assert found is not None
    assert found.size == GIB
    assert content(disks, volume_id) == HELLO


def test_an_image_that_is_larger_than_the_volume(disks: Disks) -> None:
    image = disks.file(b"")
    with image.open("r+b") as file:
        file.truncate(GIB + 512)
    if isinstance(disks, MemoryDisks):
        image.write_bytes(b"x")
        disks.driver.create_from_image(volume_id := new_id(), 1, image, "raw")
        assert content(disks, volume_id) == b"x"
        return
    with pytest.raises(SpecError, match="1 GiB"):
        disks.driver.create_from_image(new_id(), 1, image, "raw")
    assert not disks.driver.list()


def test_a_volume_becomes_an_image(disks: Disks, volume: str) -> None:
    target = disks.file()
    disks.driver.save(volume, target, "raw")
    assert drain(target, len(HELLO)) == HELLO
    disks.driver.save(volume, target, "raw")
    assert content(disks, volume) == HELLO


# ---------------------------------------------------------------------------------------------------------- mounts


def test_mounted_is_seen_and_stays(disks: Disks) -> None:
    volume_id = new_id()
    disks.driver.create(volume_id, 1)
    place = disks.driver.mount(volume_id)
    assert disks.driver.mount(volume_id, read_only=True) == place
    found = disks.driver.inspect(volume_id)
    assert found is not None
    assert found.mounted == str(place)
    disks.driver.unmount(volume_id)
    disks.driver.unmount(volume_id)
    found = disks.driver.inspect(volume_id)
    assert found is not None
    assert found.mounted == ""


def test_purge_leaves_nothing(disks: Disks, volume: str) -> None:
    disks.driver.snapshot(new_id(), volume)
    disks.driver.create(other := new_id(), 1)
    disks.driver.mount(other)
    disks.driver.purge()
    assert disks.left() == []
    assert not disks.driver.list()
    assert not disks.driver.snapshots()
