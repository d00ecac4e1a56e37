"""limits: what a project may have, and what it has."""

from __future__ import annotations

import pytest
from tests.api.compute import rows
from tests.api.compute.nova import LATEST, Nova
from tests.cloud import TestCloud

ALWAYS = {
    "maxServerMeta", "maxTotalInstances", "maxTotalCores", "maxTotalRAMSize", "maxTotalKeypairs", "maxServerGroups",
    "maxServerGroupMembers", "totalInstancesUsed", "totalCoresUsed", "totalRAMUsed", "totalServerGroupsUsed",
}  # fmt: skip
NETWORK = {
    "maxTotalFloatingIps", "maxSecurityGroups", "maxSecurityGroupRules", "totalFloatingIpsUsed",
    "totalSecurityGroupsUsed",
}  # fmt: skip
INJECTED = {"maxPersonality", "maxPersonalitySize"}


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("2.1", ALWAYS | NETWORK | INJECTED | {"maxImageMeta"}),
        ("2.36", ALWAYS | INJECTED | {"maxImageMeta"}),
        ("2.39", ALWAYS | INJECTED),
        ("2.57", ALWAYS),
        (LATEST, ALWAYS),
    ],
)
def test_limits_at_each_microversion(cloud: TestCloud, version: str, keys: set[str]) -> None:
    found = Nova(cloud, "demo").get("/limits", version=version)["limits"]
    assert found["rate"] == []
    assert set(found["absolute"]) == keys
    assert all(isinstance(value, int) for value in found["absolute"].values())


def test_what_is_used_is_told(cloud: TestCloud) -> None:
    demo = Nova(cloud, "demo")
    demo.post("/os-server-groups", {"server_group": {"name": "a", "policies": ["affinity"]}})
    found = demo.get("/limits")["limits"]["absolute"]
    assert (found["totalServerGroupsUsed"], found["maxServerGroups"]) == (1, 10)
    assert (found["maxTotalInstances"], found["maxImageMeta"], found["maxServerMeta"]) == (10, 128, 128)


def test_an_administrator_sees_those_of_others(cloud: TestCloud) -> None:
    demo, admin = Nova(cloud, "demo"), Nova(cloud, "admin")
    project = rows.caller(cloud).project_id
    demo.post("/os-server-groups", {"server_group": {"name": "a", "policies": ["affinity"]}})
    path = f"/limits?tenant_id={project}"
    assert admin.get(path)["limits"]["absolute"]["totalServerGroupsUsed"] == 1
    assert admin.get("/limits")["limits"]["absolute"]["totalServerGroupsUsed"] == 0
    demo.get(path, status=403)
    admin.get(f"/limits?tenant_id={'x' * 65}", status=400)


def test_queries_that_are_not_known(cloud: TestCloud) -> None:
    demo = Nova(cloud, "demo")
    demo.get("/limits?reserved=1", version="2.74")
    demo.get("/limits?reserved=1", version="2.75", status=400)
