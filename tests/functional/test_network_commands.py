"""Every network command of the openstack client but those of routers, each tried on a real cloud.

The client says which there are; tests/functional/test_router_commands.py answers for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.functional.every_command import EveryCommand
from tests.functional.real_cloud import RealCloud
from tests.functional.test_router_commands import of_routers

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def run(real_cloud: RealCloud) -> EveryCommand:
    return EveryCommand(real_cloud, "openstack.network.v2", mine=lambda name: not of_routers(name))


@pytest.fixture
def network(run: EveryCommand) -> Iterator[str]:
    """The id of a network of the project admin."""
    made = run.look("network", "create", "commands")["id"]
    yield made
    run("network", "delete", made)


@pytest.fixture
def subnet(run: EveryCommand, network: str) -> Iterator[str]:
    """The id of its subnet 10.60.0.0/24."""
    made = run.look("subnet", "create", "commands", "--network", network, "--subnet-range", "10.60.0.0/24")["id"]
    yield made
    run("subnet", "delete", made)


@pytest.fixture
def port(run: EveryCommand, network: str, subnet: str) -> Iterator[str]:
    """The id of a port there."""
    made = run.look("port", "create", "commands", "--network", network, "--fixed-ip", f"subnet={subnet}")["id"]
    yield made
    run("port", "delete", made)


def id_of(run: EveryCommand, *words: str) -> str:
    """Make something; its id."""
    return str(run.look(*words)["id"])


def test_networks(run: EveryCommand, network: str) -> None:
    run("network", "set", network, "--name", "renamed", "--share", "--tag", "one", "--dns-domain", "example.org.")
    shown = run.look("network", "show", network)
    assert (shown["name"], shown["shared"], shown["tags"], shown["dns_domain"]) == (
        "renamed", True, ["one"], "example.org.",
    )  # fmt: skip
    run("network", "unset", network, "--tag", "one")
    run("network", "set", network, "--no-share", "--disable")
    assert "renamed" in run.column("network", "list", "--long")
    assert run.look("network", "show", network)["admin_state_up"] is False


def test_subnets(run: EveryCommand, subnet: str) -> None:
    route = "destination=192.0.2.0/24,gateway=10.60.0.9"
    run("subnet", "set", subnet, "--name", "renamed", "--dns-nameserver", "192.0.2.53", "--host-route", route)
    run("subnet", "set", subnet, "--tag", "one", "--service-type", "network:floatingip")
    shown = run.look("subnet", "show", subnet)
    assert (shown["name"], shown["dns_nameservers"], shown["tags"]) == ("renamed", ["192.0.2.53"], ["one"])
    assert shown["service_types"] == ["network:floatingip"]
    run("subnet", "unset", subnet, "--dns-nameserver", "192.0.2.53", "--host-route", route, "--tag", "one")
    assert run.look("subnet", "show", subnet)["host_routes"] == []
    assert "renamed" in run.column("subnet", "list", "--subnet-range", "10.60.0.0/24")


def test_ports(run: EveryCommand, port: str) -> None:
    run("port", "set", port, "--name", "renamed", "--allowed-address", "ip-address=10.60.0.77", "--tag", "one")
    run("port", "set", port, "--extra-dhcp-option", "name=tftp-server,value=10.60.0.5,ip-version=4")
    shown = run.look("port", "show", port)
    assert (shown["name"], shown["tags"]) == ("renamed", ["one"])
    assert shown["allowed_address_pairs"][0]["ip_address"] == "10.60.0.77"
    assert shown["extra_dhcp_opts"][0]["opt_value"] == "10.60.0.5"
    pair = f"ip-address=10.60.0.77,mac-address={shown['mac_address']}"
    run("port", "unset", port, "--allowed-address", pair, "--tag", "one")
    assert run.look("port", "show", port)["allowed_address_pairs"] == []
    assert "renamed" in run.column("port", "list", "--long")


def test_how_many_addresses_are_left(run: EveryCommand, network: str, subnet: str) -> None:
    found = run.look("ip", "availability", "list")
    assert any(entry["Network ID"] == network for entry in found)
    shown = run.look("ip", "availability", "show", network)
    assert shown["subnet_ip_availability"][0]["subnet_id"] == subnet


def test_subnet_pools_and_address_scopes(run: EveryCommand, network: str) -> None:
    scope = id_of(run, "address", "scope", "create", "commands", "--share")
    run("address", "scope", "set", scope, "--name", "renamed")
    assert "renamed" in run.column("address", "scope", "list")
    pool = id_of(
        run, "subnet", "pool", "create", "commands", "--pool-prefix", "10.90.0.0/16", "--default-prefix-length", "26",
        "--address-scope", scope,
    )  # fmt: skip
    run("subnet", "pool", "set", pool, "--name", "renamed", "--pool-prefix", "10.91.0.0/16", "--tag", "one")
    shown = run.look("subnet", "pool", "show", pool)
    assert (shown["name"], shown["prefixes"], shown["tags"]) == ("renamed", ["10.90.0.0/15"], ["one"])
    run("subnet", "pool", "unset", pool, "--tag", "one")
    assert "renamed" in run.column("subnet", "pool", "list", "--long")
    made = run.look("subnet", "create", "pooled", "--network", network, "--subnet-pool", pool)
    assert made["cidr"].startswith("10.90.")
    assert made["cidr"].endswith("/26")
    assert run.look("address", "scope", "show", scope)["name"] == "renamed"
    assert run.look("network", "show", network)["ipv4_address_scope"] == scope
    run("subnet", "delete", made["id"])
    for words in (("subnet", "pool", "add", "network"), ("network", "onboard", "subnet")):
        single = run.look("subnet", "create", "onboard", "--network", network, "--subnet-range", "10.93.0.0/24")["id"]
        run(*words, network, pool)
        assert run.look("subnet", "show", single)["subnetpool_id"] == pool
        run("subnet", "delete", single)
    run("subnet", "pool", "delete", pool)
    run("address", "scope", "delete", scope)


def test_segments(run: EveryCommand) -> None:
    made = run.look(
        "network", "create", "segmented", "--provider-network-type", "vxlan", "--provider-segment", "777777"
    )["id"]
    first = next(iter(run.column("network", "segment", "list", "--network", made, name="ID")))
    run("network", "segment", "set", first, "--name", "first")
    assert run.look("network", "segment", "show", first)["segmentation_id"] == 777777
    where = ("--network", made, "--network-type", "vxlan", "--segment", "777778")
    second = id_of(run, "network", "segment", "create", "second", *where)
    run("network", "segment", "delete", second)
    run("network", "delete", made)
    wanted = ("--network-type", "vxlan", "--minimum", "800000", "--maximum", "800010")
    made = id_of(run, "network", "segment", "range", "create", "commands", "--shared", *wanted)
    run("network", "segment", "range", "set", made, "--name", "renamed")
    assert run.look("network", "segment", "range", "show", made)["maximum"] == 800010
    assert "renamed" in run.column("network", "segment", "range", "list")
    run("network", "segment", "range", "delete", made)


def test_sharing_with_a_project(run: EveryCommand, network: str) -> None:
    demo = run.cloud.look("project", "show", "demo", cloud="stackyard-admin")["id"]
    made = id_of(
        run, "network", "rbac", "create", network, "--type", "network", "--action", "access_as_shared",
        "--target-project", demo,
    )  # fmt: skip
    assert made in run.column("network", "rbac", "list", name="ID")
    assert network in run.column("network", "list", name="ID", cloud="stackyard")
    run("network", "rbac", "set", made, "--target-project", "admin")
    assert run.look("network", "rbac", "show", made)["target_project_id"] != demo
    assert network not in run.column("network", "list", name="ID", cloud="stackyard")
    run("network", "rbac", "delete", made)


def test_security_groups(run: EveryCommand) -> None:
    made = id_of(run, "security", "group", "create", "commands", "--stateless")
    run("security", "group", "set", made, "--name", "renamed", "--tag", "one")
    shown = run.look("security", "group", "show", made)
    assert (shown["name"], shown["stateful"], shown["tags"]) == ("renamed", False, ["one"])
    run("security", "group", "unset", made, "--tag", "one")
    assert "renamed" in run.column("security", "group", "list")
    rule = id_of(run, "security", "group", "rule", "create", made, "--protocol", "tcp", "--dst-port", "80:90")
    assert run.look("security", "group", "rule", "show", rule)["port_range_max"] == 90
    assert rule in run.column("security", "group", "rule", "list", made, name="ID")
    run("security", "group", "rule", "delete", rule)
    run("security", "group", "delete", made)


def test_default_rules(run: EveryCommand) -> None:
    base = ("default", "security", "group", "rule")
    made = id_of(run, *base, "create", "--protocol", "tcp", "--dst-port", "22", "--for-custom-sg")
    try:
        assert run.look(*base, "show", made)["port_range_min"] == 22
        assert made in run.column(*base, "list", name="ID")
        group = run.look("security", "group", "create", "templated")
        assert any(rule["port_range_min"] == 22 for rule in group["rules"])
        run("security", "group", "delete", group["id"])
    finally:
        run(*base, "delete", made)


def test_default_statefulness(run: EveryCommand) -> None:
    base = ("security", "group", "default", "statefulness")
    made = id_of(run, *base, "create", "--stateless", "--project", "admin")
    try:
        assert made in run.column(*base, "list", name="ID")
        group = run.look("security", "group", "create", "defaulted")
        assert group["stateful"] is False
        run("security", "group", "delete", group["id"])
        run(*base, "set", made, "--stateful")
        assert run.look(*base, "show", made)["stateful"] is True
    finally:
        run(*base, "delete", made)


def test_address_groups(run: EveryCommand) -> None:
    made = id_of(run, "address", "group", "create", "commands", "--address", "192.0.2.0/24")
    run("address", "group", "set", made, "--name", "renamed", "--address", "198.51.100.7/32")
    assert len(run.look("address", "group", "show", made)["addresses"]) == 2
    run("address", "group", "unset", made, "--address", "192.0.2.0/24")
    assert "renamed" in run.column("address", "group", "list")
    run("address", "group", "delete", made)


def test_trunks(run: EveryCommand, network: str, port: str) -> None:
    below = id_of(run, "port", "create", "below", "--network", network)
    trunk = id_of(run, "network", "trunk", "create", "commands", "--parent-port", port)
    sub = ("--segmentation-type", "vlan", "--segmentation-id", "7")
    run("network", "trunk", "subport", "add", trunk, below, *sub)
    assert below in str(run.look("network", "trunk", "subport", "list", trunk))
    run("network", "trunk", "subport", "remove", trunk, below)
    run(
        "network",
        "trunk",
        "set",
        trunk,
        "--name",
        "renamed",
        "--subport",
        f"port={below},segmentation-type=vlan,segmentation-id=8",
    )
    assert below in str(run.look("network", "subport", "list", "--trunk", trunk))
    run("network", "trunk", "unset", trunk, "--subport", below)
    assert run.look("network", "trunk", "show", trunk)["sub_ports"] == []
    assert "renamed" in run.column("network", "trunk", "list")
    run("network", "trunk", "delete", trunk)
    run("port", "delete", below)


RULES: dict[str, tuple[tuple[str, ...], tuple[str, ...], dict[str, Any]]] = {
    "bandwidth-limit": (("--max-kbps", "1000", "--egress"), ("--max-kbps", "2000"), {"max_kbps": 2000}),
    "dscp-marking": (("--dscp-mark", "26"), ("--dscp-mark", "10"), {"dscp_mark": 10}),
    "minimum-bandwidth": (("--min-kbps", "100", "--egress"), ("--min-kbps", "200"), {"min_kbps": 200}),
    "minimum-packet-rate": (("--min-kpps", "10", "--egress"), ("--min-kpps", "20"), {"min_kpps": 20}),
}


def test_quality_of_service(run: EveryCommand, network: str) -> None:
    policy = id_of(run, "network", "qos", "policy", "create", "commands")
    run("network", "qos", "policy", "set", policy, "--name", "renamed", "--share")
    assert "renamed" in run.column("network", "qos", "policy", "list")
    for kind, (first, then, expected) in RULES.items():
        rule = id_of(run, "network", "qos", "rule", "create", policy, "--type", kind, *first)
        run("network", "qos", "rule", "set", policy, rule, *then)
        shown = run.look("network", "qos", "rule", "show", policy, rule)
        assert expected.items() <= shown.items()
        assert rule in run.column("network", "qos", "rule", "list", policy, name="ID")
        run("network", "qos", "rule", "delete", policy, rule)
    run("network", "set", network, "--qos-policy", policy)
    assert run.look("network", "show", network)["qos_policy_id"] == policy
    run("network", "set", network, "--no-qos-policy")
    assert run.look("network", "qos", "policy", "show", policy)["shared"] is True
    run("network", "qos", "policy", "delete", policy)
    kinds = run.column("network", "qos", "rule", "type", "list", name="Type")
    assert "bandwidth_limit" in kinds
    assert run.look("network", "qos", "rule", "type", "show", "bandwidth_limit")["drivers"]


def test_none_is_forgotten(run: EveryCommand) -> None:
    """Runs last."""
    assert run.listed - run.tried == set()
    assert len(run.listed) > 90
