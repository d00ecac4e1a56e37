"""Projects do not reach each other, nor the host, whatever addresses they choose."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from tests.engine_fixture import wait_until
from tests.functional.real_cloud import RealCloud
from tests.functional.tenant import Tenant
from tests.functional.users import address

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.fixture
def stranger(real_cloud: RealCloud) -> Iterator[Tenant]:
    """Another project with a network of the same addresses."""
    made = real_cloud.tenant()
    yield made
    made.remove()


@pytest.fixture
def host_port() -> Iterator[int]:
    """A TCP port on which this host listens, on every address."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        yield server.getsockname()[1]


def pings(tenant: Tenant, container: str, target: str) -> bool:
    return tenant.attempt(container, f"ping -c 1 -W 1 {target}")[0] == 0


def test_networks_of_the_same_addresses_are_apart(tenant: Tenant, stranger: Tenant) -> None:
    fixed = [{"network": tenant.network, "v4-fixed-ip": "10.77.0.40"}]
    mine = tenant.run(nets=fixed)
    neighbour = tenant.run()["uuid"]
    same = stranger.run(nets=[{"network": stranger.network, "v4-fixed-ip": "10.77.0.41"}])["uuid"]
    assert pings(tenant, neighbour, address(mine)), "neighbours do not reach each other"
    assert not pings(stranger, same, address(mine)), "a stranger with the same addresses gets in"
    twin = stranger.run(nets=[{"network": stranger.network, "v4-fixed-ip": "10.77.0.40"}])
    stranger.inside(twin["uuid"], "touch /tmp/stranger")
    assert pings(stranger, same, address(twin)), "the stranger's own neighbours do not reach each other"


def test_routers_of_two_projects_do_not_lead_into_each_other(tenant: Tenant, real_cloud: RealCloud) -> None:
    other = real_cloud.tenant("10.78.0.0/24")
    try:
        tenant.router()
        other.router()
        target = tenant.run()
        tenant.open(80)
        inside = other.run()["uuid"]
        gateway = real_cloud.public_cidr.replace(".0/24", ".1")
        wait_until(lambda: pings(other, inside, gateway), "the way out works", 10)
        assert not pings(other, inside, address(target))
    finally:
        other.remove()


def test_only_what_a_rule_allows_comes_in_from_another_group(tenant: Tenant) -> None:
    lonely = tenant.make("security_group", name="lonely")
    web = tenant.run(image="nginx")
    visitor = tenant.run(security_groups=["lonely"])["uuid"]
    fetch = f"timeout 2 wget -q -O - http://{address(web)}/"
    assert tenant.attempt(visitor, fetch)[0] != 0, "a member of another group gets in without a rule"
    rule = tenant.make(
        "security_group_rule",
        security_group_id=tenant.default_group(),
        direction="ingress",
        protocol="tcp",
        port_range_min=80,
        port_range_max=80,
        remote_group_id=lonely,
    )
    wait_until(lambda: tenant.attempt(visitor, fetch)[0] == 0, "the rule lets it in", 10)
    tenant.call("DELETE", f"/network/v2.0/security-group-rules/{rule}")
    wait_until(lambda: tenant.attempt(visitor, fetch)[0] != 0, "the rule is gone", 10)


def test_containers_do_not_reach_the_hosts_ports(tenant: Tenant, real_cloud: RealCloud, host_port: int) -> None:
    tenant.router()
    uuid = tenant.run()["uuid"]
    gateway = real_cloud.public_cidr.replace(".0/24", ".1")
    wait_until(lambda: pings(tenant, uuid, gateway), "the way to the host's address works", 10)
    with socket.create_connection((gateway, host_port), timeout=2):
        pass  # from the host itself it is open
    for port in (host_port, real_cloud.port):
        status, said = tenant.attempt(uuid, f"nc -w 2 {gateway} {port}")
        assert status != 0, f"port {port} of the host is reached from inside: {said}"


def test_containers_do_not_see_the_engine_nor_the_state(tenant: Tenant, real_cloud: RealCloud) -> None:
    uuid = tenant.run()["uuid"]
    mounts = tenant.inside(uuid, "cat /proc/mounts")
    assert "docker.sock" not in mounts
    processes = tenant.inside(uuid, "ps")
    assert "dockerd" not in processes
    status, _ = tenant.attempt(uuid, "mount -t tmpfs none /mnt")
    assert status != 0, "an ordinary container may mount"
    assert tenant.attempt(uuid, "ip link add dummy0 type dummy")[0] != 0, "an ordinary container may make devices"
