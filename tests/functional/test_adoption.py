"""Workloads outlive the cloud's process and its engine; what is taken away by hand comes back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.engine_fixture import wait_until
from tests.functional.real_cloud import RealCloud, kill
from tests.functional.tenant import Tenant
from tests.functional.users import address, port

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(240)]

REPAIR = 60  # seconds within which the cloud repairs what was taken away by hand


class Web:
    """A page on the tenant network, at a floating IP, and a visitor beside it."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        tenant.router()
        tenant.open(80)
        self.server = tenant.run(name="web", image="nginx")
        self.visitor = tenant.run(name="visitor")
        self.url = f"http://{tenant.floating(port(self.server))}/"

    def answers(self) -> bool:
        """Whether the host gets the page through the floating IP."""
        try:
            return "nginx" in httpx2.get(self.url, timeout=1, trust_env=False).text.lower()
        except httpx2.TransportError:
            return False

    def visited(self, place: str) -> bool:
        """Whether the visitor gets it."""
        answer = self.tenant.send(
            "POST",
            f"/container/v1/containers/{self.visitor['uuid']}/execute",
            command=f"timeout 2 wget -q -O - http://{place}/",
            run="true",
        )
        return answer.is_success and "nginx" in answer.text.lower()

    def well(self, seconds: float = 20) -> None:
        """Fails unless all of it works within a time."""
        wait_until(self.answers, f"{self.url} answers", seconds)
        for place in (address(self.server), "web"):
            wait_until(lambda place=place: self.visited(place), f"{place} answers from inside", seconds)


@pytest.fixture(scope="module")
def web(own_cloud: RealCloud) -> Iterator[Web]:
    tenant = own_cloud.tenant()
    made = Web(tenant)
    made.well()
    yield made
    tenant.remove()


@pytest.fixture(autouse=True)
def as_before(own_cloud: RealCloud, web: Web) -> Iterator[None]:
    """Whatever happened, the containers are the same ones, and all of it matches at the end."""
    before = started_at(own_cloud)
    yield
    web.well(REPAIR)
    assert started_at(own_cloud) == before, "a container was started again"
    wait_until(lambda: own_cloud.stackyard("doctor").status == 0, "kernel and engine match the database", REPAIR)


def started_at(cloud: RealCloud) -> dict[str, str]:
    """When each container of the engine began: it tells whether one was replaced or restarted."""
    names = cloud.docker("ps", "--all", "--quiet", "--no-trunc").split()
    found = json.loads(cloud.docker("inspect", *names))
    return {one["Name"]: one["State"]["StartedAt"] for one in found}


def test_down_leaves_workloads_and_up_adopts_them(own_cloud: RealCloud, web: Web) -> None:
    assert "go on" in own_cloud.succeed("down")
    with pytest.raises(httpx2.TransportError):
        httpx2.get(own_cloud.url, trust_env=False)
    for _ in range(3):
        assert web.answers(), "the page is gone with the cloud's process"
    assert own_cloud.stackyard("status").status == 3
    assert "does not run" in own_cloud.succeed("down")
    own_cloud.up()
    shown = web.tenant.show("web")
    assert (shown["status"], shown["addresses"]) == ("Running", web.server["addresses"])


def test_what_happened_while_it_was_down_is_noticed(own_cloud: RealCloud, web: Web) -> None:
    uuid = web.tenant.run(name="mortal")["uuid"]
    own_cloud.succeed("down")
    (found,) = own_cloud.docker("ps", "--quiet", "--filter", f"name={uuid}").split()
    own_cloud.docker("kill", found)
    own_cloud.up()
    shown = web.tenant.wait(uuid, "Stopped")
    assert shown["status_detail"].startswith("Exited(137)")
    web.tenant.delete(uuid)


def test_a_killed_process_is_started_again(own_cloud: RealCloud, web: Web) -> None:
    pid = own_cloud.pid()
    kill(pid)
    assert web.answers()
    assert "is up" in own_cloud.up()
    assert own_cloud.pid() != pid


def test_a_killed_engine_comes_back_and_containers_with_it(own_cloud: RealCloud, web: Web) -> None:
    uuid = web.tenant.run(name="aside")["uuid"]
    pid = own_cloud.engine_pid()
    kill(pid)
    assert web.answers(), "the page is gone with the engine"
    listed = web.tenant.call("GET", "/container/v1/containers")["containers"]
    assert len(listed) == 3, "lists answer while the engine is away"

    def back() -> bool:
        try:
            return own_cloud.engine_pid() != pid and bool(own_cloud.docker("version"))
        except (OSError, ValueError, subprocess.CalledProcessError):
            return False

    wait_until(back, "the cloud has started its engine again", REPAIR)
    for name in ("web", "visitor", "aside"):
        assert web.tenant.wait(name, "Running", REPAIR)["status"] == "Running"
    assert web.tenant.inside(uuid, "echo alive").strip() == "alive"
    web.tenant.delete(uuid)
    web.tenant.delete(web.tenant.run(name="after")["uuid"])


def in_fabric(cloud: RealCloud, *argv: str) -> str:
    """A command in the namespace of the cloud's bridges."""
    return output("ip", "netns", "exec", f"sy-{cloud.id}", *argv)


def output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def digits(identifier: str) -> str:
    """What stands for an id in names of the kernel."""
    return identifier.replace("-", "")[:12]


def test_what_is_taken_away_by_hand_comes_back(own_cloud: RealCloud, web: Web) -> None:
    """An interface, rules and a name server at the same time: the cloud looks at all of them now and then."""
    chain = ("nft", "list", "chain", "bridge", "stackyard", f"i_{digits(port(web.server))}")
    rules = in_fabric(own_cloud, *chain)
    in_fabric(own_cloud, "nft", "flush", *chain[2:])
    in_fabric(own_cloud, "ip", "link", "delete", f"syp{digits(port(web.visitor))}")
    pids = output("ip", "netns", "pids", f"sy-{own_cloud.id}-d-{digits(web.tenant.network)}").split()
    servers = [int(pid) for pid in pids if b"dnsmasq" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert servers
    for pid in servers:
        kill(pid)
    assert not web.visited("web")
    assert own_cloud.stackyard("doctor").status == 1, "the doctor sees nothing"
    web.well(REPAIR)
    assert in_fabric(own_cloud, *chain) == rules
