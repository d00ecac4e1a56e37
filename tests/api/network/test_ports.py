"""Ports: addresses, MACs, groups, names, binding, and who may do what with them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud


def addresses(port: dict[str, Any]) -> list[str]:
    return [item["ip_address"] for item in port["fixed_ips"]]


def test_defaults(demo: Neutron) -> None:
    network, subnet = demo.network()
    port = demo.create("port", network_id=network["id"], name="p")
    (fixed,) = port["fixed_ips"]
    assert fixed["subnet_id"] == subnet["id"]
    assert fixed["ip_address"].startswith("10.20.0.")
    assert port["mac_address"].startswith("fa:16:3e:")
    assert (port["status"], port["device_id"], port["device_owner"]) == ("DOWN", "", "")
    assert port["port_security_enabled"]
    (group,) = demo.list("security_group", "?name=default")
    assert port["security_groups"] == [group["id"]]
    assert "binding:host_id" not in port
    assert port["dns_assignment"][0]["hostname"] == "host-" + fixed["ip_address"].replace(".", "-")
    assert demo.show("port", port["id"]) == port
    demo.delete("port", port["id"])
    demo.show("port", port["id"], status=404)


def test_addresses_as_asked_for(demo: Neutron) -> None:
    network, subnet = demo.network()
    other = demo.create("subnet", network_id=network["id"], cidr="10.21.0.0/24", ip_version=4)
    port = demo.create(
        "port", network_id=network["id"],
        fixed_ips=[{"subnet_id": other["id"]}, {"ip_address": "10.20.0.50"}, {"ip_address": "10.20.0.51"}],
    )  # fmt: skip
    assert addresses(port)[:2] == ["10.20.0.50", "10.20.0.51"]
    assert addresses(port)[2].startswith("10.21.0.")
    taken = [{"subnet_id": subnet["id"], "ip_address": "10.20.0.50"}]
    assert demo.refuse("port", 409, network_id=network["id"], fixed_ips=taken) == "IpAddressAlreadyAllocated"
    changed = demo.update("port", port["id"], fixed_ips=[{"subnet_id": subnet["id"]}, {"ip_address": "10.20.0.60"}])
    assert addresses(changed) == ["10.20.0.60", "10.20.0.50"]
    assert addresses(demo.create("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.20.0.51"}])) == [
        "10.20.0.51"
    ]
    assert demo.update("port", port["id"], fixed_ips=[])["fixed_ips"] == []


@pytest.mark.parametrize(
    ("given", "status", "kind"),
    [
        ({"fixed_ips": [{"ip_address": "10.99.0.5"}]}, 400, "InvalidIpForNetwork"),
        ({"fixed_ips": [{"ip_address": "10.20.0.255"}]}, 400, "InvalidIpForSubnet"),
        ({"fixed_ips": [{"ip_address": "here"}]}, 400, "HTTPBadRequest"),
        ({"fixed_ips": [{"subnet_id": "nowhere"}]}, 400, "InvalidInput"),
        ({"fixed_ips": [{}]}, 400, "InvalidInput"),
        ({"fixed_ips": [{"ip_address": "10.20.0.9"}, {"ip_address": "10.20.0.9"}]}, 400, "InvalidInput"),
        ({"fixed_ips": "10.20.0.9"}, 400, "HTTPBadRequest"),
        ({"mac_address": "01:00:5e:00:00:01"}, 400, "HTTPBadRequest"),
        ({"security_groups": ["nowhere"]}, 404, "SecurityGroupNotFound"),
        ({"allowed_address_pairs": [{"mac_address": "fa:16:3e:00:00:01"}]}, 400, "HTTPBadRequest"),
        ({"allowed_address_pairs": [{"ip_address": "x"}]}, 400, "HTTPBadRequest"),
        ({"allowed_address_pairs": [{"ip_address": "10.0.0.9"}] * 2}, 400, "DuplicateAddressPairInRequest"),
        ({"dns_name": "not a name"}, 400, "HTTPBadRequest"),
        ({"dns_name": "web.example.org."}, 400, "HTTPBadRequest"),
        ({"binding:vnic_type": "direct"}, 400, "InvalidInput"),
        ({"binding:host_id": "somewhere"}, 403, "PolicyNotAuthorized"),
        ({"network_id": "nowhere"}, 404, "NetworkNotFound"),
        ({"id": "mine"}, 400, "HTTPBadRequest"),
    ],
)
def test_ports_that_cannot_be(demo: Neutron, given: dict[str, Any], status: int, kind: str) -> None:
    network, _ = demo.network()
    assert demo.refuse("port", status, **({"network_id": network["id"]} | given)) == kind
    assert len(demo.list("port", f"?network_id={network['id']}")) == 1


def test_macs_are_unique_on_a_network(demo: Neutron) -> None:
    network, _ = demo.network()
    demo.create("port", network_id=network["id"], mac_address="FA-16-3E-00-00-09")
    again = {"network_id": network["id"], "mac_address": "fa:16:3e:00:00:09"}
    assert demo.refuse("port", 409, **again) == "MacAddressInUse"
    elsewhere = demo.create("network")
    demo.create("port", **(again | {"network_id": elsewhere["id"]}))


def test_an_exhausted_pool(demo: Neutron) -> None:
    network, _ = demo.network(
        allocation_pools=[{"start": "10.20.0.10", "end": "10.20.0.12"}, {"start": "10.20.0.20", "end": "10.20.0.20"}]
    )
    found = {addresses(demo.create("port", network_id=network["id"]))[0] for _ in range(3)}
    assert found == {"10.20.0.11", "10.20.0.12", "10.20.0.20"}
    assert demo.refuse("port", 409, network_id=network["id"]) == "IpAddressGenerationFailure"
    freed = demo.list("port", "?fixed_ips=ip_address=10.20.0.12")[0]
    demo.delete("port", freed["id"])
    assert addresses(demo.create("port", network_id=network["id"])) == ["10.20.0.12"]


def test_a_large_and_nearly_full_subnet_still_has_its_last_address(demo: Neutron) -> None:
    network, _ = demo.network("10.20.0.0/23", enable_dhcp=False)
    every = [{"network_id": network["id"]} for _ in range(250)]
    for _ in range(2):
        demo.call("POST", "ports", {"ports": every[:249]}, status=201)
    assert len(demo.list("port", f"?network_id={network['id']}&fields=id")) == 498


def test_names_are_lower_case_and_known_to_dns(cloud: TestCloud, demo: Neutron) -> None:
    network, _ = demo.network()
    port = demo.create("port", network_id=network["id"], dns_name="Web")
    (assignment,) = port["dns_assignment"]
    assert (port["dns_name"], assignment["fqdn"]) == ("web", "web.openstacklocal.")
    cloud.settle()
    (host,) = cloud.network.networks[network["id"]].hosts
    assert host.names == ("web",)
    assert demo.update("port", port["id"], dns_name="db.openstacklocal.")["dns_name"] == "db"
    demo.delete("port", port["id"])
    cloud.settle()
    assert cloud.network.networks[network["id"]].hosts == ()


def test_groups_and_pairs_need_port_security(demo: Neutron) -> None:
    network, _ = demo.network()
    port = demo.create("port", network_id=network["id"], allowed_address_pairs=[{"ip_address": "10.20.0.128/25"}])
    assert port["allowed_address_pairs"] == [{"ip_address": "10.20.0.128/25", "mac_address": port["mac_address"]}]
    fault = demo.update("port", port["id"], status=409, port_security_enabled=False)
    assert fault["type"] == "PortSecurityPortHasSecurityGroup"
    fault = demo.update("port", port["id"], status=409, port_security_enabled=False, security_groups=[])
    assert fault["type"] == "AddressPairAndPortSecurityRequired"
    opened = demo.update("port", port["id"], port_security_enabled=False, security_groups=[], allowed_address_pairs=[])
    assert (opened["port_security_enabled"], opened["security_groups"]) == (False, [])
    bare = demo.create("network", port_security_enabled=False)
    assert demo.create("port", network_id=bare["id"])["security_groups"] == []


def test_filters(demo: Neutron) -> None:
    network, subnet = demo.network()
    fixed = [{"ip_address": "10.20.0.50"}]
    one = demo.create("port", network_id=network["id"], name="one", device_id="d1", fixed_ips=fixed)
    two = demo.create("port", network_id=network["id"], name="two", security_groups=[])
    ids = {one["id"], two["id"]}

    def found(query: str) -> set[str]:
        return {port["id"] for port in demo.list("port", f"?network_id={network['id']}&{query}")} & ids

    assert found("device_id=d1") == {one["id"]}
    assert found(f"fixed_ips=ip_address={addresses(two)[0]}") == {two["id"]}
    assert found(f"fixed_ips=subnet_id={subnet['id']}") == ids
    assert found("fixed_ips=ip_address_substr=.20.0.50") == {one["id"]}
    assert found("fixed_ips=ip_address_substr=0.20.0.&name=two") == {two["id"]}
    assert found("fixed_ips=ip_address_substr=99.99") == set()
    assert found(f"security_groups={one['security_groups'][0]}") == {one["id"]}
    assert found("admin_state_up=True&status=DOWN") == ids
    assert found(f"mac_address={two['mac_address']}") == {two["id"]}
    assert found("name=three") == set()


def test_ports_of_others(demo: Neutron, admin: Neutron) -> None:
    network = admin.create("network", shared=True)
    admin.create("subnet", network_id=network["id"], cidr="10.60.0.0/24", ip_version=4)
    theirs = admin.create("port", network_id=network["id"])
    demo.show("port", theirs["id"], status=404)
    demo.delete("port", theirs["id"], status=404)
    mine = demo.create("port", network_id=network["id"])
    assert [port["id"] for port in demo.list("port", f"?network_id={network['id']}")] == [mine["id"]]
    for given in (
        {"mac_address": "fa:16:3e:00:00:01"},
        {"fixed_ips": [{"ip_address": "10.60.0.9"}]},
        {"port_security_enabled": False},
        {"device_owner": "network:dhcp"},
    ):
        assert demo.refuse("port", 403, network_id=network["id"], **given) == "PolicyNotAuthorized"
    assert demo.update("port", mine["id"], name="new")["name"] == "new"
    assert admin.show("port", mine["id"])["binding:vif_type"] == "unbound"
    bound = admin.update("port", mine["id"], **{"binding.host_id": "elsewhere"})
    assert bound["binding:host_id"] == "elsewhere"
    public = demo.find("network", "public")
    assert demo.refuse("port", 403, network_id=public["id"]) == "PolicyNotAuthorized"


def test_ports_of_routers_go_with_them(demo: Neutron) -> None:
    private = demo.find("network", "private")
    leg = demo.list("port", f"?network_id={private['id']}&device_owner=network:router_interface")[0]
    assert demo.delete("port", leg["id"], status=409)["type"] == "ServicePortInUse"


def test_many_ports_at_once(demo: Neutron, admin: Neutron) -> None:
    network, _ = demo.network()
    bodies = [{"network_id": network["id"], "name": f"p{n}"} for n in range(40)]
    made = demo.call("POST", "ports", {"ports": bodies}, status=201)["ports"]
    assert [port["name"] for port in made] == [f"p{n}" for n in range(40)]
    assert len({addresses(port)[0] for port in made}) == 40
    project = network["project_id"]
    used = admin.call("GET", f"quotas/{project}/details.json", status=200)["quota"]["port"]["used"]
    admin.call("PUT", f"quotas/{project}", {"quota": {"port": used + 3}}, status=200)
    assert demo.call("POST", "ports", {"ports": bodies[:4]}, status=409)["type"] == "OverQuota"
    assert len(demo.list("port", f"?network_id={network['id']}")) == 41
    demo.call("POST", "ports", {"ports": bodies[:3]}, status=201)
