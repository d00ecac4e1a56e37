"""Ports: addresses, MACs, groups, names, binding, and who may do what with them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud

from stackyard.services.network import api as network_api


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
        ({"binding:vnic_type": "bent"}, 400, "HTTPBadRequest"),
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


BAD_ATTRIBUTES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"extra_dhcp_opts": [{"opt_name": "mtu"}]}, "HTTPBadRequest"),
    ({"extra_dhcp_opts": [{"opt_name": "", "opt_value": "x"}]}, "HTTPBadRequest"),
    ({"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": ""}]}, "HTTPBadRequest"),
    ({"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1\ndhcp-script=/bin/sh"}]}, "HTTPBadRequest"),
    ({"extra_dhcp_opts": [{"opt_name": "x" * 65, "opt_value": "1"}]}, "HTTPBadRequest"),
    ({"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1", "ip_version": 5}]}, "HTTPBadRequest"),
    ({"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": 1}]}, "HTTPBadRequest"),
    ({"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1", "colour": "red"}]}, "HTTPBadRequest"),
    ({"extra_dhcp_opts": [{"opt_name": f"o{n}", "opt_value": "1"} for n in range(101)]}, "HTTPBadRequest"),
    ({"extra_dhcp_opts": "mtu"}, "HTTPBadRequest"),
    ({"dns_domain": "not a domain"}, "HTTPBadRequest"),
    ({"numa_affinity_policy": "sometimes"}, "HTTPBadRequest"),
    ({"hints": {"openvswitch": {"other_config": {"tx-steering": "left"}}}}, "HTTPBadRequest"),
    ({"hints": {"elsewhere": {}}}, "HTTPBadRequest"),
    ({"hints": {"openvswitch": []}}, "HTTPBadRequest"),
    ({"hardware_offload_type": "magic"}, "HTTPBadRequest"),
    ({"propagate_uplink_status": "perhaps"}, "HTTPBadRequest"),
    ({"device_profile": "x" * 256}, "HTTPBadRequest"),
    ({"binding.profile": {"x": "y" * 5000}}, "HTTPBadRequest"),
    ({"tags": ["x" * 256]}, "HTTPBadRequest"),
)


def test_attributes_that_cannot_be(admin: Neutron) -> None:
    network = admin.create("network")
    for given, kind in BAD_ATTRIBUTES:
        assert admin.refuse("port", 400, network_id=network["id"], **given) == kind, given
    assert admin.refuse("port", 404, network_id=network["id"], qos_policy_id="nowhere") == "QosPolicyNotFound"
    assert admin.list("port", f"?network_id={network['id']}") == []


def test_further_attributes(admin: Neutron) -> None:
    network = admin.create("network")
    hints = {"openvswitch": {"other_config": {"tx-steering": "hash"}}}
    made = admin.create(
        "port", network_id=network["id"], dns_domain="example.org.", numa_affinity_policy="socket", hints=hints,
        device_profile="gpu", hardware_offload_type="switchdev", trusted=True, propagate_uplink_status=False,
        tags=["one", "two"],
    )  # fmt: skip
    for name, value in (
        ("dns_domain", "example.org."), ("numa_affinity_policy", "socket"), ("hints", hints), ("trusted", True),
        ("device_profile", "gpu"), ("hardware_offload_type", "switchdev"), ("propagate_uplink_status", False),
        ("data_plane_status", None), ("ip_allocation", "immediate"), ("resource_request", None),
        ("qos_policy_id", None), ("qos_network_policy_id", None), ("tags", ["one", "two"]),
    ):  # fmt: skip
        assert made[name] == value, name
    assert admin.show("port", made["id"]) == made
    assert [port["id"] for port in admin.list("port", "?tags=one,two")] == [made["id"]]
    changed = admin.update(
        "port", made["id"], data_plane_status="DOWN", hints=None, numa_affinity_policy=None, trusted=False,
        propagate_uplink_status=True,
    )  # fmt: skip
    assert (changed["data_plane_status"], changed["hints"], changed["trusted"]) == ("DOWN", None, False)
    assert changed["propagate_uplink_status"] is True
    assert admin.update("port", made["id"], status=400, data_plane_status="BROKEN")["type"] == "HTTPBadRequest"
    assert admin.update("port", made["id"], status=400, device_profile="other")["type"] == "HTTPBadRequest"


def test_what_tenants_may_not_say_of_ports(demo: Neutron) -> None:
    network, _ = demo.network()
    port = demo.create("port", network_id=network["id"])
    assert not port.keys() & {"hints", "trusted", "resource_request", "binding:profile"}
    steering = {"openvswitch": {"other_config": {"tx-steering": "hash"}}}
    for given in ({"hints": steering}, {"trusted": True}, {"binding.profile": {"a": 1}}):
        assert demo.refuse("port", 403, network_id=network["id"], **given) == "PolicyNotAuthorized"
        assert demo.update("port", port["id"], status=403, **given)["type"] == "PolicyNotAuthorized"
    for given in ({"data_plane_status": "DOWN"}, {"mac_address": None}, {"mac_address": "fa:16:3e:00:00:01"}):
        assert demo.update("port", port["id"], status=403, **given)["type"] == "PolicyNotAuthorized"
    for path in (f"ports/{port['id']}/bindings", f"ports/{port['id']}/bindings/testhost"):
        demo.call("GET", path, status=403)


def test_dhcp_options_are_added_changed_and_dropped(demo: Neutron) -> None:
    network, _ = demo.network()
    given = [
        {"opt_name": "bootfile-name", "opt_value": "a"},
        {"opt_name": "router", "opt_value": "", "ip_version": "6"},
    ]
    port = demo.create("port", network_id=network["id"], extra_dhcp_opts=given)
    first = {"opt_name": "bootfile-name", "opt_value": "a", "ip_version": 4}
    assert port["extra_dhcp_opts"] == [first, {"opt_name": "router", "opt_value": "", "ip_version": 6}]
    change = [first | {"opt_value": "b"}, {"opt_name": "router", "opt_value": None, "ip_version": 6}]
    assert demo.update("port", port["id"], extra_dhcp_opts=change)["extra_dhcp_opts"] == [first | {"opt_value": "b"}]
    assert demo.update("port", port["id"], extra_dhcp_opts=[])["extra_dhcp_opts"] == [first | {"opt_value": "b"}]


def test_a_new_mac(cloud: TestCloud, demo: Neutron, admin: Neutron) -> None:
    network, _ = demo.network()
    port = demo.create("port", network_id=network["id"])
    changed = admin.update("port", port["id"], mac_address=None)
    assert changed["mac_address"] != port["mac_address"]
    assert changed["mac_address"].startswith("fa:16:3e:")
    cloud.database.write("bind", network_api.bind_port, port["id"], netns="/run/x", device="eth0", host="testhost")
    assert admin.update("port", port["id"], status=409, mac_address=None)["type"] == "PortBound"
    fault = admin.update("port", port["id"], status=409, **{"binding.vnic_type": "direct"})
    assert fault["type"] == "PortInUse"


def test_no_addresses_at_all(demo: Neutron) -> None:
    network, _ = demo.network()
    port = demo.create("port", network_id=network["id"], fixed_ips=[])
    assert (port["fixed_ips"], port["ip_allocation"]) == ([], "none")
    assert demo.update("port", port["id"], fixed_ips=[{"ip_address": "10.20.0.9"}])["ip_allocation"] == "immediate"


def test_a_quota_of_many_is_taken_once_and_macs_differ(demo: Neutron) -> None:
    network, _ = demo.network("10.20.0.0/22")
    twice = [{"network_id": network["id"], "mac_address": "fa:16:3e:00:00:09"}] * 2
    assert demo.call("POST", "ports", {"ports": twice}, status=409)["type"] == "MacAddressInUse"
    same = [{"network_id": network["id"], "fixed_ips": [{"ip_address": "10.20.0.77"}]}] * 2
    assert demo.call("POST", "ports", {"ports": same}, status=409)["type"] == "IpAddressAlreadyAllocated"
    mixed = [{"network_id": network["id"]}] * 400 + [
        {"network_id": network["id"], "fixed_ips": [{"ip_address": f"10.20.1.{n}"}]} for n in range(1, 60)
    ]
    made = demo.call("POST", "ports", {"ports": mixed}, status=201)["ports"]
    assert len({port["mac_address"] for port in made}) == len(mixed)
    assert len({addresses(port)[0] for port in made}) == len(mixed)
    assert [addresses(port)[0] for port in made[400:]] == [f"10.20.1.{n}" for n in range(1, 60)]


def test_parallel_ports_never_share_an_address(cloud: TestCloud, demo: Neutron) -> None:
    network, _ = demo.network("10.20.0.0/24", enable_dhcp=False)
    body = {"port": {"network_id": network["id"]}}
    url, headers = "/network/v2.0/ports", demo.http.headers

    def one(_: int) -> tuple[int, str]:
        answer = cloud.http.post(url, json=body, headers={"X-Auth-Token": headers["X-Auth-Token"]})
        return answer.status_code, answer.json()["port"]["fixed_ips"][0]["ip_address"] if answer.is_success else ""

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(200)))
    assert [status for status, _ in answers] == [201] * 200
    assert len({address for _, address in answers}) == 200


def test_binding_says_how_a_port_is_plugged(admin: Neutron) -> None:
    network = admin.create("network")
    port = admin.create("port", network_id=network["id"], **{"binding.host_id": "testhost"})
    assert (port["binding:vif_type"], port["binding:vif_details"]["port_filter"]) == ("bridge", True)
    assert admin.update("port", port["id"], **{"binding.host_id": "mars"})["binding:vif_type"] == "binding_failed"
    direct = admin.update("port", port["id"], **{"binding.host_id": "testhost", "binding.vnic_type": "direct"})
    assert (direct["binding:vif_type"], direct["binding:vif_details"]) == ("binding_failed", {})
    assert admin.update("port", port["id"], **{"binding.host_id": ""})["binding:vif_type"] == "unbound"


def test_bindings_of_a_port_that_moves(admin: Neutron) -> None:
    network = admin.create("network")
    port = admin.create("port", network_id=network["id"], device_owner="compute:nova")
    path = f"ports/{port['id']}/bindings"
    first = admin.call("POST", path, {"binding": {"host": "testhost"}}, status=201)["binding"]
    assert (first["status"], first["vif_type"], first["vnic_type"]) == ("ACTIVE", "bridge", "normal")
    second = admin.call("POST", path, {"binding": {"host": "other", "profile": {"a": 1}}}, status=201)["binding"]
    assert (second["status"], second["vif_type"], second["profile"]) == ("INACTIVE", "binding_failed", {"a": 1})
    again = admin.call("POST", path, {"binding": {"host": "other"}}, status=409)
    assert again["type"] == "PortBindingAlreadyExists"
    found = admin.call("GET", path, status=200)["bindings"]
    assert [(item["host"], item["status"]) for item in found] == [("testhost", "ACTIVE"), ("other", "INACTIVE")]
    (only,) = admin.call("GET", f"{path}?status=INACTIVE", status=200)["bindings"]
    assert only == admin.call("GET", f"{path}/other", status=200)["binding"]
    changed = admin.call("PUT", f"{path}/other", {"binding": {"profile": {"b": 2}}}, status=200)["binding"]
    assert (changed["profile"], changed["status"]) == ({"b": 2}, "INACTIVE")
    moved = admin.call("PUT", f"{path}/other/activate", {}, status=200)["binding"]
    assert (moved["host"], moved["status"]) == ("other", "ACTIVE")
    assert admin.show("port", port["id"])["binding:host_id"] == "other"
    fault = admin.call("PUT", f"{path}/other/activate", {}, status=409)
    assert fault["type"] == "PortBindingAlreadyActive"
    admin.call("DELETE", f"{path}/testhost", status=204)
    for method, ending in (("GET", ""), ("DELETE", ""), ("PUT", "/activate")):
        fault = admin.call(method, f"{path}/testhost{ending}", {} if method == "PUT" else None, status=404)
        assert fault["type"] == "PortBindingNotFound"
    admin.call("DELETE", f"{path}/other", status=204)
    assert admin.show("port", port["id"])["binding:vif_type"] == "unbound"


def test_bindings_that_cannot_be(admin: Neutron) -> None:
    network = admin.create("network")
    plain = admin.create("port", network_id=network["id"])
    path = f"ports/{plain['id']}/bindings"
    assert admin.call("POST", path, {"binding": {"host": "h"}}, status=400)["type"] == "InvalidInput"
    server = admin.create("port", network_id=network["id"], device_owner="compute:nova")
    path = f"ports/{server['id']}/bindings"
    for body in ({}, {"host": ""}, {"host": 5}, {"host": "h" * 256}, {"host": "h", "vnic_type": "bent"},
                 {"host": "h", "profile": "x"}, {"host": "h", "status": "ACTIVE"}):  # fmt: skip
        admin.call("POST", path, {"binding": body}, status=400)
    assert admin.call("GET", path, status=200)["bindings"] == []
    admin.call("GET", "ports/nowhere/bindings", status=404)


def test_ports_that_pretend_to_be_a_routers(demo: Neutron, admin: Neutron) -> None:
    theirs = admin.create("router")
    network, _ = demo.network()
    wish = {"network_id": network["id"], "device_owner": "network:router_interface", "device_id": theirs["id"]}
    assert demo.refuse("port", 409, **wish) == "DeviceIDNotOwnedByTenant"
    port = demo.create("port", network_id=network["id"])
    fault = demo.update("port", port["id"], status=409, device_owner=wish["device_owner"], device_id=theirs["id"])
    assert fault["type"] == "DeviceIDNotOwnedByTenant"


def test_what_a_policy_asks_of_placement(admin: Neutron) -> None:
    network = admin.create("network")
    policy = admin.call("POST", "qos/policies", {"policy": {"name": "wide"}}, status=201)["policy"]
    rule = {"minimum_bandwidth_rule": {"min_kbps": 1000, "direction": "egress"}}
    admin.call("POST", f"qos/policies/{policy['id']}/minimum_bandwidth_rules", rule, status=201)
    port = admin.create("port", network_id=network["id"], qos_policy_id=policy["id"])
    (group,) = port["resource_request"]["request_groups"]
    assert group["resources"] == {"NET_BW_EGR_KILOBIT_PER_SEC": 1000}
    assert group["required"] == ["CUSTOM_VNIC_TYPE_NORMAL"]
    assert port["resource_request"]["same_subtree"] == [group["id"]]
    assert [item["id"] for item in admin.list("port", f"?qos_policy_id={policy['id']}")] == [port["id"]]
    admin.update("network", network["id"], qos_policy_id=policy["id"])
    plain = admin.update("port", port["id"], qos_policy_id=None)
    assert (plain["qos_policy_id"], plain["qos_network_policy_id"]) == (None, policy["id"])
    assert plain["resource_request"]["request_groups"][0]["resources"] == group["resources"]


def test_a_list_shows_every_change_though_views_are_kept(admin: Neutron) -> None:
    network, _ = admin.network()
    port = admin.create("port", network_id=network["id"])

    def listed() -> dict[str, Any]:
        (found,) = admin.list("port", f"?id={port['id']}")
        assert found == admin.show("port", port["id"])
        return found

    assert listed() == listed()
    for change in (
        {"name": "new"}, {"admin_state_up": False}, {"allowed_address_pairs": [{"ip_address": "10.9.0.1"}]},
        {"dns_name": "web"}, {"binding:host_id": "elsewhere"}, {"binding:profile": {"a": 1}},
    ):  # fmt: skip
        admin.update("port", port["id"], **change)
        listed()
    for policy_rules in ("minimum_bandwidth_rules", "minimum_packet_rate_rules"):
        policy = admin.call("POST", "qos/policies", {"policy": {"name": "p"}}, status=201)["policy"]
        admin.update("port", port["id"], qos_policy_id=policy["id"])
        rule = {"min_kbps": 10} if "bandwidth" in policy_rules else {"min_kpps": 10}
        admin.call("POST", f"qos/policies/{policy['id']}/{policy_rules}", {policy_rules[:-1]: rule}, status=201)
        assert listed()["resource_request"]
    admin.update("port", port["id"], qos_policy_id=None)
    assert listed()["resource_request"] is None
    admin.update("network", network["id"], dns_domain="example.org.")
    assert listed()["dns_assignment"][0]["fqdn"] == "web.example.org."
    trunk = admin.create("trunk", port_id=port["id"])
    assert listed()["trunk_details"] == {"trunk_id": trunk["id"], "sub_ports": []}
    admin.delete("trunk", trunk["id"])
    assert "trunk_details" not in listed()
    assert admin.list("port", f"?id={port['id']}&fields=name") == [{"name": "new"}]
