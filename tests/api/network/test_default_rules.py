"""Default security group rules: what every new group begins with, and who may say so."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.api.network.projects import Member
from tests.cloud import TestCloud

NOUN = "default_security_group_rule"


def shape(rule: dict[str, Any]) -> tuple[Any, ...]:
    return rule["direction"], rule["ethertype"], rule["protocol"], rule["port_range_min"], rule["remote_group_id"]


def test_a_new_cloud_has_four(demo: Neutron) -> None:
    found = {(*shape(item), item["used_in_default_sg"], item["used_in_non_default_sg"]) for item in demo.list(NOUN)}
    assert found == {
        ("egress", "IPv4", None, None, None, True, True),
        ("egress", "IPv6", None, None, None, True, True),
        ("ingress", "IPv4", None, None, "PARENT", True, False),
        ("ingress", "IPv6", None, None, "PARENT", True, False),
    }


def test_new_groups_begin_with_them_and_old_ones_stay(cloud: TestCloud, admin: Neutron, demo: Neutron) -> None:
    before = demo.create("security_group")
    values = {"direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
    made = admin.create(NOUN, **values, description="ssh", used_in_default_sg=False, used_in_non_default_sg=True)
    assert admin.show(NOUN, made["id"]) == made
    custom = demo.create("security_group")
    assert ("ingress", "IPv4", "tcp", 22, None) in map(shape, custom["security_group_rules"])
    assert demo.show("security_group", before["id"]) == before
    newcomer = Member(cloud, "newcomer")
    (default,) = newcomer.list("security_group")
    assert len(default["security_group_rules"]) == 4
    parents = {rule["remote_group_id"] for rule in default["security_group_rules"]}
    assert parents == {None, default["id"]}
    for item in admin.list(NOUN):
        admin.delete(NOUN, item["id"])
    assert demo.create("security_group")["security_group_rules"] == []
    admin.create(NOUN, direction="egress", used_in_default_sg=True, used_in_non_default_sg=True)
    (rule,) = demo.create("security_group")["security_group_rules"]
    assert shape(rule) == ("egress", "IPv4", None, None, None)
    assert len(admin.list(NOUN)) == 1
    (late,) = Member(cloud, "latecomer").list("security_group")
    assert len(late["security_group_rules"]) == 1


def test_only_administrators_change_them(admin: Neutron, demo: Neutron) -> None:
    values = {"direction": "ingress", "used_in_default_sg": True, "used_in_non_default_sg": True}
    assert demo.refuse(NOUN, 403, **values) == "PolicyNotAuthorized"
    (first, *_) = demo.list(NOUN)
    demo.delete(NOUN, first["id"], status=403)
    admin.delete(NOUN, first["id"])
    assert admin.delete(NOUN, first["id"], status=404)["type"] == "DefaultSecurityGroupRuleNotFound"
    assert admin.show(NOUN, first["id"], status=404)["type"] == "DefaultSecurityGroupRuleNotFound"


@pytest.mark.parametrize(
    ("wrong", "status", "kind"),
    [
        ({"used_in_default_sg": "perhaps"}, 400, "HTTPBadRequest"),
        ({"remote_group_id": "nothing"}, 400, "HTTPBadRequest"),
        ({"protocol": "tcp", "port_range_min": 5}, 400, "SecurityGroupInvalidPortRange"),
        ({"remote_ip_prefix": "fd00::/8"}, 400, "SecurityGroupRuleParameterConflict"),
        ({"direction": "sideways"}, 400, "HTTPBadRequest"),
        ({"remote_ip_prefix": "0.0.0.0/0"}, 409, "DefaultSecurityGroupRuleExists"),
        ({"security_group_id": "x"}, 400, "HTTPBadRequest"),
    ],
)
def test_templates_that_cannot_be(admin: Neutron, wrong: dict[str, Any], status: int, kind: str) -> None:
    right = {"direction": "egress", "used_in_default_sg": True, "used_in_non_default_sg": False}
    before = admin.list(NOUN)
    assert admin.refuse(NOUN, status, **(right | wrong)) == kind
    for missing in right:
        assert admin.refuse(NOUN, 400, **{k: v for k, v in right.items() if k != missing}) == "HTTPBadRequest"
    assert admin.list(NOUN) == before


def test_filters_and_sorting(admin: Neutron) -> None:
    assert len(admin.list(NOUN, "?direction=ingress")) == 2
    assert len(admin.list(NOUN, "?used_in_non_default_sg=true&ethertype=IPv6")) == 1
    first, *_ = admin.list(NOUN, "?sort_key=direction&sort_dir=desc")
    assert first["direction"] == "ingress"
