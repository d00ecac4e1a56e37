"""What cannot be done is refused or told with the cause, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
from tests.engine_fixture import wait_until
from tests.functional.real_cloud import RealCloud
from tests.functional.tenant import V2, Tenant
from tests.functional.users import CONTAINERS, Session, port

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(180)]


def usage(session: Session) -> dict[str, int]:
    """What counts against the project's quotas."""
    found = session.call("GET", f"/container/v1/quotas/{session.project}", usages="True")
    return {name: entry["in_use"] for name, entry in found.items() if isinstance(entry, dict)}


def everything(tenant: Tenant) -> dict[str, list[str]]:
    """The ids of all that a project has."""
    found = {noun: sorted(row["id"] for row in tenant.listed(noun)) for noun in ("networks", "subnets", "ports")}
    return found | {"containers": sorted(c["uuid"] for c in tenant.call("GET", CONTAINERS)["containers"])}


def containers_of_engine(cloud: RealCloud, uuid: str) -> str:
    """What the engine has that belongs to a container."""
    return cloud.docker("ps", "--all", "--quiet", "--filter", f"name={uuid}").strip()


def test_an_unknown_image_is_told_by_its_name(tenant: Tenant, real_cloud: RealCloud) -> None:
    tenant.run()
    before, used = everything(tenant), usage(tenant)
    name = "localhost:9/no-such-image"
    uuid = tenant.create(image=name, command=["true"])["uuid"]
    shown = tenant.wait(uuid, "Error", 60)
    assert name in shown["status_reason"]
    assert name in real_cloud.succeed("why", shown["name"])
    tenant.delete(uuid)
    wait_until(lambda: everything(tenant) == before, "nothing is left of it")
    assert usage(tenant) == used
    assert not containers_of_engine(real_cloud, uuid)


def test_an_unknown_image_of_glance_is_refused_or_told(tenant: Tenant) -> None:
    before = everything(tenant)
    answer = tenant.send(
        "POST", f"{CONTAINERS}?run=true", {"name": "none", "image": "no-such-image", "image_driver": "glance"}
    )
    if answer.status_code == 202:
        uuid = answer.json()["uuid"]
        assert "no-such-image" in tenant.wait(uuid, "Error")["status_reason"]
        tenant.delete(uuid)
    else:
        assert 400 <= answer.status_code < 500
        assert "no-such-image" in answer.text
    wait_until(lambda: everything(tenant) == before, "nothing is left of it")


def test_a_command_that_does_not_exist_is_told(tenant: Tenant, real_cloud: RealCloud) -> None:
    before = everything(tenant)
    uuid = tenant.create(command=["/no/such/program"])["uuid"]
    shown = tenant.wait(uuid, "Error")
    assert "/no/such/program" in shown["status_reason"]
    assert "not in the image" in shown["status_reason"]
    # An Error is no dead end: it can be started again, and fails for the same reason.
    tenant.act(uuid, "start")
    wait_until(lambda: tenant.show(uuid)["task_state"] is None, "it has been tried again")
    assert "/no/such/program" in tenant.wait(uuid, "Error")["status_reason"]
    tenant.delete(uuid)
    wait_until(lambda: everything(tenant) == before, "nothing is left of it")
    assert not containers_of_engine(real_cloud, uuid)


def test_a_command_that_does_not_exist_in_exec_is_told(tenant: Tenant) -> None:
    uuid = tenant.run()["uuid"]
    answer = tenant.send("POST", f"{CONTAINERS}/{uuid}/execute", command="no-such-program", run="true")
    said = answer.text
    assert "no-such-program" in said
    assert answer.status_code < 500
    assert tenant.inside(uuid, "echo alive").strip() == "alive"


def test_quotas_are_kept_and_nothing_changes(tenant: Tenant, real_cloud: RealCloud) -> None:
    admin = real_cloud.session("stackyard-admin")
    try:
        admin.call("PUT", f"/container/v1/quotas/{tenant.project}", {"containers": 1})
        tenant.run()
        before, used = everything(tenant), usage(tenant)
        answer = tenant.send("POST", f"{CONTAINERS}?run=true", {"name": "more", "image": "busybox"})
        assert answer.status_code == 403
        assert "containers" in answer.text.lower()
        assert (everything(tenant), usage(tenant)) == (before, used)
        ports = admin.call("GET", f"{V2}/quotas/{tenant.project}/details")["quota"]["port"]["used"]
        admin.call("PUT", f"{V2}/quotas/{tenant.project}", {"quota": {"network": 1, "port": ports}})
        refused = tenant.send("POST", f"{V2}/networks", {"network": {"name": "more"}})
        assert (refused.status_code, refused.json()["NeutronError"]["type"]) == (409, "OverQuota")
        refused = tenant.send("POST", f"{V2}/ports", {"port": {"network_id": tenant.network}})
        assert refused.json()["NeutronError"]["type"] == "OverQuota"
        admin.call("PUT", f"/container/v1/quotas/{tenant.project}", {"containers": 5})
        refused = tenant.send("POST", f"{CONTAINERS}?run=true", {"name": "more", "image": "busybox"})
        assert 400 <= refused.status_code < 500, "a container whose port is over quota"
        assert (everything(tenant), usage(tenant)) == (before, used)
    finally:
        admin.call("DELETE", f"{V2}/quotas/{tenant.project}")
        admin.call("DELETE", f"/container/v1/quotas/{tenant.project}")
        admin.close()


def test_overlapping_subnets_are_refused(tenant: Tenant) -> None:
    before = everything(tenant)
    for cidr in ("10.77.0.0/24", "10.77.0.128/25", "10.64.0.0/10"):
        subnet = {"network_id": tenant.network, "ip_version": 4, "cidr": cidr}
        answer = tenant.send("POST", f"{V2}/subnets", {"subnet": subnet})
        assert answer.status_code == 400, answer.text
        assert "10.77.0.0/24" in answer.json()["NeutronError"]["message"]
    assert everything(tenant) == before


def test_an_address_that_is_taken_is_refused(tenant: Tenant) -> None:
    tenant.run(nets=[{"network": tenant.network, "v4-fixed-ip": "10.77.0.40"}])
    before = everything(tenant)
    nets = [{"network": tenant.network, "v4-fixed-ip": "10.77.0.40"}]
    answer = tenant.send("POST", f"{CONTAINERS}?run=true", {"name": "same", "image": "busybox", "nets": nets})
    assert 400 <= answer.status_code < 500
    assert "10.77.0.40" in answer.text
    assert everything(tenant) == before


def test_other_projects_things_do_not_exist(tenant: Tenant, real_cloud: RealCloud) -> None:
    made = tenant.run()
    uuid = made["uuid"]
    demo = real_cloud.session()
    try:
        lookups: list[tuple[str, str]] = [
            *[("GET", f"{CONTAINERS}/{uuid}{tail}") for tail in ("", "/logs", "/stats", "/top", "/container_actions")],
            ("POST", f"{CONTAINERS}/{uuid}/stop"),
            ("POST", f"{CONTAINERS}/{uuid}/execute?command=id"),
            ("DELETE", f"{CONTAINERS}/{uuid}"),
            ("GET", f"{V2}/networks/{tenant.network}"),
            ("DELETE", f"{V2}/networks/{tenant.network}"),
            ("GET", f"{V2}/subnets/{tenant.subnet}"),
            ("GET", f"{V2}/ports/{port(made)}"),
            ("DELETE", f"{V2}/ports/{port(made)}"),
            ("GET", f"{V2}/security-groups/{tenant.default_group()}"),
        ]
        answers = {f"{method} {path}": demo.send(method, path).status_code for method, path in lookups}
        assert set(answers.values()) == {404}, answers
        nets = [{"network": tenant.network}]
        answer = demo.send("POST", f"{CONTAINERS}?run=true", {"name": "thief", "image": "busybox", "nets": nets})
        assert 400 <= answer.status_code < 500
        nets = [{"port": port(made)}]
        answer = demo.send("POST", f"{CONTAINERS}?run=true", {"name": "thief", "image": "busybox", "nets": nets})
        assert 400 <= answer.status_code < 500
        assert uuid not in str(demo.call("GET", CONTAINERS))
    finally:
        demo.close()
    assert tenant.show(uuid)["status"] == "Running"


BODIES: list[tuple[str, Any]] = [
    ("no image", {"name": "ab"}),
    ("wrong type", {"image": 7}),
    ("unknown field", {"image": "busybox", "colour": "blue"}),
    ("long name", {"image": "busybox", "name": "x" * 256}),
    ("bad name", {"image": "busybox", "name": "a b"}),
    ("memory", {"image": "busybox", "memory": "lots"}),
    ("too little memory", {"image": "busybox", "memory": "1"}),
    ("cpu", {"image": "busybox", "cpu": -1}),
    ("command", {"image": "busybox", "command": "a string"}),
    ("environment", {"image": "busybox", "environment": ["A=1"]}),
    ("restart policy", {"image": "busybox", "restart_policy": {"Name": "sometimes"}}),
    ("nets", {"image": "busybox", "nets": [{"network": "no-such-network"}]}),
    ("net and port", {"image": "busybox", "nets": [{"network": "a", "port": "b"}]}),
    ("security group", {"image": "busybox", "security_groups": ["no-such-group"]}),
    ("port", {"image": "busybox", "exposed_ports": {"99999": {}}}),
    ("mount", {"image": "busybox", "mounts": [{"type": "bind", "source": "!", "destination": "/x"}]}),
    ("climbing mount", {"image": "busybox", "mounts": [{"type": "bind", "source": "", "destination": "/../../etc"}]}),
    ("nul", {"image": "busybox", "command": ["a\0b"]}),
    ("a list", [1]),
]


@pytest.mark.parametrize("body", [body for _, body in BODIES], ids=[name for name, _ in BODIES])
def test_malformed_bodies_are_refused(tenant: Tenant, body: object) -> None:
    before = everything(tenant)
    answer = tenant.send("POST", f"{CONTAINERS}?run=true", body)
    assert 400 <= answer.status_code <= 404, f"{answer.status_code} {answer.text}"
    assert answer.json()["errors"][0]["detail"]
    assert everything(tenant) == before


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b'{"image": "busybox"', b"null", b"[" * 100_000])
def test_what_is_no_json_is_refused(tenant: Tenant, content: bytes) -> None:
    for path in (CONTAINERS, f"{V2}/networks", "/image/v2/images", "/identity/v3/auth/tokens"):
        answer = tenant.raw("POST", path, content)
        assert 400 <= answer.status_code < 500, f"{path}: {answer.status_code} {answer.text}"
        assert "x-openstack-request-id" in answer.headers


def test_without_a_token_nobody_gets_in(real_cloud: RealCloud, demo: Session) -> None:
    for token in ("", "gAAAAA-not-a-token", "x" * 5000):
        for path in (CONTAINERS, f"{V2}/networks", "/image/v2/images", "/identity/v3/projects"):
            answer = demo.raw("GET", path, b"", token=token)
            assert answer.status_code == 401, f"{path}: {answer.status_code}"
