"""Networks through Nova's old API."""

from __future__ import annotations

import pytest
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

NOBODYS = "3f0b0d8a-8a43-4f4c-9a4b-0c2b7e1e9d11"


def test_networks(still_cloud: TestCloud) -> None:
    demo, admin = Nova(still_cloud, "demo"), Nova(still_cloud, "admin")
    found = {one["label"]: one for one in demo.get("/os-networks")["networks"]}
    assert set(found) == {"public", "private"}
    private = found["private"]
    assert set(private) == {
        "id", "label", "cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6",
    }  # fmt: skip
    assert {value for name, value in private.items() if name not in ("id", "label")} == {None}
    assert demo.get(f"/os-networks/{private['id']}") == {"network": private}
    more = admin.get(f"/os-networks/{private['id']}")["network"]
    assert set(more) > set(private)
    assert more["vlan"] is None


def test_tenant_networks(still_cloud: TestCloud) -> None:
    demo = Nova(still_cloud, "demo")
    found = {one["label"]: one for one in demo.get("/os-tenant-networks")["networks"]}
    assert found["private"] == {"id": found["private"]["id"], "label": "private", "cidr": "None"}
    assert demo.get(f"/os-tenant-networks/{found['private']['id']}") == {"network": found["private"]}


@pytest.mark.parametrize("path", ["/os-networks", "/os-tenant-networks"])
def test_what_is_not_there(still_cloud: TestCloud, path: str) -> None:
    demo, admin = Nova(still_cloud, "demo"), Nova(still_cloud, "admin")
    demo.get(f"{path}/{NOBODYS}", status=404)
    body = {"network": {"name": "hidden"}}
    hidden = admin.http.post("/network/v2.0/networks", json=body).json()["network"]["id"]
    demo.get(f"{path}/{hidden}", status=404)
    assert hidden not in [one["id"] for one in demo.get(path)["networks"]]
    assert hidden in [one["id"] for one in admin.get(path)["networks"]]
    demo.get(path, status=404, version="2.36")
    demo.post(path, {"network": {}}, status=410)
    demo.delete(f"{path}/{hidden}", status=410)
