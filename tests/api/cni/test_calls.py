"""What stackyard-cni asks of the cloud, in process: results, errors with their codes, and rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cloud import TestCloud, cloud

from stackyard.plugins.cni import requests
from stackyard.plugins.cni.app import CniServer

__all__ = ["cloud"]

V2 = "/network/v2.0"


class Runtime:
    """A container runtime."""

    def __init__(self, cloud: TestCloud) -> None:
        self.cloud = cloud
        self.server = CniServer(cloud.runtime)
        self.api = cloud.client("demo")

    def call(self, command: str, config: Any = None, **variables: str) -> dict[str, Any]:
        """One call; by default about eth0 of one container on the network private."""
        given = {"container_id": "pod-1", "netns": "/run/netns/pod-1", "ifname": "eth0", "args": ""} | variables
        whole = {"cniVersion": "1.0.0", "name": "pods", "network": "private"} | (config or {})
        return self.server.answer(json.dumps({"command": command, **given, "config": whole}).encode())

    def ports(self) -> list[dict[str, Any]]:
        """The pods' ports."""
        return list(self.api.get(f"{V2}/ports", params={"device_owner": "compute:cni"}).json()["ports"])


@pytest.fixture
def runtime(cloud: TestCloud) -> Runtime:
    """A container runtime that uses the cloud."""
    return Runtime(cloud)


def test_a_pods_life(runtime: Runtime) -> None:
    result = runtime.call("ADD", args="IgnoreUnknown=1;K8S_POD_NAME=web-0")
    (port,) = runtime.ports()
    assert (port["name"], port["dns_name"], port["device_id"]) == ("web-0", "web-0", "pod-1")
    assert result["interfaces"] == [{"name": "eth0", "mac": port["mac_address"], "sandbox": "/run/netns/pod-1"}]
    assert [item["address"].partition("/")[0] for item in result["ips"]] == [
        item["ip_address"] for item in port["fixed_ips"]
    ]
    assert result["ips"][0]["gateway"] == "10.0.0.1"
    assert {"dst": "0.0.0.0/0", "gw": "10.0.0.1"} in result["routes"]
    assert (result["dns"]["domain"], result["dns"]["nameservers"][0]) == ("openstacklocal", "10.0.0.2")
    spec = runtime.cloud.network.ports[port["id"]]
    assert (spec.kind, spec.netns, spec.device) == ("veth", "/run/netns/pod-1", "eth0")
    assert runtime.call("CHECK", {"prevResult": result}) == {}
    assert runtime.call("ADD") == result
    runtime.cloud.network.lose(port["id"], "its device is gone")
    assert runtime.call("CHECK")["code"] == requests.FAILED
    assert runtime.call("DEL", netns="") == {}
    assert (runtime.ports(), port["id"] in runtime.cloud.network.ports) == ([], False)
    assert runtime.call("DEL") == {}
    assert runtime.call("CHECK")["code"] == requests.UNKNOWN


def test_what_a_configuration_and_the_runtime_choose(runtime: Runtime) -> None:
    group = runtime.api.post(f"{V2}/security-groups", json={"security_group": {"name": "pods"}}).json()
    mac = "02:11:22:33:44:55"
    config = {"subnet": "private-subnet", "security_groups": ["pods"], "runtimeConfig": {"ips": ["10.0.0.77/24"]}}
    runtime.call("ADD", config, args=f"MAC={mac}")
    (port,) = runtime.ports()
    assert port["security_groups"] == [group["security_group"]["id"]]
    assert (port["mac_address"], port["fixed_ips"][0]["ip_address"]) == (mac, "10.0.0.77")
    old = runtime.call("ADD", {"cniVersion": "0.4.0"}, container_id="pod-2", args="IP=10.0.0.78")
    assert old["ips"][0] | {"version": "4"} == old["ips"][0]
    refused = runtime.call("ADD", container_id="pod-3", args="IP=10.0.0.78")
    assert (refused["code"], refused["details"]) == (109, "IpAddressAlreadyAllocated")


def test_what_an_earlier_plugin_did_is_kept(runtime: Runtime) -> None:
    before = {"interfaces": [{"name": "lo"}], "ips": [], "routes": []}
    result = runtime.call("ADD", {"prevResult": before})
    assert [item["name"] for item in result["interfaces"]] == ["lo", "eth0"]
    assert {item["interface"] for item in result["ips"]} == {1}


def test_what_cannot_be_wired_leaves_nothing(runtime: Runtime) -> None:
    from stackyard.host.errors import HostError

    runtime.cloud.network.fail_next("apply_port", HostError("the namespace is not there"))
    answer = runtime.call("ADD")
    assert (answer["code"], "not there" in answer["details"]) == (requests.IO_FAILURE, True)
    assert runtime.ports() == []


def test_what_the_runtime_does_not_know_any_more_is_collected(runtime: Runtime) -> None:
    for number in (1, 2):
        runtime.call("ADD", container_id=f"pod-{number}")
    runtime.call("ADD", {"name": "others"}, container_id="pod-3")
    valid = {"cni.dev/valid-attachments": [{"containerID": "pod-2", "ifname": "eth0"}]}
    assert runtime.call("GC", valid) == {}
    assert {port["device_id"] for port in runtime.ports()} == {"pod-2", "pod-3"}


def test_whether_an_add_would_work(runtime: Runtime) -> None:
    assert runtime.call("STATUS") == {}
    assert runtime.call("STATUS", {"network": "nowhere"})["code"] == requests.UNAVAILABLE
    assert runtime.call("STATUS", {"project": "nobody"})["code"] == requests.INVALID_CONFIG


def test_what_is_wrong_is_refused_with_its_code(runtime: Runtime) -> None:
    environment, config = requests.INVALID_ENVIRONMENT, requests.INVALID_CONFIG
    for variables in (
        {"container_id": ""}, {"container_id": "../x"}, {"container_id": "a" * 300}, {"ifname": "lo"},
        {"ifname": "a/b"}, {"ifname": "x" * 16}, {"ifname": ".."}, {"netns": ""}, {"netns": "relative"},
        {"netns": "/run/../etc"}, {"args": "no-equals"},
    ):  # fmt: skip
        assert runtime.call("ADD", **variables)["code"] == environment, variables
    for wrong in (
        {"network": 5}, {"security_groups": "web"}, {"addresses": ["x"]}, {"subnet": "nowhere"}, {"project": "nobody"},
        {"runtimeConfig": {"ips": [5, None]}},
    ):  # fmt: skip
        assert runtime.call("ADD", wrong)["code"] == config, wrong
    assert runtime.call("ADD", {"cniVersion": "9.9.9"})["code"] == requests.INCOMPATIBLE
    assert runtime.call("EXPLODE")["code"] == environment
    for network in ("nowhere", "' OR 1=1", "../ports"):
        assert runtime.call("ADD", {"network": network})["details"] == "NetworkNotFound"
    assert runtime.call("ADD", {"mac": "zz"})["code"] >= requests.FAILED
    for body in (b"", b"[]", b"{", b"\xff", b"[" * 50_000, b'{"command": 5}', b'{"command": "ADD", "config": []}'):
        assert runtime.server.answer(body)["code"] == requests.UNDECODABLE, body[:20]
    assert runtime.ports() == []


def test_another_projects_network_is_not_there(runtime: Runtime) -> None:
    runtime.cloud.client("admin").post(f"{V2}/networks", json={"network": {"name": "secret"}})
    assert runtime.call("ADD", {"network": "secret"})["details"] == "NetworkNotFound"
