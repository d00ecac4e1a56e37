"""Servers that are Docker containers, by the commands of the documents that people follow, old client and new."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from scripts.clients import NOVA
from tests.functional.real_cloud import RealCloud

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(240)]


def nova(cloud: RealCloud, *words: str) -> str:
    """What a command of the old client prints, as the user demo."""
    auth = yaml.safe_load((cloud.state_dir / "clouds.yaml").read_text())["clouds"]["stackyard"]["auth"]
    signed_in = {
        "OS_AUTH_URL": auth["auth_url"], "OS_USERNAME": auth["username"], "OS_PASSWORD": auth["password"],
        "OS_PROJECT_NAME": auth["project_name"], "OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default",
    }  # fmt: skip
    environment = cloud.environment() | signed_in
    environment.pop("OS_CLOUD")
    done = subprocess.run([str(NOVA), *words], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, f"nova {' '.join(words)} exits {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def active(cloud: RealCloud, name: str) -> dict[str, Any]:
    """Wait until a server runs; what is shown of it."""
    until = time.monotonic() + 60
    while True:
        shown: dict[str, Any] = cloud.look("server", "show", name)
        if shown["status"] == "ACTIVE":
            return shown
        assert shown["status"] == "BUILD", shown
        assert time.monotonic() < until, shown


def page(address: str) -> str:
    """What a web server says, once it listens."""
    until = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=5) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < until, f"http://{address}/ does not answer"


@pytest.fixture
def floating(real_cloud: RealCloud) -> Iterator[str]:
    """A floating IP of the project demo, and a group that lets web requests in."""
    made = real_cloud.look("floating", "ip", "create", "public")["floating_ip_address"]
    group = real_cloud.look("security", "group", "create", "web")["id"]
    real_cloud.openstack("security", "group", "rule", "create", "web", "--protocol", "tcp", "--dst-port", "80")
    yield made
    real_cloud.openstack("floating", "ip", "delete", made)
    until = time.monotonic() + 20
    while real_cloud.client("security", "group", "delete", group).status:
        assert time.monotonic() < until, "the group web is in use"


def test_nova_boot_of_nginx(real_cloud: RealCloud, floating: str) -> None:
    network = real_cloud.look("network", "show", "private")["id"]
    words = ("--nic", f"net-id={network}", "--security-groups", "web", "--meta", "COLOUR=blue")
    nova(real_cloud, "boot", "--flavor", "m1.small", "--image", "nginx", *words, "nginxtest")
    server = active(real_cloud, "nginxtest")
    try:
        assert "nginxtest" in nova(real_cloud, "list")
        real_cloud.openstack("server", "add", "floating", "ip", "nginxtest", floating)
        assert "nginx" in page(floating)
        socket = f"unix://{real_cloud.state_dir}/docker/docker.sock"
        listed = subprocess.run(
            ["docker", "-H", socket, "ps", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
        )
        assert f"nova-{server['id']}" in listed.stdout.split()
        inside = ["docker", "-H", socket, "exec", f"nova-{server['id']}"]
        said = subprocess.run([*inside, "/bin/sh", "-c", "echo $COLOUR; hostname"], capture_output=True, text=True)
        if said.returncode == 0:  # an image without a shell has none to ask
            assert said.stdout.split() == ["blue", "nginxtest"]
        nova(real_cloud, "stop", "nginxtest")
        reaches(real_cloud, "nginxtest", "SHUTOFF")
        nova(real_cloud, "start", "nginxtest")
        reaches(real_cloud, "nginxtest", "ACTIVE")
        assert "nginx" in page(floating)
        nova(real_cloud, "reboot", "nginxtest")
        reaches(real_cloud, "nginxtest", "ACTIVE")
    finally:
        nova(real_cloud, "delete", "nginxtest")
        until = time.monotonic() + 30
        while "nginxtest" in nova(real_cloud, "list"):
            assert time.monotonic() < until, "the server is not gone"


def reaches(cloud: RealCloud, name: str, status: str) -> None:
    """Wait for a status, and for no task to be under way."""
    until = time.monotonic() + 60
    while True:
        shown = cloud.look("server", "show", name)
        if (shown["status"], shown["OS-EXT-STS:task_state"]) == (status, None):
            return
        assert time.monotonic() < until, f"{name} is {shown['status']}, not {status}"


def test_servers_of_a_network_know_each_other_by_name(real_cloud: RealCloud) -> None:
    command = ("image", "set", "busybox", "--property", "os_command_line=sleep 3600")
    real_cloud.openstack(*command, cloud="stackyard-admin")
    words = ("--image", "busybox", "--flavor", "m1.tiny", "--network", "private")
    for name in ("one", "two"):
        real_cloud.openstack("server", "create", name, *words)
        reaches(real_cloud, name, "ACTIVE")
    try:
        servers = {name: real_cloud.look("server", "show", name) for name in ("one", "two")}
        socket = f"unix://{real_cloud.state_dir}/docker/docker.sock"
        ping = ["docker", "-H", socket, "exec", f"nova-{servers['one']['id']}", "ping", "-c", "1", "-W", "5", "two"]
        said = subprocess.run(ping, capture_output=True, text=True)
        assert said.returncode == 0, said.stdout + said.stderr
        assert any(address in said.stdout for address in servers["two"]["addresses"]["private"])
    finally:
        real_cloud.openstack("server", "delete", "one", "two", "--wait")
        command = ("image", "unset", "busybox", "--property", "os_command_line")
        real_cloud.openstack(*command, cloud="stackyard-admin")
