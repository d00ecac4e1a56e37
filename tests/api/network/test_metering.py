"""Metering labels and their rules, and how they reach the routers that count by them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.network.neutron import Neutron
from tests.cloud import TestCloud

LABELS = "metering/metering-labels"
RULES = "metering/metering-label-rules"


def label_of(user: Neutron, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = user.call("POST", LABELS, {"metering_label": {"name": "label"} | fields}, status=201)
    return dict(found["metering_label"])


def rule(user: Neutron, label: dict[str, Any], status: int = 201, **fields: Any) -> Any:
    body = {"metering_label_id": label["id"], "direction": "ingress"} | fields
    found = user.call("POST", RULES, {"metering_label_rule": body}, status=status)
    return found["metering_label_rule"] if status == 201 else found["type"]


def test_labels(admin: Neutron) -> None:
    label = label_of(admin, description="d", shared=True)
    assert {name: label[name] for name in ("name", "description", "shared")} == {
        "name": "label",
        "description": "d",
        "shared": True,
    }
    assert admin.call("GET", f"{LABELS}/{label['id']}", status=200) == {"metering_label": label}
    assert admin.call("GET", f"{LABELS}?id={label['id']}&shared=true", status=200) == {"metering_labels": [label]}
    assert admin.call("GET", f"{LABELS}?id=33", status=200) == {"metering_labels": []}
    admin.call("DELETE", f"{LABELS}/{label['id']}", status=204)
    assert admin.call("GET", f"{LABELS}/{label['id']}", status=404)["type"] == "MeteringLabelNotFound"


def test_rules(admin: Neutron) -> None:
    label = label_of(admin)
    made = rule(admin, label, remote_ip_prefix="10.0.0.0/24")
    assert made == {
        "id": made["id"],
        "metering_label_id": label["id"],
        "direction": "ingress",
        "excluded": False,
        "remote_ip_prefix": "10.0.0.0/24",
        "source_ip_prefix": None,
        "destination_ip_prefix": None,
    }
    assert admin.call("GET", f"{RULES}/{made['id']}", status=200) == {"metering_label_rule": made}
    assert admin.call("GET", f"{RULES}?metering_label_id={label['id']}", status=200) == {"metering_label_rules": [made]}
    both = rule(admin, label, source_ip_prefix="10.0.0.7", destination_ip_prefix="10.9.0.1/16", direction="egress")
    assert (both["source_ip_prefix"], both["destination_ip_prefix"]) == ("10.0.0.7/32", "10.9.0.0/16")
    admin.call("DELETE", f"{RULES}/{made['id']}", status=204)
    assert admin.call("GET", f"{RULES}/{made['id']}", status=404)["type"] == "MeteringLabelRuleNotFound"
    admin.call("DELETE", f"{LABELS}/{label['id']}", status=204)
    assert admin.call("GET", f"{RULES}/{both['id']}", status=404)["type"] == "MeteringLabelRuleNotFound"


def test_rules_on_remote_prefixes_do_not_overlap(admin: Neutron) -> None:
    label = label_of(admin)
    rule(admin, label, remote_ip_prefix="10.0.0.0/16")
    assert rule(admin, label, 409, remote_ip_prefix="10.0.9.0/24") == "MeteringLabelRuleOverlaps"
    rule(admin, label, remote_ip_prefix="10.0.9.0/24", excluded=True)
    rule(admin, label, remote_ip_prefix="10.0.9.0/24", direction="egress")
    rule(admin, label, remote_ip_prefix="fd00::/64")
    rule(admin, label, source_ip_prefix="10.0.9.0/24")
    rule(admin, label_of(admin), remote_ip_prefix="10.0.0.0/16")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, "Invalid"),
        ({"remote_ip_prefix": "10.0.0.0/24", "source_ip_prefix": "10.1.0.0/24"}, "Invalid"),
        ({"source_ip_prefix": "10.0.0.0/24", "destination_ip_prefix": "fd00::/64"}, "Invalid"),
        ({"remote_ip_prefix": "x"}, "Invalid"),
        ({"remote_ip_prefix": "10.0.0.0/24; drop"}, "Invalid"),
        ({"source_ip_prefix": "fe80::1%eth0"}, "Invalid"),
        ({"remote_ip_prefix": "1" * 300}, "HTTPBadRequest"),
        ({"remote_ip_prefix": 7}, "HTTPBadRequest"),
        ({"remote_ip_prefix": "10.0.0.0/24", "direction": "sideways"}, "HTTPBadRequest"),
        ({"remote_ip_prefix": "10.0.0.0/24", "excluded": "maybe"}, "HTTPBadRequest"),
        ({"remote_ip_prefix": "10.0.0.0/24", "hostile": 1}, "HTTPBadRequest"),
    ],
)
def test_rules_that_cannot_be(admin: Neutron, given: dict[str, Any], kind: str) -> None:
    assert rule(admin, label_of(admin), 400, **given) == kind
    assert admin.call("GET", RULES, status=200) == {"metering_label_rules": []}


def test_labels_that_cannot_be(admin: Neutron) -> None:
    for given in ({"name": "n" * 256}, {"description": "d" * 1025}, {"shared": "maybe"}, {"hostile": 1}):
        assert admin.call("POST", LABELS, {"metering_label": given}, status=400)["type"] == "HTTPBadRequest"
    assert admin.call("POST", LABELS, {}, status=400)["type"] == "HTTPBadRequest"
    assert rule(admin, {"id": "nowhere"}, 404, remote_ip_prefix="10.0.0.0/24") == "MeteringLabelNotFound"


def test_members_neither_make_labels_nor_see_those_of_others(demo: Neutron, admin: Neutron) -> None:
    refused = demo.call("POST", LABELS, {"metering_label": {"name": "label"}}, status=403)
    assert refused["type"] == "PolicyNotAuthorized"
    label = label_of(admin)
    made = rule(admin, label, remote_ip_prefix="10.0.0.0/24")
    demo.call("GET", f"{LABELS}/{label['id']}", status=404)
    demo.call("DELETE", f"{LABELS}/{label['id']}", status=404)
    demo.call("GET", f"{RULES}/{made['id']}", status=404)
    assert demo.call("GET", LABELS, status=200) == {"metering_labels": []}
    assert demo.call("GET", RULES, status=200) == {"metering_label_rules": []}
    assert rule(demo, label, 403, remote_ip_prefix="10.1.0.0/24") == "PolicyNotAuthorized"
    mine = label_of(admin, project_id=demo.create("network")["project_id"])
    assert demo.call("GET", f"{LABELS}/{mine['id']}", status=200) == {"metering_label": mine}
    demo.call("DELETE", f"{LABELS}/{mine['id']}", status=403)
    assert rule(demo, mine, 403, remote_ip_prefix="10.1.0.0/24") == "PolicyNotAuthorized"


def test_routers_count_by_the_labels_of_their_project_and_shared_ones(
    cloud: TestCloud, demo: Neutron, admin: Neutron
) -> None:
    public = demo.find("network", "public")
    router = demo.create("router", external_gateway_info={"network_id": public["id"]})
    mine = label_of(admin, project_id=router["project_id"])
    everyones, others = label_of(admin, shared=True), label_of(admin)
    rule(admin, mine, remote_ip_prefix="10.0.0.0/24", excluded=True)
    made = rule(admin, everyones, source_ip_prefix="10.1.0.0/24", destination_ip_prefix="10.2.0.0/24")
    cloud.settle()
    found = {label.id: label.rules for label in cloud.network.routers[router["id"]].metering}
    assert found.keys() == {mine["id"], everyones["id"]}
    assert [(one.direction, one.excluded, one.remote_cidr) for one in found[mine["id"]]] == [
        ("ingress", True, "10.0.0.0/24")
    ]
    assert [(one.source_cidr, one.destination_cidr) for one in found[everyones["id"]]] == [
        ("10.1.0.0/24", "10.2.0.0/24")
    ]
    assert others["id"] not in found
    admin.call("DELETE", f"{RULES}/{made['id']}", status=204)
    admin.call("DELETE", f"{LABELS}/{mine['id']}", status=204)
    cloud.settle()
    assert [(label.id, label.rules) for label in cloud.network.routers[router["id"]].metering] == [
        (everyones["id"], ())
    ]
