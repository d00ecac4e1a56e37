"""Security groups and their rules."""

from __future__ import annotations

from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud


def test_the_default_group_lets_out_and_its_own_members_in(demo: Neutron) -> None:
    (group,) = demo.list("security_group", "?name=default")
    rules = {(rule["direction"], rule["ethertype"], rule["remote_group_id"]) for rule in group["security_group_rules"]}
    assert rules == {
        ("egress", "IPv4", None), ("egress", "IPv6", None),
        ("ingress", "IPv4", group["id"]), ("ingress", "IPv6", group["id"]),
    }  # fmt: skip
    assert demo.delete("security_group", group["id"], status=409)["type"] == "SecurityGroupCannotRemoveDefault"
    assert demo.update("security_group", group["id"], status=409, name="x")["type"] == (
        "SecurityGroupCannotUpdateDefault"
    )
    assert demo.refuse("security_group", 409, name="default") == "SecurityGroupDefaultAlreadyExists"


def test_create_show_update_delete(cloud: TestCloud, demo: Neutron) -> None:
    group = demo.create("security_group", name="web", description="d")
    assert [rule["direction"] for rule in group["security_group_rules"]] == ["egress", "egress"]
    assert group["stateful"]
    assert demo.show("security_group", group["id"]) == group
    changed = demo.update("security_group", group["id"], name="new", description="")
    assert (changed["name"], changed["description"]) == ("new", "")
    cloud.settle()
    assert len(cloud.network.security_groups[group["id"]].rules) == 2
    demo.delete("security_group", group["id"])
    cloud.settle()
    assert group["id"] not in cloud.network.security_groups
    assert demo.show("security_group", group["id"], status=404)["type"] == "SecurityGroupNotFound"


def test_rules(cloud: TestCloud, demo: Neutron) -> None:
    group = demo.create("security_group", name="web")
    values = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp",
              "port_range_min": 80, "port_range_max": 80}  # fmt: skip
    rule = demo.create("security_group_rule", **values)
    assert (rule["ethertype"], rule["remote_ip_prefix"], rule["project_id"]) == ("IPv4", None, group["project_id"])
    assert demo.show("security_group_rule", rule["id"]) == rule
    assert demo.refuse("security_group_rule", 409, **values) == "SecurityGroupRuleExists"
    demo.create("security_group_rule", **values, remote_ip_prefix="10.0.0.0/8")
    assert len(demo.show("security_group", group["id"])["security_group_rules"]) == 4
    assert [r["id"] for r in demo.list("security_group_rule", "?protocol=tcp&remote_ip_prefix=10.0.0.0/8")] != []
    assert demo.list("security_group_rule", f"?security_group_id={group['id']}&port_range_min=81") == []
    cloud.settle()
    assert {r.port_min for r in cloud.network.security_groups[group["id"]].rules} == {None, 80}
    demo.delete("security_group_rule", rule["id"])
    assert demo.show("security_group_rule", rule["id"], status=404)["type"] == "SecurityGroupRuleNotFound"


def test_rules_in_bulk_are_all_or_none_of_one_group(demo: Neutron) -> None:
    group = demo.create("security_group")
    rule = {"security_group_id": group["id"], "direction": "ingress", "protocol": "udp"}
    fault = demo.call("POST", "security-group-rules", {"security_group_rules": [rule, rule]}, status=409)
    assert fault["type"] == "DuplicateSecurityGroupRuleInPost"
    elsewhere = rule | {"security_group_id": demo.create("security_group")["id"]}
    fault = demo.call("POST", "security-group-rules", {"security_group_rules": [rule, elsewhere]}, status=400)
    assert fault["type"] == "SecurityGroupNotSingleGroupRules"
    owned = [rule, rule | {"protocol": "tcp", "project_id": "a" * 32}]
    fault = demo.call("POST", "security-group-rules", {"security_group_rules": owned}, status=400)
    assert fault["type"] == "SecurityGroupRulesNotSingleProject"
    assert len(demo.show("security_group", group["id"])["security_group_rules"]) == 2
    ranged = rule | {"port_range_min": 53, "port_range_max": 53}
    demo.call("POST", "security-group-rules", {"security_group_rules": [rule, ranged]}, status=201)
    assert len(demo.show("security_group", group["id"])["security_group_rules"]) == 4


def test_groups_and_rules_of_others(demo: Neutron, admin: Neutron) -> None:
    theirs = admin.create("security_group", name="theirs")
    demo.show("security_group", theirs["id"], status=404)
    rule = {"direction": "ingress", "protocol": "tcp"}
    assert demo.refuse("security_group_rule", 404, security_group_id=theirs["id"], **rule) == "SecurityGroupNotFound"
    mine = demo.create("security_group")
    naming = {"security_group_id": mine["id"], "remote_group_id": theirs["id"]}
    assert demo.refuse("security_group_rule", 404, **naming, **rule) == "SecurityGroupNotFound"
    demo.show("security_group_rule", theirs["security_group_rules"][0]["id"], status=404)
    network, _ = demo.network()
    assert demo.refuse("port", 404, network_id=network["id"], security_groups=[theirs["id"]]) == (
        "SecurityGroupNotFound"
    )


def test_a_group_in_use_stays_and_takes_rules_that_name_it_along(demo: Neutron) -> None:
    network, _ = demo.network()
    group, other = demo.create("security_group"), demo.create("security_group")
    demo.create("security_group_rule", security_group_id=other["id"], direction="ingress", remote_group_id=group["id"])
    port = demo.create("port", network_id=network["id"], security_groups=[group["id"]])
    assert demo.delete("security_group", group["id"], status=409)["type"] == "SecurityGroupInUse"
    demo.update("port", port["id"], security_groups=[])
    demo.delete("security_group", group["id"])
    assert len(demo.show("security_group", other["id"])["security_group_rules"]) == 2


def test_quota_of_rules(demo: Neutron, admin: Neutron) -> None:
    group = demo.create("security_group")
    project = group["project_id"]
    used = admin.call("GET", f"quotas/{project}/details.json", status=200)["quota"]["security_group_rule"]["used"]
    admin.call("PUT", f"quotas/{project}", {"quota": {"security_group_rule": used}}, status=200)
    rule = {"security_group_id": group["id"], "direction": "ingress"}
    assert demo.refuse("security_group_rule", 409, **rule) == "OverQuota"
    demo.delete("security_group_rule", group["security_group_rules"][0]["id"])
    demo.create("security_group_rule", **rule)


def test_a_stateless_group(cloud: TestCloud, demo: Neutron) -> None:
    network, _ = demo.network()
    group = demo.create("security_group", stateful=False)
    assert group["stateful"] is False
    cloud.settle()
    assert not cloud.network.security_groups[group["id"]].stateful
    assert [item["id"] for item in demo.list("security_group", "?stateful=false")] == [group["id"]]
    assert demo.update("security_group", group["id"], stateful=True)["stateful"] is True
    cloud.settle()
    assert cloud.network.security_groups[group["id"]].stateful
    demo.update("security_group", group["id"], stateful=False)
    port = demo.create("port", network_id=network["id"], security_groups=[group["id"]])
    assert demo.update("security_group", group["id"], status=409, stateful=True)["type"] == "SecurityGroupInUse"
    demo.update("security_group", group["id"], stateful=False, name="the same")
    tracking = demo.create("security_group")
    both = [group["id"], tracking["id"]]
    assert demo.refuse("port", 409, network_id=network["id"], security_groups=both) == "SecurityGroupConflict"
    assert demo.update("port", port["id"], status=409, security_groups=both)["type"] == "SecurityGroupConflict"
    demo.update("port", port["id"], security_groups=[tracking["id"]])
    assert demo.update("security_group", group["id"], status=400, stateful="perhaps")["type"] == "HTTPBadRequest"


def test_rules_of_the_default_group_say_so(demo: Neutron) -> None:
    (default,) = demo.list("security_group", "?name=default")
    custom = demo.create("security_group")
    found = demo.list("security_group_rule", "?belongs_to_default_sg=true")
    assert {rule["id"] for rule in found} == {rule["id"] for rule in default["security_group_rules"]}
    assert all(rule["belongs_to_default_sg"] for rule in default["security_group_rules"])
    others = demo.list("security_group_rule", f"?belongs_to_default_sg=False&security_group_id={custom['id']}")
    assert [rule["belongs_to_default_sg"] for rule in others] == [False, False]


def test_names_that_groups_cannot_have(demo: Neutron) -> None:
    assert demo.refuse("security_group", 409, name="Default") == "SecurityGroupDefaultAlreadyExists"
    group = demo.create("security_group", name="web")
    changed = demo.update("security_group", group["id"], status=409, name="DEFAULT")
    assert changed["type"] == "SecurityGroupDefaultAlreadyExists"
    assert demo.refuse("security_group", 400, name="x" * 256) == "HTTPBadRequest"
    assert demo.refuse("security_group", 400, name=5) == "HTTPBadRequest"
    assert demo.refuse("security_group", 400, shared=True) == "HTTPBadRequest"


def test_a_revision_that_has_passed_changes_nothing(demo: Neutron) -> None:
    group = demo.create("security_group", name="web")
    rule = demo.create("security_group_rule", security_group_id=group["id"], direction="ingress")
    stale = {"If-Match": f"revision_number={group['revision_number']}"}
    path = f"security-groups/{group['id']}"
    fault = demo.call("PUT", path, {"security_group": {"name": "n"}}, status=412, **stale)
    assert fault["type"] == "RevisionNumberConstraintFailed"
    demo.call("DELETE", f"security-group-rules/{rule['id']}", status=412, **{"If-Match": "revision_number=9"})
    assert demo.show("security_group", group["id"])["name"] == "web"
