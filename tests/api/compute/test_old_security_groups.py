"""Security groups through Nova's old API, and those of servers."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.compute import rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

NOBODYS = "3f0b0d8a-8a43-4f4c-9a4b-0c2b7e1e9d11"
RULE_KEYS = {"id", "parent_group_id", "ip_protocol", "from_port", "to_port", "group", "ip_range"}


@pytest.fixture
def demo(still_cloud: TestCloud) -> Nova:
    return Nova(still_cloud, "demo")


def make(nova: Nova, name: str = "web") -> dict[str, Any]:
    body = {"security_group": {"name": name, "description": "a group"}}
    found: dict[str, Any] = nova.post("/os-security-groups", body)["security_group"]
    return found


def rule(group: dict[str, Any], **fields: Any) -> dict[str, Any]:
    values = {"parent_group_id": group["id"], "ip_protocol": "tcp", "from_port": 22, "to_port": 22}
    return {"security_group_rule": values | {"cidr": "10.0.0.0/8"} | fields}


def test_make_see_change_and_delete(demo: Nova) -> None:
    group = make(demo)
    assert set(group) == {"id", "name", "description", "tenant_id", "rules"}
    assert (group["name"], group["description"], group["rules"]) == ("web", "a group", [])
    assert demo.get(f"/os-security-groups/{group['id']}")["security_group"] == group
    listed = demo.get("/os-security-groups")["security_groups"]
    assert [one["name"] for one in listed] == ["default", "web"]
    assert [one["name"] for one in demo.get("/os-security-groups?limit=1&offset=1")["security_groups"]] == ["web"]
    body = {"security_group": {"name": "new", "description": ""}}
    assert demo.put(f"/os-security-groups/{group['id']}", body)["security_group"]["name"] == "new"
    assert demo.delete(f"/os-security-groups/{group['id']}", status=202) is None
    demo.get(f"/os-security-groups/{group['id']}", status=404)


def test_rules(demo: Nova) -> None:
    group = make(demo)
    made = demo.post("/os-security-group-rules", rule(group))["security_group_rule"]
    assert set(made) == RULE_KEYS
    assert (made["from_port"], made["to_port"], made["ip_protocol"]) == (22, 22, "tcp")
    assert (made["ip_range"], made["group"]) == ({"cidr": "10.0.0.0/8"}, {})
    assert demo.get(f"/os-security-groups/{group['id']}")["security_group"]["rules"] == [made]
    demo.post("/os-security-group-rules", rule(group), status=400)
    assert demo.delete(f"/os-security-group-rules/{made['id']}", status=202) is None
    assert demo.get(f"/os-security-groups/{group['id']}")["security_group"]["rules"] == []
    demo.delete(f"/os-security-group-rules/{made['id']}", status=404)


def test_rules_with_less_said(demo: Nova) -> None:
    group = make(demo)
    ping = demo.post("/os-security-group-rules", rule(group, ip_protocol="icmp", from_port=-1, to_port="-1", cidr=None))
    assert (ping["security_group_rule"]["from_port"], ping["security_group_rule"]["to_port"]) == (-1, -1)
    assert ping["security_group_rule"]["ip_range"] == {"cidr": "0.0.0.0/0"}
    body = {"parent_group_id": group["id"], "group_id": group["id"], "ip_protocol": "tcp"}
    among = demo.post("/os-security-group-rules", {"security_group_rule": body})["security_group_rule"]
    assert among["group"] == {"name": "web", "tenant_id": group["tenant_id"]}
    assert (among["from_port"], among["to_port"], among["ip_range"]) == (1, 65535, {})
    six = demo.post("/os-security-group-rules", rule(group, cidr="fd00::/8"))["security_group_rule"]
    assert six["ip_range"] == {"cidr": "fd00::/8"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"ip_protocol": "carrier pigeon"}, {"ip_protocol": None}, {"from_port": "x"}, {"from_port": 23},
        {"from_port": 0}, {"to_port": 65536}, {"from_port": None}, {"cidr": "10.0.0.0/40"}, {"cidr": "host"},
        {"cidr": "10.0.0.0/0"}, {"ip_protocol": "icmp", "to_port": 256}, {"ip_protocol": "icmp", "from_port": "x"},
        {"parent_group_id": "not-a-uuid"}, {"group_id": "not-a-uuid"}, {"parent_group_id": 5},
    ],
)  # fmt: skip
def test_rules_that_cannot_be(demo: Nova, wrong: dict[str, Any]) -> None:
    demo.post("/os-security-group-rules", rule(make(demo), **wrong), status=400)


def test_groups_that_cannot_be(demo: Nova) -> None:
    for wrong in ({"name": "n" * 256}, {"description": "d" * 256}, {"name": 5}, {"description": None}):
        body = {"security_group": {"name": "n", "description": "d"} | wrong}
        demo.post("/os-security-groups", body, status=400)
        demo.put(f"/os-security-groups/{make(demo)['id']}", body, status=400)
    demo.post("/os-security-groups", {}, status=400)
    demo.get("/os-security-groups/not-a-uuid", status=400)
    demo.get(f"/os-security-groups/{NOBODYS}", status=404)
    demo.delete(f"/os-security-groups/{NOBODYS}", status=404)
    demo.delete("/os-security-groups/not-a-uuid", status=400)
    demo.delete("/os-security-group-rules/not-a-uuid", status=400)
    demo.post("/os-security-group-rules", rule({"id": NOBODYS}), status=404)
    default = demo.get("/os-security-groups")["security_groups"][0]
    demo.delete(f"/os-security-groups/{default['id']}", status=400)
    demo.get("/os-security-groups?limit=-1", status=400)


def test_others_groups_are_not_there(still_cloud: TestCloud, demo: Nova) -> None:
    admin = Nova(still_cloud, "admin")
    hidden = make(admin, "hidden")
    path = f"/os-security-groups/{hidden['id']}"
    demo.get(path, status=404)
    demo.put(path, {"security_group": {"name": "mine", "description": ""}}, status=404)
    demo.delete(path, status=404)
    demo.post("/os-security-group-rules", rule(hidden), status=404)
    make(demo, "demos")
    assert "demos" not in [one["name"] for one in admin.get("/os-security-groups")["security_groups"]]
    assert "demos" in [one["name"] for one in admin.get("/os-security-groups?all_tenants=1")["security_groups"]]
    assert "hidden" not in [one["name"] for one in demo.get("/os-security-groups?all_tenants=1")["security_groups"]]


def test_they_end_with_2_35(demo: Nova) -> None:
    demo.get("/os-security-groups", version="2.35")
    demo.get("/os-security-groups", status=404, version="2.36")
    demo.post("/os-security-group-rules", {}, status=404, version="2.36")


def test_a_servers_groups(still_cloud: TestCloud, demo: Nova) -> None:
    server = rows.insert(still_cloud)
    make(demo)
    path = f"/servers/{server}"
    assert [one["name"] for one in demo.get(f"{path}/os-security-groups")["security_groups"]] == ["default"]
    action = {"addSecurityGroup": {"name": "web"}}
    assert demo.post(f"{path}/action", action, status=202) is None
    demo.post(f"{path}/action", action, status=202, version=LATEST)
    names = [one["name"] for one in demo.get(f"{path}/os-security-groups", version=LATEST)["security_groups"]]
    assert names == ["default", "web"]
    demo.post(f"{path}/action", {"removeSecurityGroup": {"name": "web"}}, status=202)
    demo.post(f"{path}/action", {"removeSecurityGroup": {"name": "web"}}, status=404)
    assert [one["name"] for one in demo.get(f"{path}/os-security-groups")["security_groups"]] == ["default"]


def test_groups_that_a_server_cannot_be_in(still_cloud: TestCloud, demo: Nova) -> None:
    admin = Nova(still_cloud, "admin")
    server = rows.insert(still_cloud)
    make(admin, "hidden")
    for action in ("addSecurityGroup", "removeSecurityGroup"):
        demo.post(f"/servers/{server}/action", {action: {"name": "hidden"}}, status=404)
        for body in ({}, {"name": ""}, {"name": " "}, {"name": 5}, {"name": "web", "more": 1}):
            demo.post(f"/servers/{server}/action", {action: body}, status=400)
        demo.post(f"/servers/{NOBODYS}/action", {action: {"name": "default"}}, status=404)
    make(demo, "twice")
    make(demo, "twice")
    demo.post(f"/servers/{server}/action", {"addSecurityGroup": {"name": "twice"}}, status=409)
    demo.get(f"/servers/{NOBODYS}/os-security-groups", status=404)
    demo.get(f"/servers/{server}/os-security-groups?what=1", status=400, version=LATEST)
    other = Nova(still_cloud, "admin")
    assert other.get(f"/servers/{server}/os-security-groups")["security_groups"]


def test_a_foreign_servers_groups_are_not_there(still_cloud: TestCloud, demo: Nova) -> None:
    server = rows.insert(still_cloud, project_id="another")
    demo.get(f"/servers/{server}/os-security-groups", status=404)
    demo.post(f"/servers/{server}/action", {"addSecurityGroup": {"name": "default"}}, status=404)
