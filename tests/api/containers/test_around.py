"""What stands around containers: quotas, registries, hosts, services, images of the engine, networks and groups."""

from __future__ import annotations

import pytest
from tests.api.containers.zun import PATH, Zun
from tests.cloud import TestCloud

from stackyard.services.containers import registries

V1 = "/container/v1"


def test_quota_stops_at_the_limit_and_takes_nothing(cloud: TestCloud) -> None:
    zun, admin = Zun(cloud), Zun(cloud, "admin")
    uuid = zun.create(run=False, cpu=0.5)["uuid"]
    project = zun.show(uuid)["project_id"]
    assert admin.http.put(f"{V1}/quotas/{project}", json={"cpu": 1, "containers": "2"}).json()["cpu"] == 1
    fault = zun.refused("POST", PATH, 403, json={"image": "nginx", "cpu": 0.6})
    assert (fault["code"], "limit 1" in fault["detail"]) == ("container.over-quota", True)
    assert zun.quota_use()["containers"] == 1
    zun.create(run=False, cpu=0.5)
    zun.refused("POST", PATH, 403, json={"image": "nginx"})
    zun.refused("PATCH", f"{PATH}/{uuid}", 403, json={"cpu": 2})
    zun.refused("PUT", f"{V1}/quotas/{project}", 403, json={"cpu": 99})
    admin.refused("PUT", f"{V1}/quotas/{project}", 400, json={"cpu": "lots"})
    assert admin.http.delete(f"{V1}/quotas/{project}").status_code == 204
    assert zun.http.get(f"{V1}/quotas").json() == {"containers": 40, "cpu": 20, "memory": 51200, "disk": 100}


def test_quota_class_changes_the_defaults(cloud: TestCloud) -> None:
    admin = Zun(cloud, "admin")
    assert admin.http.put(f"{V1}/quota_classes/default", json={"cpu": 7}).json()["cpu"] == 7
    assert admin.http.get(f"{V1}/quota_classes/default").json()["cpu"] == 7
    assert Zun(cloud).http.get(f"{V1}/quotas").json()["cpu"] == 7


def test_registries_hide_their_password(cloud: TestCloud) -> None:
    zun, admin = Zun(cloud), Zun(cloud, "admin")
    body = {"name": "reg", "domain": "registry.test", "username": "u", "password": "very-secret"}
    response = zun.http.post(f"{V1}/registries", json={"registry": body})
    assert response.status_code == 201
    made = response.json()["registry"]
    assert made["password"] == "***"
    rows = cloud.database.read("look", lambda tx: tx.all(registries.registries.select()))
    assert "very-secret" not in str(rows)
    changed = zun.http.patch(f"{V1}/registries/reg", json={"registry": {"username": "v"}}).json()["registry"]
    assert changed["username"] == "v"
    assert [r["uuid"] for r in zun.http.get(f"{V1}/registries").json()["registries"]] == [made["uuid"]]
    assert admin.http.get(f"{V1}/registries").json()["registries"] == []
    assert zun.create(run=False, registry="reg")["registry_id"] == made["uuid"]
    zun.refused("POST", PATH, 404, json={"image": "nginx", "registry": "nothing"})
    zun.refused("POST", f"{V1}/registries", 400, json={"registry": {"name": "x1"}})
    assert zun.http.delete(f"{V1}/registries/reg").status_code == 204
    zun.refused("GET", f"{V1}/registries/reg", 404)


def test_host_and_service(cloud: TestCloud) -> None:
    zun, admin = Zun(cloud), Zun(cloud, "admin")
    zun.create(memory=64)
    (host,) = admin.http.get(f"{V1}/hosts").json()["hosts"]
    assert (host["hostname"], host["mem_used"], host["total_containers"]) == ("testhost", 64, 1)
    assert admin.http.get(f"{V1}/hosts/{host['uuid']}").json()["hostname"] == "testhost"
    admin.refused("GET", f"{V1}/hosts/other", 404)
    zun.refused("GET", f"{V1}/services", 403)
    (service,) = admin.http.get(f"{V1}/services").json()["services"]
    assert (service["state"], service["binary"], service["disabled"]) == ("up", "zun-compute", False)
    which = {"host": "testhost", "binary": "zun-compute"}
    response = admin.http.put(f"{V1}/services/disable", params={**which, "disabled_reason": "repairs"})
    assert response.json()["service"]["disabled"] is True
    assert "repairs" in zun.refused("POST", PATH, 409, json={"image": "nginx"})["detail"]
    admin.http.put(f"{V1}/services/enable", params=which)
    down = admin.http.put(f"{V1}/services/force_down", params={**which, "forced_down": "True"}).json()
    assert down["service"]["forced_down"] is True
    assert admin.http.get(f"{V1}/services").json()["services"][0]["state"] == "down"
    assert admin.http.delete(f"{V1}/services", params=which).status_code == 204
    admin.refused("PUT", f"{V1}/services/enable", 404, params={"host": "x", "binary": "y"})
    assert zun.http.get(f"{V1}/availability_zones").json()["availability_zones"] == [{"availability_zone": "nova"}]


def test_images_of_the_engine(cloud: TestCloud) -> None:
    zun, admin = Zun(cloud), Zun(cloud, "admin")
    zun.refused("GET", f"{V1}/images", 403)
    found = {image["repo"]: image for image in admin.http.get(f"{V1}/images/").json()["images"]}
    assert found["nginx"]["tag"] == "latest"
    assert admin.http.get(f"{V1}/images/{found['nginx']['uuid']}").json()["repo"] == "nginx"
    assert zun.http.get(f"{V1}/images/ngin/search").json()[0]["name"] == "nginx:latest"
    assert zun.http.get(f"{V1}/images/ngin/search", params={"exact_match": "true"}).json() == []
    admin.refused("POST", f"{V1}/images", 400, json={"repo": "nowhere", "host": "testhost"})
    admin.refused("POST", f"{V1}/images", 400, json={"repo": "nginx", "host": "other"})
    assert admin.http.delete(f"{V1}/images/{found['busybox']['uuid']}").status_code == 204
    admin.refused("GET", f"{V1}/images/{found['busybox']['uuid']}", 404)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_capsules_are_refused_clearly(cloud: TestCloud, method: str) -> None:
    assert "Capsules" in Zun(cloud).refused(method, f"{V1}/capsules/", 501)["detail"]


def test_networks_leave_and_join(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    made = zun.create()
    (network,) = made["addresses"]
    listed = zun.http.get(f"{PATH}/{made['uuid']}/network_list").json()["networks"]
    assert listed[0]["net_id"] == network
    assert listed[0]["fixed_ips"][0]["ip_address"] == made["addresses"][network][0]["addr"]
    old = Zun(cloud, version="1.17").http.get(f"{PATH}/{made['uuid']}/network_list").json()["networks"]
    assert old[0]["ip_address"] == made["addresses"][network][0]["addr"]
    assert zun.act(made["uuid"], "network_detach", network=network)["addresses"] == {}
    zun.refused("POST", f"{PATH}/{made['uuid']}/network_detach", 400, params={"network": network})
    assert list(zun.act(made["uuid"], "network_attach", network=network)["addresses"]) == [network]
    zun.refused("POST", f"{PATH}/{made['uuid']}/network_attach", 400, params={"network": network})
    zun.refused("POST", f"{PATH}/{made['uuid']}/network_attach", 404, params={"network": "nothing"})


def test_unknown_network_and_group_leave_nothing(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    zun.refused("POST", PATH, 404, json={"image": "nginx", "nets": [{"network": "nothing"}]})
    zun.refused("POST", PATH, 404, json={"image": "nginx", "nets": [{"port": "nothing"}]})
    zun.refused("POST", PATH, 400, json={"image": "nginx", "security_groups": ["nothing"]})
    zun.refused("POST", PATH, 403, json={"image": "nginx", "nets": [{"network": "public"}]})
    assert zun.list() == []
    assert zun.quota_use()["containers"] == 0


def test_groups_are_found_by_name_and_the_default_one_is_always_there(cloud: TestCloud) -> None:
    zun, old = Zun(cloud), Zun(cloud, version="1.14")
    made = zun.create(security_groups=["default"], run=False)
    (default,) = made["security_groups"]
    body = {"security_group": {"name": "mine"}}
    mine = zun.http.post("/network/v2.0/security-groups", json=body).json()["security_group"]["id"]
    assert old.act(made["uuid"], "add_security_group", name="mine")["security_groups"] == [default, mine]
    old.refused("POST", f"{PATH}/{made['uuid']}/add_security_group", 400, params={"name": "mine"})
    assert old.act(made["uuid"], "remove_security_group", name="default")["security_groups"] == [mine]
    ((address, *_),) = made["addresses"].values()
    port = zun.http.get(f"/network/v2.0/ports/{address['port']}").json()["port"]
    assert port["security_groups"] == [mine]


def test_exposed_ports_have_a_group_of_their_own(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    made = zun.create(exposed_ports={"80/tcp": {}})
    (group,) = made["security_groups"]
    path = f"/network/v2.0/security-groups/{group}"
    rules = zun.http.get(path).json()["security_group"]["security_group_rules"]
    assert {(rule["protocol"], rule["port_range_min"]) for rule in rules if rule["direction"] == "ingress"} == {
        ("tcp", 80)
    }
    zun.delete(made["uuid"], stop="true")
    assert zun.http.get(path).status_code == 404


def test_a_port_of_ones_own_is_used_and_left(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    network = zun.http.get("/network/v2.0/networks", params={"name": "private"}).json()["networks"][0]["id"]
    port = zun.http.post("/network/v2.0/ports", json={"port": {"network_id": network}}).json()["port"]
    made = zun.create(nets=[{"port": port["id"]}])
    assert {a["addr"] for a in made["addresses"][network]} == {ip["ip_address"] for ip in port["fixed_ips"]}
    assert made["addresses"][network][0]["preserve_on_delete"] is True
    path = f"/network/v2.0/ports/{port['id']}"
    assert zun.http.get(path).json()["port"]["device_id"] == made["uuid"]
    assert "in use" in zun.refused("POST", PATH, 409, json={"image": "nginx", "nets": [{"port": port["id"]}]})["detail"]
    zun.delete(made["uuid"], stop="true")
    left = zun.http.get(path).json()["port"]
    assert (left["device_id"], left["device_owner"]) == ("", "")


def test_a_fixed_address_is_given(cloud: TestCloud) -> None:
    zun = Zun(cloud)
    subnets = zun.http.get("/network/v2.0/subnets", params={"ip_version": 4}).json()["subnets"]
    cidr = next(s["cidr"] for s in subnets if s["name"].startswith("private") or s["cidr"].startswith("10."))
    wanted = cidr.rpartition(".")[0] + ".77"
    made = zun.create(nets=[{"network": "private", "v4-fixed-ip": wanted}], run=False)
    assert wanted in {address["addr"] for addresses in made["addresses"].values() for address in addresses}


def test_old_calls_exist_in_their_versions_only(cloud: TestCloud) -> None:
    old, new = Zun(cloud, version="1.13"), Zun(cloud)
    uuid = new.create(run=False, name="one")["uuid"]
    assert old.http.post(f"{PATH}/{uuid}/rename", params={"name": "two"}).json()["name"] == "two"
    old.refused("POST", f"{PATH}/{uuid}/rename", 409, params={"name": "two"})
    new.refused("POST", f"{PATH}/{uuid}/rename", 404, params={"name": "three"})
    old.refused("GET", f"{V1}/registries", 404)
    Zun(cloud, version="1.3").refused("GET", f"{V1}/hosts", 404)
