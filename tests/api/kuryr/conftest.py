"""Docker's side of the plug-in: its calls, as libnetwork makes them, against a cloud in process."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.cloud import TestCloud, cloud, still_cloud

from stackyard.plugins.kuryr.app import Plugin

__all__ = ["cloud", "still_cloud"]

MAC = "02:42:0a:0b:0c:0d"


class Docker:
    """What a dockerd does."""

    def __init__(self, cloud: TestCloud) -> None:
        self.cloud = cloud
        self.plugin = Plugin(cloud.runtime)
        self.http = TestClient(self.plugin, base_url="http://plugin", raise_server_exceptions=False)
        self.api = cloud.client("demo")

    def post(self, call: str, body: Any) -> tuple[int, dict[str, Any]]:
        """One call, however it ends."""
        answer = self.http.post(f"/{call}", json=body)
        return answer.status_code, answer.json()

    def call(self, call: str, **body: Any) -> dict[str, Any]:
        """One call that must succeed."""
        status, answer = self.post(call, body)
        assert (status, answer.get("Err")) == (200, None), answer
        return answer

    def refused(self, call: str, **body: Any) -> tuple[int, str]:
        """The status and error of a call that must fail."""
        status, answer = self.post(call, body)
        assert status >= 400, answer
        return status, answer["Err"]

    def pool(self, cidr: str = "10.10.0.0/24", *, v6: bool = False, **options: str) -> str:
        """A pool's id."""
        body = {"AddressSpace": "", "Pool": cidr, "SubPool": "", "V6": v6, "Options": options or None}
        return str(self.call("IpamDriver.RequestPool", **body)["PoolID"])

    def network(
        self, cidr: str = "10.10.0.0/24", *, gateway: str = "", v6: str = "", options: dict[str, str] | None = None
    ) -> Network:
        """`docker network create`, in the order of its calls."""
        made = Network(self, secrets.token_hex(32))
        data: dict[str, list[dict[str, Any]]] = {"IPv4Data": [], "IPv6Data": []}
        for family, text in (("IPv4Data", cidr), ("IPv6Data", v6)):
            if not text:
                continue
            pool = self.pool(text, v6=family == "IPv6Data", **(options or {}))
            wanted = gateway if family == "IPv4Data" else ""
            given = made.address(pool, wanted, RequestAddressType="com.docker.network.gateway")
            data[family] = [{"AddressSpace": "", "Pool": text, "AuxAddresses": {}}]
            if given:
                data[family][0]["Gateway"] = given
            made.pools[family] = pool
        generic = {"com.docker.network.generic": options or {}, "com.docker.network.enable_ipv6": bool(v6)}
        self.call("NetworkDriver.CreateNetwork", NetworkID=made.id, Options=generic, **data)
        return made


class Network:
    """A network of Docker's."""

    def __init__(self, docker: Docker, network_id: str) -> None:
        self.docker = docker
        self.id = network_id
        self.pools: dict[str, str] = {}

    def address(self, pool: str, wanted: str = "", **options: str) -> str:
        """An address in CIDR notation."""
        body = {"PoolID": pool, "Address": wanted, "Options": options}
        return str(self.docker.call("IpamDriver.RequestAddress", **body)["Address"])

    def row(self) -> dict[str, Any]:
        """The network, as the API shows it."""
        tags = f"kuryr.net.uuid.lh:{self.id[:32]},kuryr.net.uuid.uh:{self.id[32:]}"
        (found,) = self.docker.api.get("/network/v2.0/networks", params={"tags": tags}).json()["networks"]
        return dict(found)

    def endpoint(self, *, ip: str = "", mac: str = "") -> Endpoint:
        """What `docker run` asks for before Join."""
        mac = mac or f"02:42:{secrets.token_hex(1)}:{secrets.token_hex(1)}:{secrets.token_hex(1)}:0a"
        made = Endpoint(self, secrets.token_hex(32), mac)
        for family, pool in self.pools.items():
            wanted = ip if family == "IPv4Data" else ""
            option = {"com.docker.network.endpoint.macaddress": mac}
            made.addresses[family] = self.address(pool, wanted, **option)
        made.create()
        return made

    def remove(self) -> None:
        """`docker network rm`, in the order of its calls."""
        for pool in self.pools.values():
            self.docker.call("IpamDriver.ReleasePool", PoolID=pool)
        self.docker.call("NetworkDriver.DeleteNetwork", NetworkID=self.id)


class Endpoint:
    """A container on a network."""

    def __init__(self, network: Network, endpoint_id: str, mac: str) -> None:
        self.network = network
        self.id = endpoint_id
        self.mac = mac
        self.addresses: dict[str, str] = {}

    def names(self) -> dict[str, str]:
        """What names it in calls."""
        return {"NetworkID": self.network.id, "EndpointID": self.id}

    def create(self) -> dict[str, Any]:
        """CreateEndpoint."""
        interface = {
            "Address": self.addresses.get("IPv4Data", ""),
            "AddressIPv6": self.addresses.get("IPv6Data", ""),
            "MacAddress": self.mac,
        }
        return self.call("CreateEndpoint", Interface=interface, Options={})

    def call(self, call: str, **more: Any) -> dict[str, Any]:
        """One of the network driver's calls about it."""
        return self.network.docker.call(f"NetworkDriver.{call}", **self.names(), **more)

    def join(self) -> dict[str, Any]:
        """Join."""
        return self.call("Join", SandboxKey="/var/run/docker/netns/0123456789ab", Options={})

    def port(self) -> dict[str, Any]:
        """The port, as the API shows it."""
        found = self.network.docker.api.get("/network/v2.0/ports", params={"device_id": self.id}).json()["ports"]
        assert len(found) == 1, found
        return dict(found[0])

    def remove(self) -> None:
        """What stopping a container asks for."""
        for call in ("RevokeExternalConnectivity", "Leave", "DeleteEndpoint"):
            self.call(call)
        for family, address in self.addresses.items():
            body = {"PoolID": self.network.pools[family], "Address": address.partition("/")[0]}
            self.network.docker.call("IpamDriver.ReleaseAddress", **body)


@pytest.fixture
def docker(cloud: TestCloud) -> Iterator[Docker]:
    """A Docker Engine that uses the cloud."""
    made = Docker(cloud)
    yield made
    made.plugin.stop()
