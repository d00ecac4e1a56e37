"""Auto-allocated topology: a network, subnets of the default pools and a router, made when asked for."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud


@pytest.fixture
def pools(admin: Neutron) -> list[dict[str, Any]]:
    """Default pools, an IPv4 and an IPv6 one."""
    admin.delete_default_pools()
    return [
        admin.create("subnetpool", name="v4", prefixes=["10.60.0.0/16"], default_prefixlen=26, is_default=True),
        admin.create("subnetpool", name="v6", prefixes=["fd60::/48"], is_default=True),
    ]


def get(user: Neutron, project: str = "None", query: str = "", status: int = 200) -> Any:
    answer = user.call("GET", f"auto-allocated-topology/{project}{query}", status=status)
    return answer["auto_allocated_topology"] if status == 200 else answer["type"]


def test_it_is_made_once(demo: Neutron, pools: list[dict[str, Any]]) -> None:
    made = get(demo)
    assert get(demo, made["project_id"]) == made
    network = demo.show("network", made["id"])
    assert (network["name"], network["admin_state_up"]) == ("auto_allocated_network", True)
    subnets = sorted(demo.list("subnet", f"?network_id={made['id']}"), key=lambda subnet: int(subnet["ip_version"]))
    assert [(subnet["name"], subnet["cidr"]) for subnet in subnets] == [
        ("auto_allocated_subnet_v4", "10.60.0.0/26"),
        ("auto_allocated_subnet_v6", "fd60::/64"),
    ]
    assert [subnet["subnetpool_id"] for subnet in subnets] == [pool["id"] for pool in pools]
    router = demo.find("router", "auto_allocated_router")
    public = demo.find("network", "public")
    assert router["external_gateway_info"]["network_id"] == public["id"]
    owners = [port["device_owner"] for port in demo.list("port", f"?device_id={router['id']}&network_id={made['id']}")]
    assert owners == ["network:router_interface"] * 2
    demo.create("port", network_id=made["id"])


def test_a_new_cloud_has_pools_for_it(demo: Neutron) -> None:
    found = {subnet["ip_version"]: subnet for subnet in demo.list("subnet", f"?network_id={get(demo)['id']}")}
    assert {version: subnet["cidr"] for version, subnet in found.items()} == {
        4: "10.192.0.0/26",
        6: "fd53:7461:706f::/64",
    }
    names = [demo.show("subnetpool", found[version]["subnetpool_id"])["name"] for version in (4, 6)]
    assert names == ["shared-default-subnetpool-v4", "shared-default-subnetpool-v6"]


def test_it_goes_with_all_that_it_was(demo: Neutron, pools: list[dict[str, Any]]) -> None:
    del pools
    made = get(demo)
    port = demo.create("port", network_id=made["id"])
    path = f"auto-allocated-topology/{made['project_id']}"
    assert demo.call("DELETE", path, status=409)["type"] == "NetworkInUse"
    assert demo.show("network", made["id"])["id"] == made["id"]
    demo.delete("port", port["id"])
    demo.call("DELETE", path, status=204)
    demo.show("network", made["id"], status=404)
    assert demo.list("router", "?name=auto_allocated_router") == []
    demo.call("DELETE", path, status=204)
    assert get(demo)["id"] != made["id"]


def test_another_is_made_when_its_network_was_deleted(demo: Neutron, pools: list[dict[str, Any]]) -> None:
    del pools
    made = get(demo)
    router = demo.find("router", "auto_allocated_router")
    for subnet in demo.list("subnet", f"?network_id={made['id']}"):
        demo.call("PUT", f"routers/{router['id']}/remove_router_interface", {"subnet_id": subnet["id"]}, status=200)
    demo.delete("network", made["id"])
    assert get(demo)["id"] != made["id"]


def test_a_dry_run_makes_nothing(demo: Neutron, admin: Neutron) -> None:
    admin.delete_default_pools()
    assert get(demo, query="?fields=dry-run", status=409) == "AutoAllocationFailure"
    admin.create("subnetpool", name="v4", prefixes=["10.60.0.0/16"], default_prefixlen=26, is_default=True)
    before = len(demo.list("network"))
    assert get(demo, query="?fields=dry-run")["id"] == "dry-run=pass"
    assert len(demo.list("network")) == before
    assert get(demo, query="?fields=name", status=400) == "HTTPBadRequest"


def test_what_it_needs(demo: Neutron, admin: Neutron) -> None:
    admin.delete_default_pools()
    before = len(demo.list("network"))
    assert get(demo, status=409) == "AutoAllocationFailure"
    pool = admin.create("subnetpool", name="v4", prefixes=["10.60.0.0/30"], default_prefixlen=30, is_default=True)
    network = admin.create("network")
    admin.create("subnet", network_id=network["id"], ip_version=4, subnetpool_id=pool["id"])
    assert get(demo, status=409) == "AutoAllocationFailure"
    admin.update("network", admin.find("network", "public")["id"], is_default=False)
    assert get(demo, query="?fields=dry-run", status=409) == "AutoAllocationFailure"
    assert get(demo, status=409) == "AutoAllocationFailure"
    assert len(demo.list("network")) == before


def test_quotas_hold(demo: Neutron, admin: Neutron, pools: list[dict[str, Any]]) -> None:
    del pools
    project = demo.list("subnet")[0]["project_id"]
    mine = demo.create("network")["project_id"]
    assert project
    admin.call("PUT", f"quotas/{mine}", {"quota": {"router": 0}}, status=200)
    before = len(demo.list("network"))
    assert get(demo, status=409) == "OverQuota"
    assert len(demo.list("network")) == before


def test_whose_it_is(demo: Neutron, admin: Neutron, pools: list[dict[str, Any]]) -> None:
    del pools
    others = admin.create("network")["project_id"]
    assert get(demo, others, status=403) == "NotAuthorized"
    assert demo.call("DELETE", f"auto-allocated-topology/{others}", status=403)["type"] == "NotAuthorized"
    mine = demo.create("network")["project_id"]
    made = get(admin, mine)
    assert made["project_id"] == mine
    assert get(demo) == made


def test_asked_for_at_the_same_time_it_is_made_once(cloud: TestCloud, pools: list[dict[str, Any]]) -> None:
    del pools
    users = [Neutron(cloud, "demo") for _ in range(4)]
    found: list[str] = []
    ready = threading.Barrier(len(users))

    def work(user: Neutron) -> None:
        ready.wait()
        found.append(get(user)["id"])

    threads = [threading.Thread(target=work, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(users)
    assert len(set(found)) == 1
    assert len(users[0].list("network", "?name=auto_allocated_network")) == 1


def test_there_is_one_default_external_network(admin: Neutron) -> None:
    public = admin.find("network", "public")
    outside = {"router.external": True}
    kind = admin.refuse("network", 409, is_default=True, **outside)
    assert kind == "DefaultExternalNetworkExists"
    other = admin.create("network", **outside)
    assert admin.update("network", other["id"], status=409, is_default=True)["type"] == kind
    assert admin.update("network", public["id"], is_default=True)["is_default"] is True
    admin.update("network", public["id"], is_default=False)
    assert admin.update("network", other["id"], is_default=True)["is_default"] is True
