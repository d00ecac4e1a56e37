"""Sharing with other projects: who sees and uses what, what cannot be taken back, and who may share at all."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.api.network.projects import Member
from tests.cloud import TestCloud

SHARED, EXTERNAL = "access_as_shared", "access_as_external"


@pytest.fixture
def friend(cloud: TestCloud) -> Member:
    """Whom things are shared with."""
    return Member(cloud, "friend")


@pytest.fixture
def stranger(cloud: TestCloud) -> Member:
    """Whom nothing is shared with."""
    return Member(cloud, "stranger")


def share(by: Neutron, kind: str, what: dict[str, Any], target: str, action: str = SHARED) -> dict[str, Any]:
    return by.create("rbac_policy", object_type=kind, object_id=what["id"], action=action, target_tenant=target)


def test_a_policy_is_made_seen_changed_and_deleted(demo: Neutron, friend: Member, stranger: Member) -> None:
    network = demo.create("network")
    policy = share(demo, "network", network, friend.project_id)
    assert policy == {
        "id": policy["id"], "project_id": network["project_id"], "tenant_id": network["project_id"],
        "object_type": "network", "object_id": network["id"], "action": SHARED,
        "target_tenant": friend.project_id, "target_project": friend.project_id,
    }  # fmt: skip
    assert demo.show("rbac_policy", policy["id"]) == policy
    found = demo.call("GET", f"rbac-policies?object_type=network&target_project={friend.project_id}", status=200)
    assert found == {"rbac_policies": [policy]}
    assert friend.call("GET", "rbac-policies", status=200) == {"rbac_policies": []}
    assert friend.show("rbac_policy", policy["id"], status=404)["type"] == "RbacPolicyNotFound"
    changed = demo.update("rbac_policy", policy["id"], target_tenant=stranger.project_id)
    assert changed["target_project"] == stranger.project_id
    friend.show("network", network["id"], status=404)
    stranger.show("network", network["id"])
    demo.delete("rbac_policy", policy["id"])
    stranger.show("network", network["id"], status=404)
    assert demo.delete("rbac_policy", policy["id"], status=404)["type"] == "RbacPolicyNotFound"


def test_a_shared_network_is_used_by_the_one_it_is_shared_with_and_nobody_else(
    demo: Neutron, friend: Member, stranger: Member
) -> None:
    network, subnet = demo.network()
    assert friend.refuse("port", 404, network_id=network["id"]) == "NetworkNotFound"
    share(demo, "network", network, friend.project_id)
    assert friend.show("network", network["id"])["shared"] is True
    assert demo.show("network", network["id"])["shared"] is False
    assert network["id"] in {item["id"] for item in friend.list("network", "?shared=true")}
    assert network["id"] not in {item["id"] for item in friend.list("network", "?shared=false")}
    assert subnet["id"] in {item["id"] for item in friend.list("subnet")}
    friend.show("subnet", subnet["id"])
    port = friend.create("port", network_id=network["id"])
    assert port["project_id"] == friend.project_id
    assert demo.show("port", port["id"])["id"] == port["id"]
    friend.update("network", network["id"], status=403, name="mine")
    friend.delete("network", network["id"], status=403)
    assert friend.refuse("subnet", 403, network_id=network["id"], ip_version=4, cidr="10.99.0.0/24") == (
        "PolicyNotAuthorized"
    )
    for path in (f"networks/{network['id']}", f"subnets/{subnet['id']}"):
        stranger.call("GET", path, status=404)
    assert network["id"] not in {item["id"] for item in stranger.list("network")}
    assert subnet["id"] not in {item["id"] for item in stranger.list("subnet")}
    assert stranger.refuse("port", 404, network_id=network["id"]) == "NetworkNotFound"


def test_what_is_used_stays_shared(demo: Neutron, friend: Member, stranger: Member, admin: Neutron) -> None:
    network, _ = demo.network()
    policy = share(demo, "network", network, friend.project_id)
    port = friend.create("port", network_id=network["id"])
    assert demo.delete("rbac_policy", policy["id"], status=409)["type"] == "RbacPolicyInUse"
    changed = demo.update("rbac_policy", policy["id"], status=409, target_tenant=stranger.project_id)
    assert changed["type"] == "RbacPolicyInUse"
    everyone = share(admin, "network", network, "*")
    demo.delete("rbac_policy", policy["id"])
    assert admin.delete("rbac_policy", everyone["id"], status=409)["type"] == "RbacPolicyInUse"
    assert admin.update("network", network["id"], status=409, shared=False)["type"] == "InvalidSharedSetting"
    again = share(demo, "network", network, friend.project_id)
    assert admin.update("network", network["id"], shared=False)["shared"] is False
    assert stranger.call("GET", f"networks/{network['id']}", status=404)["type"] == "NetworkNotFound"
    friend.delete("port", port["id"])
    demo.delete("rbac_policy", again["id"])


def test_shared_true_is_a_policy_for_all(demo: Neutron, admin: Neutron, stranger: Member) -> None:
    network = admin.create("network", shared=True)
    (policy,) = admin.list("rbac_policy", f"?object_id={network['id']}")
    assert (policy["target_tenant"], policy["action"]) == ("*", SHARED)
    assert stranger.show("network", network["id"])["shared"] is True
    admin.delete("rbac_policy", policy["id"])
    assert admin.show("network", network["id"])["shared"] is False
    stranger.show("network", network["id"], status=404)
    assert admin.update("network", network["id"], shared=True)["shared"] is True
    stranger.show("network", network["id"])
    admin.update("network", network["id"], shared=False)
    assert admin.list("rbac_policy", f"?object_id={network['id']}") == []
    demo.show("network", network["id"], status=404)


def test_an_external_network_for_one_project(
    cloud: TestCloud, admin: Neutron, friend: Member, stranger: Member
) -> None:
    network = admin.create("network")
    admin.create("subnet", network_id=network["id"], cidr="198.18.7.0/24", ip_version=4)
    policy = share(admin, "network", network, friend.project_id, EXTERNAL)
    cloud.settle()
    assert cloud.network.networks[network["id"]].external
    assert friend.show("network", network["id"])["router:external"] is True
    assert friend.show("network", network["id"])["shared"] is False
    stranger.show("network", network["id"], status=404)
    assert friend.refuse("port", 403, network_id=network["id"]) == "PolicyNotAuthorized"
    router = friend.create("router", external_gateway_info={"network_id": network["id"]})
    gateway = {"external_gateway_info": {"network_id": network["id"]}}
    assert stranger.refuse("router", 404, **gateway) == "NetworkNotFound"
    assert admin.delete("rbac_policy", policy["id"], status=409)["type"] == "RbacPolicyInUse"
    friend.delete("router", router["id"])
    floating = friend.create("floatingip", floating_network_id=network["id"])
    assert admin.delete("rbac_policy", policy["id"], status=409)["type"] == "RbacPolicyInUse"
    friend.delete("floatingip", floating["id"])
    admin.delete("rbac_policy", policy["id"])
    assert admin.show("network", network["id"])["router:external"] is False
    cloud.settle()
    assert not cloud.network.networks[network["id"]].external


def test_the_default_external_network_is_everyones(admin: Neutron) -> None:
    network = admin.find("network", "public")
    (policy,) = admin.list("rbac_policy", f"?object_id={network['id']}&action={EXTERNAL}")
    assert admin.delete("rbac_policy", policy["id"], status=409)["type"] == "RbacPolicyInUse"


def test_a_shared_security_group_is_put_into_ports_and_only_shown(
    demo: Neutron, friend: Member, stranger: Member
) -> None:
    group = demo.create("security_group", name="web")
    network, _ = friend.network()
    values = {"network_id": network["id"], "security_groups": [group["id"]]}
    assert friend.refuse("port", 404, **values) == "SecurityGroupNotFound"
    policy = share(demo, "security_group", group, friend.project_id)
    assert friend.show("security_group", group["id"])["shared"] is True
    assert demo.show("security_group", group["id"])["shared"] is False
    assert [item["id"] for item in friend.list("security_group", "?shared=true")] == [group["id"]]
    assert group["id"] not in {item["id"] for item in friend.list("security_group", "?shared=false")}
    port = friend.create("port", **values)
    assert demo.delete("rbac_policy", policy["id"], status=409)["type"] == "RbacPolicyInUse"
    friend.update("security_group", group["id"], status=403, name="mine")
    friend.delete("security_group", group["id"], status=403)
    rule = {"security_group_id": group["id"], "direction": "ingress"}
    assert friend.refuse("security_group_rule", 403, **rule) == "PolicyNotAuthorized"
    rule_id = group["security_group_rules"][0]["id"]
    friend.delete("security_group_rule", rule_id, status=404)
    stranger.show("security_group", group["id"], status=404)
    friend.update("port", port["id"], security_groups=[])
    demo.delete("rbac_policy", policy["id"])
    assert friend.update("port", port["id"], status=404, security_groups=[group["id"]])["type"] == (
        "SecurityGroupNotFound"
    )


def test_only_owners_and_administrators_share(demo: Neutron, admin: Neutron, friend: Member, stranger: Member) -> None:
    network = demo.create("network")
    values = {"object_type": "network", "object_id": network["id"], "action": SHARED}
    assert stranger.refuse("rbac_policy", 404, **values, target_tenant=stranger.project_id) == "NetworkNotFound"
    share(demo, "network", network, friend.project_id)
    assert friend.refuse("rbac_policy", 400, **values, target_tenant=stranger.project_id) == "InvalidInput"
    assert demo.refuse("rbac_policy", 403, **values, target_tenant="*") == "PolicyNotAuthorized"
    assert demo.refuse("rbac_policy", 403, **values, target_project="*") == "PolicyNotAuthorized"
    assert demo.refuse("rbac_policy", 409, **values, target_project=friend.project_id) == "DuplicateRbacPolicy"
    policy = share(demo, "network", network, stranger.project_id)
    assert demo.update("rbac_policy", policy["id"], status=403, target_tenant="*")["type"] == "PolicyNotAuthorized"
    assert demo.update("rbac_policy", policy["id"], status=409, target_tenant=friend.project_id)["type"] == (
        "DuplicateRbacPolicy"
    )
    admin.update("rbac_policy", policy["id"], target_tenant="*")
    assert friend.refuse(
        "rbac_policy", 403, **values, target_tenant=friend.project_id, project_id=network["project_id"]
    ) == ("PolicyNotAuthorized")


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"object_type": "router"}, "InvalidInput"),
        ({"object_type": 5}, "HTTPBadRequest"),
        ({"action": "access_as_owner"}, "InvalidActionForType"),
        ({"target_tenant": "nobody"}, "InvalidInput"),
        ({"target_tenant": "'; DROP TABLE networks"}, "InvalidInput"),
        ({"target_tenant": "x" * 300}, "HTTPBadRequest"),
        ({"target_tenant": None}, "HTTPBadRequest"),
        ({"target_project": "*"}, "HTTPBadRequest"),
        ({"more": 1}, "HTTPBadRequest"),
    ],
)
def test_policies_that_cannot_be(demo: Neutron, wrong: dict[str, Any], kind: str) -> None:
    network = demo.create("network")
    right = {"object_type": "network", "object_id": network["id"], "action": SHARED, "target_tenant": uuid.uuid4().hex}
    assert demo.refuse("rbac_policy", 400, **(right | wrong)) == kind
    for missing in right:
        assert demo.refuse("rbac_policy", 400, **{k: v for k, v in right.items() if k != missing}) == "HTTPBadRequest"
    assert demo.list("rbac_policy") == []


@pytest.mark.parametrize(
    ("kind", "fault"),
    [("network", "NetworkNotFound"), ("security_group", "SecurityGroupNotFound"), ("qos_policy", "QosPolicyNotFound"),
     ("address_group", "AddressGroupNotFound"), ("address_scope", "AddressScopeNotFound"),
     ("subnetpool", "SubnetPoolNotFound")],
)  # fmt: skip
def test_what_is_not_there_cannot_be_shared(demo: Neutron, kind: str, fault: str) -> None:
    values = {"object_type": kind, "action": SHARED, "target_tenant": uuid.uuid4().hex}
    assert demo.refuse("rbac_policy", 404, object_id=str(uuid.uuid4()), **values) == fault


def test_quota_and_what_is_deleted_gives_it_back(demo: Neutron, admin: Neutron) -> None:
    network = demo.create("network")
    project = network["project_id"]
    admin.call("PUT", f"quotas/{project}", {"quota": {"rbac_policy": 2}}, status=200)
    share(demo, "network", network, uuid.uuid4().hex)
    share(demo, "network", network, uuid.uuid4().hex)
    values = {"object_type": "network", "object_id": network["id"], "action": SHARED}
    assert demo.refuse("rbac_policy", 409, **values, target_tenant=uuid.uuid4().hex) == "OverQuota"
    demo.delete("network", network["id"])
    assert demo.list("rbac_policy") == []
    details = admin.call("GET", f"quotas/{project}/details.json", status=200)["quota"]["rbac_policy"]
    assert details == {"limit": 2, "used": 0, "reserved": 0}


def test_several_policies_in_one_call_are_all_made_or_none(demo: Neutron, friend: Member, stranger: Member) -> None:
    network = demo.create("network")
    one = {"object_type": "network", "object_id": network["id"], "action": SHARED, "target_tenant": friend.project_id}
    demo.call("POST", "rbac-policies", {"rbac_policies": [one, one]}, status=409)
    friend.show("network", network["id"], status=404)
    both = [one, one | {"target_tenant": stranger.project_id}]
    demo.call("POST", "rbac-policies", {"rbac_policies": both}, status=201)
    friend.show("network", network["id"])
    stranger.show("network", network["id"])
