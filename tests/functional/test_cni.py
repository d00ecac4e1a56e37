"""Pods on tenant networks: stackyard-cni as a runtime runs it, and an unmodified podman."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine_fixture import busybox_archive, wait_until
from tests.functional.real_cloud import RealCloud
from tests.functional.users import Session

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

PLUGIN = Path(sys.executable).with_name("stackyard-cni")
V2 = "/network/v2.0"
IMAGE = "localhost/functional/cni:1"


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace of a pod."""
    name = f"cni-{secrets.token_hex(4)}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def inside(namespace: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["nsenter", f"--net=/run/netns/{namespace}", *command], capture_output=True, text=True)


class Cnitool:
    """Runs the plug-in for one container, as cnitool does."""

    def __init__(self, cloud: RealCloud, namespace: str) -> None:
        self.config: dict[str, Any] = {
            "cniVersion": "1.0.0", "name": "pods", "type": "stackyard-cni", "network": "private",
            "state_dir": str(cloud.state_dir),
        }  # fmt: skip
        self.container = uuid.uuid4().hex
        self.namespace = namespace

    def __call__(self, command: str, **config: Any) -> tuple[int, Any]:
        """Exit status and what is printed."""
        variables = {
            "CNI_COMMAND": command, "CNI_CONTAINERID": self.container, "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin",
            "CNI_NETNS": f"/run/netns/{self.namespace}", "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=pod-a",
        }  # fmt: skip
        done = subprocess.run(
            [str(PLUGIN)], input=json.dumps(self.config | config), capture_output=True, text=True, timeout=60,
            env={"PATH": os.environ["PATH"], **variables},
        )  # fmt: skip
        assert done.stderr == ""
        return done.returncode, json.loads(done.stdout) if done.stdout else None


@pytest.fixture
def zun(demo: Session) -> Iterator[str]:
    """The address of a container of Zun's on the network private."""
    (private,) = demo.call("GET", f"{V2}/networks", name="private")["networks"]
    made = demo.run(nets=[{"network": private["id"]}])
    yield next(a["addr"] for ips in made["addresses"].values() for a in ips if a["version"] == 4)
    demo.delete(made["uuid"])


def test_a_pods_life(real_cloud: RealCloud, demo: Session, namespace: str, zun: str) -> None:
    cnitool = Cnitool(real_cloud, namespace)
    assert cnitool("VERSION")[1]["supportedVersions"] == ["0.4.0", "1.0.0", "1.1.0"]
    assert cnitool("STATUS") == (0, None)
    status, result = cnitool("ADD")
    assert (status, result["interfaces"][0]["name"]) == (0, "eth0")
    shown = inside(namespace, "ip", "-o", "addr", "show", "eth0").stdout
    assert all(item["address"] in shown for item in result["ips"])
    assert "default via 10.0.0.1" in inside(namespace, "ip", "route").stdout
    assert inside(namespace, "ping", "-c", "1", "-W", "5", zun).returncode == 0
    assert cnitool("CHECK", prevResult=result) == (0, None)
    inside(namespace, "ip", "link", "delete", "eth0")
    assert cnitool("CHECK", prevResult=result)[0] == 1
    assert cnitool("ADD")[1]["ips"] == result["ips"]
    assert inside(namespace, "ping", "-c", "1", "-W", "5", zun).returncode == 0
    assert cnitool("DEL") == (0, None)
    assert "eth0" not in inside(namespace, "ip", "-o", "link").stdout
    assert cnitool("DEL") == (0, None)
    assert demo.call("GET", f"{V2}/ports", device_id=cnitool.container)["ports"] == []


def test_errors_are_the_specifications(real_cloud: RealCloud, namespace: str) -> None:
    cnitool = Cnitool(real_cloud, namespace)
    for config, code in (
        ({"cniVersion": "9.0.0"}, 1), ({"project": "nobody"}, 7), ({"state_dir": "/nowhere"}, 11),
        ({"network": "nowhere"}, 104),
    ):  # fmt: skip
        status, error = cnitool("ADD", **config)
        assert (status, error["code"], bool(error["msg"])) == (1, code, True)
    assert cnitool("EXPLODE")[1]["code"] == 4
    gone = Cnitool(real_cloud, "there-is-no-such")
    assert gone("ADD")[1]["code"] == 5


class Podman:
    """Podman with everything in a directory of its own."""

    def __init__(self, directory: Path, cloud: RealCloud) -> None:
        (directory / "bin").mkdir()
        (directory / "bin" / "stackyard-cni").symlink_to(PLUGIN)
        (directory / "net.d").mkdir()
        plugin = {
            "type": "stackyard-cni", "network": "private", "state_dir": str(cloud.state_dir),
            "capabilities": {"ips": True, "mac": True},
        }  # fmt: skip
        conflist = {"cniVersion": "1.0.0", "name": "pods", "plugins": [plugin]}
        (directory / "net.d" / "pods.conflist").write_text(json.dumps(conflist))
        lines = [
            "[network]", 'network_backend = "cni"', f'cni_plugin_dirs = ["{directory}/bin"]',
            f'network_config_dir = "{directory}/net.d"', "[engine]", 'runtime = "runc"', 'cgroup_manager = "cgroupfs"',
            'events_logger = "none"', "[containers]", "default_ulimits = []",
        ]  # fmt: skip
        self._configuration = directory / "containers.conf"
        self._configuration.write_text("\n".join(lines) + "\n")
        self._directory = directory

    def attempt(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command, however it ends."""
        places = ["--root", f"{self._directory}/root", "--runroot", f"{self._directory}/run", "--storage-driver", "vfs"]
        environment = os.environ | {"CONTAINERS_CONF": str(self._configuration)}
        return subprocess.run(["podman", *places, *words], capture_output=True, text=True, timeout=120, env=environment)

    def __call__(self, *words: str) -> str:
        """What a command prints, which must succeed."""
        done = self.attempt(*words)
        assert done.returncode == 0, f"podman {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def run(self, name: str, *options: str) -> str:
        """A container on the network; the machine may withhold the right to raise limits."""
        return self(
            "run", "-d", "--name", name, "--network", "pods", "--ulimit", "host", *options, IMAGE, "sleep", "900"
        )

    def close(self) -> None:
        """Remove all of it."""
        self.attempt("rm", "--all", "--force", "--time", "0")
        mounts = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in reversed([path for path in mounts if path.startswith(f"{self._directory}/")]):
            subprocess.run(["umount", "--lazy", mount], check=True)


@pytest.fixture
def podman(real_cloud: RealCloud) -> Iterator[Podman]:
    """Podman, with an image."""
    with tempfile.TemporaryDirectory(prefix="stackyard-podman-") as text:
        directory = Path(text)
        made = Podman(directory, real_cloud)
        (directory / "image.tar").write_bytes(busybox_archive(IMAGE).read())
        try:
            made("load", "-i", str(directory / "image.tar"))
            yield made
        finally:
            made.close()


def test_podmans_containers_are_on_the_network(podman: Podman, demo: Session, zun: str) -> None:
    podman.run("one")
    podman.run("two", "--ip", "10.0.0.201", "--mac-address", "02:11:22:33:44:55")
    assert "10.0.0.201/24" in podman("exec", "two", "ip", "-o", "addr")
    assert "02:11:22:33:44:55" in podman("exec", "two", "ip", "link")
    podman("exec", "one", "ping", "-c", "1", "-W", "5", zun)
    lookup = ("exec", "two", "ping", "-c", "1", "-W", "2", "one")
    wait_until(lambda: podman.attempt(*lookup).returncode == 0, "podman's names are in the network's DNS")
    podman("rm", "--force", "--time", "0", "one", "two")
    assert demo.call("GET", f"{V2}/ports", device_owner="compute:cni")["ports"] == []
