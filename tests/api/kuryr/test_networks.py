"""Docker's networks: made, found, and given back so that only what Kuryr made is gone."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from tests.api.kuryr.conftest import Docker

V2 = "/network/v2.0"
GENERIC = "com.docker.network.generic"


def listed(docker: Docker, collection: str, **query: str) -> list[dict[str, Any]]:
    found = docker.api.get(f"{V2}/{collection}", params=query).json()
    return list(found[collection.replace("-", "_")])


def made(docker: Docker, noun: str, **fields: Any) -> dict[str, Any]:
    answer = docker.api.post(f"{V2}/{noun}s", json={noun: fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()[noun])


def everything(docker: Docker) -> dict[str, set[str]]:
    return {
        name: {row["id"] for row in listed(docker, name)} for name in ("networks", "subnets", "subnetpools", "ports")
    }


def test_a_network_is_rows_with_tags_and_leaves_none(docker: Docker) -> None:
    before = everything(docker)
    network = docker.network("10.10.0.0/24", gateway="10.10.0.254")
    row = network.row()
    assert row["name"] == f"kuryr-net-{network.id[:8]}"
    assert row["tags"] == [f"kuryr.net.uuid.lh:{network.id[:32]}", f"kuryr.net.uuid.uh:{network.id[32:]}"]
    (subnet,) = listed(docker, "subnets", network_id=row["id"])
    (pool,) = listed(docker, "subnetpools", is_default="false")
    assert (pool["name"], pool["prefixes"]) == ("kuryrPool-10.10.0.0/24", ["10.10.0.0/24"])
    assert (subnet["name"], subnet["gateway_ip"]) == ("kuryr-subnet-10.10.0.0/24", "10.10.0.254")
    assert subnet["subnetpool_id"] == pool["id"] == network.pools["IPv4Data"]
    assert pool["id"] in subnet["tags"]
    network.remove()
    assert everything(docker) == before


def test_the_same_calls_again_change_nothing(docker: Docker) -> None:
    network = docker.network()
    before = everything(docker)
    data = [{"AddressSpace": "", "Pool": "10.10.0.0/24", "Gateway": "10.10.0.1/24"}]
    docker.call("NetworkDriver.CreateNetwork", NetworkID=network.id, IPv4Data=data, IPv6Data=[], Options={})
    assert everything(docker) == before
    network.remove()
    network.remove()


def test_deleting_in_the_other_order_leaves_nothing_either(docker: Docker) -> None:
    before = everything(docker)
    network = docker.network()
    docker.call("NetworkDriver.DeleteNetwork", NetworkID=network.id)
    docker.call("IpamDriver.ReleasePool", PoolID=network.pools["IPv4Data"])
    assert everything(docker) == before


def test_a_gateway_that_nobody_names_is_the_first_address(docker: Docker) -> None:
    network = docker.network("10.10.7.0/24")
    (subnet,) = listed(docker, "subnets", network_id=network.row()["id"])
    assert subnet["gateway_ip"] == "10.10.7.1"


def test_both_families(docker: Docker) -> None:
    network = docker.network("10.10.0.0/24", v6="fd00:10::/64")
    found = {row["cidr"]: row["ip_version"] for row in listed(docker, "subnets", network_id=network.row()["id"])}
    assert found == {"10.10.0.0/24": 4, "fd00:10::/64": 6}
    endpoint = network.endpoint()
    port = endpoint.port()
    assert {item["ip_address"] for item in port["fixed_ips"]} == {
        text.partition("/")[0] for text in endpoint.addresses.values()
    }
    answer = endpoint.join()
    assert (answer["Gateway"], answer["GatewayIPv6"]) == ("10.10.0.1", "fd00:10::1")
    endpoint.remove()
    network.remove()


def test_two_networks_may_have_the_same_addresses(docker: Docker) -> None:
    one, other = docker.network("10.10.0.0/24"), docker.network("10.10.0.0/24")
    assert one.pools != other.pools
    first, second = one.endpoint(ip="10.10.0.9"), other.endpoint(ip="10.10.0.9")
    assert first.port()["network_id"] != second.port()["network_id"]
    one_row, other_row = one.row()["id"], other.row()["id"]
    assert (first.port()["network_id"], second.port()["network_id"]) == (one_row, other_row)


@pytest.mark.parametrize("by", ["uuid", "name"])
def test_an_existing_network_and_subnet_are_used_and_kept(docker: Docker, by: str) -> None:
    (private,) = listed(docker, "networks", name="private")
    before = everything(docker)
    network = docker.network("10.0.0.0/24", options={f"neutron.net.{by}": private["id" if by == "uuid" else "name"]})
    row = network.row()
    assert row["id"] == private["id"]
    assert f"kuryr.net.existing:{network.id[:12]}" in row["tags"]
    endpoint = network.endpoint()
    assert endpoint.port()["network_id"] == private["id"]
    # The port has an address of the other subnet too, by itself; of its gateway Docker must not hear.
    assert "GatewayIPv6" not in endpoint.join()
    endpoint.remove()
    network.remove()
    assert everything(docker) == before
    assert listed(docker, "networks", name="private")[0]["tags"] == []
    assert all(not subnet["tags"] for subnet in listed(docker, "subnets", network_id=private["id"]))


def test_a_further_subnet_of_an_existing_network_goes_again(docker: Docker) -> None:
    (private,) = listed(docker, "networks", name="private")
    before = everything(docker)
    network = docker.network("10.55.0.0/24", options={"neutron.net.name": "private"})
    (subnet,) = listed(docker, "subnets", network_id=private["id"], cidr="10.55.0.0/24")
    assert subnet["subnetpool_id"] is None
    network.endpoint().remove()
    network.remove()
    assert everything(docker) == before


def test_two_networks_of_docker_on_one_of_ours_keep_what_the_other_needs(docker: Docker) -> None:
    before = everything(docker)
    one = docker.network("10.55.0.0/24", options={"neutron.net.name": "private"})
    other = docker.network("10.55.0.0/24", options={"neutron.net.name": "private"})
    one.remove()
    endpoint = other.endpoint()
    endpoint.remove()
    other.remove()
    assert everything(docker) == before


def test_another_gateway_than_the_existing_subnets_is_refused(docker: Docker) -> None:
    pool = docker.pool("10.0.0.0/24")
    data = [{"AddressSpace": "", "Pool": "10.0.0.0/24", "Gateway": "10.0.0.77/24"}]
    options = {GENERIC: {"neutron.net.name": "private"}}
    status, error = docker.refused(
        "NetworkDriver.CreateNetwork", NetworkID=secrets.token_hex(32), IPv4Data=data, IPv6Data=[], Options=options
    )
    assert (status, "does not match with gateway 10.0.0.1" in error) == (409, True)
    docker.call("IpamDriver.ReleasePool", PoolID=pool)


@pytest.mark.parametrize("by", ["uuid", "name"])
def test_an_existing_subnet_says_its_own_addresses(docker: Docker, by: str) -> None:
    mine = made(docker, "network", name="mine")
    subnet = made(docker, "subnet", name="sub", network_id=mine["id"], ip_version=4, cidr="10.66.0.0/24")
    options = {f"neutron.subnet.{by}": subnet["id" if by == "uuid" else "name"]}
    body = {"AddressSpace": "", "Pool": "", "SubPool": "", "V6": False, "Options": options}
    answer = docker.call("IpamDriver.RequestPool", **body)
    assert answer["Pool"] == "10.66.0.0/24"
    assert answer["Data"] == {"com.docker.network.gateway": "10.66.0.1/24"}
    network = docker.network("10.66.0.0/24", options={**options, "neutron.net.uuid": mine["id"]})
    assert subnet["id"] in {item["subnet_id"] for item in network.endpoint().port()["fixed_ips"]}


def test_a_subnet_of_another_network_is_refused(docker: Docker) -> None:
    mine = made(docker, "network", name="mine")
    subnet = made(docker, "subnet", name="sub", network_id=mine["id"], ip_version=4, cidr="10.66.0.0/24")
    options = {GENERIC: {"neutron.net.name": "private", "neutron.subnet.uuid": subnet["id"]}}
    data = [{"AddressSpace": "", "Pool": "10.66.0.0/24"}]
    status, error = docker.refused(
        "NetworkDriver.CreateNetwork", NetworkID=secrets.token_hex(32), IPv4Data=data, IPv6Data=[], Options=options
    )
    assert (status, mine["id"] in error) == (409, True)


@pytest.mark.parametrize("by", ["uuid", "name"])
def test_an_existing_pool_is_used_in_parts_and_kept(docker: Docker, by: str) -> None:
    pool = made(docker, "subnetpool", name="pool", prefixes=["10.77.0.0/16"], default_prefixlen=24)
    before = everything(docker)
    options = {f"neutron.pool.{by}": pool["id" if by == "uuid" else "name"]}
    body = {"AddressSpace": "", "Pool": "", "SubPool": "", "V6": False, "Options": options}
    any_part = docker.call("IpamDriver.RequestPool", **body)
    assert any_part["Pool"] == "10.77.0.0/24"
    network = docker.network("10.77.9.0/24", options=options)
    assert network.pools["IPv4Data"] == f"{pool['id']}:10.77.9.0/24"
    (subnet,) = listed(docker, "subnets", network_id=network.row()["id"])
    assert subnet["subnetpool_id"] == pool["id"]
    network.endpoint().remove()
    network.remove()
    docker.call("IpamDriver.ReleasePool", PoolID=any_part["PoolID"])
    assert everything(docker) == before
    assert docker.api.get(f"{V2}/subnetpools/{pool['id']}").json()["subnetpool"]["tags"] == []


def test_a_part_that_an_existing_pool_does_not_have_is_refused(docker: Docker) -> None:
    pool = made(docker, "subnetpool", name="pool", prefixes=["10.77.0.0/16"], default_prefixlen=24)
    options = {"neutron.pool.uuid": pool["id"]}
    body = {"AddressSpace": "", "Pool": "10.78.0.0/24", "SubPool": "", "V6": False, "Options": options}
    status, error = docker.refused("IpamDriver.RequestPool", **body)
    assert (status, "10.77.0.0/16" in error) == (409, True)


def test_the_pool_named_kuryr_is_the_default_one(docker: Docker) -> None:
    made(docker, "subnetpool", name="kuryr", prefixes=["10.79.0.0/16"], default_prefixlen=26)
    body = {"AddressSpace": "", "Pool": "", "SubPool": "", "V6": False, "Options": {}}
    assert docker.call("IpamDriver.RequestPool", **body)["Pool"] == "10.79.0.0/26"
    assert docker.call("IpamDriver.RequestPool", **body)["Pool"] == "10.79.0.64/26"


def test_without_any_pool_a_free_range_is_found(docker: Docker) -> None:
    found = []
    for v6 in (False, False, True):
        body = {"AddressSpace": "", "Pool": "", "SubPool": "", "V6": v6, "Options": None}
        found.append(docker.call("IpamDriver.RequestPool", **body)["Pool"])
    assert len(set(found)) == 3
    assert found[0].endswith("/24")
    assert found[2].startswith("fd")


def test_shared_for_all_projects(docker: Docker) -> None:
    network = docker.network("10.80.0.0/24", options={"neutron.net.shared": "true"})
    assert network.row()["shared"] is True
    network.remove()


def test_an_internal_network_leads_nowhere(docker: Docker) -> None:
    pool = docker.pool("10.81.0.0/24")
    network_id = secrets.token_hex(32)
    data = [{"AddressSpace": "", "Pool": "10.81.0.0/24", "Gateway": "10.81.0.1/24"}]
    options = {"com.docker.network.internal": True}
    docker.call("NetworkDriver.CreateNetwork", NetworkID=network_id, IPv4Data=data, IPv6Data=[], Options=options)
    (subnet,) = listed(docker, "subnets", cidr="10.81.0.0/24")
    assert subnet["gateway_ip"] is None
    assert pool in subnet["tags"]


def test_addresses_kept_back_are_not_given_away(docker: Docker) -> None:
    pool = docker.pool("10.82.0.0/29")
    kept = docker.call("IpamDriver.RequestAddress", PoolID=pool, Address="10.82.0.3", Options=None)
    assert kept["Address"] == "10.82.0.3/29"
    aux = {"router": "10.82.0.3/29"}
    data = [{"AddressSpace": "", "Pool": "10.82.0.0/29", "Gateway": "10.82.0.1/29", "AuxAddresses": aux}]
    docker.call("NetworkDriver.CreateNetwork", NetworkID=secrets.token_hex(32), IPv4Data=data, IPv6Data=[], Options={})
    status, _ = docker.refused("IpamDriver.RequestAddress", PoolID=pool, Address="10.82.0.3", Options={})
    assert status == 409
    docker.call("IpamDriver.ReleaseAddress", PoolID=pool, Address="10.82.0.3")
    docker.call("IpamDriver.RequestAddress", PoolID=pool, Address="10.82.0.3", Options={})


def test_an_mtu_is_the_networks(docker: Docker) -> None:
    data = [{"AddressSpace": "", "Pool": "10.83.0.0/24"}]
    options = {GENERIC: {"com.docker.network.driver.mtu": "1400"}}
    network_id = secrets.token_hex(32)
    docker.call("NetworkDriver.CreateNetwork", NetworkID=network_id, IPv4Data=data, IPv6Data=[], Options=options)
    assert listed(docker, "networks", name=f"kuryr-net-{network_id[:8]}")[0]["mtu"] == 1400


def test_a_network_in_use_by_others_is_not_deleted(docker: Docker) -> None:
    network = docker.network()
    made(docker, "port", network_id=network.row()["id"])
    docker.call("IpamDriver.ReleasePool", PoolID=network.pools["IPv4Data"])
    status, error = docker.refused("NetworkDriver.DeleteNetwork", NetworkID=network.id)
    assert (status, "in use" in error) == (409, True)


def test_another_projects_network_is_not_found(docker: Docker) -> None:
    admin = docker.cloud.client("admin")
    other = admin.post(f"{V2}/networks", json={"network": {"name": "secret"}}).json()["network"]
    for key, value in (("uuid", other["id"]), ("name", "secret")):
        status, _ = docker.refused(
            "NetworkDriver.CreateNetwork", NetworkID=secrets.token_hex(32), IPv4Data=[], IPv6Data=[],
            Options={GENERIC: {f"neutron.net.{key}": value}},
        )  # fmt: skip
        assert status == 500  # Docker takes 404 for a call that there is not
