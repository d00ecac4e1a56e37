"""What a container was asked to be like, looked at from inside it."""

from __future__ import annotations

import base64

import pytest
from tests.engine_fixture import wait_until
from tests.functional.real_cloud import RealCloud
from tests.functional.tenant import Tenant
from tests.functional.users import CONTAINERS, Session, address, port

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(180)]

MIB = 1024 * 1024
MEMORY = "sh -c 'cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes'"
CPU = (
    "sh -c 'cat /sys/fs/cgroup/cpu.max 2>/dev/null || "
    "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us'"
)


def cpus(session: Session, container: str) -> float:
    """How many CPUs the kernel lets it have."""
    quota, period = session.inside(container, CPU).split()
    return int(quota) / int(period)


def test_environment_workdir_hostname_labels(tenant: Tenant) -> None:
    made = tenant.run(
        environment={"GREETING": "hello world", "EMPTY": ""},
        workdir="/var",
        hostname="a-host",
        labels={"app": "x", "tier": "1"},
    )
    uuid = made["uuid"]
    assert made["labels"] == {"app": "x", "tier": "1"}
    said = tenant.inside(uuid, "sh -c 'echo \"$GREETING|${EMPTY-unset}|$(pwd)|$(hostname)\"'")
    assert said.strip() == "hello world||/var|a-host"
    assert "a-host" in tenant.inside(uuid, "cat /etc/hosts")


def test_memory_and_cpu_limits_are_the_kernels(tenant: Tenant) -> None:
    uuid = tenant.run(memory="64", cpu="0.5")["uuid"]
    assert int(tenant.inside(uuid, MEMORY)) == 64 * MIB
    assert cpus(tenant, uuid) == 0.5
    changed = tenant.call("PATCH", f"{CONTAINERS}/{uuid}", {"memory": "96", "cpu": "0.75"})
    assert (changed["memory"], changed["cpu"]) == ("96", 0.75)
    wait_until(lambda: int(tenant.inside(uuid, MEMORY)) == 96 * MIB, "the memory limit is 96 MiB")
    wait_until(lambda: cpus(tenant, uuid) == 0.75, "the CPU limit is 0.75")


def test_more_memory_than_allowed_is_told(tenant: Tenant) -> None:
    made = tenant.create(memory="32", command=["sh", "-c", "x=x; while true; do x=$x$x; done"])
    shown = tenant.wait(made["uuid"], "Stopped")
    assert shown["status_detail"].startswith("Exited(137)")
    # Whose signal it was is not always told by the engine, under load.
    assert "exit code 137" in shown["status_reason"]


def test_entrypoint_and_command(tenant: Tenant) -> None:
    made = tenant.create(entrypoint=["/bin/echo", "the"], command=["end"])
    tenant.wait(made["uuid"], "Stopped")
    assert tenant.logs(made["uuid"]).strip() == "the end"


def test_a_file_comes_along(tenant: Tenant, real_cloud: RealCloud) -> None:
    content = bytes(range(256))
    mount = {"type": "bind", "source": base64.b64encode(content).decode(), "destination": "/etc/secret/key"}
    uuid = tenant.run(mounts=[mount])["uuid"]
    assert tenant.inside(uuid, "wc -c /etc/secret/key").split()[0] == "256"
    # A user of the host who is not root does not get to it.
    assert (real_cloud.state_dir / "containers").stat().st_mode & 0o077 == 0


def test_restart_on_failure_tries_as_often_as_said(tenant: Tenant) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": "2"}
    made = tenant.create(command=["sh", "-c", "echo try; exit 3"], restart_policy=policy)
    uuid = made["uuid"]
    wait_until(lambda: "Stopped" in tenant.show(uuid)["status"] and tenant.logs(uuid).count("try") == 3, "it gave up")
    shown = tenant.wait(uuid, "Stopped")
    assert shown["status_detail"].startswith("Exited(3)")
    assert "exit code 3" in shown["status_reason"]


def test_restart_always_starts_it_again_with_its_address(tenant: Tenant) -> None:
    made = tenant.run(command=["sh", "-c", "echo begun; sleep 1"], restart_policy={"Name": "always"})
    uuid = made["uuid"]

    def begun() -> bool:
        answer = tenant.send("GET", f"{CONTAINERS}/{uuid}/logs")
        return answer.is_success and answer.json().count("begun") > 2

    wait_until(begun, "it has begun three times")
    tenant.wait(uuid, "Running")
    inside = wait_until(lambda: tenant.send("POST", f"{CONTAINERS}/{uuid}/execute", command="ip -4 addr").text, "exec")
    assert address(made) in inside


def test_a_container_that_fails_over_and_over_can_be_read_and_deleted(tenant: Tenant) -> None:
    made = tenant.create(command=["sh", "-c", "echo why; exit 1"], restart_policy={"Name": "always"})
    uuid = made["uuid"]
    wait_until(lambda: tenant.show(uuid)["status"] == "Restarting", "the engine waits before it tries again", 30)
    assert "why" in tenant.logs(uuid)
    tenant.delete(uuid)


def test_a_container_that_removes_itself(tenant: Tenant) -> None:
    uuid = tenant.create(command=["true"], auto_remove=True)["uuid"]
    tenant.wait_gone(uuid)
    wait_until(lambda: not [p for p in tenant.listed("ports") if p["device_id"] == uuid], "its port is gone")
    quota = tenant.call("GET", f"/container/v1/quotas/{tenant.project}", usages="True")
    assert quota["containers"]["in_use"] == 0


def test_health(tenant: Tenant) -> None:
    check = {"cmd": "test -e /tmp/well", "interval": 1, "retries": 2, "timeout": 5}
    uuid = tenant.run(healthcheck=check)["uuid"]
    wait_until(lambda: "(unhealthy)" in tenant.show(uuid)["status_detail"], "it is unhealthy", 30)
    tenant.inside(uuid, "touch /tmp/well")
    wait_until(lambda: "(healthy)" in tenant.show(uuid)["status_detail"], "it is healthy", 30)


def test_several_networks_with_fixed_addresses(tenant: Tenant) -> None:
    second = tenant.make("network", name="second")
    tenant.make("subnet", network_id=second, ip_version=4, cidr="10.79.0.0/24", gateway_ip=None)
    own = tenant.make("port", network_id=second, fixed_ips=[{"ip_address": "10.79.0.50"}])
    made = tenant.run(nets=[{"network": tenant.network, "v4-fixed-ip": "10.77.0.40"}, {"port": own}])
    uuid = made["uuid"]
    assert address(made, tenant.network) == "10.77.0.40"
    assert address(made, second) == "10.79.0.50"
    found = tenant.inside(uuid, "ip -4 addr")
    assert "10.77.0.40/24" in found
    assert "10.79.0.50/24" in found
    other = tenant.run(nets=[{"network": second}])["uuid"]
    assert "1 packets received" in tenant.inside(other, "ping -c 1 -W 5 10.79.0.50")
    tenant.delete(uuid)
    left = [found["id"] for found in tenant.listed("ports") if found["network_id"] == second]
    assert own in left, "a port of one's own is kept"


def test_exposed_ports_open_what_they_say(tenant: Tenant) -> None:
    web = tenant.run(image="nginx", exposed_ports={"80/tcp": {}})
    visitor = tenant.run(exposed_ports={})["uuid"]
    fetch = f"timeout 3 wget -q -O - http://{address(web)}/"
    wait_until(lambda: "nginx" in tenant.attempt(visitor, fetch)[1].lower(), "the page is there", 10)
    rules = tenant.call("GET", "/network/v2.0/security-group-rules", direction="ingress")["security_group_rules"]
    groups = tenant.call("GET", f"/network/v2.0/ports/{port(web)}")["port"]["security_groups"]
    opened = [(r["protocol"], r["port_range_min"]) for r in rules if r["security_group_id"] in groups]
    assert set(opened) == {("tcp", 80)}
    assert tenant.attempt(visitor, f"nc -w 1 {address(web)} 81")[0] != 0
    tenant.delete(web["uuid"])
    left = {g["id"] for g in tenant.call("GET", "/network/v2.0/security-groups")["security_groups"]}
    assert not left & set(groups), "the group of exposed ports outlives its container"


def test_names_resolve_and_the_world_outside_is_reached(tenant: Tenant, real_cloud: RealCloud) -> None:
    tenant.router()
    first = tenant.run(name="first-one")
    second = tenant.run()["uuid"]
    assert address(first) in tenant.inside(second, "nslookup first-one")
    gateway = real_cloud.public_cidr.replace(".0/24", ".1")
    wait_until(lambda: tenant.attempt(second, f"ping -c 1 -W 1 {gateway}")[0] == 0, "the public gateway answers", 10)
