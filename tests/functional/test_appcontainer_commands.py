"""Every `openstack appcontainer` command that this cloud serves, with the unmodified client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine_fixture import wait_until
from tests.functional.real_cloud import BAKED, Done, RealCloud
from tests.functional.users import Session, address, port

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(180)]

PATIENT = ("sh", "-c", "trap 'exit 0' TERM; echo begun; sleep 86400 & wait")
"""A command that ends when it is asked to, so that stopping takes no ten seconds."""


class Commands:
    """`openstack appcontainer ...` of the user demo."""

    def __init__(self, cloud: RealCloud) -> None:
        self.cloud = cloud

    def __call__(self, *words: str, cloud: str = "stackyard") -> str:
        """What a command prints, which must succeed (the client's exit status does not tell: it prints failures)."""
        said = self.cloud.openstack("appcontainer", *words, cloud=cloud)
        assert "failed" not in said, said
        return said

    def look(self, *words: str, cloud: str = "stackyard") -> Any:
        """Its answer as data."""
        return json.loads(self(*words, "-f", "json", cloud=cloud))

    def ends(self, *words: str, cloud: str = "stackyard") -> Done:
        """However it ends."""
        return self.cloud.client("appcontainer", *words, cloud=cloud)


@pytest.fixture
def app(real_cloud: RealCloud) -> Commands:
    return Commands(real_cloud)


@pytest.fixture
def box(demo: Session) -> Iterator[str]:
    """The name of a container that runs, of the user demo."""
    found = demo.run(command=list(PATIENT), nets=[{"network": "private"}])
    yield found["name"]
    demo.delete(found["uuid"])


def test_the_life_of_a_container(app: Commands, demo: Session) -> None:
    app("create", "--name", "life", "--net", "network=private", "busybox", *PATIENT)
    demo.wait("life", "Created")
    app("start", "life")
    first = demo.wait("life", "Running")
    app("stop", "--timeout", "5", "life")
    assert demo.wait("life", "Stopped")["status_detail"].startswith("Exited(0)")
    app("start", "life")
    demo.wait("life", "Running")
    app("restart", "--timeout", "5", "life")
    demo.wait("life", "Running")
    wait_until(lambda: demo.logs("life").count("begun") == 3, "the container has been started three times")
    app("pause", "life")
    demo.wait("life", "Paused")
    app("unpause", "life")
    again = demo.wait("life", "Running")
    assert again["addresses"] == first["addresses"]
    app("kill", "--signal", "TERM", "life")
    assert demo.wait("life", "Stopped")["status_detail"].startswith("Exited(0)")
    app("delete", "life")
    demo.wait_gone("life")


def test_list_and_show(app: Commands, box: str) -> None:
    rows = app.look("list", "--name", box)
    assert [(row["name"], row["status"], row["image"]) for row in rows] == [(box, "Running", "busybox")]
    shown = app.look("show", rows[0]["uuid"])
    assert shown["name"] == box
    everybody = app.look("list", "--all-projects", cloud="stackyard-admin")
    assert rows[0]["uuid"] in {row["uuid"] for row in everybody}


def test_exec_tells_output_and_exit_status(app: Commands, box: str) -> None:
    assert app("exec", box, "echo", "two words").strip() == "two words"
    assert app.ends("exec", box, "sh", "-c", "exit 7").status == 7


def test_logs(app: Commands, box: str, demo: Session) -> None:
    wait_until(lambda: demo.logs(box), "it has printed")
    assert app("logs", box).strip() == "begun"
    stamped = app("logs", "--timestamps", "--tail", "1", "--stdout", box)
    assert stamped.strip().endswith("Z begun")
    assert app("logs", "--stderr", box).strip() == ""


def test_top_and_stats(app: Commands, box: str, demo: Session) -> None:
    stats = app.look("stats", box)
    assert stats["CONTAINER"] == box
    # `appcontainer top` of the client cannot print in Python 3; what it asks for is asked for here.
    found = demo.call("GET", f"/container/v1/containers/{box}/top")
    commands = [row[found["Titles"].index("CMD")] for row in found["Processes"]]
    assert any("sleep 86400" in command for command in commands), commands


def test_set_and_rename(app: Commands, box: str, demo: Session) -> None:
    uuid = demo.show(box)["uuid"]
    app("set", "--name", "renamed", "--memory", "96", box)
    shown = demo.wait(uuid, "Running")
    assert (shown["name"], shown["memory"]) == ("renamed", "96")
    assert app("exec", "renamed", "hostname").strip() == box  # the host's name was chosen at its birth


def test_rebuild_takes_another_image(app: Commands, demo: Session) -> None:
    made = demo.run(nets=[{"network": "private"}], command=list(PATIENT))
    try:
        demo.inside(made["uuid"], "touch /tmp/mark")
        app("rebuild", made["name"])
        wait_until(lambda: demo.show(made["uuid"])["status"] != "Rebuilding", "it is rebuilt")
        again = demo.wait(made["uuid"], "Running")
        assert again["addresses"] == made["addresses"]
        assert demo.attempt(made["uuid"], "test -e /tmp/mark")[0] == 1, "the old container's files are still there"
        app("rebuild", "--image", "nginx", made["name"])
        shown = wait_until(lambda: (s := demo.show(made["uuid"]))["image"] == "nginx" and s, "the image is nginx")
        assert shown
    finally:
        demo.delete(made["uuid"])


def test_cp_both_ways(app: Commands, box: str, tmp_path: Path) -> None:
    source = tmp_path / "letter"
    source.write_bytes(bytes(range(256)))
    app("cp", str(source), f"{box}:/tmp")
    back = tmp_path / "back"
    back.mkdir()
    app("cp", f"{box}:/tmp/letter", str(back))
    assert (back / "letter").read_bytes() == bytes(range(256))
    assert "failed" not in app("exec", box, "cmp", "/tmp/letter", "/tmp/letter")


def test_commit_makes_an_image(app: Commands, box: str, demo: Session) -> None:
    demo.inside(box, "sh -c 'echo kept >/etc/kept'")
    app("commit", box, "kept:v1")
    named = {"name": "kept:v1"}
    image = wait_until(lambda: demo.call("GET", "/image/v2/images", **named)["images"], "there is an image")[0]["id"]
    try:
        wait_until(lambda: demo.call("GET", f"/image/v2/images/{image}")["status"] == "active", "it is active")
        made = demo.run(image=image, image_driver="glance", command=list(PATIENT), nets=[{"network": "private"}])
        assert demo.inside(made["uuid"], "cat /etc/kept").strip() == "kept"
        demo.delete(made["uuid"])
    finally:
        demo.call("DELETE", f"/image/v2/images/{image}")


def test_an_archive_of_docker_save_runs_as_an_image(app: Commands, demo: Session) -> None:
    archive = next(BAKED.glob("busybox-*.tar"))
    options = ("--container-format", "docker", "--disk-format", "raw", "saved", "-f", "json")
    image = json.loads(app.cloud.pipe(archive, "image", "create", *options))
    try:
        assert (image["status"], image["size"]) == ("active", archive.stat().st_size)
        app("run", "--name", "fromglance", "--image-driver", "glance", "--net", "network=private", "saved", *PATIENT)
        demo.wait("fromglance", "Running")
        assert demo.inside("fromglance", "echo here").strip() == "here"
        demo.delete("fromglance")
    finally:
        demo.call("DELETE", f"/image/v2/images/{image['id']}")


@pytest.fixture
def second(demo: Session) -> Iterator[str]:
    """The id of another network of demo's, of the name second."""
    network = demo.call("POST", "/network/v2.0/networks", {"network": {"name": "second"}})["network"]["id"]
    subnet = {"network_id": network, "ip_version": 4, "cidr": "10.88.0.0/24"}
    demo.call("POST", "/network/v2.0/subnets", {"subnet": subnet})
    yield network
    demo.call("DELETE", f"/network/v2.0/networks/{network}")


def test_network_attach_list_detach(app: Commands, second: str, box: str, demo: Session) -> None:
    app("network", "attach", "--network", "second", box)
    added = wait_until(lambda: demo.show(box)["addresses"].get(second), "it has an address on the second network")
    wait_until(lambda: added[0]["addr"] in demo.inside(box, "ip -4 addr"), "the address is inside")
    # `appcontainer network list` of the client cannot print with today's osc-lib; what it asks for is asked here.
    rows = demo.call("GET", f"/container/v1/containers/{box}/network_list")["networks"]
    assert {row["net_id"] for row in rows} >= {second}
    app("network", "detach", "--network", "second", box)
    wait_until(lambda: second not in demo.show(box)["addresses"], "the address is gone")
    wait_until(lambda: added[0]["addr"] not in demo.inside(box, "ip -4 addr"), "it is gone inside too")


@pytest.fixture
def extra(demo: Session) -> Iterator[str]:
    """The id of a security group of the name extra."""
    made = demo.call("POST", "/network/v2.0/security-groups", {"security_group": {"name": "extra"}})["security_group"]
    yield made["id"]
    demo.call("DELETE", f"/network/v2.0/security-groups/{made['id']}")


def test_security_groups_of_old_clients(app: Commands, extra: str, box: str, demo: Session) -> None:
    old = ("--os-container-api-version", "1.14", "appcontainer")

    def groups() -> set[str]:
        found = demo.call("GET", f"/network/v2.0/ports/{port(demo.show(box))}")["port"]["security_groups"]
        return set(found)

    # Each in a process of its own: zunclient keeps the first version that a process asked for.
    app.cloud.pipe(Path("/dev/null"), *old, "add", "security", "group", box, "extra")
    wait_until(lambda: groups() == {extra}, "the port has the group")
    app.cloud.pipe(Path("/dev/null"), *old, "remove", "security", "group", box, "extra")
    wait_until(lambda: extra not in groups(), "the port has it no more")


def test_actions(app: Commands, box: str) -> None:
    rows = app.look("action", "list", box)
    assert "create" in {row["action"] for row in rows}
    shown = app.look("action", "show", box, rows[0]["request_id"])
    assert shown["action"] == rows[0]["action"]


def test_hosts_services_and_zones(app: Commands) -> None:
    admin = "stackyard-admin"
    hosts = app.look("host", "list", cloud=admin)
    assert len(hosts) == 1
    host = app.look("host", "show", hosts[0]["uuid"], cloud=admin)
    assert host["cpus"] > 0
    services = app.look("service", "list", cloud=admin)
    where, what = services[0]["Host"], services[0]["Binary"]
    app("service", "disable", where, what, cloud=admin)
    app("service", "enable", where, what, cloud=admin)
    assert app.look("availability", "zone", "list")


def test_quotas(app: Commands, demo: Session) -> None:
    admin, project = "stackyard-admin", demo.project
    assert app.look("quota", "get", project)["containers"] == 40
    app("quota", "update", "--containers", "7", project, cloud=admin)
    assert app.look("quota", "get", project)["containers"] == 7
    assert app.look("quota", "default", project)["containers"] == 40
    app("quota", "delete", project, cloud=admin)
    assert app.look("quota", "get", project)["containers"] == 40
    before = app.look("quota", "class", "get", "default", cloud=admin)
    assert before["containers"] == 40


def test_images_of_the_engine(app: Commands) -> None:
    rows = app.look("image", "list", cloud="stackyard-admin")
    assert {"busybox", "nginx"} <= {row["repo"].rpartition("/")[2] for row in rows}


def test_registries(app: Commands) -> None:
    secret = ("--username", "u", "--password", "s3cret-word")
    made = app.look("registry", "create", "--name", "mine", "--domain", "registry.test", *secret)
    app("registry", "update", "mine", "--domain", "other.test")
    shown = app.look("registry", "show", "mine")
    assert shown["domain"] == "other.test"
    assert "s3cret-word" not in str(shown) + str(made)
    assert "mine" in app("registry", "list")
    app("registry", "delete", "mine")
    assert "mine" not in app("registry", "list")


def test_run_of_a_container_with_everything(app: Commands, demo: Session) -> None:
    options = ["--name", "all", "--net", "network=private", "--cpu", "0.5", "--memory", "64"]
    options += ["--hostname", "everything"]
    options += ["--environment", "A=1", "--label", "l=x", "--workdir", "/tmp", "--restart", "on-failure:3"]
    options += ["--healthcheck", "cmd=test -e /tmp,interval=1s,retries=2,timeout=2s"]
    app("run", *options, "busybox", *PATIENT)
    shown = demo.wait("all", "Running")
    try:
        assert (shown["cpu"], shown["memory"], shown["hostname"]) == (0.5, "64", "everything")
        assert shown["restart_policy"] == {"Name": "on-failure", "MaximumRetryCount": "3"}
        assert shown["labels"] == {"l": "x"}
        assert demo.inside("all", "sh -c 'echo $A $PWD $(hostname)'").strip() == "1 /tmp everything"
        assert address(shown).startswith("10.0.0.")
    finally:
        demo.delete("all")


def test_wrong_states_are_refused_with_the_reason(app: Commands, box: str, demo: Session) -> None:
    for command in ("start", "unpause"):
        said = app.cloud.openstack("appcontainer", command, box)
        assert "in Running state" in said
        assert "409" in said
    demo.act(box, "stop", timeout="5")
    demo.wait(box, "Stopped")
    for command in ("stop", "pause", "unpause", "kill"):
        said = app.cloud.openstack("appcontainer", command, box)
        assert f"Cannot {command} container" in said
        assert "in Stopped state" in said
    refused = app.ends("exec", box, "true")
    assert refused.status != 0
    assert "in Stopped state" in refused.err
