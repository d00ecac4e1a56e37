"""Every command of the openstack client for servers and hosts, each tried on a real cloud with real machines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from tests import machine_guest
from tests.functional.every_command import EveryCommand
from tests.functional.real_cloud import RealCloud

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(300)]

# What asks for services that this cloud does not have, or for what no host here can do: it is refused, and says so.
REFUSED = {
    "server add share", "server remove share", "server share show", "server add volume",
    "server remove volume", "server volume set", "server volume update", "server migration abort",
    "server migration force complete", "server migration show", "server evacuate",
    "compute agent create", "compute agent delete", "compute agent list", "compute agent set", "server ssh",
    "server migrate", "host set",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(real_cloud: RealCloud) -> EveryCommand:
    return EveryCommand(real_cloud, "openstack.compute.v2")


@pytest.fixture(scope="module")
def image(real_cloud: RealCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The id of the image of a machine that is up at once."""
    path = tmp_path_factory.mktemp("images") / "tiny.raw"
    path.write_bytes(machine_guest.boot_disk())
    words = ("--file", str(path), "--disk-format", "raw", "--property", "os_shutdown_timeout=5")
    made = real_cloud.look("image", "create", "tiny", *words, cloud="stackyard-admin")["id"]
    yield made
    real_cloud.openstack("image", "delete", made, cloud="stackyard-admin")


@pytest.fixture(scope="module")
def network(real_cloud: RealCloud) -> Iterator[str]:
    """The id of a network with a subnet, of the project admin."""
    admin = {"cloud": "stackyard-admin"}
    made = real_cloud.look("network", "create", "servers", **admin)["id"]
    real_cloud.openstack("subnet", "create", "servers", "--network", made, "--subnet-range", "10.61.0.0/24", **admin)
    yield made
    real_cloud.openstack("network", "delete", made, **admin)


@pytest.fixture(scope="module")
def server(run: EveryCommand, image: str, network: str) -> Iterator[str]:
    """The id of a machine that runs."""
    words = ("--image", image, "--flavor", "m1.nano", "--network", network, "--wait")
    made = run.look("server", "create", "commands", *words)["id"]
    yield made
    run("server", "delete", made, "--wait")


def reaches(run: EveryCommand, server: str, status: str, *, seconds: float = 60) -> dict[str, Any]:
    """Wait for a status; what is shown then."""
    until = time.monotonic() + seconds
    while True:
        shown: dict[str, Any] = run.look("server", "show", server)
        if shown["status"] == status and shown["OS-EXT-STS:task_state"] is None:
            return shown
        assert time.monotonic() < until, f"{server} is {shown['status']} ({shown.get('fault')}), not {status}"


def test_a_server_is_shown_and_changed(run: EveryCommand, server: str) -> None:
    shown = run.look("server", "show", server)
    assert (shown["status"], shown["name"], shown["OS-EXT-STS:power_state"]) == ("ACTIVE", "commands", 1)
    assert shown["addresses"]["servers"][0].startswith("10.61.0.")
    assert server in run.column("server", "list", name="ID")
    assert server in run.column("server", "list", "--long", "--all-projects", "--status", "ACTIVE", name="ID")
    run("server", "set", server, "--name", "renamed", "--property", "a=b", "--tag", "blue", "--description", "tried")
    shown = run.look("server", "show", server)
    assert (shown["name"], shown["properties"], shown["tags"]) == ("renamed", {"a": "b"}, ["blue"])
    assert server in run.column("server", "list", "--tags", "blue", name="ID")
    run("server", "unset", server, "--property", "a", "--tag", "blue", "--description")
    assert run.look("server", "show", server)["properties"] == {}


def test_a_server_is_stopped_paused_suspended_and_locked(run: EveryCommand, server: str) -> None:
    for down, status, up in (
        (("stop",), "SHUTOFF", ("start",)),
        (("pause",), "PAUSED", ("unpause",)),
        (("suspend",), "SUSPENDED", ("resume",)),
    ):
        run("server", *down, server)
        reaches(run, server, status)
        run("server", *up, server)
        reaches(run, server, "ACTIVE")
    run("server", "dump", "create", server)
    run("server", "reboot", "--hard", "--wait", server)
    run("server", "reboot", "--soft", "--wait", server)
    run("server", "lock", server, "--reason", "tried")
    assert run.look("server", "show", server)["locked_reason"] == "tried"
    run("server", "unlock", server)
    listed = run.look("server", "event", "list", server)
    assert {"create", "stop", "start", "pause", "suspend", "reboot", "lock"} <= {event["Action"] for event in listed}
    request = next(event["Request ID"] for event in listed if event["Action"] == "stop")
    assert run.look("server", "event", "show", server, request)["action"] == "stop"


def test_a_server_is_rescued_rebuilt_and_resized(run: EveryCommand, server: str, image: str) -> None:
    run("server", "rescue", server, "--image", image)
    reaches(run, server, "RESCUE")
    run("server", "unrescue", server)
    reaches(run, server, "ACTIVE")
    run("server", "rebuild", server, "--image", image, "--wait")
    reaches(run, server, "ACTIVE")
    for _ in range(2):
        run("server", "resize", server, "--flavor", "m1.micro", "--wait")
        assert reaches(run, server, "VERIFY_RESIZE")["flavor"]["original_name"] == "m1.micro"
        run("server", "resize", "revert", server)
        reaches(run, server, "ACTIVE")
    run("server", "resize", server, "--flavor", "m1.micro", "--wait")
    run("server", "resize", "confirm", server)
    assert reaches(run, server, "ACTIVE")["flavor"]["original_name"] == "m1.micro"
    for old in ("migrate", "migration"):
        run("server", "resize", server, "--flavor", "m1.nano", "--wait")
        run("server", old, "revert", server)
        reaches(run, server, "ACTIVE")
        run("server", "resize", server, "--flavor", "m1.nano", "--wait")
        run("server", old, "confirm", server)
        reaches(run, server, "ACTIVE")
        run("server", "resize", server, "--flavor", "m1.micro", "--wait")
        run("server", "resize", "confirm", server)
        reaches(run, server, "ACTIVE")
    assert "resize" in run.column("server", "migration", "list", "--server", server, name="Type")


def test_images_of_servers(run: EveryCommand, real_cloud: RealCloud, server: str) -> None:
    made = [
        run.look("server", "image", "create", server, "--name", "snap", "--wait")["id"],
        run.look("server", "backup", "create", server, "--name", "backup", "--rotate", "1", "--wait")["id"],
    ]
    for image in made:
        shown = real_cloud.look("image", "show", image, cloud="stackyard-admin")
        assert (shown["status"], shown["properties"]["instance_uuid"]) == ("active", server)
        real_cloud.openstack("image", "delete", image, cloud="stackyard-admin")
    run("server", "shelve", server, "--wait")
    reaches(run, server, "SHELVED_OFFLOADED")
    run("server", "unshelve", server, "--wait")
    reaches(run, server, "ACTIVE")


def test_consoles(run: EveryCommand, server: str) -> None:
    run("server", "reboot", "--hard", "--wait", server)
    until = time.monotonic() + 30
    while machine_guest.GREETING not in run("console", "log", "show", server):
        assert time.monotonic() < until, "the machine has printed nothing"
    url = run.look("console", "url", "show", "--novnc", server)["url"]
    token = unquote(url).rpartition("token=")[2]
    assert run.look("console", "connection", "show", token)["instance_uuid"] == server


def test_cards_and_groups_of_a_server(run: EveryCommand, real_cloud: RealCloud, server: str, network: str) -> None:
    admin = {"cloud": "stackyard-admin"}
    group = real_cloud.look("security", "group", "create", "servers", **admin)["id"]
    run("server", "add", "security", "group", server, group)
    assert "servers" in {each["name"] for each in run.look("server", "show", server)["security_groups"]}
    run("server", "remove", "security", "group", server, group)
    port = real_cloud.look("port", "create", "extra", "--network", network, **admin)["id"]
    run("server", "add", "port", server, port)
    assert len(run.look("server", "show", server)["addresses"]["servers"]) == 2
    run("server", "remove", "port", server, port)
    run("server", "add", "network", server, network)
    run("server", "remove", "network", server, network)
    assert "servers" not in run.look("server", "show", server)["addresses"]
    run("server", "add", "fixed", "ip", server, network, "--fixed-ip-address", "10.61.0.77")
    assert run.look("server", "show", server)["addresses"]["servers"] == ["10.61.0.77"]
    router = real_cloud.look("router", "create", "servers", "--external-gateway", "public", **admin)["id"]
    subnet = real_cloud.look("subnet", "show", "servers", **admin)["id"]
    real_cloud.openstack("router", "add", "subnet", router, subnet, **admin)
    floating = real_cloud.look("floating", "ip", "create", "public", **admin)["floating_ip_address"]
    run("server", "add", "floating", "ip", server, floating)
    assert floating in run.look("server", "show", server)["addresses"]["servers"]
    run("server", "remove", "floating", "ip", server, floating)
    # The client asks by a microversion that has no such action any more: whole cards are taken away.
    assert "no such action" in run.ends("server", "remove", "fixed", "ip", server, "10.61.0.77").err
    run("server", "remove", "network", server, network)
    run("server", "add", "network", server, network)
    for words in (
        ("floating", "ip", "delete", floating), ("router", "remove", "subnet", router, subnet),
        ("router", "delete", router), ("security", "group", "delete", group),
    ):  # fmt: skip
        real_cloud.openstack(*words, **admin)
    until = time.monotonic() + 20
    while real_cloud.client("port", "show", port, **admin).status == 0:
        # Taking a port away leaves one that was given by its id to its owner.
        real_cloud.openstack("port", "delete", port, **admin)
        assert time.monotonic() < until


def test_flavors_and_keys(run: EveryCommand, tmp_path: Path) -> None:
    assert {"m1.tiny", "m1.nano", "ds4G"} <= run.column("flavor", "list", "--all")
    made = run.look("flavor", "create", "tried", "--ram", "64", "--disk", "1", "--private", "--property", "a=b")
    run("flavor", "set", "tried", "--property", "c=d", "--project", "demo", "--description", "tried")
    run("flavor", "unset", "tried", "--property", "a", "--project", "demo")
    shown = run.look("flavor", "show", "tried")
    assert (shown["id"], shown["properties"], shown["description"]) == (made["id"], {"c": "d"}, "tried")
    run("flavor", "delete", "tried")
    private = run("keypair", "create", "tried", "--private-key", str(tmp_path / "key"))
    assert "tried" in private
    assert (tmp_path / "key").read_text().startswith("-----BEGIN")
    assert "tried" in run.column("keypair", "list")
    assert run.look("keypair", "show", "tried")["fingerprint"]
    run("keypair", "delete", "tried")


def test_hosts_and_aggregates(run: EveryCommand) -> None:
    (host,) = run.column("hypervisor", "list", name="Hypervisor Hostname")
    assert run.look("hypervisor", "show", host)["state"] == "up"
    run("--os-compute-api-version", "2.87", "hypervisor", "stats", "show")
    run("--os-compute-api-version", "2.42", "host", "list")
    run("--os-compute-api-version", "2.42", "host", "show", host)
    run("aggregate", "create", "tried")
    run("aggregate", "add", "host", "tried", host)
    run("aggregate", "set", "tried", "--name", "renamed", "--property", "a=b")
    run("aggregate", "unset", "renamed", "--property", "a")
    assert run.look("aggregate", "show", "renamed")["hosts"] == [host]
    assert "renamed" in run.column("aggregate", "list")
    run("aggregate", "remove", "host", "renamed", host)
    run("aggregate", "delete", "renamed")
    services = run.look("compute", "service", "list", "--service", "nova-compute")
    run("compute", "service", "set", "--disable", "--disable-reason", "tried", host, "nova-compute")
    run("compute", "service", "set", "--enable", host, "nova-compute")
    done = run.ends("compute", "service", "delete", str(services[0]["ID"]))
    assert done.status in (0, 1)
    assert run.look("usage", "list") is not None
    run("usage", "show")


def test_a_group_keeps_its_servers_apart(run: EveryCommand, image: str, network: str) -> None:
    group = run.look("server", "group", "create", "apart", "--policy", "anti-affinity")["id"]
    words = ("--image", image, "--flavor", "m1.nano", "--network", network, "--hint", f"group={group}", "--wait")
    first = run.look("server", "create", "first", *words)["id"]
    done = run.ends("server", "create", "second", *words)
    assert done.status != 0
    listed = run.look("server", "list", "--name", "second")
    assert [row["Status"] for row in listed] == ["ERROR"]
    assert "No valid host" in str(run.look("server", "show", listed[0]["ID"])["fault"])
    assert first in str(run.look("server", "group", "show", group)["members"])
    assert group in run.column("server", "group", "list", name="ID")
    run("server", "delete", first, listed[0]["ID"], "--wait")
    run("server", "group", "delete", group)


def test_deleting_for_good_and_restoring(run: EveryCommand, image: str, network: str) -> None:
    words = ("--image", image, "--flavor", "m1.nano", "--network", network, "--wait")
    made = run.look("server", "create", "gone", *words)["id"]
    run("server", "delete", made, "--force", "--wait")
    assert run.ends("server", "restore", made).status != 0
    assert made not in run.column("server", "list", "--all-projects", name="ID")


@pytest.mark.parametrize("command", sorted(REFUSED))
def test_what_is_not_here_is_refused_with_a_reason(run: EveryCommand, server: str, command: str) -> None:
    words = {
        "server add share": (server, server), "server remove share": (server, server),
        "server share show": (server, server),
        "server add volume": (server, server), "server remove volume": (server, server),
        "server volume set": (server, server, "--delete-on-termination"),
        "server volume update": (server, server, "--delete-on-termination"),
        "server migration abort": (server, "1"), "server migration force complete": (server, "1"),
        "server migration show": (server, "1"), "server evacuate": (server,),
        "compute agent create": ("linux", "x86_64", "1", "http://127.0.0.1", "d41d8cd98f00b204e9800998ecf8427e", "kvm"),
        "compute agent delete": ("1",), "compute agent list": (),
        "compute agent set": ("1", "1", "http://127.0.0.1", "d41d8cd98f00b204e9800998ecf8427e"),
        "server ssh": (server, "--", "-o", "BatchMode=yes", "-o", "ConnectTimeout=1"), "server migrate": (server,),
        "host set": ("--disable", "nowhere"),
    }  # fmt: skip
    done = run.ends(*command.split(), *words[command])
    assert done.status != 0, f"{command}: {done.out}"
    assert "Traceback" not in done.err
    assert "500" not in done.err


def test_no_command_is_left_out(run: EveryCommand, server: str) -> None:
    run("server", "volume", "list", server)
    run("server", "share", "list", server)
    run("server", "migration", "list")
    run("aggregate", "create", "cached")
    run.ends("aggregate", "cache", "image", "cached", "tiny")
    run("aggregate", "delete", "cached")
    assert run.listed - run.tried == set()
