"""Every command of the openstack client for routers and what goes with them, each tried on a real cloud."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.engine_fixture import wait_until
from tests.functional.every_command import EveryCommand
from tests.functional.real_cloud import RealCloud

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(180)]

_OF_ROUTERS = ("router", "floating ip", "local ip", "network agent", "network flavor", "network l3", "network meter",
               "network auto", "network service")  # fmt: skip


def of_routers(name: str) -> bool:
    """Whether this file answers for a command."""
    return name.startswith(_OF_ROUTERS)


@pytest.fixture(scope="module")
def run(real_cloud: RealCloud) -> EveryCommand:
    return EveryCommand(real_cloud, "openstack.network.v2", mine=of_routers)


@pytest.fixture(scope="module")
def network(run: EveryCommand) -> Iterator[str]:
    """The id of a network with the subnets 10.61.0.0/24 (named inside) and fd61::/64 (named inside6)."""
    cloud = run.cloud
    made = cloud.look("network", "create", "inside", cloud="stackyard-admin")["id"]
    where = ("--network", made)
    cloud.openstack("subnet", "create", "inside", *where, "--subnet-range", "10.61.0.0/24", cloud="stackyard-admin")
    v6 = ("--ip-version", "6", "--subnet-range", "fd61::/64")
    cloud.openstack("subnet", "create", "inside6", *where, *v6, cloud="stackyard-admin")
    yield made
    cloud.openstack("network", "delete", made, cloud="stackyard-admin")


@pytest.fixture
def router(run: EveryCommand, network: str) -> Iterator[str]:
    """The id of a router between that network and the public one."""
    made = run.look("router", "create", "commands", "--external-gateway", "public")["id"]
    run("router", "add", "subnet", made, "inside")
    yield made
    run("router", "remove", "subnet", made, "inside")
    run("router", "delete", made)


@pytest.fixture
def port(run: EveryCommand, network: str) -> Iterator[str]:
    """The id of a port on that network, 10.61.0.50."""
    where = ("--network", network, "--fixed-ip", "subnet=inside,ip-address=10.61.0.50")
    made = run.cloud.look("port", "create", "inside", *where, cloud="stackyard-admin")["id"]
    yield made
    run.cloud.openstack("port", "delete", made, cloud="stackyard-admin")


def test_routers(run: EveryCommand, router: str) -> None:
    run("router", "set", router, "--name", "renamed", "--disable", "--tag", "one")
    shown = run.look("router", "show", router)
    assert (shown["name"], shown["admin_state_up"], shown["tags"]) == ("renamed", False, ["one"])
    run("router", "unset", router, "--tag", "one")
    assert "renamed" in run.column("router", "list", "--long")
    one = ("--route", "destination=192.0.2.0/24,gateway=10.61.0.9")
    run("router", "add", "route", router, *one)
    assert len(run.look("router", "show", router)["routes"]) == 1
    run("router", "remove", "route", router, *one)
    assert run.look("router", "show", router)["routes"] == []


def test_ports_of_routers(run: EveryCommand, router: str) -> None:
    leg = run.cloud.look("network", "create", "other", cloud="stackyard-admin")["id"]
    where = ("--network", leg, "--subnet-range", "10.62.0.0/24")
    run.cloud.openstack("subnet", "create", "other", *where, cloud="stackyard-admin")
    port = run.cloud.look("port", "create", "leg", "--network", leg, cloud="stackyard-admin")["id"]
    run("router", "add", "port", router, port)
    run("router", "remove", "port", router, port)
    run.cloud.openstack("network", "delete", leg, cloud="stackyard-admin")


def test_several_gateways(run: EveryCommand, router: str) -> None:
    run("router", "add", "gateway", router, "public")
    assert len(run.look("router", "show", router)["external_gateways"]) == 2
    second = run.look("router", "show", router)["external_gateways"][1]["external_fixed_ips"][0]["ip_address"]
    run("router", "remove", "gateway", router, "public", "--fixed-ip", f"ip-address={second}")
    assert len(run.look("router", "show", router)["external_gateways"]) == 1


def test_floating_ips(run: EveryCommand, router: str, port: str) -> None:
    made = run.look("floating", "ip", "create", "public", "--description", "commands")
    run("floating", "ip", "set", made["id"], "--port", port, "--tag", "one")
    shown = run.look("floating", "ip", "show", made["id"])
    assert (shown["fixed_ip_address"], shown["router_id"], shown["tags"]) == ("10.61.0.50", router, ["one"])
    run("floating", "ip", "unset", made["id"], "--port", "--tag", "one")
    assert made["id"] in run.column("floating", "ip", "list", name="ID")
    base = ("floating", "ip", "port", "forwarding")
    ports = ("--internal-protocol-port", "80", "--external-protocol-port", "8080", "--protocol", "tcp")
    forwarding = run.look(*base, "create", made["id"], "--port", port, "--internal-ip-address", "10.61.0.50", *ports)
    run(*base, "set", made["id"], forwarding["id"], "--description", "changed")
    assert run.look(*base, "show", made["id"], forwarding["id"])["description"] == "changed"
    assert forwarding["id"] in run.column(*base, "list", made["id"], name="ID")
    run(*base, "delete", made["id"], forwarding["id"])
    run("floating", "ip", "delete", made["id"])


def test_conntrack_helpers(run: EveryCommand, router: str) -> None:
    base = ("network", "l3", "conntrack", "helper")
    made = run.look(*base, "create", router, "--helper", "tftp", "--protocol", "udp", "--port", "69")["id"]
    run(*base, "set", router, made, "--port", "6969")
    assert run.look(*base, "show", router, made)["port"] == 6969
    assert made in run.column(*base, "list", router, name="ID")
    run(*base, "delete", router, made)


def test_neighbour_proxies(run: EveryCommand) -> None:
    """Only within one address scope is a tenant's address worth something outside, so both subnets are of one pool."""
    admin = "stackyard-admin"
    scope = run.cloud.look("address", "scope", "create", "proxied", "--ip-version", "6", cloud=admin)["id"]
    pool = ("--pool-prefix", "fd62::/48", "--address-scope", scope, "--default-prefix-length", "64")
    run.cloud.openstack("subnet", "pool", "create", "proxied", *pool, cloud=admin)
    drawn = ("--ip-version", "6", "--subnet-pool", "proxied")
    run.cloud.openstack("network", "create", "outside6", "--external", cloud=admin)
    run.cloud.openstack("subnet", "create", "outside6", "--network", "outside6", *drawn, "--no-dhcp", cloud=admin)
    network = run.cloud.look("network", "create", "proxied", cloud=admin)["id"]
    run.cloud.openstack("subnet", "create", "proxied6", "--network", network, *drawn, cloud=admin)
    router = run.look("router", "create", "proxying", "--external-gateway", "outside6", "--enable-ndp-proxy")["id"]
    run("router", "add", "subnet", router, "proxied6")
    port = run.cloud.look("port", "create", "proxied", "--network", network, cloud=admin)["id"]
    made = run.look("router", "ndp", "proxy", "create", router, "--port", port, "--name", "commands")["id"]
    run("router", "ndp", "proxy", "set", made, "--description", "changed")
    assert run.look("router", "ndp", "proxy", "show", made)["description"] == "changed"
    assert made in run.column("router", "ndp", "proxy", "list", name="ID")
    run("router", "ndp", "proxy", "delete", made)
    run.cloud.openstack("port", "delete", port, cloud=admin)
    run("router", "remove", "subnet", router, "proxied6")
    run("router", "delete", router)
    run.cloud.openstack("network", "delete", network, "outside6", cloud=admin)
    run.cloud.openstack("subnet", "pool", "delete", "proxied", cloud=admin)
    run.cloud.openstack("address", "scope", "delete", scope, cloud=admin)


def test_local_ips(run: EveryCommand, network: str, port: str) -> None:
    made = run.look("local", "ip", "create", "--name", "commands", "--network", network)["id"]
    run("local", "ip", "set", made, "--description", "changed")
    assert run.look("local", "ip", "show", made)["description"] == "changed"
    assert made in run.column("local", "ip", "list", name="ID")
    run("local", "ip", "association", "create", made, port)
    assert run.look("local", "ip", "association", "list", made)[0]["Fixed IP"] == "10.61.0.50"
    run("local", "ip", "association", "delete", made, port)
    run("local", "ip", "delete", made)


def test_meters(run: EveryCommand) -> None:
    made = run.look("network", "meter", "create", "commands")["id"]
    assert run.look("network", "meter", "show", made)["name"] == "commands"
    assert "commands" in run.column("network", "meter", "list")
    base = ("network", "meter", "rule")
    rule = run.look(*base, "create", made, "--ingress", "--remote-ip-prefix", "192.0.2.0/24")["id"]
    assert run.look(*base, "show", rule)["direction"] == "ingress"
    assert rule in run.column(*base, "list", name="ID")
    run(*base, "delete", rule)
    run("network", "meter", "delete", made)


def test_flavors(run: EveryCommand) -> None:
    made = run.look("network", "flavor", "create", "commands", "--service-type", "L3_ROUTER_NAT")["id"]
    profile = run.look("network", "flavor", "profile", "create", "--description", "x", "--metainfo", "{}")["id"]
    run("network", "flavor", "profile", "set", profile, "--description", "changed")
    assert run.look("network", "flavor", "profile", "show", profile)["description"] == "changed"
    assert profile in run.column("network", "flavor", "profile", "list", name="ID")
    run("network", "flavor", "add", "profile", made, profile)
    run("network", "flavor", "set", made, "--description", "changed")
    assert profile in str(run.look("network", "flavor", "show", made))
    assert "commands" in run.column("network", "flavor", "list")
    run("network", "flavor", "remove", "profile", made, profile)
    run("network", "flavor", "profile", "delete", profile)
    run("network", "flavor", "delete", made)
    assert run.look("network", "service", "provider", "list")


def test_agents(run: EveryCommand, network: str, router: str) -> None:
    found = {entry["Agent Type"]: entry["ID"] for entry in run.look("network", "agent", "list")}
    layer3, dhcp = found["L3 agent"], found["DHCP agent"]
    assert run.look("network", "agent", "show", layer3)["binary"]
    run("network", "agent", "set", dhcp, "--description", "changed")
    assert run.look("network", "agent", "show", dhcp)["description"] == "changed"
    # Everything is where it is already: what says so is refused, as moving it is where there is one host.
    for words in (
        ("add", "network", "--dhcp", dhcp, network),
        ("remove", "network", "--dhcp", dhcp, network),
        ("add", "router", layer3, router),
        ("router", "set", layer3, router, "--ha-chassis-priority", "1"),
        ("remove", "router", layer3, router),
    ):
        run.ends("network", "agent", *words)
    run("network", "agent", "delete", dhcp)
    assert not run.look("network", "agent", "show", dhcp)["description"], "what was said of the agent outlives it"
    wait_until(lambda: run.look("router", "show", router)["status"] == "ACTIVE", "the router is well", 20)


def test_the_automatic_topology(run: EveryCommand) -> None:
    topology = ("network", "auto", "allocated", "topology")
    assert run.look(*topology, "create")["id"]
    run(*topology, "delete")


def test_none_is_forgotten(run: EveryCommand) -> None:
    """Runs last."""
    assert run.listed - run.tried == set()
    assert len(run.listed) > 60
