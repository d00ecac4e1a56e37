"""Address scopes: pools of one never overlap, and networks show which they are in."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud


def scope_of(user: Neutron, **fields: Any) -> dict[str, Any]:
    return user.create("address_scope", **({"name": "scope", "ip_version": 4} | fields))


def pool_in(user: Neutron, scope: dict[str, Any], *prefixes: str, **fields: Any) -> dict[str, Any]:
    values = {"name": "pool", "prefixes": list(prefixes), "address_scope_id": scope["id"]}
    return user.create("subnetpool", **(values | fields))


def test_make_see_change_and_delete(demo: Neutron) -> None:
    scope = scope_of(demo, ip_version="6")
    assert scope == {
        "id": scope["id"],
        "name": "scope",
        "ip_version": 6,
        "shared": False,
        "project_id": scope["project_id"],
        "tenant_id": scope["project_id"],
    }
    assert demo.show("address_scope", scope["id"]) == scope
    assert demo.list("address_scope", f"?ip_version=6&project_id={scope['project_id']}") == [scope]
    assert demo.list("address_scope", "?ip_version=4") == []
    assert demo.update("address_scope", scope["id"], name="new")["name"] == "new"
    demo.delete("address_scope", scope["id"])
    assert demo.show("address_scope", scope["id"], status=404)["type"] == "AddressScopeNotFound"


@pytest.mark.parametrize(
    "given",
    [{"ip_version": 5}, {"ip_version": "x"}, {"name": "n" * 256}, {"name": 1}, {"shared": "maybe"}, {"hostile": 1}],
)
def test_scopes_that_cannot_be(demo: Neutron, given: dict[str, Any]) -> None:
    assert demo.refuse("address_scope", 400, **({"name": "scope", "ip_version": 4} | given)) == "HTTPBadRequest"
    assert demo.list("address_scope") == []


def test_the_ip_version_is_needed_and_stays(demo: Neutron) -> None:
    assert demo.refuse("address_scope", 400, name="scope") == "HTTPBadRequest"
    demo.update("address_scope", scope_of(demo)["id"], status=400, ip_version=6)


def test_sharing_is_for_administrators_and_for_good(demo: Neutron, admin: Neutron) -> None:
    assert demo.refuse("address_scope", 403, name="s", ip_version=4, shared=True) == "PolicyNotAuthorized"
    own = scope_of(demo)
    assert demo.update("address_scope", own["id"], status=403, shared=True)["type"] == "PolicyNotAuthorized"
    hidden = scope_of(admin)
    demo.show("address_scope", hidden["id"], status=404)
    demo.delete("address_scope", hidden["id"], status=404)
    assert demo.refuse("subnetpool", 404, name="p", prefixes=["10.0.0.0/8"], address_scope_id=hidden["id"]) == (
        "AddressScopeNotFound"
    )
    assert admin.update("address_scope", hidden["id"], shared=True)["shared"] is True
    assert demo.show("address_scope", hidden["id"])["shared"] is True
    assert [scope["id"] for scope in demo.list("address_scope", "?shared=true")] == [hidden["id"]]
    demo.update("address_scope", hidden["id"], status=403, name="mine")
    demo.delete("address_scope", hidden["id"], status=403)
    fault = admin.update("address_scope", hidden["id"], status=400, shared=False)
    assert fault["type"] == "AddressScopeUpdateError"


def test_pools_of_a_scope_have_no_address_in_common(demo: Neutron) -> None:
    scope = scope_of(demo)
    pool = pool_in(demo, scope, "10.60.0.0/16")
    values = {"name": "p", "address_scope_id": scope["id"]}
    assert demo.refuse("subnetpool", 409, prefixes=["10.60.9.0/24"], **values) == "AddressScopePrefixConflict"
    other = pool_in(demo, scope, "10.61.0.0/16")
    grown = {"prefixes": ["10.60.0.0/15"]}
    assert demo.update("subnetpool", other["id"], status=409, **grown)["type"] == "AddressScopePrefixConflict"
    path = f"subnetpools/{other['id']}/add_prefixes"
    assert demo.call("PUT", path, {"prefixes": ["10.60.0.0/24"]}, status=409)["type"] == "AddressScopePrefixConflict"
    outside = demo.create("subnetpool", name="p", prefixes=["10.60.0.0/16"])
    joined = demo.update("subnetpool", outside["id"], status=409, address_scope_id=scope["id"])
    assert joined["type"] == "AddressScopePrefixConflict"
    assert demo.update("subnetpool", pool["id"], address_scope_id=None)["address_scope_id"] is None
    assert demo.update("subnetpool", outside["id"], address_scope_id=scope["id"])["address_scope_id"] == scope["id"]
    assert demo.list("subnetpool", f"?address_scope_id={scope['id']}&prefixes=x") != []


def test_a_scope_is_of_one_ip_version(demo: Neutron) -> None:
    scope = scope_of(demo, ip_version=6)
    kind = demo.refuse("subnetpool", 400, name="p", prefixes=["10.0.0.0/8"], address_scope_id=scope["id"])
    assert kind == "IllegalSubnetPoolIpVersionAssociationToAddressScope"
    pool_in(demo, scope, "fd60::/48")


def test_a_scope_with_pools_stays(demo: Neutron) -> None:
    scope = scope_of(demo)
    pool = pool_in(demo, scope, "10.60.0.0/16")
    assert demo.delete("address_scope", scope["id"], status=409)["type"] == "AddressScopeInUse"
    demo.delete("subnetpool", pool["id"])
    demo.delete("address_scope", scope["id"])


def test_a_pool_in_a_scope_of_others_stays_as_it_is(demo: Neutron, admin: Neutron) -> None:
    scope = scope_of(admin, shared=True)
    pool = pool_in(demo, scope, "10.60.0.0/16")
    assert demo.update("subnetpool", pool["id"], status=400, name="new")["type"] == "IllegalSubnetPoolUpdate"
    path = f"subnetpools/{pool['id']}/add_prefixes"
    assert demo.call("PUT", path, {"prefixes": ["10.70.0.0/24"]}, status=400)["type"] == "IllegalSubnetPoolUpdate"
    assert admin.update("subnetpool", pool["id"], name="new")["name"] == "new"


def test_networks_show_their_scopes(demo: Neutron) -> None:
    four, six = scope_of(demo), scope_of(demo, ip_version=6)
    pool = pool_in(demo, four, "10.60.0.0/16", default_prefixlen=24)
    second = pool_in(demo, four, "10.61.0.0/16", default_prefixlen=24)
    network = demo.create("network")
    assert (network["ipv4_address_scope"], network["ipv6_address_scope"]) == (None, None)
    values = {"network_id": network["id"], "ip_version": 4}
    demo.create("subnet", **values, subnetpool_id=pool["id"])
    demo.create("subnet", network_id=network["id"], ip_version=6, subnetpool_id=pool_in(demo, six, "fd60::/48")["id"])
    shown = demo.show("network", network["id"])
    assert (shown["ipv4_address_scope"], shown["ipv6_address_scope"]) == (four["id"], six["id"])
    assert demo.list("network", f"?id={network['id']}")[0]["ipv4_address_scope"] == four["id"]
    # Within one scope, subnets of a network may be of several pools; none may be of another scope or of none.
    demo.create("subnet", **values, subnetpool_id=second["id"])
    other = demo.create("subnetpool", name="p", prefixes=["10.80.0.0/16"], default_prefixlen=24)
    assert demo.refuse("subnet", 400, **values, subnetpool_id=other["id"]) == "NetworkAddressScopeAffinityError"
    assert demo.refuse("subnet", 400, **values, cidr="10.20.0.0/24") == "NetworkSubnetPoolAffinityError"
    moved = demo.update("subnetpool", second["id"], status=400, address_scope_id=None)
    assert moved["type"] == "NetworkAddressScopeAffinityError"
    assert demo.update("subnetpool", second["id"], name="same scope")["name"] == "same scope"


def test_pools_made_at_the_same_time_do_not_overlap(cloud: TestCloud) -> None:
    users = [Neutron(cloud, "demo") for _ in range(6)]
    scope = scope_of(users[0])
    answers: list[int] = []
    ready = threading.Barrier(len(users))

    def work(user: Neutron) -> None:
        ready.wait()
        body = {"name": "p", "prefixes": ["10.60.0.0/16"], "address_scope_id": scope["id"]}
        answers.append(user.http.post("/network/v2.0/subnetpools", json={"subnetpool": body}).status_code)

    threads = [threading.Thread(target=work, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201] + [409] * 5
    assert len(users[0].list("subnetpool", "?is_default=false")) == 1
