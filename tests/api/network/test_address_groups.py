"""Address groups: their addresses, the rules that name them, and what of it reaches the host."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.api.network.projects import Member
from tests.cloud import TestCloud


def test_create_show_list_update_delete(cloud: TestCloud, demo: Neutron) -> None:
    group = demo.create("address_group", name="offices", description="d", addresses=["192.0.2.0/24", "2001:db8::/32"])
    assert set(group) == {
        "id", "name", "description", "project_id", "tenant_id", "addresses", "revision_number", "created_at",
        "updated_at",
    }  # fmt: skip
    assert group["addresses"] == ["192.0.2.0/24", "2001:db8::/32"]
    assert demo.show("address_group", group["id"]) == group
    assert demo.list("address_group", "?name=offices") == [group]
    assert demo.list("address_group", "?name=other") == []
    cloud.settle()
    assert cloud.network.address_groups[group["id"]].addresses == ("192.0.2.0/24", "2001:db8::/32")
    changed = demo.update("address_group", group["id"], name="new", description=None)
    assert (changed["name"], changed["description"], changed["addresses"]) == ("new", "", group["addresses"])
    assert changed["revision_number"] > group["revision_number"]
    demo.delete("address_group", group["id"])
    cloud.settle()
    assert group["id"] not in cloud.network.address_groups
    assert demo.show("address_group", group["id"], status=404)["type"] == "AddressGroupNotFound"


def test_addresses_come_and_go(cloud: TestCloud, demo: Neutron) -> None:
    path = f"address-groups/{demo.create('address_group')['id']}"
    found = demo.call("PUT", f"{path}/add_addresses", {"addresses": ["10.0.0.1", "10.1.0.9/16"]}, status=200)
    assert found["address_group"]["addresses"] == ["10.0.0.1/32", "10.1.0.0/16"]
    again = {"addresses": ["10.2.0.0/16", "10.0.0.1/32"]}
    assert demo.call("PUT", f"{path}/add_addresses", again, status=400)["type"] == "AddressesAlreadyExist"
    found = demo.call("PUT", f"{path}/remove_addresses", {"addresses": ["10.0.0.1/32"]}, status=200)
    assert found["address_group"]["addresses"] == ["10.1.0.0/16"]
    fault = demo.call("PUT", f"{path}/remove_addresses", {"addresses": ["10.0.0.1/32"]}, status=404)
    assert fault["type"] == "AddressesNotFound"
    cloud.settle()
    assert cloud.network.address_groups[path.partition("/")[2]].addresses == ("10.1.0.0/16",)


def test_a_rule_names_an_address_group_which_then_stays(cloud: TestCloud, demo: Neutron, admin: Neutron) -> None:
    addresses = demo.create("address_group", addresses=["192.0.2.0/24"])
    theirs = admin.create("address_group")
    group = demo.create("security_group")
    values = {"security_group_id": group["id"], "direction": "ingress"}
    assert demo.refuse("security_group_rule", 404, **values, remote_address_group_id=theirs["id"]) == (
        "AddressGroupNotFound"
    )
    rule = demo.create("security_group_rule", **values, remote_address_group_id=addresses["id"])
    assert rule["remote_address_group_id"] == addresses["id"]
    assert demo.refuse("security_group_rule", 409, **values, remote_address_group_id=addresses["id"]) == (
        "SecurityGroupRuleExists"
    )
    assert (
        demo.refuse(
            "security_group_rule", 400, **values, remote_address_group_id=addresses["id"], remote_ip_prefix="10.0.0.0/8"
        )
        == "SecurityGroupMultipleRemoteEntites"
    )
    assert demo.list("security_group_rule", f"?remote_address_group_id={addresses['id']}") == [rule]
    assert demo.delete("address_group", addresses["id"], status=409)["type"] == "AddressGroupInUse"
    cloud.settle()
    assert addresses["id"] in {item.remote_address_group for item in cloud.network.security_groups[group["id"]].rules}
    demo.delete("security_group_rule", rule["id"])
    demo.delete("address_group", addresses["id"])


def test_only_a_change_of_addresses_reaches_the_host_and_no_group_or_port(cloud: TestCloud, demo: Neutron) -> None:
    addresses = demo.create("address_group")
    group = demo.create("security_group")
    values = {"security_group_id": group["id"], "direction": "ingress"}
    demo.create("security_group_rule", **values, remote_address_group_id=addresses["id"])
    cloud.settle()
    cloud.network.calls.clear()
    demo.call("PUT", f"address-groups/{addresses['id']}/add_addresses", {"addresses": ["10.0.0.1"]}, status=200)
    cloud.settle()
    assert set(cloud.network.calls) - {("observe", "")} == {("apply_address_group", addresses["id"])}


def test_an_address_group_that_is_shared_is_named_by_others(cloud: TestCloud, demo: Neutron) -> None:
    friend, stranger = Member(cloud, "friend"), Member(cloud, "stranger")
    addresses = demo.create("address_group", addresses=["192.0.2.0/24"])
    friend.show("address_group", addresses["id"], status=404)
    values = {"object_type": "address_group", "object_id": addresses["id"], "action": "access_as_shared"}
    policy = demo.create("rbac_policy", **values, target_tenant=friend.project_id)
    assert friend.show("address_group", addresses["id"])["addresses"] == ["192.0.2.0/24"]
    assert friend.list("address_group") == [friend.show("address_group", addresses["id"])]
    stranger.show("address_group", addresses["id"], status=404)
    assert stranger.list("address_group") == []
    more = {"addresses": ["0.0.0.0/0"]}
    assert friend.call("PUT", f"address-groups/{addresses['id']}/add_addresses", more, status=403)["type"] == (
        "PolicyNotAuthorized"
    )
    friend.update("address_group", addresses["id"], status=403, name="mine")
    friend.delete("address_group", addresses["id"], status=403)
    group = friend.create("security_group")
    rule = friend.create(
        "security_group_rule", security_group_id=group["id"], direction="ingress",
        remote_address_group_id=addresses["id"],
    )  # fmt: skip
    assert demo.delete("rbac_policy", policy["id"], status=409)["type"] == "RbacPolicyInUse"
    friend.delete("security_group_rule", rule["id"])
    demo.delete("rbac_policy", policy["id"])
    friend.show("address_group", addresses["id"], status=404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"addresses": ["10.0.0.1/8"]},
        {"addresses": ["10.0.0.0/8", "10.0.0.0/8"]},
        {"addresses": ["10.0.0.0/8 } ; flush ruleset"]},
        {"addresses": ["fe80::1%eth0/128"]},
        {"addresses": "10.0.0.0/8"},
        {"addresses": [5]},
        {"name": "x" * 256},
        {"shared": True},
        {"more": 1},
    ],
)
def test_address_groups_that_cannot_be(demo: Neutron, wrong: dict[str, Any]) -> None:
    assert demo.refuse("address_group", 400, **wrong) == "HTTPBadRequest"
    group = demo.create("address_group")
    if "addresses" in wrong:
        demo.update("address_group", group["id"], status=400, addresses=["10.0.0.0/8"])
    assert demo.show("address_group", group["id"])["addresses"] == []


@pytest.mark.parametrize(
    "body", [{}, {"addresses": None}, {"addresses": ["nonsense"]}, {"addresses": [], "more": 1}, []]
)
def test_addresses_that_cannot_be_added(demo: Neutron, body: Any) -> None:
    group = demo.create("address_group")
    for verb in ("add_addresses", "remove_addresses"):
        demo.call("PUT", f"address-groups/{group['id']}/{verb}", body, status=400)
    assert demo.show("address_group", group["id"]) == group
