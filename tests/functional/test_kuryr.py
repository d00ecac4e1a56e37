"""Docker's own networks on a real cloud: an unmodified dockerd, its client, and packets.

The engine is one of the test's own: the plug-in's name is a random one, so that several tests can run on one machine.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine_fixture import DockerDaemon, busybox_archive, docker_daemon, wait_until
from tests.functional.conftest import install_clients
from tests.functional.real_cloud import RealCloud, kill

from stackyard.host.containers.docker_http import DockerHTTP

__all__ = ["docker_daemon"]

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.timeout(300)]

IMAGE = "functional/kuryr:1"
V2 = "/network/v2.0"
WEB = ("sh", "-c", "httpd -p 80 -h /etc; sleep 1000")
FOREVER = ("sleep", "1000")


class Docker:
    """The docker command on the test's engine, and the cloud that its networks are on."""

    def __init__(self, daemon: DockerDaemon, cloud: RealCloud, driver: str) -> None:
        self.daemon = daemon
        self.cloud = cloud
        self.driver = driver
        self.demo = cloud.session()

    def attempt(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command, however it ends."""
        argv = ["docker", "--host", f"unix://{self.daemon.daemon.socket_path}", *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=90)

    def __call__(self, *words: str) -> str:
        """What a command prints, which must succeed."""
        done = self.attempt(*words)
        assert done.returncode == 0, f"docker {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def network(self, name: str, *options: str) -> str:
        """A network of the plug-in's."""
        return self("network", "create", "-d", self.driver, "--ipam-driver", self.driver, *options, name)

    def run(self, name: str, network: str, *options: str, command: tuple[str, ...] = FOREVER) -> str:
        """A container."""
        return self("run", "-d", "--name", name, "--network", network, *options, IMAGE, *command)

    def inside(self, name: str, *command: str) -> str:
        """What a command prints in a container."""
        return self("exec", name, *command)

    def pings(self, name: str, target: str, seconds: int = 2) -> bool:
        """Whether a container reaches another."""
        return self.attempt("exec", name, "ping", "-c", "1", "-W", str(seconds), target).returncode == 0

    def address(self, name: str, network: str) -> str:
        """A container's IPv4 address."""
        return self("inspect", name, "-f", f"{{{{(index .NetworkSettings.Networks {json.dumps(network)}).IPAddress}}}}")

    def ports(self) -> list[str]:
        """The ids of the ports that Docker's containers have."""
        found = self.demo.call("GET", f"{V2}/ports", device_owner="compute:kuryr")["ports"]
        return [port["id"] for port in found]

    def clear(self) -> None:
        """Remove every container and network of the test."""
        if containers := self("ps", "-aq").split():
            self("rm", "-f", *containers)
        for network in self("network", "ls", "-q", "--filter", f"driver={self.driver}").split():
            self("network", "rm", network)


@pytest.fixture(scope="module")
def driver() -> str:
    """The plug-in's name."""
    return f"kuryr{secrets.token_hex(3)}"


@pytest.fixture(scope="module")
def cloud(driver: str, docker_daemon: DockerDaemon) -> Iterator[RealCloud]:
    """A cloud that serves the plug-in under that name, and knows where the names of containers are asked for."""
    install_clients()
    made = RealCloud()
    with made.config.open("a") as config:
        config.write(f'[kuryr]\nsocket = "/run/docker/plugins/{driver}.sock"\n')
        config.write(f'docker_socket = "{docker_daemon.daemon.socket_path}"\n')
    try:
        made.up()
        made.bake()
        yield made
    finally:
        made.close()
    assert not Path(f"/run/docker/plugins/{driver}.sock").exists()


@pytest.fixture
def docker(docker_daemon: DockerDaemon, cloud: RealCloud, driver: str) -> Iterator[Docker]:
    """Docker, with an image; what the test makes goes, and leaves no row."""
    found = Docker(docker_daemon, cloud, driver)
    engine = docker_daemon.engine()
    engine.load_image(busybox_archive(IMAGE), IMAGE)
    engine.close()
    names = ("networks", "subnets", "subnetpools", "ports", "security-groups")
    before = {name: len(found.demo.call("GET", f"{V2}/{name}")[name.replace("-", "_")]) for name in names}
    try:
        yield found
    finally:
        found.clear()
    after = {name: len(found.demo.call("GET", f"{V2}/{name}")[name.replace("-", "_")]) for name in names}
    assert after == before
    found.demo.close()


def fetched(port: int, path: str = "/hostname") -> str:
    """What a published web server answers on this host."""
    return subprocess.run(
        ["curl", "-s", "-m", "10", f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True
    ).stdout.strip()


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


def test_containers_of_a_network_reach_each_other_by_name(docker: Docker) -> None:
    docker.network("net", "--subnet", "10.61.0.0/24", "--gateway", "10.61.0.1")
    mac = "02:42:0a:3d:00:32"
    # By the API, for the command refuses --mac-address to engines older than itself.
    endpoint = {"IPAMConfig": {"IPv4Address": "10.61.0.50"}, "Aliases": ["first"]}
    body = {"Image": IMAGE, "Cmd": list(FOREVER), "MacAddress": mac, "HostConfig": {"NetworkMode": "net"}}
    engine = DockerHTTP(str(docker.daemon.daemon.socket_path))
    engine.call(
        "POST",
        "/containers/create",
        {"name": "one"},
        body | {"NetworkingConfig": {"EndpointsConfig": {"net": endpoint}}},
    )
    engine.close()
    docker("start", "one")
    docker.run("two", "net")
    assert "10.61.0.50/24" in docker.inside("one", "ip", "-o", "addr", "show", "eth0")
    assert mac in docker.inside("one", "ip", "link", "show", "eth0")
    assert "default via 10.61.0.1" in docker.inside("one", "ip", "route")
    assert docker.pings("two", "one")
    assert docker.pings("two", "first")
    # The plug-in's own names, as every workload of the network has them.
    lookup = ("exec", "two", "nslookup", "one.openstacklocal", "10.61.0.2")
    wait_until(lambda: "10.61.0.50" in docker.attempt(*lookup).stdout, "the network's server knows the name")


def test_what_a_container_may_not_send_and_who_may_not_reach_it(docker: Docker) -> None:
    docker.network("net", "--subnet", "10.62.0.0/24", "--gateway", "10.62.0.1")
    docker.network("other", "--subnet", "10.62.0.0/24", "--gateway", "10.62.0.1")
    docker.run("one", "net", "--cap-add", "NET_ADMIN", "--ip", "10.62.0.10")
    docker.run("two", "net", "--ip", "10.62.0.11")
    docker.run("apart", "other", "--ip", "10.62.0.12")
    assert docker.pings("one", "10.62.0.11")
    assert not docker.pings("one", "10.62.0.12", 1)
    docker.inside("one", "ip", "addr", "add", "10.62.0.99/24", "dev", "eth0")
    spoofed = docker.attempt("exec", "one", "ping", "-c", "1", "-W", "1", "-I", "10.62.0.99", "10.62.0.11")
    assert spoofed.returncode != 0
    docker.inside("one", "ip", "link", "set", "eth0", "address", "02:42:00:00:00:99")
    assert not docker.pings("one", "10.62.0.11", 1)


def test_a_running_container_is_connected_and_disconnected(docker: Docker) -> None:
    docker.network("net", "--subnet", "10.63.0.0/24")
    docker.network("six", "--ipv6", "--subnet", "10.64.0.0/24", "--subnet", "fd00:64::/64")
    docker.run("one", "net")
    docker.run("two", "six", "--network-alias", "db")
    docker("network", "connect", "--ip", "10.64.0.77", "six", "one")
    shown = docker.inside("one", "ip", "-o", "addr", "show", "eth1")
    assert "10.64.0.77/24" in shown
    assert "fd00:64:" in shown
    assert docker.pings("one", "db")
    docker("network", "disconnect", "six", "one")
    assert "eth1" not in docker.inside("one", "ip", "-o", "link")
    assert len(docker.ports()) == 2


def test_published_ports_lead_in(docker: Docker) -> None:
    docker.network("net", "--subnet", "10.65.0.0/24")
    port = free_port()
    web = docker.run("web", "net", "-p", f"{port}:80", command=WEB)
    wait_until(lambda: fetched(port) == web[:12], "the host's port leads to the container")
    clash = docker.attempt("run", "-d", "--name", "clash", "--network", "net", "-p", f"{port}:80", IMAGE, *FOREVER)
    assert f"port {port}" in clash.stderr
    docker("rm", "-f", "web")
    assert fetched(port) == ""


def test_published_datagrams_lead_in_and_back(docker: Docker) -> None:
    docker.network("net", "--subnet", "10.67.0.0/24")
    port = free_port(socket.SOCK_DGRAM)
    docker.run("udp", "net", "-p", f"{port}:7007/udp")
    pid = docker("inspect", "udp", "-f", "{{.State.Pid}}")
    echo = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7007)); print(flush=True)\n"
        "while True:\n data, peer = s.recvfrom(2000); s.sendto(data.upper(), peer)"
    )
    argv = ["nsenter", f"--net=/proc/{pid}/ns/net", "python3", "-c", echo]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(10)
                for word in (b"one", b"two"):
                    client.sendto(word, ("127.0.0.1", port))
                    assert client.recv(100) == word.upper()
        finally:
            server.kill()


def test_a_zun_container_on_the_same_network(docker: Docker) -> None:
    (private,) = docker.demo.call("GET", f"{V2}/networks", name="private")["networks"]
    docker.network("priv", "-o", "neutron.net.name=private", "--subnet", "10.0.0.0/24")
    docker.run("one", "priv")
    made = docker.demo.create(name="zun", image="busybox", command=list(FOREVER), nets=[{"network": private["id"]}])
    try:
        found = docker.demo.wait(made["uuid"], "Running")
        (address,) = [a["addr"] for ips in found["addresses"].values() for a in ips if a["version"] == 4]
        wait_until(lambda: docker.pings("one", address), "Docker's container reaches Zun's")
        docker.demo.inside(made["uuid"], f"ping -c 1 {docker.address('one', 'priv')}")
    finally:
        docker.demo.delete(made["uuid"])
    docker("rm", "-f", "one")
    docker("network", "rm", "priv")
    (after,) = docker.demo.call("GET", f"{V2}/networks", name="private")["networks"]
    assert (after["id"], after["tags"]) == (private["id"], [])


def test_an_existing_pool_gives_the_addresses(docker: Docker) -> None:
    body = {"subnetpool": {"name": "docker", "prefixes": ["10.68.0.0/16"], "default_prefixlen": 24}}
    pool = docker.demo.call("POST", f"{V2}/subnetpools", body)["subnetpool"]
    try:
        docker.network("net", "--ipam-opt", f"neutron.pool.uuid={pool['id']}")
        docker.run("one", "net")
        assert docker.address("one", "net").startswith("10.68.0.")
        docker.clear()
        assert docker.demo.call("GET", f"{V2}/subnetpools/{pool['id']}")["subnetpool"]["tags"] == []
    finally:
        docker.demo.call("DELETE", f"{V2}/subnetpools/{pool['id']}")


def test_everything_goes_on_after_restarts(docker: Docker, docker_daemon: DockerDaemon) -> None:
    docker.network("net", "--subnet", "10.69.0.0/24")
    port = free_port()
    web = docker.run("web", "net", "--restart", "always", "-p", f"{port}:80", command=WEB)
    docker.run("one", "net")
    kill(docker.cloud.pid(), signal.SIGKILL)
    assert docker.pings("one", "web")
    docker.cloud.up()
    docker.demo = docker.cloud.session()
    wait_until(lambda: fetched(port) == web[:12], "the port is served again")
    assert docker.pings("one", "web")
    pid = docker_daemon.daemon.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: docker_daemon.daemon.pid() is None, "the engine has ended")
    docker_daemon.daemon.start()
    docker_daemon.daemon.wait_ready()
    wait_until(lambda: docker.attempt("ps").returncode == 0, "the engine is there again")
    assert docker.pings("one", "web")
    docker("restart", "-t", "0", "web")
    wait_until(lambda: docker.pings("one", "web"), "a container that was started again is reached")
    wait_until(lambda: fetched(port) == web[:12], "and so is its port")


def test_a_repair_leaves_the_wires_of_containers_alone(docker: Docker) -> None:
    docker.network("net", "--subnet", "10.70.0.0/24")
    docker.run("one", "net")
    docker.run("two", "net")
    before = docker.inside("one", "cat", "/sys/class/net/eth0/ifindex")
    for name in ("rename-me", ""):
        (port, *_) = docker.ports()
        docker.demo.call("PUT", f"{V2}/ports/{port}", {"port": {"name": name, "admin_state_up": bool(name)}})
    docker.demo.call("PUT", f"{V2}/ports/{port}", {"port": {"admin_state_up": True}})
    wait_until(lambda: docker.pings("one", "two"), "the port is up again")
    assert docker.inside("one", "cat", "/sys/class/net/eth0/ifindex") == before


def test_many_at_once(docker: Docker) -> None:
    docker.network("net", "--subnet", "10.71.0.0/24")
    found: list[subprocess.CompletedProcess[str]] = []

    def start(number: int) -> None:
        found.append(docker.attempt("run", "-d", "--name", f"c-{number}", "--network", "net", IMAGE, *FOREVER))

    threads = [threading.Thread(target=start, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [done.stderr for done in found if done.returncode] == []
    assert len({docker.address(f"c-{number}", "net") for number in range(6)}) == 6
