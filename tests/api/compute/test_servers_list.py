"""GET /servers, /servers/detail and /servers/{id}: what they show at each microversion, filters, order and pages."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import booted, rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

BASE = {
    "accessIPv4", "accessIPv6", "addresses", "config_drive", "created", "flavor", "hostId", "id", "image", "key_name",
    "links", "metadata", "name", "os-extended-volumes:volumes_attached", "progress", "security_groups", "status",
    "tenant_id", "updated", "user_id", "OS-DCF:diskConfig", "OS-EXT-AZ:availability_zone", "OS-EXT-STS:power_state",
    "OS-EXT-STS:task_state", "OS-EXT-STS:vm_state", "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at",
}  # fmt: skip
FOR_ADMINS = {"OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:hypervisor_hostname", "OS-EXT-SRV-ATTR:instance_name"}
FOR_ADMINS_23 = {
    f"OS-EXT-SRV-ATTR:{name}"
    for name in (
        "hostname", "kernel_id", "launch_index", "ramdisk_id", "reservation_id", "root_device_name", "user_data",
    )
}  # fmt: skip
SINCE: list[tuple[int, set[str]]] = [
    (9, {"locked"}), (19, {"description"}), (26, {"tags"}), (63, {"trusted_image_certificates"}),
    (73, {"locked_reason"}), (96, {"pinned_availability_zone"}), (100, {"scheduler_hints"}),
]  # fmt: skip


@pytest.fixture
def nova(cloud: TestCloud) -> Nova:
    return Nova(cloud, "demo")


def _expected(minor: int, *, admin: bool, alone: bool) -> set[str]:
    found = BASE.union(*(names for since, names in SINCE if minor >= since))
    if alone and minor >= 71:
        found = found | {"server_groups"}
    if admin:
        found = (
            found | FOR_ADMINS | (FOR_ADMINS_23 if minor >= 3 else set()) | ({"host_status"} if minor >= 16 else set())
        )
    elif minor >= 90:
        found = found | {"OS-EXT-SRV-ATTR:hostname"}
    return found


def test_the_keys_of_every_microversion(cloud: TestCloud, nova: Nova) -> None:
    admin = Nova(cloud, "admin")
    server_id = booted.server(cloud, nova)
    for minor in range(1, 105):
        version = f"2.{minor}"
        for client, is_admin in ((nova, False), (admin, True)):
            shown = client.get(f"/servers/{server_id}", version=version)["server"]
            assert set(shown) == _expected(minor, admin=is_admin, alone=True), version
            listed = client.get("/servers/detail" + "?all_tenants=1" * is_admin, version=version)["servers"][0]
            assert set(listed) == _expected(minor, admin=is_admin, alone=False), version
            assert {name: shown[name] for name in listed} == listed
        flavor = {"vcpus", "ram", "disk", "ephemeral", "swap", "original_name", "extra_specs"}
        assert set(shown["flavor"]) == (flavor if minor >= 47 else {"id", "links"})
        assert set(shown["image"]) == ({"id", "links", "properties"} if minor >= 98 else {"id", "links"})
    told = nova.get(f"/servers/{server_id}?x=1", status=400, version="2.102")
    assert "Additional properties" in told["message"]
    nova.get(f"/servers/{server_id}?x=1", version="2.101")


def test_views_follow_what_changes(cloud: TestCloud, nova: Nova) -> None:
    """Lists keep encoded views: everything that they show must make them anew."""
    server_id = booted.server(cloud, nova)
    http = cloud.client("demo")

    def listed() -> dict[str, Any]:
        return dict(nova.get("/servers/detail", version=LATEST)["servers"][0])

    assert listed() == listed()
    nova.put(f"/servers/{server_id}/tags", {"tags": ["new"]}, version=LATEST)
    assert listed()["tags"] == ["new"]
    nova.post(f"/servers/{server_id}/metadata", {"metadata": {"k": "v"}})
    assert listed()["metadata"] == {"k": "v"}
    nova.put(f"/servers/{server_id}", {"server": {"name": "other"}})
    assert listed()["name"] == "other"
    network = http.get("/network/v2.0/networks?name=private").json()["networks"][0]["id"]
    http.put(f"/network/v2.0/networks/{network}", json={"network": {"name": "renamed"}})
    assert list(listed()["addresses"]) == ["renamed"]
    port = http.get(f"/network/v2.0/ports?device_id={server_id}").json()["ports"][0]["id"]
    group = http.post("/network/v2.0/security-groups", json={"security_group": {"name": "mine"}}).json()[
        "security_group"
    ]
    http.put(f"/network/v2.0/ports/{port}", json={"port": {"security_groups": [group["id"]]}})
    assert listed()["security_groups"] == [{"name": "mine"}]
    http.put(f"/network/v2.0/security-groups/{group['id']}", json={"security_group": {"name": "ours"}})
    assert listed()["security_groups"] == [{"name": "ours"}]
    outside = http.get("/network/v2.0/networks?router:external=true").json()["networks"][0]["id"]
    floating = http.post(
        "/network/v2.0/floatingips", json={"floatingip": {"floating_network_id": outside, "port_id": port}}
    ).json()["floatingip"]
    address = listed()["addresses"]["renamed"][-1]
    assert (address["addr"], address["OS-EXT-IPS:type"]) == (floating["floating_ip_address"], "floating")
    http.delete(f"/network/v2.0/floatingips/{floating['id']}")
    assert {ip["OS-EXT-IPS:type"] for ip in listed()["addresses"]["renamed"]} == {"fixed"}
    admin = Nova(cloud, "admin")
    assert admin.get("/servers/detail?all_tenants=1", version="2.16")["servers"][0]["host_status"] == "UP"
    booted.put_down(cloud, "testhost")
    assert admin.get("/servers/detail?all_tenants=1", version="2.16")["servers"][0]["host_status"] == "DOWN"


def _names(nova: Nova, query: str, version: str = LATEST) -> list[str]:
    return [server["name"] for server in nova.get(f"/servers?{query}", version=version)["servers"]]


@pytest.fixture
def three(cloud: TestCloud, nova: Nova) -> dict[str, str]:
    image = rows.image(cloud)
    found = {}
    for name, flavor, tags in (("web-1", "42", ["x", "y"]), ("web-2", "84", ["x"]), ("db", "84", [])):
        body = {"name": name, "imageRef": image, "flavorRef": flavor, "networks": "auto", "tags": tags}
        found[name] = nova.post("/servers", {"server": body}, status=202, version=LATEST)["server"]["id"]
    cloud.settle()
    return found | {"image": image}


def test_filters(cloud: TestCloud, nova: Nova, three: dict[str, str]) -> None:
    booted.act(nova, three["db"], "os-stop")
    cloud.settle()
    address = nova.get(f"/servers/{three['db']}/ips")["addresses"]["private"][0]["addr"]
    row = rows.row(cloud, three["web-1"])
    everything = ["db", "web-2", "web-1"]
    cases = {
        "name=web": ["web-2", "web-1"], "name=^web-1$": ["web-1"], "name=w.b-[2-9]": ["web-2"],
        "name=(web|db)$": ["db"],
        "name=^%5Cw%2B$": ["db"], "status=ACTIVE": ["web-2", "web-1"], "status=shutoff": ["db"],
        "status=ACTIVE&status=SHUTOFF": everything, "status=BUILD": [], f"image={three['image']}": everything,
        "image=11111111-2222-4333-8444-555555555555": [], "flavor=84": ["db", "web-2"], "flavor=none": [],
        f"ip={address}": ["db"], "ip=10.0.": everything, "ip=203.0.113.": [], "ip6=fd53": everything,
        "tags=x": ["web-2", "web-1"], "tags=x,y": ["web-1"], "tags-any=y,z": ["web-1"], "not-tags=x,y": ["db", "web-2"],
        "not-tags-any=x": ["db"], f"reservation_id={row.reservation_id}": ["web-1"], "locked=true": [],
        "locked=0": everything, "changes-since=2020-01-01T00:00:00Z": everything,
        "changes-before=2020-01-01T00:00:00Z": [], "power_state=1": ["web-2", "web-1"], "vm_state=stopped": ["db"],
        "task_state=nothing": [], "config_drive=True": [], "hostname=^db$": ["db"],
        "availability_zone=nova": everything,
        f"user_id={row.user_id}": everything, "deleted=true": everything, "host=nowhere": everything,
        "all_tenants=0": everything, "tenant_id=other": everything, "progress=100": everything,
    }  # fmt: skip
    for query, names in cases.items():
        assert _names(nova, query) == names, query
    assert _names(nova, "hostname=db", "2.89") == everything  # not for everybody then
    assert _names(nova, "bogus=1", "2.74") == everything
    admin = Nova(cloud, "admin")
    assert _names(admin, "") == []
    assert _names(admin, "all_tenants=1&host=testhost") == everything
    assert _names(admin, "all_tenants=True&host=nowhere") == []
    assert _names(admin, f"all_tenants=1&tenant_id={row.project_id}&name=db") == ["db"]
    assert _names(admin, "all_tenants=1&project_id=none") == []
    nova.delete(f"/servers/{three['db']}", status=204)
    cloud.settle()
    assert _names(nova, "") == ["web-2", "web-1"]
    assert _names(nova, "changes-since=2020-01-01T00:00:00Z") == everything
    assert _names(admin, "all_tenants=1&deleted=True") == ["db"]
    assert _names(admin, "all_tenants=1&status=deleted") == ["db"]
    shown = nova.get("/servers/detail?changes-since=2020-01-01T00:00:00Z")["servers"][0]
    assert (shown["status"], shown["OS-EXT-STS:vm_state"], shown["addresses"]) == ("DELETED", "deleted", {})


def test_order_and_pages(cloud: TestCloud, nova: Nova, three: dict[str, str]) -> None:
    assert _names(nova, "sort_key=display_name&sort_dir=asc") == ["db", "web-1", "web-2"]
    assert _names(nova, "sort_key=display_name") == ["web-2", "web-1", "db"]
    assert _names(nova, "sort_key=instance_type_id&sort_dir=asc&sort_key=display_name&sort_dir=desc") == [
        "web-1", "web-2", "db",
    ]  # fmt: skip
    assert _names(nova, "sort_dir=asc") == ["web-1", "web-2", "db"]
    assert _names(nova, "sort_key=vcpus", "2.1") == ["db", "web-2", "web-1"]
    assert _names(nova, "limit=0") == []
    path, seen = "/servers?limit=2&name=.", []
    while path:
        page = nova.get(path, version=LATEST)
        seen += [server["name"] for server in page["servers"]]
        path = page["servers_links"][0]["href"].partition("/v2.1")[2] if "servers_links" in page else ""
    assert seen == ["db", "web-2", "web-1"]
    detail = nova.get(f"/servers/detail?limit=1&marker={three['db']}")
    assert [server["name"] for server in detail["servers"]] == ["web-2"]
    assert f"/v2.1/servers/detail?limit=1&marker={three['web-2']}" in detail["servers_links"][0]["href"]
    gone = "11111111-2222-4333-8444-555555555555"
    assert nova.get(f"/servers?marker={gone}", status=400)["message"] == f"marker [{gone}] not found"
    assert "not found" in Nova(cloud, "admin").get(f"/servers?marker={three['db']}", status=400)["message"]


def test_bad_queries(cloud: TestCloud, nova: Nova) -> None:
    for query in (
        "limit=-1", "limit=x", "limit=1.5", "name=[", "name=(a", "name=" + "a" * 300, "name=((a*)*)*", "name=(a)%5C1",
        "name=a{999}", "changes-since=yesterday", "changes-before=x", "sort_key=bogus", "sort_dir=up", "locked=perhaps",
        "status=bogus", "all_tenants=perhaps", "bogus=1", "sort_key=vcpus", "key_name=*",
        "changes-since=2021-01-01T00:00:00Z&changes-before=2020-01-01T00:00:00Z",
    ):  # fmt: skip
        for path in ("/servers", "/servers/detail"):
            assert nova.get(f"{path}?{query}", status=400, version=LATEST)["code"] == 400, query
    assert nova.get("/servers?status=bogus", version="2.37")["servers"] == []
    for query in ("all_tenants=1", "status=deleted", "sort_key=host", "sort_key=node"):
        assert nova.get(f"/servers?{query}", status=403, version=LATEST)["code"] == 403, query
    admin = Nova(cloud, "admin")
    for query in ("block_device_mapping=x", "_x=1"):
        assert "Invalid filter field" in admin.get(f"/servers?{query}", status=400)["message"]
        nova.get(f"/servers?{query}")


def test_what_is_another_projects_is_not_there(cloud: TestCloud, nova: Nova) -> None:
    server_id = booted.server(cloud, nova)
    other = Nova(cloud, "admin")
    assert other.get(f"/servers/{server_id}")["server"]["id"] == server_id  # an administrator sees all
    mine = booted.server(cloud, other, networks="none")
    for path in ("", "/ips", "/metadata", "/os-interface", "/os-instance-actions", "/os-volume_attachments"):
        assert "could not be found" in nova.get(f"/servers/{mine}{path}", status=404)["message"]
    assert "could not be found" in nova.delete(f"/servers/{mine}", status=404)["message"]
    assert "could not be found" in nova.put(f"/servers/{mine}", {"server": {"name": "x"}}, status=404)["message"]
    assert "could not be found" in nova.get("/servers/no-uuid", status=404)["message"]
