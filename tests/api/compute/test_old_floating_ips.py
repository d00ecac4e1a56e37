"""Floating IPs and pools through Nova's old API, and addresses given to servers by actions."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import rows
from tests.api.compute.nova import Nova
from tests.cloud import TestCloud

NOBODYS = "3f0b0d8a-8a43-4f4c-9a4b-0c2b7e1e9d11"


@pytest.fixture
def demo(still_cloud: TestCloud) -> Nova:
    return Nova(still_cloud, "demo")


def take(nova: Nova, **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = nova.post("/os-floating-ips", body)["floating_ip"]
    return found


def addresses(cloud: TestCloud, server: str) -> list[str]:
    ports = cloud.client("demo").get("/network/v2.0/ports", params={"device_id": server}).json()["ports"]
    return [fixed["ip_address"] for port in ports for fixed in port["fixed_ips"]]


def test_pools(demo: Nova) -> None:
    assert demo.get("/os-floating-ip-pools") == {"floating_ip_pools": [{"name": "public"}]}
    demo.get("/os-floating-ip-pools", status=404, version="2.36")


def test_take_see_and_give_back(demo: Nova) -> None:
    floating = take(demo)
    assert set(floating) == {"id", "ip", "fixed_ip", "instance_id", "pool"}
    assert (floating["pool"], floating["fixed_ip"], floating["instance_id"]) == ("public", None, None)
    named = take(demo, pool="public")
    assert {one["id"] for one in demo.get("/os-floating-ips")["floating_ips"]} == {floating["id"], named["id"]}
    assert demo.get(f"/os-floating-ips/{floating['id']}") == {"floating_ip": floating}
    assert demo.delete(f"/os-floating-ips/{floating['id']}", status=202) is None
    assert demo.get("/os-floating-ips") == {"floating_ips": [named]}


def test_those_that_cannot_be(still_cloud: TestCloud, demo: Nova) -> None:
    demo.post("/os-floating-ips", {"pool": "none"}, status=404)
    demo.post("/os-floating-ips", {"pool": 5}, status=400)
    demo.get(f"/os-floating-ips/{NOBODYS}", status=404)
    demo.get("/os-floating-ips/not-a-uuid", status=400)
    demo.delete(f"/os-floating-ips/{NOBODYS}", status=404)
    hidden = take(Nova(still_cloud, "admin"))
    demo.get(f"/os-floating-ips/{hidden['id']}", status=404)
    demo.delete(f"/os-floating-ips/{hidden['id']}", status=404)
    assert demo.get("/os-floating-ips") == {"floating_ips": []}
    demo.post("/os-floating-ips", {}, status=404, version="2.36")


def test_an_address_leads_to_a_server(still_cloud: TestCloud, demo: Nova) -> None:
    server = rows.insert(still_cloud)
    floating = take(demo)
    path = f"/servers/{server}/action"
    fixed = next(one for one in addresses(still_cloud, server) if ":" not in one)
    assert demo.post(path, {"addFloatingIp": {"address": floating["ip"]}}, status=202) is None
    shown = demo.get(f"/os-floating-ips/{floating['id']}")["floating_ip"]
    assert (shown["instance_id"], shown["fixed_ip"]) == (server, fixed)
    assert demo.post(path, {"removeFloatingIp": {"address": floating["ip"]}}, status=202) is None
    demo.post(path, {"removeFloatingIp": {"address": floating["ip"]}}, status=409)
    body = {"addFloatingIp": {"address": floating["ip"], "fixed_address": fixed}}
    demo.post(path, body, status=202, version="2.43")
    demo.post(path, body, status=400, version="2.44")
    assert demo.get(f"/os-floating-ips/{floating['id']}")["floating_ip"]["fixed_ip"] == fixed


def test_addresses_that_lead_nowhere(still_cloud: TestCloud, demo: Nova) -> None:
    server = rows.insert(still_cloud)
    floating = take(demo)
    path = f"/servers/{server}/action"
    demo.post(path, {"addFloatingIp": {"address": "203.0.113.250"}}, status=404)
    demo.post(path, {"removeFloatingIp": {"address": "203.0.113.250"}}, status=404)
    wrong = {"address": floating["ip"], "fixed_address": "192.0.2.1"}
    demo.post(path, {"addFloatingIp": wrong}, status=400)
    for body in ({}, {"address": ""}, {"address": 5}, {"address": floating["ip"], "more": 1}, "x"):
        demo.post(path, {"addFloatingIp": body}, status=400)
        demo.post(path, {"removeFloatingIp": body}, status=400)
    hidden = take(Nova(still_cloud, "admin"))
    demo.post(path, {"addFloatingIp": {"address": hidden["ip"]}}, status=404)
    demo.post(f"/servers/{NOBODYS}/action", {"addFloatingIp": {"address": floating["ip"]}}, status=404)
    foreign = rows.insert(still_cloud, project_id="another")
    demo.post(f"/servers/{foreign}/action", {"addFloatingIp": {"address": floating["ip"]}}, status=404)
    bare = rows.insert(still_cloud, interfaces=[])
    demo.post(f"/servers/{bare}/action", {"addFloatingIp": {"address": floating["ip"]}}, status=400)


def test_a_server_gets_and_gives_addresses(still_cloud: TestCloud, demo: Nova) -> None:
    server = rows.insert(still_cloud)
    path = f"/servers/{server}/action"
    port = demo.http.get("/network/v2.0/ports", params={"device_id": server}).json()["ports"][0]
    before = addresses(still_cloud, server)
    assert demo.post(path, {"addFixedIp": {"networkId": port["network_id"]}}, status=202) is None
    after = addresses(still_cloud, server)
    (new,) = set(after) - set(before)
    assert demo.post(path, {"removeFixedIp": {"address": new}}, status=202) is None
    assert addresses(still_cloud, server) == before
    demo.post(path, {"removeFixedIp": {"address": new}}, status=400)
    demo.post(path, {"addFixedIp": {"networkId": NOBODYS}}, status=400)
    demo.post(path, {"addFixedIp": {}}, status=400)
    demo.post(path, {"addFixedIp": {"networkId": port["network_id"]}}, status=400, version="2.44")
    assert addresses(still_cloud, server) == before
