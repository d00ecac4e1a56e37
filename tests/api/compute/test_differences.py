"""What `stackyard doctor` says of servers: where the host, the ports and Placement are not as it is written."""

from __future__ import annotations

import msgspec
import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

from stackyard.core import ids
from stackyard.core.db import Transaction
from stackyard.host.machines.memory import MemoryMachines
from stackyard.services.compute import api, hosts
from stackyard.services.network import api as network_api
from stackyard.services.placement import api as placement


@pytest.fixture
def server(cloud: TestCloud) -> str:
    made = booted.server(cloud, Nova(cloud, "demo"))
    assert told(cloud) == []
    return made


@pytest.fixture
def twin(cloud: TestCloud) -> MemoryMachines:
    return cloud.machines["machine"]


def told(cloud: TestCloud) -> list[str]:
    cloud.settle()
    return api.differences(cloud.runtime)


def test_one_that_is_not_there(cloud: TestCloud, server: str, twin: MemoryMachines) -> None:
    twin.remove(server)
    assert told(cloud) == [f"server {server}: wanted, but not there"]


def test_one_that_nobody_wants(cloud: TestCloud, server: str, twin: MemoryMachines) -> None:
    stranger = ids.new_uuid()
    twin.define(msgspec.structs.replace(twin.spec(server), id=stranger))
    assert told(cloud) == [f"server {stranger}: there, but not wanted"]


def test_one_in_another_state(cloud: TestCloud, server: str, twin: MemoryMachines) -> None:
    twin.stop(server, 0)
    assert told(cloud) == [f"server {server}: it is stopped, and written down as active"]


def test_cards(cloud: TestCloud, server: str, twin: MemoryMachines) -> None:
    port = rows.row(cloud, server).interfaces[0]["port"]
    nic = twin.spec(server).nics[0]
    twin.detach_port(server, port)
    assert told(cloud) == [f"server {server}: port {port} is wanted, but not plugged in"]
    twin.attach_port(server, nic)
    twin.attach_port(server, msgspec.structs.replace(nic, port_id="other"))
    assert told(cloud) == [f"server {server}: port other is plugged in, but not wanted"]


def test_bindings(cloud: TestCloud, server: str) -> None:
    port = rows.row(cloud, server).interfaces[0]["port"]
    cloud.database.write("unbind", network_api.unbind_port, port)
    assert told(cloud) == [f"server {server}: port {port} is bound to no host"]


def test_placement(cloud: TestCloud, server: str) -> None:
    stranger = ids.new_uuid()

    def change(tx: Transaction) -> None:
        node = hosts.find(tx, "testhost")
        placement.release(tx, server)
        resources = {node.id: {"VCPU": 1}}
        placement.claim(tx, stranger, project_id="p", user_id="u", resources=resources)

    cloud.database.write("change", change)
    assert told(cloud) == [
        f"server {server}: it holds nothing of this host in Placement",
        f"consumer {stranger}: it holds resources of this host in Placement, and is no server of it",
    ]


def test_one_that_is_being_worked_on_is_left_out(cloud: TestCloud, server: str, twin: MemoryMachines) -> None:
    twin.remove(server)
    rows.change(cloud, server, mark=False, task={"name": "nothing that there is"})
    assert api.differences(cloud.runtime) == []
