"""What is malformed, unknown or meant to harm is refused in words, and changes nothing."""

from __future__ import annotations

import json
from typing import Any

from tests.api.kuryr.conftest import Docker

from stackyard.plugins.kuryr import app

ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
UUID = "11111111-2222-3333-4444-555555555555"
GENERIC = "com.docker.network.generic"

GOOD: dict[str, dict[str, Any]] = {
    "NetworkDriver.CreateNetwork": {"NetworkID": ID, "IPv4Data": [], "IPv6Data": [], "Options": {}},
    "NetworkDriver.DeleteNetwork": {"NetworkID": ID},
    "NetworkDriver.CreateEndpoint": {"NetworkID": ID, "EndpointID": OTHER, "Interface": {}, "Options": {}},
    "NetworkDriver.DeleteEndpoint": {"NetworkID": ID, "EndpointID": OTHER},
    "NetworkDriver.EndpointOperInfo": {"NetworkID": ID, "EndpointID": OTHER},
    "NetworkDriver.Join": {"NetworkID": ID, "EndpointID": OTHER, "SandboxKey": "/x", "Options": {}},
    "NetworkDriver.ProgramExternalConnectivity": {"NetworkID": ID, "EndpointID": OTHER, "Options": {}},
    "NetworkDriver.RevokeExternalConnectivity": {"NetworkID": ID, "EndpointID": OTHER},
    "IpamDriver.RequestPool": {
        "AddressSpace": "", "Pool": "10.1.0.0/24", "SubPool": "", "V6": False, "Options": {},
    },
    "IpamDriver.ReleasePool": {"PoolID": UUID},
    "IpamDriver.RequestAddress": {"PoolID": UUID, "Address": "", "Options": {}},
    "IpamDriver.ReleaseAddress": {"PoolID": UUID, "Address": "10.1.0.5"},
}  # fmt: skip
"""A body of the right shape for each call that looks at its body."""

WRONG: list[tuple[str, dict[str, Any]]] = [
    ("NetworkDriver.CreateNetwork", {"NetworkID": "../../etc"}),
    ("NetworkDriver.CreateNetwork", {"NetworkID": ID + "\n"}),
    ("NetworkDriver.CreateNetwork", {"NetworkID": ID.upper()}),
    ("NetworkDriver.CreateNetwork", {"IPv4Data": {}}),
    ("NetworkDriver.CreateNetwork", {"IPv4Data": [{"Pool": "10.0.0.1/24"}]}),
    ("NetworkDriver.CreateNetwork", {"IPv4Data": [{"Pool": "x' OR 1=1 --"}]}),
    ("NetworkDriver.CreateNetwork", {"IPv4Data": [{"Pool": "10.9.0.0/24", "Gateway": "fe80::%eth0/64"}]}),
    ("NetworkDriver.CreateNetwork", {"IPv4Data": [{"Pool": "10.9.0.0/24", "Gateway": "11.0.0.1/24"}]}),
    ("NetworkDriver.CreateNetwork", {"IPv4Data": [{"Pool": "10.9.0.0/24", "AuxAddresses": {"a": "11.0.0.1"}}]}),
    ("NetworkDriver.CreateNetwork", {"Options": {GENERIC: []}}),
    ("NetworkDriver.CreateNetwork", {"Options": {GENERIC: {"neutron.net.uid": UUID}}}),
    ("NetworkDriver.CreateNetwork", {"Options": {GENERIC: {"neutron.net.uuid": "../ports"}}}),
    ("NetworkDriver.CreateNetwork", {"Options": {GENERIC: {"neutron.net.uuid": UUID}}}),
    ("NetworkDriver.CreateNetwork", {"Options": {GENERIC: {"neutron.net.name": "nobody's"}}}),
    ("NetworkDriver.CreateNetwork", {"Options": {GENERIC: {"neutron.net.shared": "perhaps"}}}),
    ("NetworkDriver.CreateNetwork", {"Options": {GENERIC: {"com.docker.network.driver.mtu": "-1"}}}),
    ("NetworkDriver.CreateEndpoint", {}),
    ("NetworkDriver.CreateEndpoint", {"Interface": {"Address": "10.0.0.5/24"}}),
    ("NetworkDriver.Join", {}),
    ("NetworkDriver.Join", {"EndpointID": 5}),
    ("NetworkDriver.ProgramExternalConnectivity", {"Options": {app.exposed.names.EXPOSED_PORTS: [{"Proto": 6}]}}),
    (
        "NetworkDriver.ProgramExternalConnectivity",
        {"Options": {app.exposed.names.PORT_MAP: [{"Proto": 6, "Port": 70000}]}},
    ),
    ("IpamDriver.RequestPool", {"Pool": "10.1.0.0/33"}),
    ("IpamDriver.RequestPool", {"Pool": "10.1.0.7/24"}),
    ("IpamDriver.RequestPool", {"Pool": "fd00::/64"}),
    ("IpamDriver.RequestPool", {"V6": "yes"}),
    ("IpamDriver.RequestPool", {"SubPool": "10.2.0.0/25"}),
    ("IpamDriver.RequestPool", {"Options": {"neutron.pool.uuid": UUID}}),
    ("IpamDriver.RequestPool", {"Options": {"neutron.pool.name": "%"}}),
    ("IpamDriver.RequestPool", {"Options": {"neutron.pool.name": 5}}),
    ("IpamDriver.RequestPool", {"Options": {"neutron.subnet.name": "x" * 300}}),
    ("IpamDriver.RequestAddress", {}),
    ("IpamDriver.RequestAddress", {"PoolID": f"{UUID}:not-a-cidr"}),
    ("IpamDriver.RequestAddress", {"PoolID": "' OR 1=1 --"}),
    ("IpamDriver.ReleaseAddress", {"PoolID": 7}),
]


def rows(docker: Docker) -> dict[str, Any]:
    names = ("networks", "subnets", "subnetpools", "ports", "security-groups")
    return {name: docker.api.get(f"/network/v2.0/{name}").json() for name in names}


def test_what_is_wrong_is_refused_and_changes_nothing(docker: Docker) -> None:
    docker.network("10.200.0.0/24")
    before = rows(docker)
    for call, wrong in WRONG:
        status, answer = docker.post(call, GOOD[call] | wrong)
        assert status in (400, 409, 500), (call, wrong, status, answer)
        assert list(answer) == ["Err"], (call, wrong, answer)
        assert "unexpected" not in answer["Err"], (call, wrong, answer)
    for call, good in GOOD.items():
        for key in good.keys() - {"Options", "Interface"}:
            for value in (None, {"a": 1}, 17, "\x00", "x" * 300):
                status, answer = docker.post(call, good | {key: value})
                if key in ("IPv4Data", "IPv6Data") and value is None:
                    continue
                if status == 200:
                    assert key in ("AddressSpace", "SandboxKey"), (call, key, value, answer)
                    continue
                assert "unexpected" not in answer["Err"], (call, key, value, answer)
    docker.call("NetworkDriver.DeleteNetwork", NetworkID=ID)
    for pool in docker.api.get("/network/v2.0/subnetpools").json()["subnetpools"]:
        if pool["prefixes"] == ["10.1.0.0/24"]:
            docker.call("IpamDriver.ReleasePool", PoolID=pool["id"])
    assert rows(docker) == before


def test_what_is_not_there_is_gone_or_named(docker: Docker) -> None:
    gone = ("DeleteNetwork", "DeleteEndpoint", "RevokeExternalConnectivity", "Leave")
    for call in (*(f"NetworkDriver.{name}" for name in gone), "IpamDriver.ReleasePool", "IpamDriver.ReleaseAddress"):
        assert docker.post(call, GOOD.get(call, {"NetworkID": ID, "EndpointID": OTHER})) == (200, {})
    assert docker.call("NetworkDriver.EndpointOperInfo", NetworkID=ID, EndpointID=OTHER) == {"Value": {}}
    for call in ("NetworkDriver.CreateEndpoint", "NetworkDriver.Join"):
        status, error = docker.refused(call, **GOOD[call])
        assert (status, ID[:32] in error) == (500, True)


def test_a_body_that_is_no_json_or_too_large(docker: Docker) -> None:
    for body in (b"{", b"[]", b"\xff\xfe", b"null", b'"x"', b"[" * 100_000):
        answer = docker.http.post("/NetworkDriver.CreateNetwork", content=body)
        assert (answer.status_code, list(answer.json())) == (400, ["Err"])
    answer = docker.http.post("/NetworkDriver.CreateNetwork", content=b" " * (app.LARGEST_BODY + 1))
    assert answer.status_code == 413


def test_calls_that_need_no_row(docker: Docker) -> None:
    assert docker.call("Plugin.Activate") == {"Implements": ["NetworkDriver", "IpamDriver"]}
    assert docker.call("NetworkDriver.GetCapabilities") == {"Scope": "local"}
    assert docker.call("IpamDriver.GetCapabilities") == {"RequiresMACAddress": True}
    spaces = docker.call("IpamDriver.GetDefaultAddressSpaces")
    assert set(spaces) == {"LocalDefaultAddressSpace", "GlobalDefaultAddressSpace"}
    assert docker.call("NetworkDriver.AllocateNetwork", NetworkID=ID, Options={"a": "b"}) == {"Options": {"a": "b"}}
    for name in ("FreeNetwork", "DiscoverNew", "DiscoverDelete", "Leave"):
        assert docker.call(f"NetworkDriver.{name}", NetworkID=ID, EndpointID=OTHER) == {}


def test_what_is_no_call(docker: Docker) -> None:
    assert docker.http.post("/NetworkDriver.Explode", json={}).status_code == 404
    assert docker.http.post("/", json={}).status_code == 404
    assert docker.http.get("/Plugin.Activate").status_code == 405
    page = docker.http.post("/Plugin.Activate", json={}, headers={"Origin": "http://example.com"})
    assert (page.status_code, "Err" in page.json()) == (403, True)


def test_docker_reads_what_we_answer(docker: Docker) -> None:
    answer = docker.http.post("/Plugin.Activate", content=b"")
    assert answer.headers["content-type"].startswith("application/vnd.docker.plugins.v1")
    assert json.loads(answer.content)["Implements"]
