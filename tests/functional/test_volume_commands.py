"""Every command of the openstack client for block storage, each tried on a real cloud with real files behind it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import machine_guest
from tests.functional.every_command import ADMIN, EveryCommand
from tests.functional.real_cloud import RealCloud

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(300)]

MIB = 1 << 20

# What this cloud's back ends cannot do, or what no longer is in Cinder: it is refused, and says so.
REFUSED = {
    "volume host failover", "volume group failover", "block storage cluster set", "block storage cluster show",
    "consistency group snapshot create", "consistency group snapshot show", "consistency group snapshot delete",
    "volume migrate",
}  # fmt: skip

NEWEST = ("--os-volume-api-version", "3.71")
GROUPS = ("--os-volume-api-version", "3.14")


@pytest.fixture(scope="module")
def run(real_cloud: RealCloud) -> EveryCommand:
    return EveryCommand(real_cloud, "openstack.volume.v3")


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three MiB that nothing else has."""
    path = tmp_path_factory.mktemp("content") / "content.raw"
    path.write_bytes(b"".join(bytes([number]) * MIB for number in (17, 0, 23)))
    return path


@pytest.fixture(scope="module")
def image(real_cloud: RealCloud, content: Path) -> Iterator[str]:
    """The id of an image with that content."""
    made = real_cloud.look("image", "create", "content", "--file", str(content), "--disk-format", "raw", cloud=ADMIN)
    yield made["id"]
    real_cloud.openstack("image", "delete", made["id"], cloud=ADMIN)


@pytest.fixture(scope="module")
def volume(run: EveryCommand) -> Iterator[str]:
    """The id of an empty volume."""
    made = run.look("volume", "create", "empty", "--size", "1")["id"]
    reaches(run, made)
    yield made
    run("volume", "delete", made, "--force")


def reaches(run: EveryCommand, one: str, status: str = "available", *, noun: str = "", seconds: float = 120) -> Any:
    """Wait for a status of a volume, a snapshot, a backup; what is shown then."""
    until = time.monotonic() + seconds
    while True:
        shown = run.look("volume", *noun.split(), "show", one)
        if shown["status"] == status:
            return shown
        assert time.monotonic() < until, f"{noun or 'volume'} {one} is {shown['status']}, not {status}: {shown}"


def gone(run: EveryCommand, one: str, *, noun: str = "", seconds: float = 120) -> None:
    """Wait until it is not listed any more."""
    until = time.monotonic() + seconds
    while one in run.column("volume", *noun.split(), "list", name="ID"):
        assert time.monotonic() < until, f"{noun or 'volume'} {one} is still there"


def held(run: EveryCommand, real_cloud: RealCloud, volume: str, target: Path) -> bytes:
    """The first three MiB of a volume, by way of an image made of it."""
    words = ("image", "create", "--volume", volume, "--disk-format", "raw", target.stem)
    real_cloud.openstack(*words, cloud=ADMIN)
    made = next(
        row["ID"] for row in real_cloud.look("image", "list", cloud=ADMIN) if row["Name"] == target.stem
    )  # fmt: skip
    until = time.monotonic() + 120
    while real_cloud.look("image", "show", made, cloud=ADMIN)["status"] != "active":
        assert time.monotonic() < until, "the image never became active"
    reaches(run, volume)
    real_cloud.openstack("image", "save", made, "--file", str(target), cloud=ADMIN)
    real_cloud.openstack("image", "delete", made, cloud=ADMIN)
    with target.open("rb") as data:
        return data.read(3 * MIB)


def test_a_volume_is_shown_changed_and_grown(run: EveryCommand, volume: str) -> None:
    shown = run.look("volume", "show", volume)
    assert (shown["size"], shown["bootable"], shown["type"]) == (1, False, "__DEFAULT__")
    run("volume", "set", volume, "--name", "renamed", "--description", "tried", "--property", "a=b", "--bootable")
    run("volume", "set", volume, "--image-property", "colour=blue", "--read-only")
    shown = run.look("volume", "show", volume)
    assert (shown["name"], shown["description"], shown["bootable"]) == ("renamed", "tried", True)
    assert shown["properties"]["a"] == "b"
    run("volume", "unset", volume, "--property", "a", "--image-property", "colour")
    run("volume", "set", volume, "--read-write", "--non-bootable")
    run("volume", "set", volume, "--size", "2")
    assert reaches(run, volume)["size"] == 2
    assert volume in run.column("volume", "list", "--long", "--all-projects", "--status", "available", name="ID")
    assert run.look(*NEWEST, "volume", "summary")["Total Size"] >= 2


def test_what_is_made_of_an_image_has_its_content(
    run: EveryCommand, real_cloud: RealCloud, image: str, content: Path, tmp_path: Path
) -> None:
    first = run.look("volume", "create", "first", "--size", "1", "--image", image)["id"]
    assert reaches(run, first)["bootable"] is True
    assert held(run, real_cloud, first, tmp_path / "first.raw") == content.read_bytes()
    snapshot = run.look("volume", "snapshot", "create", "kept", "--volume", first)["id"]
    reaches(run, snapshot, noun="snapshot")
    made = [
        run.look("volume", "create", "second", "--snapshot", snapshot)["id"],
        run.look("volume", "create", "third", "--source", first)["id"],
    ]
    for number, one in enumerate(made):
        reaches(run, one)
        assert held(run, real_cloud, one, tmp_path / f"copy{number}.raw") == content.read_bytes()
    run("volume", "snapshot", "set", snapshot, "--name", "other", "--property", "a=b")
    run("volume", "snapshot", "unset", snapshot, "--property", "a")
    assert snapshot in run.column("volume", "snapshot", "list", name="ID")
    run(*NEWEST, "volume", "revert", snapshot)
    reaches(run, first)
    run("volume", "snapshot", "delete", snapshot)
    gone(run, snapshot, noun="snapshot")
    for one in (first, *made):
        run("volume", "delete", one)
        gone(run, one)


def test_a_backup_is_restored(
    run: EveryCommand, real_cloud: RealCloud, image: str, content: Path, tmp_path: Path
) -> None:
    source = run.look("volume", "create", "source", "--size", "1", "--image", image)["id"]
    reaches(run, source)
    full = run.look("volume", "backup", "create", source, "--name", "full")["id"]
    reaches(run, full, noun="backup")
    more = run.look("volume", "backup", "create", source, "--name", "more", "--incremental")["id"]
    assert reaches(run, more, noun="backup")["is_incremental"] is True
    record = run.look("volume", "backup", "record", "export", full)
    restored = run.look("volume", "create", "restored", "--size", "1")["id"]
    reaches(run, restored)
    run("volume", "backup", "restore", full, restored, "--force")
    reaches(run, full, noun="backup")
    reaches(run, restored)
    assert held(run, real_cloud, restored, tmp_path / "restored.raw") == content.read_bytes()
    run(*NEWEST, "volume", "backup", "set", full, "--name", "other", "--property", "a=b")
    run(*NEWEST, "volume", "backup", "unset", full, "--property", "a")
    for one in (more, full):
        run("volume", "backup", "delete", one)
        gone(run, one, noun="backup")
    assert record["backup_service"], record
    # This client sends it to the address of exports, where Cinder has nothing to be sent to either.
    done = run.ends("volume", "backup", "record", "import", record["backup_service"], record["backup_url"])
    assert done.status == 0 or "export_record" in done.err
    for one in (source, restored):
        run("volume", "delete", one)
        gone(run, one)


def test_types_and_their_promises(run: EveryCommand) -> None:
    kind = run.look("volume", "type", "create", "gold", "--private", "--property", "volume_backend_name=file")["id"]
    run("volume", "type", "set", kind, "--description", "tried", "--property", "a=b", "--project", "demo")
    run("volume", "type", "unset", kind, "--property", "a", "--project", "demo")
    assert run.look("volume", "type", "show", kind)["description"] == "tried"
    assert kind in run.column("volume", "type", "list", "--private", name="ID")
    promise = run.look("volume", "qos", "create", "slow", "--consumer", "front-end", "--property", "x=1")["id"]
    run("volume", "qos", "set", promise, "--property", "y=2")
    run("volume", "qos", "unset", promise, "--property", "x")
    run("volume", "qos", "associate", promise, kind)
    assert run.look("volume", "qos", "show", promise)["associations"] == ["gold"]
    assert promise in run.column("volume", "qos", "list", name="ID")
    run("volume", "qos", "disassociate", promise, "--all")
    run("volume", "qos", "delete", promise)
    made = run.look("volume", "create", "golden", "--size", "1", "--type", "gold")["id"]
    assert reaches(run, made)["type"] == "gold"
    run("volume", "set", made, "--type", "__DEFAULT__", "--migration-policy", "never")
    assert reaches(run, made)["type"] == "__DEFAULT__"
    run("volume", "delete", made)
    gone(run, made)
    run("volume", "type", "delete", kind)


def test_groups(run: EveryCommand) -> None:
    kind = run.look(*NEWEST, "volume", "group", "type", "create", "consistent")["ID"]
    snapshots = "consistent_group_snapshot_enabled=<is> True"
    run(*NEWEST, "volume", "group", "type", "set", kind, "--property", snapshots)
    assert run.look(*NEWEST, "volume", "group", "type", "show", kind)["Name"] == "consistent"
    assert kind in run.column(*NEWEST, "volume", "group", "type", "list", name="ID")
    words = ("--volume-group-type", kind, "--volume-type", "__DEFAULT__", "--name", "all")
    group = run.look(*NEWEST, "volume", "group", "create", *words)["ID"]
    made = run.look(*NEWEST, "volume", "create", "member", "--size", "1")["id"]
    reaches(run, made)
    run(*NEWEST, "volume", "group", "add", "volume", group, made)
    run(*NEWEST, "volume", "group", "set", group, "--description", "tried")
    assert run.look(*NEWEST, "volume", "group", "show", group)["Description"] == "tried"
    assert group in run.column(*NEWEST, "volume", "group", "list", name="ID")
    snapshot = run.look(*NEWEST, "volume", "group", "snapshot", "create", group, "--name", "then")["ID"]
    until = time.monotonic() + 120
    while run.look(*NEWEST, "volume", "group", "snapshot", "show", snapshot)["Status"] != "available":
        assert time.monotonic() < until, "the group's snapshot never became available"
    assert snapshot in run.column(*NEWEST, "volume", "group", "snapshot", "list", name="ID")
    run(*NEWEST, "volume", "group", "snapshot", "delete", snapshot)
    while snapshot in run.column(*NEWEST, "volume", "group", "snapshot", "list", name="ID"):
        assert time.monotonic() < until, "the group's snapshot is still there"
    run(*NEWEST, "volume", "group", "remove", "volume", group, made)
    run(*NEWEST, "volume", "group", "delete", group)
    run("volume", "delete", made)
    gone(run, made)
    while group in run.column(*NEWEST, "volume", "group", "list", name="ID"):
        assert time.monotonic() < until, "the group is still there"
    run(*NEWEST, "volume", "group", "type", "delete", kind)


def test_a_volume_changes_hands(run: EveryCommand) -> None:
    made = run.look("volume", "create", "given", "--size", "1")["id"]
    reaches(run, made)
    offer = run.look("volume", "transfer", "request", "create", made, "--name", "offer")
    assert offer["id"] in run.column("volume", "transfer", "request", "list", name="ID")
    assert run.look("volume", "transfer", "request", "show", offer["id"])["volume_id"] == made
    run("volume", "transfer", "request", "delete", offer["id"])
    offer = run.look("volume", "transfer", "request", "create", made)
    words = ("volume", "transfer", "request", "accept", offer["id"], "--auth-key", offer["auth_key"])
    run(*words, cloud="stackyard")
    assert made in run.column("volume", "list", name="ID", cloud="stackyard")
    run("volume", "delete", made, cloud="stackyard")
    gone(run, made)


@pytest.fixture(scope="module")
def server(real_cloud: RealCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The id of a machine without a network."""
    path = tmp_path_factory.mktemp("images") / "tiny.raw"
    path.write_bytes(machine_guest.boot_disk())
    admin = {"cloud": ADMIN}
    image = real_cloud.look("image", "create", "tiny", "--file", str(path), "--disk-format", "raw", **admin)["id"]
    words = ("--image", image, "--flavor", "m1.nano", "--no-network", "--wait")
    made = real_cloud.look("--os-compute-api-version", "2.90", "server", "create", "of-volumes", *words, **admin)["id"]
    yield made
    real_cloud.openstack("server", "delete", made, "--wait", **admin)
    real_cloud.openstack("image", "delete", image, **admin)


def test_attachments_and_the_cloud_itself(run: EveryCommand, volume: str, server: str) -> None:
    attachment = run.look(*NEWEST, "volume", "attachment", "create", volume, "--mode", "rw", "--server", server)["ID"]
    run(*NEWEST, "volume", "attachment", "set", attachment, "--host", "here", "--mountpoint", "/dev/vdb")
    run(*NEWEST, "volume", "attachment", "complete", attachment)
    assert reaches(run, volume, "in-use")["attachments"]
    assert attachment in run.column(*NEWEST, "volume", "attachment", "list", name="ID")
    assert run.look(*NEWEST, "volume", "attachment", "show", attachment)["Status"] == "attached"
    run(*NEWEST, "volume", "attachment", "delete", attachment)
    reaches(run, volume)
    services = run.look("volume", "service", "list")
    storage = next(row["Host"] for row in services if row["Binary"] == "cinder-volume")
    assert "@" in storage
    run("volume", "service", "set", storage, "cinder-volume", "--disable", "--disable-reason", "tried")
    run("volume", "service", "set", storage, "cinder-volume", "--enable")
    run("volume", "host", "set", storage, "--disable")
    run("volume", "host", "set", storage, "--enable")
    assert run.look("volume", "backend", "pool", "list")
    assert run.look("volume", "backend", "capability", "show", storage) is not None
    assert run.look(*NEWEST, "block", "storage", "resource", "filter", "list")
    assert run.look(*NEWEST, "block", "storage", "resource", "filter", "show", "volume")
    for noun in ("volume", "snapshot"):  # asked at 3.0 too, where these addresses are not there yet
        assert "3.0" in run.ends(*NEWEST, "block", "storage", noun, "manageable", "list", storage).err
    for words in (("cluster", "list"), ("log", "level", "list"), ("log", "level", "set", "info")):
        run(*NEWEST, "block", "storage", *words)
    done = run.ends(
        *NEWEST, "block", "storage", "cleanup", "--host", storage
    )  # this client forgets arguments of its own
    assert done.status == 0 or "cleanup_workers" in done.err
    old = run.look("consistency", "group", "create", "--volume-type", "__DEFAULT__", "old")["id"]
    assert "old" in run.ends("consistency", "group", "show", old).out
    assert old in run.ends("consistency", "group", "list").out
    for words in (("set", old, "--name", "older"), ("delete", old)):  # sent to addresses that Cinder does not have
        assert "Traceback" not in run.ends("consistency", "group", *words).err
    run("consistency", "group", "snapshot", "list")
    for words in (("add", "volume", "x", "y"), ("remove", "volume", "x", "y")):
        assert "No Volume found" in run.ends("consistency", "group", *words).err


def test_what_went_wrong_is_told(run: EveryCommand) -> None:
    big = run.look("volume", "create", "too-big", "--size", "900", "--hint", "different_host=" + "0" * 32)
    assert big["id"]
    run("volume", "delete", big["id"], "--force")
    kind = run.look("volume", "type", "create", "nowhere", "--property", "volume_backend_name=nothing")["id"]
    made = run.look("volume", "create", "lost", "--size", "1", "--type", "nowhere")["id"]
    reaches(run, made, "error")
    # The client asks for messages at 3.0 whatever it is told, where Cinder has none.
    assert "3.0" in run.ends(*NEWEST, "volume", "message", "list").err
    for word in ("show", "delete"):
        assert run.ends(*NEWEST, "volume", "message", word, made).status != 0
    run("volume", "delete", made)
    gone(run, made)
    run("volume", "type", "delete", kind)


@pytest.mark.parametrize(
    "words",
    [
        ("volume", "host", "failover", "nowhere", "--volume-backend", "x"),
        (*NEWEST, "volume", "group", "failover", "nothing"),
        (*NEWEST, "block", "storage", "cluster", "show", "nothing"),
        (*NEWEST, "block", "storage", "cluster", "set", "nothing", "--disable"),
        ("consistency", "group", "snapshot", "create", "--consistency-group", "x", "y"),
        ("consistency", "group", "snapshot", "show", "x"),
        ("consistency", "group", "snapshot", "delete", "x"),
        ("volume", "migrate", "renamed", "--host", "nowhere@file#file"),
    ],
)
def test_what_is_not_offered_says_so(run: EveryCommand, words: tuple[str, ...], volume: str) -> None:
    done = run.ends(*words)
    assert done.status != 0
    assert done.err, json.dumps(words)
    assert "(HTTP 5" not in done.err.replace("(HTTP 501", "")


def test_no_command_was_forgotten(run: EveryCommand) -> None:
    assert run.listed - run.tried == set()
    assert run.listed >= REFUSED
