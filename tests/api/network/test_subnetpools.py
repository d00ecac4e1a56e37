"""Subnet pools: their rules, subnets cut out of them, quotas, prefixes that come and go, sharing."""

from __future__ import annotations

import ipaddress
import itertools
import threading
from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud


def pool_of(user: Neutron, *prefixes: str, **fields: Any) -> dict[str, Any]:
    return user.create("subnetpool", **({"name": "pool", "prefixes": list(prefixes) or ["10.60.0.0/16"]} | fields))


@pytest.fixture(autouse=True)
def no_pools(admin: Neutron) -> None:
    """A cloud without the pools that a new one has."""
    admin.delete_default_pools()


def cut(user: Neutron, pool: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A network with a subnet of the pool."""
    network = user.create("network")
    values = {"network_id": network["id"], "ip_version": pool["ip_version"], "subnetpool_id": pool["id"]}
    return user.create("subnet", **(values | fields))


def refuse(user: Neutron, pool: dict[str, Any], status: int, **fields: Any) -> str:
    """A subnet that the pool does not give; nothing is left of the try."""
    network = user.create("network")
    values = {"network_id": network["id"], "ip_version": pool["ip_version"], "subnetpool_id": pool["id"]}
    kind = user.refuse("subnet", status, **(values | fields))
    assert user.show("network", network["id"])["subnets"] == []
    return kind


def test_what_a_pool_is_by_default(demo: Neutron) -> None:
    pool = pool_of(demo, "10.61.1.0/24", "10.61.0.0/24", description="d", tags=["a"])
    assert pool["prefixes"] == ["10.61.0.0/23"]
    lengths = [pool[name] for name in ("min_prefixlen", "max_prefixlen", "default_prefixlen")]
    assert lengths == [8, 32, 8]
    assert (pool["ip_version"], pool["default_quota"], pool["is_default"], pool["shared"]) == (4, None, False, False)
    assert (pool["address_scope_id"], pool["description"], pool["tags"]) == (None, "d", ["a"])
    assert demo.show("subnetpool", pool["id"]) == pool
    assert demo.list("subnetpool", f"?id={pool['id']}&ip_version=4&is_default=false&tags=a") == [pool]
    assert demo.list("subnetpool", "?shared=true") == []
    six = pool_of(demo, "fd60::/48")
    assert [six[name] for name in ("min_prefixlen", "max_prefixlen", "default_prefixlen")] == [64, 128, 64]
    demo.delete("subnetpool", pool["id"])
    demo.show("subnetpool", pool["id"], status=404)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"prefixes": []}, "EmptySubnetPoolPrefixList"),
        ({"prefixes": ["10.0.0.0/8", "fd00::/48"]}, "PrefixVersionMismatch"),
        ({"prefixes": ["10.0.0.1/8"]}, "HTTPBadRequest"),
        ({"prefixes": ["10.0.0.0/8", "10.0.0.0/8"]}, "HTTPBadRequest"),
        ({"prefixes": [1]}, "HTTPBadRequest"),
        ({"prefixes": "10.0.0.0/8"}, "HTTPBadRequest"),
        ({"prefixes": [f"10.{n >> 8}.{n & 255}.0/25" for n in range(1001)]}, "HTTPBadRequest"),
        ({"prefixes": None}, "HTTPBadRequest"),
        ({"name": ""}, "HTTPBadRequest"),
        ({"name": "n" * 256}, "HTTPBadRequest"),
        ({"min_prefixlen": 33}, "IllegalSubnetPoolPrefixBounds"),
        ({"min_prefixlen": 25, "max_prefixlen": 24}, "IllegalSubnetPoolPrefixBounds"),
        ({"max_prefixlen": 33}, "IllegalSubnetPoolPrefixBounds"),
        ({"default_prefixlen": 4}, "IllegalSubnetPoolPrefixBounds"),
        ({"default_prefixlen": 30, "max_prefixlen": 28}, "IllegalSubnetPoolPrefixBounds"),
        ({"min_prefixlen": -1}, "HTTPBadRequest"),
        ({"default_prefixlen": "x"}, "HTTPBadRequest"),
        ({"default_quota": -1}, "HTTPBadRequest"),
        ({"default_quota": 2**63}, "HTTPBadRequest"),
        ({"default_quota": "10'; drop table subnetpools"}, "HTTPBadRequest"),
        ({"tags": ["a,b"]}, "HTTPBadRequest"),
        ({"hostile": 1}, "HTTPBadRequest"),
    ],
)
def test_pools_that_cannot_be(demo: Neutron, given: dict[str, Any], kind: str) -> None:
    assert demo.refuse("subnetpool", 400, **({"name": "pool", "prefixes": ["10.60.0.0/16"]} | given)) == kind
    assert demo.list("subnetpool") == []


def test_a_name_and_prefixes_are_needed(demo: Neutron) -> None:
    assert demo.refuse("subnetpool", 400, name="pool") == "HTTPBadRequest"
    assert demo.refuse("subnetpool", 400, prefixes=["10.0.0.0/8"]) == "HTTPBadRequest"


def test_many_at_once_or_none(demo: Neutron) -> None:
    good = {"name": "one", "prefixes": ["10.0.0.0/8"]}
    made = demo.call("POST", "subnetpools", {"subnetpools": [good, good | {"name": "two"}]}, status=201)
    assert [pool["name"] for pool in made["subnetpools"]] == ["one", "two"]
    demo.call("POST", "subnetpools", {"subnetpools": [good, good | {"prefixes": []}]}, status=400)
    assert len(demo.list("subnetpool")) == 2
    assert [pool["name"] for pool in demo.list("subnetpool", "?sort_key=name&sort_dir=desc")] == ["two", "one"]


def test_only_administrators_make_pools_shared_or_default(demo: Neutron, admin: Neutron) -> None:
    for name in ("shared", "is_default"):
        assert demo.refuse("subnetpool", 403, name="p", prefixes=["10.0.0.0/8"], **{name: True}) == (
            "PolicyNotAuthorized"
        )
    pool = pool_of(admin, "10.62.0.0/16", shared=True, is_default=True)
    assert demo.show("subnetpool", pool["id"])["shared"] is True
    assert demo.list("subnetpool", "?shared=true")[0]["id"] == pool["id"]
    assert cut(demo, pool, prefixlen=24)["cidr"] == "10.62.0.0/24"
    demo.update("subnetpool", pool["id"], status=403, name="mine")
    demo.delete("subnetpool", pool["id"], status=403)
    demo.call("PUT", f"subnetpools/{pool['id']}/add_prefixes", {"prefixes": ["10.63.0.0/16"]}, status=403)
    own = pool_of(demo)
    demo.update("subnetpool", own["id"], status=403, is_default=True)
    admin.update("subnetpool", own["id"], status=400, shared=True)
    hidden = pool_of(admin)
    demo.show("subnetpool", hidden["id"], status=404)
    assert refuse(demo, hidden, 404) == "SubnetPoolNotFound"


def test_one_default_pool_a_family(demo: Neutron, admin: Neutron) -> None:
    four = pool_of(admin, "10.62.0.0/16", is_default=True, default_prefixlen=26, shared=True)
    assert admin.refuse("subnetpool", 400, name="p", prefixes=["10.0.0.0/8"], is_default=True) == "InvalidInput"
    second = pool_of(admin, "10.64.0.0/16")
    assert admin.update("subnetpool", second["id"], status=400, is_default=True)["type"] == "InvalidInput"
    network = demo.create("network")
    values = {"network_id": network["id"], "use_default_subnetpool": True}
    subnet = demo.create("subnet", ip_version=4, **values)
    assert (subnet["cidr"], subnet["subnetpool_id"]) == ("10.62.0.0/26", four["id"])
    assert demo.refuse("subnet", 400, ip_version=6, **values) == "HTTPBadRequest"
    assert demo.refuse("subnet", 400, ip_version=4, subnetpool_id=four["id"], **values) == "HTTPBadRequest"
    six = pool_of(admin, "fd62::/48", is_default=True)
    assert demo.create("subnet", ip_version=6, **values)["cidr"] == "fd62::/64"
    assert admin.update("subnetpool", six["id"], is_default=False)["is_default"] is False
    assert admin.update("subnetpool", four["id"], is_default=False)["is_default"] is False
    admin.update("subnetpool", second["id"], is_default=True)


def test_subnets_are_cut_from_the_smallest_free_prefix(demo: Neutron) -> None:
    pool = pool_of(demo, "10.60.0.0/22", "10.61.0.0/24", default_prefixlen=24)
    assert cut(demo, pool)["cidr"] == "10.61.0.0/24"
    small = cut(demo, pool, prefixlen="26")
    assert (small["cidr"], small["gateway_ip"]) == ("10.60.0.0/26", "10.60.0.1")
    assert small["allocation_pools"] == [{"start": "10.60.0.2", "end": "10.60.0.62"}]
    assert cut(demo, pool, prefixlen=26)["cidr"] == "10.60.0.64/26"
    exact = cut(demo, pool, cidr="10.60.2.0/24", allocation_pools=[{"start": "10.60.2.9", "end": "10.60.2.10"}])
    assert exact["allocation_pools"] == [{"start": "10.60.2.9", "end": "10.60.2.10"}]
    by_gateway = cut(demo, pool, gateway_ip="10.60.3.9", prefixlen=25)
    assert (by_gateway["cidr"], by_gateway["gateway_ip"]) == ("10.60.3.0/25", "10.60.3.9")
    assert cut(demo, pool, gateway_ip=None, prefixlen=25)["gateway_ip"] is None
    assert {subnet["subnetpool_id"] for subnet in demo.list("subnet", f"?subnetpool_id={pool['id']}")} == {pool["id"]}
    assert len(demo.list("subnet", f"?subnetpool_id={pool['id']}")) == 6


def test_a_subnet_goes_back_to_its_pool(demo: Neutron) -> None:
    pool = pool_of(demo, "10.60.0.0/24", default_prefixlen=24)
    subnet = cut(demo, pool)
    assert refuse(demo, pool, 409) == "SubnetAllocationError"
    assert demo.delete("subnetpool", pool["id"], status=400)["type"] == "SubnetPoolDeleteError"
    demo.delete("subnet", subnet["id"])
    assert cut(demo, pool)["cidr"] == "10.60.0.0/24"


def test_subnets_that_a_pool_does_not_give(demo: Neutron) -> None:
    pool = pool_of(demo, "10.60.0.0/22", min_prefixlen=23, max_prefixlen=28, default_prefixlen=24)
    assert refuse(demo, pool, 400, prefixlen=22) == "MinPrefixSubnetAllocationError"
    assert refuse(demo, pool, 400, prefixlen=29) == "MaxPrefixSubnetAllocationError"
    assert refuse(demo, pool, 400, cidr="10.60.0.0/22") == "MinPrefixSubnetAllocationError"
    assert refuse(demo, pool, 409, cidr="10.70.0.0/24") == "SubnetAllocationError"
    assert refuse(demo, pool, 409, gateway_ip="10.70.0.1") == "SubnetAllocationError"
    assert refuse(demo, pool, 400, cidr="10.60.0.0/24", prefixlen=24) == "HTTPBadRequest"
    assert refuse(demo, pool, 400, ip_version=6) == "HTTPBadRequest"
    assert refuse(demo, pool, 400, gateway_ip="fd00::1") == "HTTPBadRequest"
    assert refuse(demo, pool, 400, prefixlen=-1) == "HTTPBadRequest"
    assert refuse(demo, pool, 400, prefixlen="24; --") == "HTTPBadRequest"
    range_ = [{"start": "10.60.0.2", "end": "10.60.0.9"}]
    assert refuse(demo, pool, 400, allocation_pools=range_) == "HTTPBadRequest"
    assert refuse(demo, pool, 400, prefixlen=24, subnetpool_id=None) == "HTTPBadRequest"
    cut(demo, pool, cidr="10.60.0.0/23")
    cut(demo, pool, prefixlen=23)
    assert refuse(demo, pool, 409, prefixlen=28) == "SubnetAllocationError"


def test_the_quota_of_a_pool_is_each_projects_own(demo: Neutron, admin: Neutron) -> None:
    pool = pool_of(admin, "10.60.0.0/16", shared=True, default_quota=512)
    cut(demo, pool, prefixlen=24)
    cut(demo, pool, prefixlen=25)
    assert refuse(demo, pool, 409, prefixlen=24) == "SubnetPoolQuotaExceeded"
    cut(demo, pool, prefixlen=25)
    assert refuse(demo, pool, 409, prefixlen=32, enable_dhcp=False) == "SubnetPoolQuotaExceeded"
    cut(admin, pool, prefixlen=23)
    assert admin.update("subnetpool", pool["id"], default_quota=None)["default_quota"] is None
    cut(demo, pool, prefixlen=24)
    six = pool_of(admin, "fd60::/48", shared=True, default_quota="2", min_prefixlen=56)
    assert refuse(demo, six, 409, prefixlen=62) == "SubnetPoolQuotaExceeded"
    cut(demo, six, prefixlen=63)
    assert refuse(demo, six, 409, prefixlen=64) == "SubnetPoolQuotaExceeded"


def test_subnets_of_a_network_are_of_one_pool_a_family(demo: Neutron) -> None:
    one, other = pool_of(demo, default_prefixlen=24), pool_of(demo, "10.80.0.0/16", default_prefixlen=24)
    six = pool_of(demo, "fd60::/48")
    network, _ = demo.network("10.20.0.0/24")
    values = {"network_id": network["id"], "ip_version": 4}
    assert demo.refuse("subnet", 400, **values, subnetpool_id=one["id"]) == "NetworkSubnetPoolAffinityError"
    demo.create("subnet", network_id=network["id"], ip_version=6, subnetpool_id=six["id"])
    network = demo.create("network")
    values = {"network_id": network["id"], "ip_version": 4}
    demo.create("subnet", **values, subnetpool_id=one["id"])
    demo.create("subnet", **values, subnetpool_id=one["id"])
    assert demo.refuse("subnet", 400, **values, subnetpool_id=other["id"]) == "NetworkSubnetPoolAffinityError"
    assert demo.refuse("subnet", 400, **values, cidr="10.20.0.0/24") == "NetworkSubnetPoolAffinityError"


def test_change(demo: Neutron) -> None:
    pool = pool_of(demo, "10.60.0.0/24")
    changed = demo.update(
        "subnetpool", pool["id"], name="new", description="d", prefixes=["10.60.1.0/24", "10.60.0.0/24"],
        min_prefixlen=20, default_prefixlen=25, max_prefixlen=28, default_quota=7,
    )  # fmt: skip
    assert changed["prefixes"] == ["10.60.0.0/23"]
    assert (changed["name"], changed["description"], changed["default_quota"]) == ("new", "d", 7)
    assert [changed[name] for name in ("min_prefixlen", "default_prefixlen", "max_prefixlen")] == [20, 25, 28]
    assert changed["revision_number"] == pool["revision_number"] + 1
    same = demo.update("subnetpool", pool["id"], name="new")
    assert same["revision_number"] == changed["revision_number"]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"prefixes": ["10.60.0.0/25"]}, "IllegalSubnetPoolPrefixUpdate"),
        ({"prefixes": ["10.61.0.0/16"]}, "IllegalSubnetPoolPrefixUpdate"),
        ({"prefixes": ["fd00::/48"]}, "PrefixVersionMismatch"),
        ({"prefixes": []}, "EmptySubnetPoolPrefixList"),
        ({"min_prefixlen": 30}, "IllegalSubnetPoolPrefixBounds"),
        ({"max_prefixlen": 10}, "IllegalSubnetPoolPrefixBounds"),
        ({"name": ""}, "HTTPBadRequest"),
        ({"ip_version": 6}, "HTTPBadRequest"),
        ({"shared": False}, "HTTPBadRequest"),
    ],
)
def test_changes_that_cannot_be(demo: Neutron, given: dict[str, Any], kind: str) -> None:
    pool = pool_of(demo, "10.60.0.0/24", default_prefixlen=24)
    assert demo.update("subnetpool", pool["id"], status=400, **given)["type"] == kind
    assert demo.show("subnetpool", pool["id"]) == pool


def test_a_change_on_condition_of_the_revision(demo: Neutron) -> None:
    pool = pool_of(demo)
    path, body = f"subnetpools/{pool['id']}", {"subnetpool": {"name": "late"}}
    demo.call("PUT", path, body, status=412, **{"If-Match": "revision_number=99"})
    demo.call("PUT", path, body, status=200, **{"If-Match": f"revision_number={pool['revision_number']}"})


def test_prefixes_come_and_go(demo: Neutron) -> None:
    pool = pool_of(demo, "10.60.0.0/24", default_prefixlen=25)
    path = f"subnetpools/{pool['id']}"
    added = demo.call("PUT", f"{path}/add_prefixes", {"prefixes": ["10.60.1.0/24", "10.70.0.0/24"]}, status=200)
    assert added == {"prefixes": ["10.60.0.0/23", "10.70.0.0/24"]}
    cut(demo, pool, cidr="10.60.0.0/25")
    fault = demo.call("PUT", f"{path}/remove_prefixes", {"prefixes": ["10.60.0.0/26"]}, status=400)
    assert fault["type"] == "IllegalSubnetPoolPrefixUpdate"
    left = demo.call("PUT", f"{path}/remove_prefixes", {"prefixes": ["10.60.0.128/25"]}, status=200)
    assert left == {"prefixes": ["10.60.0.0/25", "10.60.1.0/24", "10.70.0.0/24"]}
    assert demo.call("PUT", f"{path}/remove_prefixes", {"prefixes": ["10.99.0.0/16"]}, status=200) == left
    assert demo.show("subnetpool", pool["id"])["prefixes"] == left["prefixes"]
    demo.call("PUT", f"{path}/remove_prefixes", {"prefixes": ["fd00::/48"]}, status=400)
    demo.call("PUT", f"{path}/add_prefixes", {"prefixes": []}, status=400)
    demo.call("PUT", f"{path}/add_prefixes", {}, status=400)
    demo.call("PUT", f"{path}/add_prefixes", {"prefixes": ["fd00::/48"]}, status=400)
    empty = pool_of(demo, "10.90.0.0/24")
    whole = {"prefixes": ["10.0.0.0/8"]}
    demo.call("PUT", f"subnetpools/{empty['id']}/remove_prefixes", whole, status=400)


def test_a_pool_has_so_many_prefixes_and_no_more(demo: Neutron) -> None:
    pool = pool_of(demo, *(f"10.{n >> 8}.{n & 255}.0/25" for n in range(1000)))
    path = f"subnetpools/{pool['id']}"
    fault = demo.call("PUT", f"{path}/add_prefixes", {"prefixes": ["192.168.0.0/24"]}, status=400)
    assert fault["type"] == "HTTPBadRequest"
    demo.call("PUT", f"{path}/remove_prefixes", {"prefixes": ["10.0.0.64/30"]}, status=400)
    demo.call("PUT", f"{path}/add_prefixes", {"prefixes": ["10.0.0.128/25"]}, status=200)
    assert len(demo.show("subnetpool", pool["id"])["prefixes"]) == 1000


def test_a_pool_takes_a_networks_subnets_over(demo: Neutron, admin: Neutron) -> None:
    pool = pool_of(demo, "10.60.0.0/24", default_prefixlen=26)
    network, subnet = demo.network("10.20.0.0/24")
    demo.create("subnet", network_id=network["id"], ip_version=6, cidr="fd20::/64")
    path, body = f"subnetpools/{pool['id']}/onboard_network_subnets", {"network_id": network["id"]}
    assert demo.call("PUT", path, body, status=200) == [{"id": subnet["id"], "cidr": "10.20.0.0/24"}]
    assert demo.show("subnet", subnet["id"])["subnetpool_id"] == pool["id"]
    assert demo.show("subnetpool", pool["id"])["prefixes"] == ["10.20.0.0/24", "10.60.0.0/24"]
    assert demo.call("PUT", path, body, status=400)["type"] == "IllegalSubnetPoolUpdate"
    demo.create("subnet", network_id=network["id"], ip_version=4, subnetpool_id=pool["id"])
    assert demo.call("PUT", path, {}, status=400)["type"] == "InvalidInput"
    assert demo.call("PUT", path, {"network_id": "nowhere"}, status=404)["type"] == "NetworkNotFound"
    foreign = admin.create("network", shared=True)
    assert demo.call("PUT", path, {"network_id": foreign["id"]}, status=403)["type"] == "NotAuthorized"


def test_the_projects_quota_of_pools(demo: Neutron, admin: Neutron) -> None:
    pool = pool_of(demo)
    admin.call("PUT", f"quotas/{pool['project_id']}", {"quota": {"subnetpool": 1}}, status=200)
    assert demo.refuse("subnetpool", 409, name="p", prefixes=["10.0.0.0/8"]) == "OverQuota"
    demo.delete("subnetpool", pool["id"])
    pool_of(demo)


def test_subnets_cut_at_the_same_time_never_overlap(cloud: TestCloud) -> None:
    users = [Neutron(cloud, "demo") for _ in range(8)]
    pool = pool_of(users[0], "10.60.0.0/22", default_prefixlen=27)
    networks = [users[0].create("network")["id"] for _ in users]
    found: list[str] = []
    full: list[int] = []
    ready = threading.Barrier(len(users))

    def work(user: Neutron, network_id: str) -> None:
        ready.wait()
        for _ in range(5):
            body = {"network_id": network_id, "ip_version": 4, "subnetpool_id": pool["id"], "enable_dhcp": False}
            answer = user.http.post("/network/v2.0/subnets", json={"subnet": body})
            if answer.status_code == 201:
                found.append(answer.json()["subnet"]["cidr"])
            else:
                full.append(answer.status_code)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(users, networks, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), full) == (32, [409] * 8)
    cut_out = [ipaddress.ip_network(text) for text in found]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(cut_out, 2))
    assert all(network.subnet_of(ipaddress.ip_network("10.60.0.0/22")) for network in cut_out)  # type: ignore[arg-type]


def test_pools_have_tags(demo: Neutron, admin: Neutron) -> None:
    pool = pool_of(demo, tags=["a"])
    path = f"subnetpools/{pool['id']}/tags"
    demo.call("PUT", path, {"tags": ["b", "c"]}, status=200)
    demo.call("DELETE", f"{path}/c", status=204)
    assert demo.show("subnetpool", pool["id"])["tags"] == ["b"]
    assert [found["id"] for found in demo.list("subnetpool", "?tags=b")] == [pool["id"]]
    assert demo.list("subnetpool", "?tags=a") == []
    shared = pool_of(admin, shared=True)
    demo.call("GET", f"subnetpools/{shared['id']}/tags", status=200)
    demo.call("PUT", f"subnetpools/{shared['id']}/tags/mine", status=403)


def test_a_pool_shared_with_one_project(demo: Neutron, admin: Neutron) -> None:
    pool = pool_of(admin, default_prefixlen=24)
    project = demo.create("network")["project_id"]
    policy = {"object_type": "subnetpool", "object_id": pool["id"], "action": "access_as_shared"}
    admin.create("rbac_policy", **policy, target_tenant=project)
    assert demo.show("subnetpool", pool["id"])["shared"] is True
    assert cut(demo, pool)["cidr"] == "10.60.0.0/24"
    assert demo.list("subnetpool", "?shared=true")[0]["id"] == pool["id"]
    assert admin.list("subnetpool", "?shared=true") == []
