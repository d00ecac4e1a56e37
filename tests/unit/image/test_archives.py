"""Container images are archives that an engine can load; anything else is refused, whatever its headers claim."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackyard.services.image.archives import check_container_image, members
from stackyard.services.image.formats import FormatRefused


def archive(files: dict[str, bytes], layout: int = tarfile.GNU_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=layout) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


DOCKER = {
    "abc/layer.tar": b"x" * 1000,
    "config.json": b"{}",
    "manifest.json": json.dumps([{"Config": "config.json", "Layers": ["abc/layer.tar"], "RepoTags": ["a:b"]}]).encode(),
}
OCI = {
    "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
    "index.json": json.dumps({"manifests": [{"digest": "sha256:00"}]}).encode(),
    "blobs/sha256/00": b"{}",
}


def check(data: bytes) -> None:
    check_container_image(io.BytesIO(data))


def refusal(data: bytes) -> str | None:
    """Why the archive is refused; None when it passes; whatever else is raised fails the test."""
    try:
        check(data)
    except FormatRefused as error:
        return str(error)
    return None


@pytest.mark.parametrize("layout", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_images_pass(layout: int) -> None:
    check(archive(DOCKER, layout))
    check(archive(OCI, layout))
    check(archive({f"./{name}": content for name, content in DOCKER.items()}, layout))


@pytest.mark.parametrize("layout", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names_are_read(layout: int) -> None:
    names = ["d/" * 80 + "file", "é" * 90, "plain"]
    data = archive(dict.fromkeys(names, b"1234"), layout)
    found = list(members(io.BytesIO(data)))
    assert [member.name for member in found] == names
    assert all(data[member.offset : member.offset + member.size] == b"1234" for member in found)


def without(name: str) -> dict[str, bytes]:
    return {key: value for key, value in DOCKER.items() if key != name}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a tar"),
        (b"junk", "not a tar"),
        (b"junk" * 1000, "not a tar"),
        (archive({"file": b"x"}), "neither a manifest.json"),
        (archive(without("config.json")), "lacks config.json"),
        (archive(DOCKER | {"manifest.json": b"{"}), "not valid JSON"),
        (archive(DOCKER | {"manifest.json": b"[]"}), "not a list of images"),
        (archive(DOCKER | {"manifest.json": b"[1]"}), "without a Config"),
        (archive(DOCKER | {"manifest.json": b'[{"Config": "config.json", "Layers": 1}]'}), "Layers"),
        (archive(DOCKER | {"manifest.json": b" " * (5 << 20)}), "at most"),
        (archive(OCI | {"index.json": b"[]"}), "names no manifest"),
        (archive(OCI | {"index.json": b'{"manifests": [{"digest": "sha256:11"}]}'}), "does not hold"),
        (archive(DOCKER)[:1200], "cut off"),
        (gzip.compress(archive(DOCKER), mtime=0), "compressed"),
    ],
)
def test_others_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(FormatRefused, match=reason):
        check(data)


def test_many_members_are_not_walked_for_ever() -> None:
    one = archive({"f": b""})[:512]
    started = time.monotonic()
    with pytest.raises(FormatRefused, match="more than 20000 members"):
        check(one * 100_000)
    assert time.monotonic() - started < 5


@given(st.binary(max_size=1024), st.integers(0, 4096))
def test_hostile_archives_are_refused_and_nothing_else_is_raised(noise: bytes, position: int) -> None:
    data = bytearray(archive(DOCKER))
    data[position : position + len(noise)] = noise
    assert refusal(bytes(data)) != ""


@given(st.binary(min_size=12, max_size=12), st.binary(min_size=1, max_size=1))
def test_hostile_sizes_with_a_sound_checksum(size: bytes, kind: bytes) -> None:
    header = bytearray(archive(DOCKER)[:512])
    header[124:136] = size
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert refusal(bytes(header) + archive(DOCKER)[512:]) != ""
