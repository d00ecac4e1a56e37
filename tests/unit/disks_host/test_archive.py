"""Backups: what is kept of a chain, what goes with which, and what damage does."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackyard.host.disks.archive import Archive
from stackyard.host.errors import HostError, NotFoundError, SpecError

PIECE = 1 << 16
ONE, TWO, ZERO = b"1" * PIECE, b"2" * PIECE, bytes(PIECE)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "backups", PIECE)


def add(archive: Archive, key: str, content: bytes, parent: str | None = None) -> int:
    return archive.add(key, io.BytesIO(content), parent, lambda: True).count


def content(archive: Archive, key: str) -> bytes:
    with archive.open(key) as data:
        return data.read()


def pieces(tmp_path: Path) -> int:
    return sum(path.is_file() for path in (tmp_path / "backups").glob("*/pieces/*"))


def test_what_was_kept_comes_back(archive: Archive) -> None:
    kept = ONE + ZERO + os.urandom(PIECE) + TWO + b"end"
    assert add(archive, "a", kept) == 4
    assert content(archive, "a") == kept
    assert archive.backups() == ["a"]


def test_an_incremental_backup_adds_what_is_new(archive: Archive, tmp_path: Path) -> None:
    add(archive, "a", ONE + ZERO + TWO)
    assert pieces(tmp_path) == 2
    add(archive, "b", ONE + b"3" * PIECE + TWO, "a")
    assert pieces(tmp_path) == 3
    assert content(archive, "b") == ONE + b"3" * PIECE + TWO
    assert content(archive, "a") == ONE + ZERO + TWO


def test_a_full_backup_shares_nothing(archive: Archive, tmp_path: Path) -> None:
    add(archive, "a", ONE)
    add(archive, "b", ONE)
    assert pieces(tmp_path) == 2


def test_deleting_leaves_what_others_of_the_chain_have(archive: Archive, tmp_path: Path) -> None:
    add(archive, "a", ONE + TWO)
    add(archive, "b", ONE + b"3" * PIECE, "a")
    archive.remove("a")
    archive.remove("a")
    assert pieces(tmp_path) == 2
    assert content(archive, "b") == ONE + b"3" * PIECE
    archive.remove("b")
    assert not list((tmp_path / "backups").iterdir())


def test_while_one_is_added_its_pieces_stay(archive: Archive) -> None:
    add(archive, "a", ONE)
    add(archive, "b", TWO, "a")

    def go_on() -> bool:
        archive.remove("b")
        return True

    archive.add("c", io.BytesIO(b"3" * PIECE + TWO), "a", go_on)
    assert content(archive, "c") == b"3" * PIECE + TWO


def test_one_that_is_not_wanted_any_more(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="not wanted"):
        archive.add("a", io.BytesIO(ONE), None, lambda: False)
    assert archive.backups() == []
    archive.remove("a")
    assert not list((tmp_path / "backups").iterdir())


def test_adding_again_is_adding_once(archive: Archive) -> None:
    add(archive, "a", ONE)
    add(archive, "a", TWO)
    assert content(archive, "a") == ONE


def test_one_that_is_not_there(archive: Archive) -> None:
    with pytest.raises(NotFoundError, match="a"):
        content(archive, "a")
    with pytest.raises(NotFoundError):
        add(archive, "b", ONE, "a")
    for hostile in ("../a", "a/b", "", ".a", "*"):
        with pytest.raises(SpecError):
            content(archive, hostile)


@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_damage_is_told(archive: Archive, tmp_path: Path, damage: bytes | None) -> None:
    add(archive, "a", ONE)
    (piece,) = (tmp_path / "backups").glob("*/pieces/*")
    if damage is None:
        piece.unlink()
    else:
        piece.write_bytes(damage)
    with pytest.raises(HostError, match="damaged"):
        content(archive, "a")


def test_holes_of_a_file_are_not_read(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "volume"
    with path.open("w+b") as file:
        file.truncate(1 << 36)
        file.seek(5 * PIECE + 17)
        file.write(b"here")
        file.flush()
        assert archive.add("a", file, None, lambda: True).count == 1
    with archive.open("a") as data:
        assert data.read(6 * PIECE)[5 * PIECE + 17 : 5 * PIECE + 21] == b"here"
    assert archive.find("a").size == 1 << 36


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.lists(st.sampled_from([ONE, TWO, ZERO, b"tail"]), max_size=4))))
def test_any_chain_comes_back(tmp_path_factory: pytest.TempPathFactory, wanted: list[tuple[str, list[bytes]]]) -> None:
    archive = Archive(tmp_path_factory.mktemp("backups"), PIECE)
    there: dict[str, bytes] = {}
    for key, parts in wanted:
        if key in there:
            archive.remove(key)
            del there[key]
        else:
            add(archive, key, b"".join(parts), min(there, default=None))
            there[key] = b"".join(parts)
        assert {one: content(archive, one) for one in archive.backups()} == there
