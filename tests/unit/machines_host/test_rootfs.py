"""Root file systems as they are uploaded, and what becomes of hostile ones."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from stackyard.host.errors import SpecError
from stackyard.host.machines.engine import making, rootfs
from stackyard.host.specs import MachineImage, MachineRescue, MachineSpec, MachineVolume

IMAGE = MachineImage(id="7", disk_format="raw", container_format="rootfs")
LINKS = Path("/links")
SPEC = MachineSpec(id="1", name="i", kind="system", image=IMAGE, memory=64, vcpus=2, hostname="web")


def files(*names: str) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return target.getvalue()


def layer(data: bytes) -> tuple[list[str], dict[str, object]]:
    """The names in the one layer of the image that comes of it, and the image's configuration."""
    with rootfs.as_image(io.BytesIO(data), "x:1") as archive, tarfile.open(fileobj=archive) as image:
        read = {member.name: image.extractfile(member) for member in image}
        documents = {name: content.read() for name, content in read.items() if content is not None}
    [manifest] = msgspec.json.decode(documents["manifest.json"])
    with tarfile.open(fileobj=io.BytesIO(documents[manifest["Layers"][0]])) as content:
        return content.getnames(), msgspec.json.decode(documents[manifest["Config"]])["config"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, bz2.compress])
def test_a_packed_tar_is_one_layer(pack: Callable[[bytes], bytes]) -> None:
    names, config = layer(pack(files("sbin/init", "bin/sh")))
    assert names == ["sbin/init", "bin/sh"]
    assert config["Cmd"] == ["/sbin/init"]


@pytest.mark.root
def test_a_squashfs_is_one_layer(tmp_path: Path) -> None:
    made = tmp_path / "made.sqfs"
    subprocess.run(["tar2sqfs", "-q", str(made)], input=files("sbin/init", "bin/sh"), check=True, capture_output=True)
    names, _ = layer(made.read_bytes())
    assert {"sbin/init", "bin/sh"} <= {name.removeprefix("./") for name in names}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a tar" * 100,
        files("etc/passwd"),
        gzip.compress(files("sbin/init"))[:40],
        b"\xfd7zXZ\0broken",
        b"\x28\xb5\x2f\xfd" + bytes(512),
    ],
    ids=["empty", "text", "no-system", "cut", "broken", "zstd"],
)
def test_what_is_no_system_is_refused(data: bytes) -> None:
    with pytest.raises(SpecError):
        layer(data)


@pytest.mark.root
def test_a_broken_squashfs_is_refused() -> None:
    with pytest.raises(SpecError, match="squashfs"):
        layer(b"hsqs" + b"\xff" * 4096)


def test_a_system_runs_its_init_with_its_own_memory_file_systems() -> None:
    made = making.container_spec(SPEC, LINKS)
    assert made.command == ("/sbin/init",)
    assert "/run" in made.tmpfs
    assert (made.privileged, made.capabilities) == (False, ())
    assert (made.memory, made.cpus, made.hostname) == (64, 2.0, "web")


def test_an_application_runs_its_image_s_command_unless_another_is_given() -> None:
    spec = msgspec.structs.replace(SPEC, kind="container")
    assert making.container_spec(spec, LINKS).command is None
    assert making.container_spec(msgspec.structs.replace(spec, command=("a", "b")), LINKS).command == ("a", "b")
    assert making.container_spec(spec, LINKS).tmpfs == ()


@pytest.mark.parametrize(
    "change",
    [
        {"image": None},
        {"rescue": MachineRescue(image=IMAGE)},
        {"volumes": (MachineVolume(id="v", path="/dev/x", device="vdb"),)},
    ],
    ids=["no-image", "rescue", "volume"],
)
def test_what_no_container_can_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        making.container_spec(msgspec.structs.replace(SPEC, **change), LINKS)


def test_metadata_that_cannot_be_a_variable_is_left_out() -> None:
    given = {"COLOUR": "blue", "a=b": "1", "": "2", "zero": "x\0y"}
    assert making.environment(given) == {"COLOUR": "blue"}


def test_files_stay_inside_of_the_container() -> None:
    given = {"files": {"../../etc/x": b"1", "/etc/motd": b"2"}, "user_data": b"#!"}
    spec = msgspec.structs.replace(SPEC, kind="container", **given)
    with tarfile.open(fileobj=io.BytesIO(making.first_files(spec))) as archive:
        names = archive.getnames()
    assert names == ["etc/motd", "etc/x", making.USER_DATA[1:].replace("user", "meta"), making.USER_DATA[1:]]
    assert making.first_files(SPEC) == b""
