"""What every store of images does: one suite for files and for S3, the latter against a real S3 server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from stackyard.services.image.stores import DataMissing, Store, StoreFault, StoreInfo
from stackyard.services.image.stores import s3 as s3_module
from stackyard.services.image.stores.files import FileStore
from stackyard.services.image.stores.s3 import Bucket, S3Store

IMAGE = "0c1b5a5e-5d2f-4f0e-8d4a-7c1f2d3e4b5a"


def bucket(endpoint: str, name: str = "images", secret: str = "SECRET-KEY") -> Bucket:
    return Bucket(endpoint, name, "ACCESS-KEY", secret, prefix="cloud/")


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def s3_store(endpoint: str) -> S3Store:
    store = S3Store(StoreInfo("archive", "s3", "", 0), bucket(endpoint))
    store._client.create_bucket(Bucket="images")
    return store


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "file":
        return FileStore(StoreInfo("fast", "file", "", 0), tmp_path / "fast")
    monkeypatch.setattr(s3_module, "PART_BYTES", 5 << 20)  # the least that S3 takes as a part
    return s3_store(request.getfixturevalue("s3_server"))


def put(store: Store, tmp_path: Path, data: bytes, key: str = "k1") -> Path:
    path = tmp_path / "data"
    path.write_bytes(data)
    store.prepare(IMAGE, key, path)
    store.commit(IMAGE, key)
    return path


def whole(store: Store, key: str = "k1") -> bytes:
    source = store.open(IMAGE, key)
    try:
        parts, position = [], 0
        while block := source.read(position, 1 << 20):
            parts.append(block)
            position += len(block)
        assert source.size == position
        return b"".join(parts)
    finally:
        source.close()


@pytest.mark.parametrize("size", [0, 1, 5 << 20, (11 << 20) + 7])
def test_what_goes_in_comes_out(store: Store, tmp_path: Path, size: int) -> None:
    data = (os.urandom(1 << 16) * (size // (1 << 16) + 1))[:size]
    path = put(store, tmp_path, data)
    assert path.read_bytes() == data
    path.unlink()
    assert whole(store) == data
    store.remove(IMAGE, "k1")


def test_parts_are_read_in_any_order(store: Store, tmp_path: Path) -> None:
    put(store, tmp_path, b"0123456789")
    source = store.open(IMAGE, "k1")
    try:
        assert [source.read(at, 3) for at in (0, 3, 8, 2, 10, 12, 0)] == [
            b"012",
            b"345",
            b"89",
            b"234",
            b"",
            b"",
            b"012",
        ]
    finally:
        source.close()
        source.close()
    store.remove(IMAGE, "k1")


def test_every_step_may_be_run_again(store: Store, tmp_path: Path) -> None:
    path = put(store, tmp_path, b"data")
    store.commit(IMAGE, "k1")
    store.prepare(IMAGE, "k1", path)
    store.prepare(IMAGE, "k1", path)
    store.commit(IMAGE, "k1")
    assert whole(store) == b"data"
    for _ in range(2):
        store.remove(IMAGE, "k1")


def test_what_is_removed_is_gone(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataMissing):
        store.open(IMAGE, "k1")
    put(store, tmp_path, b"data")
    store.remove(IMAGE, "k1")
    with pytest.raises(DataMissing):
        store.open(IMAGE, "k1")


def test_what_is_prepared_is_freed_too(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"data")
    store.prepare(IMAGE, "k1", path)
    store.remove(IMAGE, "k1")
    with pytest.raises(DataMissing):
        store.open(IMAGE, "k1")
    if isinstance(store, FileStore):
        assert [found for found in store.folder.rglob("*") if found.is_file()] == []


def test_addresses_hold_no_credentials(store: Store) -> None:
    url = store.url(IMAGE, "k1")
    assert IMAGE in url
    assert url.startswith(("file:///", "s3://"))
    shown = url + repr(store.properties()) + repr(getattr(store, "_bucket", ""))
    assert "SECRET" not in shown
    assert "ACCESS" not in shown


# -- files alone


def test_a_file_of_another_file_system_is_copied_with_its_holes(tmp_path: Path) -> None:
    other = Path("/dev/shm") / f"stackyard-test-{os.getpid()}"
    try:
        with other.open("wb") as file:
            file.write(b"head")
            file.seek(64 << 20)
            file.write(b"tail")
            file.truncate(96 << 20)
        store = FileStore(StoreInfo("fast", "file", "", 0), tmp_path / "fast")
        store.prepare(IMAGE, "k", other)
        store.commit(IMAGE, "k")
        copy = store.path(IMAGE)
        assert copy.stat().st_size == 96 << 20
        assert copy.stat().st_blocks * 512 < 1 << 20
        source = store.open(IMAGE, "k")
        assert (source.read(0, 5), source.read(64 << 20, 5)) == (b"head\0", b"tail\0")
        source.close()
    finally:
        other.unlink(missing_ok=True)


# -- S3 alone


def test_parts_of_an_upload_that_died_are_given_up(s3_server: str) -> None:
    store = s3_store(s3_server)
    place = store._place(IMAGE, "dead")
    store._client.create_multipart_upload(**place)
    store.remove(IMAGE, "dead")
    assert not store._client.list_multipart_uploads(Bucket="images").get("Uploads")


def test_an_upload_that_fails_leaves_no_parts(s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "PART_BYTES", 5 << 20)
    store = s3_store(s3_server)
    path = tmp_path / "data"
    path.write_bytes(bytes(12 << 20))
    real = store._client.upload_part

    def fail_second(**given: object) -> object:
        if given["PartNumber"] == 2:
            raise OSError("the disk broke")
        return real(**given)

    monkeypatch.setattr(store._client, "upload_part", fail_second)
    with pytest.raises(OSError, match="the disk broke"):
        store.prepare(IMAGE, "k1", path)
    assert not store._client.list_multipart_uploads(Bucket="images").get("Uploads")


def test_faults_are_told_without_credentials(s3_server: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"x")
    none = S3Store(StoreInfo("archive", "s3", "", 0), bucket(s3_server, "no-such-bucket"))
    with pytest.raises(StoreFault, match="NoSuchBucket"):
        none.prepare(IMAGE, "k", path)
    nowhere = S3Store(StoreInfo("archive", "s3", "", 0), bucket("http://127.0.0.1:1"))
    with pytest.raises(StoreFault, match="archive cannot be reached") as failure:
        nowhere.open(IMAGE, "k")
    assert "SECRET" not in str(failure.value)
