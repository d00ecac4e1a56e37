"""Policies of quality of service, their rules, and who may use them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud

from stackyard.core.db import Transaction
from stackyard.host.specs import BandwidthLimit, PacketRateLimit, Qos
from stackyard.services.network import api
from stackyard.services.network.qos.api import qos

MISSING = "00000000-0000-0000-0000-000000000000"
RULES: dict[str, dict[str, Any]] = {
    "bandwidth_limit": {"max_kbps": 3000, "max_burst_kbps": 0, "direction": "egress"},
    "dscp_marking": {"dscp_mark": 26},
    "minimum_bandwidth": {"min_kbps": 40, "direction": "egress"},
    "minimum_packet_rate": {"min_kpps": 2, "direction": "any"},
    "packet_rate_limit": {"max_kpps": 5, "max_burst_kpps": 0, "direction": "ingress"},
}


def new_policy(user: Neutron, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = user.call("POST", "qos/policies", {"policy": fields}, status=201)["policy"]
    return found


def shown(user: Neutron, policy_id: str) -> dict[str, Any]:
    found: dict[str, Any] = user.call("GET", f"qos/policies/{policy_id}", status=200)["policy"]
    return found


def add(user: Neutron, policy_id: str, kind: str, status: int = 201, **fields: Any) -> dict[str, Any]:
    path = f"qos/policies/{policy_id}/{kind}_rules"
    found = user.call("POST", path, {f"{kind}_rule": fields}, status=status)
    return dict(found if status >= 400 else found[f"{kind}_rule"])


def test_a_policy_is_made_shown_changed_and_deleted(admin: Neutron) -> None:
    policy = new_policy(admin, name="gold", description="the best")
    assert policy["rules"] == []
    assert (policy["name"], policy["shared"], policy["is_default"]) == ("gold", False, False)
    assert policy["project_id"] == policy["tenant_id"]
    path = f"qos/policies/{policy['id']}"
    changed = admin.call("PUT", path, {"policy": {"name": "silver", "description": None}}, status=200)["policy"]
    assert (changed["name"], changed["description"]) == ("silver", "")
    assert changed["revision_number"] > policy["revision_number"]
    admin.call("PUT", path, {"policy": {"name": "x"}}, status=412, **{"If-Match": "revision_number=1"})
    listed = admin.call("GET", "qos/policies?name=silver&fields=id", status=200)["policies"]
    assert listed == [{"id": policy["id"]}]
    admin.call("PUT", f"{path}/tags/fast", status=201)
    admin.call("GET", f"policies/{policy['id']}/tags/fast", status=204)
    assert [item["id"] for item in admin.call("GET", "qos/policies?tags=fast", status=200)["policies"]] == [
        policy["id"]
    ]
    admin.call("DELETE", path, status=204)
    assert admin.call("GET", path, status=404)["type"] == "QosPolicyNotFound"


def test_rules_of_every_type(admin: Neutron) -> None:
    policy = new_policy(admin, name="all")
    for kind, fields in RULES.items():
        rule = add(admin, policy["id"], kind, **fields)
        path = f"qos/policies/{policy['id']}/{kind}_rules"
        assert rule == {"id": rule["id"], **fields}
        assert admin.call("GET", f"{path}/{rule['id']}", status=200) == {f"{kind}_rule": rule}
        assert admin.call("GET", path, status=200) == {f"{kind}_rules": [rule]}
        inline = [item for item in shown(admin, policy["id"])["rules"] if item["type"] == kind]
        assert inline == [{**rule, "type": kind, "qos_policy_id": policy["id"]}]
    for kind, fields in RULES.items():
        path = f"qos/policies/{policy['id']}/{kind}_rules"
        (rule,) = admin.call("GET", path, status=200)[f"{kind}_rules"]
        field = next(iter(fields))
        changed = admin.call("PUT", f"{path}/{rule['id']}", {f"{kind}_rule": {field: "48"}}, status=200)
        assert changed == {f"{kind}_rule": {**rule, field: 48}}
        admin.call("DELETE", f"{path}/{rule['id']}", status=204)
        assert admin.call("GET", f"{path}/{rule['id']}", status=404)["type"] == "QosRuleNotFound"
    assert shown(admin, policy["id"])["rules"] == []


def test_defaults_of_rules(admin: Neutron) -> None:
    policy = new_policy(admin)
    rule = add(admin, policy["id"], "bandwidth_limit", max_kbps=10)
    assert (rule["max_burst_kbps"], rule["direction"]) == (0, "egress")
    assert add(admin, policy["id"], "minimum_packet_rate", min_kpps=1)["direction"] == "egress"


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("bandwidth_limit", {}),
        ("bandwidth_limit", {"max_kbps": -1}),
        ("bandwidth_limit", {"max_kbps": 2**31}),
        ("bandwidth_limit", {"max_kbps": True}),
        ("bandwidth_limit", {"max_kbps": "fast"}),
        ("bandwidth_limit", {"max_kbps": None}),
        ("bandwidth_limit", {"max_kbps": [1]}),
        ("bandwidth_limit", {"max_kbps": 1, "direction": "any"}),
        ("bandwidth_limit", {"max_kbps": 1, "direction": "../../x"}),
        ("bandwidth_limit", {"max_kbps": 1, "dscp_mark": 8}),
        ("dscp_marking", {"dscp_mark": 9}),
        ("dscp_marking", {"dscp_mark": 64}),
        ("minimum_bandwidth", {"min_kbps": 1.5}),
        ("minimum_packet_rate", {"min_kpps": 1, "direction": "sideways"}),
        ("packet_rate_limit", {"max_kpps": 1, "max_burst_kpps": -1}),
    ],
)
def test_bad_rules_are_refused_and_leave_nothing(admin: Neutron, kind: str, fields: dict[str, Any]) -> None:
    policy = new_policy(admin)
    add(admin, policy["id"], kind, status=400, **fields)
    assert shown(admin, policy["id"]) == policy


def test_rules_that_cannot_stand_together(admin: Neutron) -> None:
    policy = new_policy(admin)["id"]
    limit = add(admin, policy, "bandwidth_limit", max_kbps=100)
    assert add(admin, policy, "bandwidth_limit", status=409, max_kbps=200)["type"] == "QoSRulesConflict"
    other = add(admin, policy, "bandwidth_limit", max_kbps=100, direction="ingress")
    assert add(admin, policy, "minimum_bandwidth", status=409, min_kbps=101)["type"] == "QoSRuleParameterConflict"
    add(admin, policy, "minimum_bandwidth", min_kbps=100)
    path = f"qos/policies/{policy}/bandwidth_limit_rules"
    body = {"bandwidth_limit_rule": {"max_kbps": 99}}
    assert admin.call("PUT", f"{path}/{limit['id']}", body, status=409)["type"] == "QoSRuleParameterConflict"
    body = {"bandwidth_limit_rule": {"direction": "egress"}}
    assert admin.call("PUT", f"{path}/{other['id']}", body, status=409)["type"] == "QoSRulesConflict"
    add(admin, policy, "minimum_packet_rate", min_kpps=1)
    fault = add(admin, policy, "minimum_packet_rate", status=409, min_kpps=1, direction="any")
    assert fault["type"] == "QoSRuleParameterConflict"
    add(admin, policy, "dscp_marking", dscp_mark=8)
    assert add(admin, policy, "dscp_marking", status=409, dscp_mark=10)["type"] == "QoSRulesConflict"


def test_rules_by_their_ids_alone(admin: Neutron) -> None:
    policy = new_policy(admin)["id"]
    for kind in ("bandwidth_limit", "dscp_marking", "minimum_bandwidth", "minimum_packet_rate"):
        rule = add(admin, policy, kind, **RULES[kind])
        path, name = f"qos/alias_{kind}_rules/{rule['id']}", f"alias_{kind}_rule"
        assert admin.call("GET", path, status=200) == {name: rule}
        field = next(iter(RULES[kind]))
        assert admin.call("PUT", path, {name: {field: 40}}, status=200) == {name: {**rule, field: 40}}
        dashed = path.replace(f"alias_{kind}_rules", f"alias-{kind}-rules".replace("_", "-"))
        admin.call("DELETE", dashed, status=204)
        assert admin.call("GET", path, status=404)["type"] == "QosRuleNotFound"
    rule = add(admin, policy, "dscp_marking", dscp_mark=8)
    admin.call("GET", f"qos/alias_bandwidth_limit_rules/{rule['id']}", status=404)
    admin.call("GET", f"qos/policies/{policy}/bandwidth_limit_rules/{rule['id']}", status=404)
    admin.call("GET", f"qos/policies/{new_policy(admin)['id']}/dscp_marking_rules/{rule['id']}", status=404)


def test_what_tenants_see_and_may_do(admin: Neutron, demo: Neutron) -> None:
    hidden, shared = new_policy(admin, name="hidden"), new_policy(admin, name="open", shared=True)
    rule = add(admin, shared["id"], "bandwidth_limit", max_kbps=10)
    assert demo.call("GET", f"qos/policies/{hidden['id']}", status=404)["type"] == "QosPolicyNotFound"
    seen = shown(demo, shared["id"])
    assert seen["shared"] is True
    assert [item["id"] for item in seen["rules"]] == [rule["id"]]
    assert [item["id"] for item in demo.call("GET", "qos/policies", status=200)["policies"]] == [shared["id"]]
    assert demo.call("GET", "qos/policies?shared=false", status=200)["policies"] == []
    demo.call("POST", "qos/policies", {"policy": {}}, status=403)
    demo.call("PUT", f"qos/policies/{shared['id']}", {"policy": {"name": "mine"}}, status=403)
    demo.call("DELETE", f"qos/policies/{shared['id']}", status=403)
    add(demo, shared["id"], "dscp_marking", status=403, dscp_mark=8)
    add(demo, hidden["id"], "dscp_marking", status=404, dscp_mark=8)
    path = f"qos/policies/{shared['id']}/bandwidth_limit_rules/{rule['id']}"
    demo.call("GET", path, status=403)
    demo.call("PUT", path, {"bandwidth_limit_rule": {"max_kbps": 1}}, status=403)
    demo.call("DELETE", path, status=403)
    demo.call("DELETE", f"qos/alias_bandwidth_limit_rules/{rule['id']}", status=403)
    demo.call("PUT", f"qos/policies/{shared['id']}/tags/mine", status=403)


def test_a_project_has_one_default_policy(admin: Neutron) -> None:
    first = new_policy(admin, is_default=True)
    fault = admin.call("POST", "qos/policies", {"policy": {"is_default": True}}, status=409)
    assert fault["type"] == "QoSPolicyDefaultAlreadyExists"
    second = new_policy(admin)
    path = f"qos/policies/{second['id']}"
    assert admin.call("PUT", path, {"policy": {"is_default": True}}, status=409)["type"] == fault["type"]
    admin.call("PUT", f"qos/policies/{first['id']}", {"policy": {"is_default": False}}, status=200)
    assert admin.call("PUT", path, {"policy": {"is_default": True}}, status=200)["policy"]["is_default"]
    assert [item["id"] for item in admin.call("GET", "qos/policies?is_default=true", status=200)["policies"]] == [
        second["id"]
    ]


def test_rule_types(admin: Neutron, demo: Neutron) -> None:
    found = demo.call("GET", "qos/rule-types?all_supported=True", status=200)["rule_types"]
    assert sorted(item["type"] for item in found) == sorted(RULES)
    details = admin.call("GET", "qos/rule-types/bandwidth_limit", status=200)["rule_type"]
    (driver,) = details["drivers"]
    assert {item["parameter_name"]: item["parameter_type"] for item in driver["supported_parameters"]} == {
        "max_kbps": "range", "max_burst_kbps": "range", "direction": "choices",
    }  # fmt: skip
    demo.call("GET", "qos/rule-types/bandwidth_limit", status=403)
    admin.call("GET", "qos/rule-types/free_beer", status=404)


def test_bulk_and_bad_policies(admin: Neutron) -> None:
    made = admin.call("POST", "qos/policies", {"policies": [{"name": "a"}, {"name": "b"}]}, status=201)["policies"]
    assert [item["name"] for item in made] == ["a", "b"]
    for body in ({"name": 5}, {"name": "x" * 256}, {"shared": "perhaps"}, {"rules": []}, {"is_default": {}}):
        admin.call("POST", "qos/policies", {"policy": body}, status=400)
    admin.call("GET", f"qos/policies/{MISSING}", status=404)
    add(admin, MISSING, "dscp_marking", status=404, dscp_mark=8)


def test_rules_as_hosts_get_them() -> None:
    rules = [{"type": kind, "id": "1", **fields} for kind, fields in RULES.items()]
    assert qos(rules) == Qos(
        bandwidth=(BandwidthLimit(direction="egress", max_kbps=3000),),
        packet_rate=(PacketRateLimit(direction="ingress", max_kpps=5),),
        dscp=26,
        minimum_kbps=40,
    )
    assert qos([]) is None
    assert qos([{"type": "bandwidth_limit", "max_kbps": 0, "max_burst_kbps": 0, "direction": "egress"}]) is None


def wired(cloud: TestCloud, network_id: str) -> str:
    """A port of the demo project that is bound here."""
    asker = cloud.database.read("caller", cloud.runtime.authenticate, cloud.token("demo"))
    request = api.PortRequest(network_id=network_id, device_id="c1", device_owner="compute:zun")

    def make(tx: Transaction) -> str:
        row = api.create_port(tx, cloud.runtime, asker, request)
        api.bind_port(tx, row.id, netns=f"/run/netns/{row.id}", device="eth0", host="testhost")
        return str(row.id)

    port_id = cloud.database.write("bind", make)
    api.wire_now(cloud.runtime, [port_id])
    return port_id


def limits(cloud: TestCloud, port_id: str) -> list[int]:
    cloud.settle()
    found = cloud.network.ports[port_id].qos
    return [item.max_kbps for item in found.bandwidth] if found else []


def test_a_policy_reaches_the_ports_of_its_network(cloud: TestCloud, admin: Neutron, demo: Neutron) -> None:
    policy = new_policy(admin, shared=True)["id"]
    rule = add(admin, policy, "bandwidth_limit", max_kbps=1000)
    network = demo.find("network", "private")["id"]
    port_id = wired(cloud, network)
    assert limits(cloud, port_id) == []
    assert demo.update("network", network, qos_policy_id=policy)["qos_policy_id"] == policy
    assert limits(cloud, port_id) == [1000]
    assert admin.call("DELETE", f"qos/policies/{policy}", status=409)["type"] == "QosPolicyInUse"
    path = f"qos/policies/{policy}"
    assert admin.call("PUT", path, {"policy": {"shared": False}}, status=409)["type"] == "RbacPolicyInUse"
    one = f"{path}/bandwidth_limit_rules/{rule['id']}"
    admin.call("PUT", one, {"bandwidth_limit_rule": {"max_kbps": 2000}}, status=200)
    assert limits(cloud, port_id) == [2000]
    own = new_policy(admin, shared=True)["id"]
    add(admin, own, "bandwidth_limit", max_kbps=77)
    assert demo.update("port", port_id, qos_policy_id=own)["qos_policy_id"] == own
    assert demo.show("port", port_id)["qos_network_policy_id"] == policy
    assert limits(cloud, port_id) == [77]
    demo.update("port", port_id, qos_policy_id=None)
    assert limits(cloud, port_id) == [2000]
    admin.call("DELETE", one, status=204)
    assert limits(cloud, port_id) == []
    demo.update("network", network, qos_policy_id=None)
    admin.call("DELETE", path, status=204)


def test_a_policy_of_others_cannot_be_used(admin: Neutron, demo: Neutron) -> None:
    hidden = new_policy(admin)["id"]
    for policy in (hidden, MISSING):
        assert demo.refuse("network", 404, qos_policy_id=policy) == "QosPolicyNotFound"
        network = demo.find("network", "private")["id"]
        assert demo.refuse("port", 404, network_id=network, qos_policy_id=policy) == "QosPolicyNotFound"
        assert demo.update("network", network, status=404, qos_policy_id=policy)["type"] == "QosPolicyNotFound"


def test_new_networks_get_the_default_policy(admin: Neutron, demo: Neutron) -> None:
    policy = new_policy(admin, is_default=True)["id"]
    assert admin.create("network")["qos_policy_id"] == policy
    assert admin.create("network", qos_policy_id=None)["qos_policy_id"] is None
    assert demo.create("network")["qos_policy_id"] is None
