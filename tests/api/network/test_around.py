"""Tags, quotas, extensions, and what the API tells of itself and its host."""

from __future__ import annotations

import re
from typing import Any

from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud

from stackyard.core.routes import PUBLIC
from stackyard.services.network import ROUTES
from stackyard.services.network.extensions import EXTENSIONS


def one_of_each(demo: Neutron) -> dict[str, dict[str, Any]]:
    network, subnet = demo.network()
    return {
        "networks": network,
        "subnets": subnet,
        "ports": demo.create("port", network_id=network["id"]),
        "routers": demo.create("router"),
        "floatingips": demo.create("floatingip", floating_network_id=demo.find("network", "public")["id"]),
        "security-groups": demo.create("security_group"),
    }


def test_everything_can_be_tagged_and_found_by_tags(demo: Neutron, admin: Neutron) -> None:
    for path, resource in one_of_each(demo).items():
        tags = f"{path}/{resource['id']}/tags"
        assert demo.call("GET", tags, status=200) == {"tags": []}
        demo.call("PUT", tags, {"tags": ["red", "blue", "red"]}, status=200)
        demo.call("PUT", f"{tags}/green", status=201)
        demo.call("GET", f"{tags}/green", status=204)
        assert demo.call("GET", f"{tags}/black", status=404)["type"] == "TagNotFound"

        def found(query: str, path: str = path, resource: dict[str, Any] = resource) -> bool:
            listed = demo.call("GET", f"{path}?{query}", status=200)[path.replace("-", "_")]
            return resource["id"] in {item["id"] for item in listed}

        assert found("tags=red,blue")
        assert not found("tags=red,black")
        assert found("tags-any=black,green")
        assert not found("not-tags=red,blue")
        assert found("not-tags=red,black")
        assert not found("not-tags-any=black,green")
        demo.call("DELETE", f"{tags}/green", status=204)
        demo.call("DELETE", f"{tags}/green", status=404)
        assert demo.call("GET", tags, status=200) == {"tags": ["red", "blue"]}
        demo.call("PUT", tags, {"tags": ["a,b"]}, status=400)
        demo.call("PUT", tags, {"tags": "red"}, status=400)
        demo.call("DELETE", tags, status=204)
        assert admin.call("GET", tags, status=200) == {"tags": []}


def test_tags_of_others(demo: Neutron, admin: Neutron) -> None:
    hidden, shared = admin.create("network"), admin.create("network", shared=True)
    demo.call("GET", f"networks/{hidden['id']}/tags", status=404)
    demo.call("GET", f"networks/{shared['id']}/tags", status=200)
    demo.call("PUT", f"networks/{shared['id']}/tags/mine", status=403)


def test_quotas(demo: Neutron, admin: Neutron) -> None:
    project = demo.find("network", "private")["project_id"]
    path = f"quotas/{project}"
    defaults = admin.call("GET", f"{path}/default", status=200)["quota"]
    assert (defaults["network"], defaults["floatingip"]) == (100, 50)
    assert admin.call("GET", path, status=200)["quota"] == defaults
    changed = admin.call("PUT", path, {"quota": {"network": 7, "port": "-1"}}, status=200)["quota"]
    assert (changed["network"], changed["port"]) == (7, -1)
    assert [quota["project_id"] for quota in admin.call("GET", "quotas", status=200)["quotas"]] == [project]
    details = admin.call("GET", f"{path}/details.json", status=200)["quota"]["network"]
    assert details == {"limit": 7, "used": 1, "reserved": 0}
    admin.call("DELETE", path, status=204)
    assert admin.call("GET", path, status=200)["quota"] == defaults
    assert admin.call("DELETE", path, status=404)["type"] == "TenantQuotaNotFound"
    for bad in ({"network": -2}, {"network": "many"}, {"network": True}, {"cats": 1}, {"network": 2**31}):
        admin.call("PUT", path, {"quota": bad}, status=400)
    demo.call("PUT", path, {"quota": {"network": 7}}, status=403)
    assert demo.call("GET", "quotas/tenant", status=200)["tenant"]["tenant_id"] == project


def test_versions_and_resources_need_no_token(cloud: TestCloud) -> None:
    (version,) = cloud.http.get("/network/").json()["versions"]
    assert (version["id"], version["status"]) == ("v2.0", "CURRENT")
    assert version["links"][0]["href"] == "http://127.0.0.1:5000/network/v2.0/"
    names = {item["collection"] for item in cloud.http.get("/network/v2.0/").json()["resources"]}
    assert {"networks", "floatingips", "security-groups"} <= names
    assert cloud.http.get("/network/v2.0/networks").status_code == 401


def test_extensions(demo: Neutron) -> None:
    aliases = {item["alias"] for item in demo.call("GET", "extensions", status=200)["extensions"]}
    assert {"router", "security-group", "external-net", "standard-attr-tag", "quotas"} <= aliases
    assert aliases == set(EXTENSIONS)
    assert demo.call("GET", "extensions/router", status=200)["extension"]["alias"] == "router"
    demo.call("GET", "extensions/vpnaas", status=404)
    demo.call("GET", "vpn/vpnservices", status=404)


def test_addresses_that_are_left(demo: Neutron, admin: Neutron) -> None:
    network, subnet = demo.network("10.20.0.0/29")
    demo.create("port", network_id=network["id"])
    found = admin.call("GET", f"network-ip-availabilities/{network['id']}", status=200)["network_ip_availability"]
    assert (found["total_ips"], found["used_ips"]) == (5, 2)
    assert found["subnet_ip_availability"][0]["subnet_id"] == subnet["id"]
    listed = admin.call("GET", "network-ip-availabilities?network_name=net&ip_version=4", status=200)
    assert listed["network_ip_availabilities"] == [found]
    assert admin.call("GET", "network-ip-availabilities?ip_version=9", status=200)["network_ip_availabilities"] == []
    assert demo.call("GET", "network-ip-availabilities", status=200) == {"network_ip_availabilities": []}
    demo.call("GET", f"network-ip-availabilities/{network['id']}", status=403)


def test_every_call_needs_a_token(still_cloud: TestCloud) -> None:
    for route in ROUTES:
        if route.rule == PUBLIC:
            continue
        answer = still_cloud.http.request(route.method, "/network" + re.sub(r"{[^}]*}", "x", route.path), json={})
        assert answer.status_code == 401, f"{route.label}: {answer.text}"
