"""Containers on networks: addresses, ports, wires, and what may reach them."""

from __future__ import annotations

import secrets
import socket
from typing import Any

from tests.api.kuryr.conftest import MAC, Docker, Endpoint

V2 = "/network/v2.0"


def ports(docker: Docker, **query: str) -> list[dict[str, Any]]:
    return list(docker.api.get(f"{V2}/ports", params=query).json()["ports"])


def groups(docker: Docker, endpoint: Endpoint) -> list[str]:
    found = [
        docker.api.get(f"{V2}/security-groups/{key}").json()["security_group"]
        for key in endpoint.port()["security_groups"]
    ]
    return sorted(group["name"] for group in found)


def rules(docker: Docker, endpoint: Endpoint) -> set[tuple[str, int, int]]:
    found = set()
    for key in endpoint.port()["security_groups"]:
        group = docker.api.get(f"{V2}/security-groups/{key}").json()["security_group"]
        for rule in group["security_group_rules"]:
            if rule["direction"] == "ingress" and rule["protocol"]:
                found.add((rule["protocol"], rule["port_range_min"], rule["port_range_max"]))
    return found


def test_a_container_is_a_port_that_is_wired_by_join(docker: Docker) -> None:
    network = docker.network()
    endpoint = network.endpoint(ip="10.10.0.77", mac=MAC)
    port = endpoint.port()
    assert (port["mac_address"], port["fixed_ips"][0]["ip_address"]) == (MAC, "10.10.0.77")
    assert (port["device_owner"], port["name"]) == ("compute:kuryr", f"{endpoint.id}-port")
    assert f"kuryr.net.uuid.lh:{endpoint.id[:32]}" in port["tags"]
    assert groups(docker, endpoint) == ["default"]
    answer = endpoint.join()
    source = answer["InterfaceName"].pop("SrcName")
    assert answer == {
        "InterfaceName": {"DstPrefix": "eth"}, "Gateway": "10.10.0.1", "StaticRoutes": [],
        "DisableGatewayService": True,
    }  # fmt: skip
    spec = docker.cloud.network.ports[port["id"]]
    assert (spec.kind, spec.device, spec.netns) == ("offered", source, "/proc/self/ns/net")
    assert (len(source) <= 15, spec.port_security) == (True, True)
    assert endpoint.call("EndpointOperInfo")["Value"] == {"status": "ACTIVE", "port": port["id"]}
    endpoint.remove()
    docker.cloud.settle()
    assert port["id"] not in docker.cloud.network.ports
    assert ports(docker, network_id=network.row()["id"], device_owner="compute:kuryr") == []
    endpoint.remove()


def test_calls_again_change_nothing(docker: Docker) -> None:
    endpoint = docker.network().endpoint()
    before = endpoint.port()
    assert endpoint.create() == {"Interface": {}}
    assert endpoint.port()["id"] == before["id"]
    assert endpoint.join() == endpoint.join()
    calls = [call for call in docker.cloud.network.calls if call[1] == before["id"]]
    assert calls.count(("remove_port", before["id"])) == 2  # a new wire each time: Docker has taken the last one away


def test_a_mac_that_docker_does_not_choose_is_told(docker: Docker) -> None:
    network = docker.network()
    address = network.address(network.pools["IPv4Data"])
    interface = {"Address": address, "AddressIPv6": "", "MacAddress": ""}
    endpoint = Endpoint(network, secrets.token_hex(32), "")
    answer = endpoint.call("CreateEndpoint", Interface=interface, Options=None)
    assert answer == {"Interface": {"MacAddress": endpoint.port()["mac_address"]}}


def test_an_address_in_use_is_refused(docker: Docker) -> None:
    network = docker.network()
    network.endpoint(ip="10.10.0.9")
    body = {"PoolID": network.pools["IPv4Data"], "Address": "10.10.0.9", "Options": {}}
    status, error = docker.refused("IpamDriver.RequestAddress", **body)
    assert (status, "in use" in error) == (409, True)


def test_an_address_is_held_until_it_is_given_back(docker: Docker) -> None:
    network = docker.network()
    address = network.address(network.pools["IPv4Data"])
    (held,) = ports(docker, name="kuryr-unbound-port")
    assert address == f"{held['fixed_ips'][0]['ip_address']}/24"
    body = {"PoolID": network.pools["IPv4Data"], "Address": address.partition("/")[0]}
    docker.call("IpamDriver.ReleaseAddress", **body)
    docker.call("IpamDriver.ReleaseAddress", **body)
    assert ports(docker, name="kuryr-unbound-port") == []


def test_a_users_own_port_is_used_and_kept(docker: Docker) -> None:
    network = docker.network()
    body = {"port": {"network_id": network.row()["id"], "name": "mine", "fixed_ips": [{"ip_address": "10.10.0.40"}]}}
    mine = docker.api.post(f"{V2}/ports", json=body).json()["port"]
    endpoint = network.endpoint(ip="10.10.0.40", mac=MAC)
    port = endpoint.port()
    assert (port["id"], port["name"], port["mac_address"]) == (mine["id"], "mine", MAC)
    assert "kuryr.port.existing" in port["tags"]
    endpoint.join()
    endpoint.remove()
    after = docker.api.get(f"{V2}/ports/{mine['id']}").json()["port"]
    assert (after["device_id"], after["device_owner"], after["tags"]) == ("", "", [])


def test_a_users_own_port_is_found_by_its_mac(docker: Docker) -> None:
    network = docker.network()
    body = {"port": {"network_id": network.row()["id"], "mac_address": MAC}}
    mine = docker.api.post(f"{V2}/ports", json=body).json()["port"]
    endpoint = network.endpoint(mac=MAC)
    assert endpoint.port()["id"] == mine["id"]
    endpoint.remove()
    network.docker.api.delete(f"{V2}/ports/{mine['id']}")


def test_a_port_of_another_workload_is_not_taken(docker: Docker) -> None:
    network = docker.network()
    fields = {"network_id": network.row()["id"], "device_id": "vm", "fixed_ips": [{"ip_address": "10.10.0.41"}]}
    docker.api.post(f"{V2}/ports", json={"port": fields})
    body = {"PoolID": network.pools["IPv4Data"], "Address": "10.10.0.41", "Options": {}}
    assert docker.refused("IpamDriver.RequestAddress", **body)[0] == 409
    endpoint = Endpoint(network, secrets.token_hex(32), MAC)
    interface = {"Address": "10.10.0.41/24", "AddressIPv6": "", "MacAddress": MAC}
    status, _ = docker.refused("NetworkDriver.CreateEndpoint", **endpoint.names(), Interface=interface, Options={})
    assert status == 409


def test_dockers_own_ipam_works_too(docker: Docker) -> None:
    network_id = secrets.token_hex(32)
    data = [{"AddressSpace": "LocalDefault", "Pool": "172.30.0.0/16", "Gateway": "172.30.0.1/16"}]
    docker.call("NetworkDriver.CreateNetwork", NetworkID=network_id, IPv4Data=data, IPv6Data=[], Options={})
    names = {"NetworkID": network_id, "EndpointID": secrets.token_hex(32)}
    interface = {"Address": "172.30.0.2/16", "AddressIPv6": "", "MacAddress": MAC}
    docker.call("NetworkDriver.CreateEndpoint", **names, Interface=interface, Options={})
    assert len(ports(docker, device_id=names["EndpointID"])) == 1
    docker.call("NetworkDriver.DeleteEndpoint", **names)
    assert ports(docker, mac_address=MAC) == []
    docker.call("NetworkDriver.DeleteNetwork", NetworkID=network_id)


def test_hosts_that_number_themselves(docker: Docker) -> None:
    network = docker.network("10.0.0.0/24", v6="fd53:7461:636b::/64", options={"neutron.net.name": "private"})
    endpoint = network.endpoint(mac=MAC)
    assert endpoint.addresses["IPv6Data"] == "fd53:7461:636b:0:42:aff:fe0b:c0d/64"
    found = {item["ip_address"] for item in endpoint.port()["fixed_ips"]}
    assert found == {text.partition("/")[0] for text in endpoint.addresses.values()}
    endpoint.remove()
    network.remove()


def test_host_routes_are_told(docker: Docker) -> None:
    network = docker.network()
    (subnet,) = docker.api.get(f"{V2}/subnets", params={"cidr": "10.10.0.0/24"}).json()["subnets"]
    route = {"destination": "10.99.0.0/16", "nexthop": "10.10.0.5"}
    docker.api.put(f"{V2}/subnets/{subnet['id']}", json={"subnet": {"host_routes": [route]}})
    found = network.endpoint().join()["StaticRoutes"]
    assert found == [{"Destination": "10.99.0.0/16", "RouteType": 0, "NextHop": "10.10.0.5"}]


# ------------------------------------------------------------------------------------------------- exposed ports


def exposing(*ports_: tuple[int, int], published: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "com.docker.network.endpoint.exposedports": [{"Proto": proto, "Port": port} for proto, port in ports_],
        "com.docker.network.portmap": published or [],
    }


def test_exposed_ports_are_rules_of_a_group_that_is_shared(docker: Docker) -> None:
    network = docker.network()
    one, other = network.endpoint(), network.endpoint()
    for endpoint in (one, other):
        endpoint.call("ProgramExternalConnectivity", Options=exposing((6, 80), (6, 81), (6, 443), (17, 53)))
        endpoint.call("ProgramExternalConnectivity", Options=exposing((6, 80), (6, 81), (6, 443), (17, 53)))
    assert rules(docker, one) == {("tcp", 80, 81), ("tcp", 443, 443), ("udp", 53, 53)}
    assert one.port()["security_groups"] == other.port()["security_groups"]
    one.call("RevokeExternalConnectivity")
    assert (groups(docker, one), len(groups(docker, other))) == (["default"], 2)
    other.remove()
    found = docker.api.get(f"{V2}/security-groups").json()["security_groups"]
    assert [group["name"] for group in found] == ["default"]


def published(port: int, host_port: int, last: int = 0, proto: int = 6, host_ip: str = "127.0.0.1") -> dict[str, Any]:
    return {"Proto": proto, "IP": "", "Port": port, "HostIP": host_ip, "HostPort": host_port, "HostPortEnd": last}


def test_a_published_port_is_listened_on_until_it_is_revoked(docker: Docker) -> None:
    endpoint = docker.network().endpoint()
    endpoint.join()
    endpoint.call("ProgramExternalConnectivity", Options=exposing(published=[published(80, 0)]))
    profile = docker.cloud.client("admin").get(f"{V2}/ports/{endpoint.port()['id']}").json()["port"]["binding:profile"]
    (noted,) = profile["published"]
    assert noted["host_port"] > 0
    assert rules(docker, endpoint) == {("tcp", 80, 80)}
    socket.create_connection(("127.0.0.1", noted["host_port"]), 5).close()
    endpoint.call("RevokeExternalConnectivity")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", noted["host_port"]))
    after = docker.cloud.client("admin").get(f"{V2}/ports/{endpoint.port()['id']}").json()["port"]
    assert "published" not in after["binding:profile"]


def test_a_host_port_in_use_is_refused_and_nothing_stays_open(docker: Docker) -> None:
    endpoint = docker.network().endpoint()
    endpoint.join()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        options = exposing(published=[published(80, 0), published(81, number)])
        status, error = docker.refused("NetworkDriver.ProgramExternalConnectivity", **endpoint.names(), Options=options)
    assert (status, f"port {number}" in error) == (409, True)
    assert groups(docker, endpoint) == ["default"]


def test_without_a_dhcp_server_nothing_can_be_published(docker: Docker) -> None:
    network = docker.network()
    (subnet,) = docker.api.get(f"{V2}/subnets", params={"cidr": "10.10.0.0/24"}).json()["subnets"]
    docker.api.put(f"{V2}/subnets/{subnet['id']}", json={"subnet": {"enable_dhcp": False}})
    endpoint = network.endpoint()
    endpoint.join()
    options = exposing(published=[published(80, 0)])
    status, error = docker.refused("NetworkDriver.ProgramExternalConnectivity", **endpoint.names(), Options=options)
    assert (status, "DHCP" in error) == (409, True)


def test_published_ports_are_listened_on_again_after_a_start(docker: Docker) -> None:
    endpoint = docker.network().endpoint()
    endpoint.join()
    endpoint.call("ProgramExternalConnectivity", Options=exposing(published=[published(80, 0)]))
    admin = docker.cloud.client("admin")
    profile = admin.get(f"{V2}/ports/{endpoint.port()['id']}").json()["port"]["binding:profile"]
    number = profile["published"][0]["host_port"]
    docker.plugin.stop()
    again = Docker(docker.cloud)
    again.plugin.start()
    socket.create_connection(("127.0.0.1", number), 5).close()
    again.plugin.stop()
