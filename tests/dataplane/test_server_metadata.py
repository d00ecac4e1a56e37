"""What servers read of themselves, by packets from their namespaces: their own documents, and nobody else's."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.api.compute import rows
from tests.cloud import TestCloud, still_cloud
from tests.dataplane.lab import OUTWARD, Endpoint, Lab, new_id, new_mac
from tests.dataplane.test_metadata import ON_WIRE, exchange

from stackyard.host.network.metadata import METADATA4
from stackyard.host.specs import Address, NetworkSpec, ServicePort, SubnetSpec
from stackyard.services import keys
from stackyard.services.network import api as network_api

__all__ = ["still_cloud"]

pytestmark = pytest.mark.root


def ask(end: Endpoint, path: str, *headers: str, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
    """Status and body; status 0 when nobody answers."""
    lines = (f"{method} {path} HTTP/1.1", f"host: {METADATA4}", f"content-length: {len(body)}", *headers, "", "")
    answer = exchange(end, "\r\n".join(lines).encode() + body)
    head, _, content = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else 0), content


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_servers_read_their_own_metadata(lab: Lab, still_cloud: TestCloud) -> None:
    script = b"#!/bin/sh\necho hello\n"
    data = base64.b64encode(script).decode()
    one, two = (rows.insert(still_cloud, mark=False, name=name, user_data=data) for name in ("one", "two"))
    ports = {
        server: still_cloud.database.read("ports", network_api.ports_of_device, server)[0] for server in (one, two)
    }
    ends = attached(lab, still_cloud, ports)
    lab.driver.answer_metadata(still_cloud.runtime[keys.METADATA])

    for server in (one, two):
        status, body = ask(ends[server], "/openstack/latest/meta_data.json")
        assert (status, json.loads(body)["uuid"]) == (200, server)
        assert ask(ends[server], "/latest/meta-data/local-ipv4")[1].decode() == ends[server].address
        assert ask(ends[server], "/latest/user-data") == (200, script)

    forged = (f"x-instance-id: {one}", f"x-forwarded-for: {ends[one].address}")
    assert json.loads(ask(ends[two], "/openstack/latest/meta_data.json", *forged)[1])["uuid"] == two
    assert ask(ends[two], "/openstack/latest/password", method="POST", body=b"c2VjcmV0") == (200, b"")
    assert ask(ends[two], "/openstack/latest/password") == (200, b"c2VjcmV0")
    assert ask(ends[one], "/openstack/latest/password") == (200, b"")
    assert ask(ends[one], "/openstack/latest/nothing")[0] == 404


def attached(lab: Lab, cloud: TestCloud, ports: dict[str, Any]) -> dict[str, Endpoint]:
    """The servers' ports, as namespaces on a network of the same id, with the same addresses and MACs."""
    some = next(iter(ports.values()))
    found = cloud.client("admin").get(f"/network/v2.0/subnets/{some.fixed_ips[0]['subnet_id']}").json()["subnet"]
    prefix = int(found["cidr"].partition("/")[2])
    spec = SubnetSpec(id=found["id"], cidr=found["cidr"], gateway=None)
    own = found["allocation_pools"][0]["end"]
    service = ServicePort(id=new_id(), mac=new_mac(), addresses=(Address(ip=own, prefix_length=prefix),))
    network = NetworkSpec(id=some.network_id, subnets=(spec,), service_port=service)
    lab.driver.apply_network(network)
    group = lab.group(*OUTWARD)
    return {
        server: lab.attach(
            network,
            f"{port.fixed_ips[0]['ip_address']}/{prefix}",
            groups=(group,),
            mac=port.mac_address,
            routes=ON_WIRE,
        )
        for server, port in ports.items()
    }
